"""Standalone Pythons: which build a version means, and which of them a machine does not use any more."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import run_module
from load_plugin import load

ROOT = Path(__file__).parents[2]
KNOWN = ROOT / 'roles/python-venv/files/pythons.json'
standalone = load('plugins/filter/standalone.py')


def entry(version, machine='x86_64', **more):
    """An entry of a list for uv."""
    major, minor, patch = map(int, version.split('.'))
    return {
        'name': 'cpython', 'arch': {'family': machine, 'variant': None}, 'os': 'linux', 'libc': 'gnu', 'major': major, 'minor': minor,
        'patch': patch, 'prerelease': '', 'url': f'https://builds.example/a/python {version}.tar.gz', 'sha256': 'ab' * 32, 'variant': None,
        **more,
    }  # fmt: skip


@pytest.fixture
def own(tmp_path):
    """Writes a list of entries; returns its path."""

    def write(*entries):
        (tmp_path / 'list.json').write_text(json.dumps({str(number): one for number, one in enumerate(entries)}))
        return str(tmp_path / 'list.json')

    return write


# -- builds that uv knows


def test_the_builds_are_those_of_the_hosts_uv():
    """`make lock` writes them, with the uv that hosts get."""
    versions = {
        (ROOT / path).read_text().partition('uv==')[2].split()[0] for path in ('requirements.txt', 'roles/python-venv/files/uv.txt')
    }
    assert len(versions) == 1
    listed = subprocess.run([sys.executable, ROOT / 'tools/pythons'], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert KNOWN.read_text() == listed, 'run `make lock`'


@pytest.mark.parametrize('machine', ['x86_64', 'aarch64'])
def test_a_minor_version_means_its_newest_patch_version(machine):
    versions = [version for version in standalone.versions(machine) if version.startswith('3.12.')]
    found = standalone.build('3.12', machine)
    assert found['version'] == versions[0] == '3.12.' + str(max(int(version.split('.')[2]) for version in versions))
    assert found['key'] == f'cpython-{versions[0]}-linux-{machine}-gnu'
    assert found['url'].startswith(f'{standalone.UPSTREAM}/20') and found['url'].endswith('.tar.gz')
    assert standalone.build('3.12.4', machine)['version'] == '3.12.4'


def test_a_mirror_has_what_is_upstream():
    found = standalone.build('3.12.4', 'x86_64', mirror='https://mirror.example/x/')
    assert found['url'].startswith('https://mirror.example/x/20') and '%2B' in found['url']
    # as uv looks for the file in a folder
    assert found['path'] == found['url'].removeprefix('https://mirror.example/x/').replace('%2B', '+')
    assert found['sha256'] == '' and found['entry'] == {}


def test_without_a_build_there_is_none():
    assert standalone.build('', 'x86_64') == standalone.build('3.12', 'armv7l') == standalone.build('3.12.99', 'x86_64') == {}


# -- a list of the user's


def test_a_list_of_the_users_takes_the_place_of_uvs(own):
    path = own(
        entry('3.12.9'), entry('3.12.10'), entry('3.11.1', 'aarch64'), entry('3.13.0', prerelease='rc1'), entry('3.9.1', libc='musl')
    )
    assert standalone.versions('x86_64', path) == ['3.12.10', '3.12.9']
    found = standalone.build('3.12', 'x86_64', path, 'https://mirror.example')
    assert (found['version'], found['sha256']) == ('3.12.10', 'ab' * 32)
    assert found['url'] == 'https://builds.example/a/python 3.12.10.tar.gz'
    assert found['path'] == 'abababababab/python_3.12.10.tar.gz'
    assert json.loads(standalone.uv_list(found, 'file:///x')) == {found['key']: {**entry('3.12.10'), 'url': 'file:///x'}}


@pytest.mark.parametrize('text, reason', [
    (None, 'cannot be read'), ('{', 'cannot be read'), ('[]', 'is no list of uv'), ('{"a": {}}', 'is no list of uv'),
    (json.dumps({'a': entry('3.12.1', sha256=None)}), 'has no url (https:// or http://) and sha256 of cpython-3.12.1-linux-x86_64-gnu'),
    (json.dumps({'a': entry('3.12.1', url='file:///x')}), 'has no url'),
])  # fmt: skip
def test_a_list_that_cannot_be_used_is_refused(text, reason, tmp_path):
    if text is not None:
        (tmp_path / 'list').write_text(text)
    (found,) = standalone.errors('3.12', str(tmp_path / 'list'))
    assert found.startswith('python_venv_standalone_list must be a file') and str(tmp_path) in found and reason in found


@pytest.mark.parametrize('version, there_are', [('3.7', '3.8, 3.9, 3.10'), ('3.99', '3.8, 3.9'), ('3.12.99', '3.12.')])
def test_a_version_without_a_build_is_refused_with_those_that_there_are(version, there_are):
    (found,) = standalone.errors(version)
    assert found.startswith('flask_app_python must be') and f"got '{version}'" in found and there_are in found


def test_right_versions_are_not_refused(own):
    assert standalone.errors('') == standalone.errors('3.12') == standalone.errors('3.12.4') == []
    assert standalone.errors('3.12', own(entry('3.12.1'))) == []


# -- what no app uses any more


@pytest.fixture
def machine(tmp_path):
    """A machine with two Pythons, of which an app uses the first."""
    for name in ('3.12.1', '3.12.10', '3.13.0'):
        (tmp_path / f'pythons/cpython-{name}-linux-x86_64-gnu/bin').mkdir(parents=True)
    (tmp_path / 'claims').mkdir()
    (tmp_path / 'claims/shop.json').write_text(json.dumps({'paths': [f'{tmp_path}/srv/shop', '/elsewhere']}))
    environment = tmp_path / 'srv/shop/venvs/a.1'
    environment.mkdir(parents=True)
    (environment / 'pyvenv.cfg').write_text(f'version = 3.12.1\nhome = {tmp_path}/pythons/cpython-3.12.1-linux-x86_64-gnu/bin\n')
    return tmp_path


def prune(machine, python=sys.executable, environment=None, **options):
    """Runs the module; returns its answer and the names of the Pythons that are left."""
    arguments = {'folder': f'{machine}/pythons', 'claims': f'{machine}/claims', **options}
    found = run_module.run('unused_pythons', arguments, python, environment)[0]
    return found, sorted(path.name.split('-')[1] for path in (machine / 'pythons').iterdir())


def test_only_what_an_environment_names_stays(machine):
    found, left = prune(machine)
    assert left == ['3.12.1'] and found['changed']
    assert [os.path.basename(path).split('-')[1] for path in found['removed']] == ['3.12.10', '3.13.0']
    assert prune(machine)[0]['changed'] is False
    (machine / 'claims/shop.json').unlink()
    assert prune(machine)[1] == []


def test_a_folder_of_the_apps_account_is_not_read(machine):
    """A second path may be a link in the account's home: what is there would name a Python, or stop the run."""
    for name, make in [('a', os.mkfifo), ('b', lambda path: path.symlink_to('/dev/zero'))]:
        folder = machine / f'home/{name}/venvs/x'
        folder.mkdir(parents=True)
        make(folder / 'pyvenv.cfg')
        (machine / f'claims/{name}.json').write_text(json.dumps({'paths': [f'{machine}/srv/{name}', f'{machine}/home/{name}']}))
    found, left = prune(machine)
    assert left == ['3.12.1'] and 'failed' not in found


