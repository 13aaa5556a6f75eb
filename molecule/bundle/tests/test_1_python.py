"""A host without a network gets a Python that it does not have from a bundle."""

import functools
import gzip
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

FOLDER = Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY'])
CHECKOUT = Path(os.environ['MOLECULE_PROJECT_DIRECTORY'])
sys.path.insert(0, str(CHECKOUT / 'tests/support'))

import pythons  # noqa: E402

MACHINES = {machine['instance']: machine for machine in yaml.safe_load((FOLDER / 'instance_config.yml').read_text())}
BUNDLE = FOLDER / 'bundle-python'
HOME = '/opt/flask-host/python'


def inside(*command):
    """Runs a command of root's on the host without a network; returns what it printed."""
    command = [MACHINES['app']['engine'], 'exec', MACHINES['app']['container'], *command]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


def play(playbook, host, **variables):
    """Runs a playbook for a host; returns its exit code and its output on one line."""
    done = subprocess.run(
        ['ansible-playbook', '-i', FOLDER / 'inventory', playbook, f'--limit={host}', '-e', json.dumps(variables)],
        cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        env=os.environ | {'ANSIBLE_FORCE_COLOR': '0', 'ANSIBLE_NOCOLOR': '1'},
    )  # fmt: skip
    return done.returncode, ' '.join(done.stdout.split())


@pytest.fixture(scope='module')
def build(tmp_path_factory):
    """The build, in a bundle that was fetched from a server on this computer."""
    folder = tmp_path_factory.mktemp('build')
    found = pythons.Build(folder, inside('ldd', '--version'))
    (folder / found.path).parent.mkdir()
    found.archive.rename(folder / found.path)
    found.archive = folder / found.path
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.list = found.write_list('local.json', f'http://127.0.0.1:{server.server_port}')
    found.app = pythons.app(folder, 'shop')
    code, output = play('bundle.yml', 'connected', bundle=str(BUNDLE), **variables(found))
    server.shutdown()
    assert code == 0, output[-3000:]
    return found


def variables(build):
    """Those of the app."""
    return {
        'flask_app_name': 'shop', 'flask_app_src': str(build.app), 'flask_app_python': pythons.MINOR,
        'python_venv_standalone_list': str(build.list),
    }  # fmt: skip


@pytest.fixture
def archive(build):
    """The archive in the bundle."""
    (found,) = BUNDLE.glob('pythons/*/*.tar.gz')
    return found


def test_a_tampered_archive_is_refused(build, archive):
    content = archive.read_bytes()
    archive.write_bytes(gzip.compress(gzip.decompress(content), compresslevel=2))
    try:
        code, output = play('playbook.yml', 'app', mirrors_bundle=str(BUNDLE), **variables(build))
    finally:
        archive.write_bytes(content)
    assert code == 2 and 'Hash mismatch for' in output
    assert inside('find', HOME, '-mindepth', '1') == '' and inside('find', '/srv/shop/venvs', '-mindepth', '1') == ''


def test_the_app_runs_on_the_python_of_the_bundle(build, archive):
    code, output = play('playbook.yml', 'app', mirrors_bundle=str(BUNDLE), **variables(build))
    assert code == 0, output[-3000:]
    command = ['curl', '--fail', '--silent', f'http://127.0.0.1:{MACHINES["app"]["http_port"]}/']
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert found['python'] == build.version and found['home'] == f'{HOME}/{build.key}'
    code, output = play('playbook.yml', 'app', mirrors_bundle=str(BUNDLE), **variables(build))
    assert code == 0 and 'changed=0' in output


def test_it_is_removed_with_the_app(build):
    code, output = play('remove.yml', 'app', remove_data=True, **variables(build))
    assert code == 0, output[-3000:]
    assert inside('find', '/opt', '/srv', '-mindepth', '1') == ''
