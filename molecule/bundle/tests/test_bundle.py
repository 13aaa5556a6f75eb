"""Hosts without a network are set up from what make bundle fetched on hosts of two systems."""

import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

FOLDER = Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY'])
CHECKOUT = Path(os.environ['MOLECULE_PROJECT_DIRECTORY'])
MACHINES = {machine['instance']: machine for machine in yaml.safe_load((FOLDER / 'instance_config.yml').read_text())}
BUNDLE = FOLDER / 'bundle'
APPS = ['app', 'app-other']


def play(playbook, host, *options):
    done = subprocess.run(
        ['ansible-playbook', '-i', FOLDER / 'inventory', playbook, f'--limit={host}', *options],
        cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.fixture(scope='module')
def bundle():
    code, output = play('bundle.yml', 'sources', '-e', f'bundle={BUNDLE}')
    assert code == 0, output[-3000:]


def inside(host, *command):
    machine = MACHINES[host]
    return subprocess.run([machine['engine'], 'exec', machine['container'], *command], stdout=subprocess.PIPE, text=True, check=False)


@pytest.mark.parametrize('host', APPS)
def test_the_host_reaches_nothing(host):
    assert 'default' not in inside(host, 'ip', 'route').stdout


def test_a_bundle_for_another_system_stops_the_run_with_what_to_do(bundle):
    (BUNDLE / 'debs').rename(BUNDLE / 'elsewhere')
    try:
        code, output = play('playbook.yml', 'app', '-e', f'mirrors_bundle={BUNDLE}')
    finally:
        (BUNDLE / 'elsewhere').rename(BUNDLE / 'debs')
    assert code == 2 and 'make bundle HOST=' in output
    assert inside('app', 'sh', '-c', 'command -v nginx').returncode != 0


def test_hosts_of_two_systems_are_set_up_from_the_bundle_in_one_run(bundle):
    code, output = play('playbook.yml', 'apps', '-e', f'mirrors_bundle={BUNDLE}')
    assert code == 0, output[-3000:]
    for host in APPS:
        subprocess.run(['curl', '--fail', '--silent', f'http://127.0.0.1:{MACHINES[host]["http_port"]}/'], check=True)
        assert inside(host, 'hello').returncode == 0
    code, output = play('playbook.yml', 'apps', '-e', f'mirrors_bundle={BUNDLE}')
    assert code == 0 and output.count('changed=0') == len(APPS)


def test_a_changed_wheel_is_refused(bundle):
    wheels = {path: path.read_bytes() for path in BUNDLE.glob('wheels/*/[Ff]lask-*.whl')}
    assert wheels
    for wheel in wheels:
        with zipfile.ZipFile(wheel, 'a') as files:
            files.writestr('flask/evil.py', '')
    before = inside('app', 'ls', '/srv/flaskrandom/venvs').stdout
    # another lock makes it another environment
    app = shutil.copytree(CHECKOUT / 'files/flaskrandom', FOLDER / 'app', dirs_exist_ok=True)
    lock = app / 'requirements.txt'
    lock.write_text(re.sub(r'(?m)^python-dotenv==.*\n( +.*\n)+', '', lock.read_text()))
    try:
        variables = {'mirrors_bundle': str(BUNDLE), 'flask_app_src': str(app), 'flask_app_name': 'flaskrandom'}
        code, output = play('playbook.yml', 'app', '-e', json.dumps(variables))
    finally:
        for wheel, whole in wheels.items():
            wheel.write_bytes(whole)
    assert code == 2 and 'Hash mismatch for' in output
    assert inside('app', 'ls', '/srv/flaskrandom/venvs').stdout == before