def test_check_mode_removes_nothing(machine):
    found, left = prune(machine, _ansible_check_mode=True)
    assert found['changed'] and left == ['3.12.1', '3.12.10', '3.13.0']


def test_what_a_process_runs_stays(machine):
    program = machine / 'pythons/cpython-3.13.0-linux-x86_64-gnu/bin/sleep'
    shutil.copy('/bin/sleep', program)
    with subprocess.Popen([program, '60']) as process:
        try:
            assert prune(machine)[1] == ['3.12.1', '3.13.0']
        finally:
            process.kill()


@pytest.mark.parametrize('broken', ['claims/shop.json', 'srv/shop/venvs/a.1/pyvenv.cfg'])
def test_nothing_is_removed_where_what_is_used_cannot_be_read(machine, broken):
    (machine / broken).unlink()
    (machine / broken).symlink_to('/etc/passwd')
    found, left = prune(machine)
    assert found['failed'] and left == ['3.12.1', '3.12.10', '3.13.0']


@pytest.mark.skipif(not run_module.OLD, reason='needs the oldest Python of hosts here')
def test_the_oldest_python_of_hosts_does(machine):
    folder = machine / 'packages'
    folder.mkdir()
    assert prune(machine, run_module.OLD[-1], run_module.for_old_python(folder))[1] == ['3.12.1']
