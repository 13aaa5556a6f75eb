"""A Python that the host does not have, from a mirror with a password; beside the app with the host's own."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FOLDER = Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY'])
CHECKOUT = Path(os.environ['MOLECULE_PROJECT_DIRECTORY'])
sys.path.insert(0, str(CHECKOUT / 'tests/support'))

import pythons  # noqa: E402

MACHINE = yaml.safe_load((FOLDER / 'instance_config.yml').read_text())[0]
MIRROR = 'http://reader:sesame%2Fopen@127.0.0.1:18082/pythons'
HOME = '/opt/flask-host/python'


def inside(*command, check=True, stdin=None):
    """Runs a command of root's on the machine; returns what it printed."""
    done = subprocess.run(
        [MACHINE['engine'], 'exec', '--interactive', MACHINE['container'], *command], input=stdin, stdout=subprocess.PIPE, check=check
    )
    return done.stdout.decode().strip()


def play(playbook, build, name, *options, **more):
    """Runs a playbook for an app of this name; returns its exit code and its output on one line."""
    variables = {
        'flask_app_name': name, 'flask_app_src': str(FOLDER / name), 'flask_app_domains': [f'{name}.example'],
        'flask_app_python': pythons.MINOR, 'flask_app_lock_folder': '',
        'python_venv_standalone_list': str(build.list), 'python_venv_standalone_mirror': MIRROR,
    }  # fmt: skip
    done = subprocess.run(
        ['ansible-playbook', '-i', FOLDER / 'inventory', playbook, '-e', json.dumps({**variables, **more}), *options],
        cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        env=os.environ | {'ANSIBLE_FORCE_COLOR': '0', 'ANSIBLE_NOCOLOR': '1', 'ANSIBLE_VERBOSITY': '1'},
    )  # fmt: skip
    # test_mirrors.py looks for the password there
    with (FOLDER / 'run.log').open('a') as log:
        log.write(done.stdout)
    return done.returncode, ' '.join(done.stdout.split())


def answer(name):
    """What an app says of its Python."""
    command = ['curl', '--fail', '--silent', '--header', f'Host: {name}.example', f'http://127.0.0.1:{MACHINE["http_port"]}/']
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def publish(archive, path):
    """Puts an archive into the mirror."""
    inside('mkdir', '-p', '/opt/pythons/20240101')
    inside('sh', '-c', f'cat >/opt/pythons/{path}', stdin=archive)


@pytest.fixture(scope='module')
def build(tmp_path_factory):
    """The build, with two apps that need it."""
    found = pythons.Build(tmp_path_factory.mktemp('build'), inside('ldd', '--version'))
    for name in ('one', 'two'):
        shutil.rmtree(FOLDER / name, ignore_errors=True)
        pythons.app(FOLDER, name)
    return found


def test_a_host_without_that_python_is_refused_with_what_to_set(build):
    code, output = play('playbook.yml', build, 'one', flask_app_python='')
    assert code == 2
    assert '.python-version says 3.12, but the host has Python 3.' in output and 'set flask_app_python:' in output
    assert inside('ls', '/srv') == 'flaskrandom'


def test_a_tampered_archive_is_refused(build):
    content = build.archive.read_bytes()
    publish(gzip.compress(gzip.decompress(content), compresslevel=2), build.path)
    code, output = play('playbook.yml', build, 'one')
    assert code == 2
    assert f'The standalone Python {build.version} could not be installed' in output and 'Hash mismatch for' in output
    assert inside('find', HOME, '-mindepth', '1') == '' and inside('find', '/srv/one/venvs', '-mindepth', '1') == ''
    publish(content, build.path)


@pytest.fixture(scope='module')
def deployed(build):
    code, output = play('playbook.yml', build, 'one')
    assert code == 0, output[-3000:]
    return build


def test_the_app_runs_on_that_python_with_a_present_flask(deployed):
    found = answer('one')
    assert found['python'] == deployed.version and found['home'] == f'{HOME}/{deployed.key}'
    assert tuple(map(int, found['flask'].split('.'))) >= (3, 1)


def test_it_came_from_the_mirror(deployed):
    requests = inside('journalctl', '--unit=mirrors', '--output=cat')
    assert f'GET /pythons/{deployed.path.replace("+", "%2B")}' in requests


def test_only_root_can_change_it_and_nothing_else_was_installed(deployed):
    assert inside('ls', '-A', HOME) == deployed.key
    assert inside('find', HOME, '(', '-perm', '/6022', '-not', '-type', 'l', ')', '-o', '-not', '-user', 'root') == ''
    assert inside('find', HOME, '-type', 'f', '-not', '-perm', '-004') == ''
    assert inside('find', '/usr', '/bin', '/root', '/home', '/srv/one/venvs', '-lname', f'*cpython-{pythons.MINOR}-linux*') == ''
    assert inside('find', '/usr', '/root', '/home', '-lname', f'{HOME}*') == ''
    # what is loaded at each start is compiled
    assert 'os.cpython-312.pyc' in inside('ls', f'{HOME}/{deployed.key}/lib/python3.12/__pycache__').split()


def test_the_environment_names_the_patch_version(deployed):
    settings = inside('sh', '-c', 'cat /srv/one/current/pyvenv.cfg')
    assert f'home = {HOME}/{deployed.key}/bin' in settings
    assert inside('readlink', '-f', '/srv/one/current/bin/python').startswith(f'{HOME}/{deployed.key}/bin/')


def test_a_second_run_changes_nothing(deployed):
    requests = inside('journalctl', '--unit=mirrors', '--output=cat').count('GET /pythons/')
    code, output = play('playbook.yml', deployed, 'one')
    assert code == 0 and 'changed=0' in output
    assert inside('journalctl', '--unit=mirrors', '--output=cat').count('GET /pythons/') == requests


def test_drift_names_a_changed_file_and_a_run_undoes_it(deployed):
    path = f'{HOME}/{deployed.key}/lib/python3.12/ssl.py'
    inside('sh', '-c', f'echo "changed = 1" >>{path}')
    _, output = play('playbook.yml', deployed, 'one', '--check')
    assert f'{path}: its content was changed' in output
    before = inside('supervisorctl', 'pid', 'one')
    code, output = play('playbook.yml', deployed, 'one')
    assert code == 0, output[-3000:]
    assert inside('tail', '-n1', path) != 'changed = 1'
    # it may have loaded the changed file
    assert inside('supervisorctl', 'pid', 'one') != before


def test_two_apps_share_it(deployed):
    before = inside('stat', '--format=%y', f'{HOME}/{deployed.key}/.manifest.json')
    code, output = play('playbook.yml', deployed, 'two')
    assert code == 0, output[-3000:]
    assert answer('two')['home'] == f'{HOME}/{deployed.key}'
    assert inside('stat', '--format=%y', f'{HOME}/{deployed.key}/.manifest.json') == before


def test_it_goes_with_the_last_app_that_uses_it(deployed):
    # a broken run has left another one
    inside('mkdir', f'{HOME}/cpython-3.9.1-linux-x86_64-gnu')
    code, output = play('remove.yml', deployed, 'one')
    assert code == 0, output[-3000:]
    assert inside('ls', '-A', HOME) == deployed.key
    assert answer('two')['python'] == deployed.version
    code, output = play('remove.yml', deployed, 'two')
    assert code == 0, output[-3000:]
    assert inside('ls', '-A', HOME) == ''
    subprocess.run(['curl', '--fail', '--silent', f'http://127.0.0.1:{MACHINE["http_port"]}/'], check=True, stdout=subprocess.DEVNULL)
