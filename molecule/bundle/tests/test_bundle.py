"""make bundle fetches from one host what another is set up with."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

FOLDER = Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY'])
CHECKOUT = Path(os.environ['MOLECULE_PROJECT_DIRECTORY'])
MACHINES = {machine['instance']: machine for machine in yaml.safe_load((FOLDER / 'instance_config.yml').read_text())}
BUNDLE = FOLDER / 'bundle'


def play(playbook, host, *options):
    done = subprocess.run(
        ['ansible-playbook', '-i', FOLDER / 'inventory', playbook, f'--limit={host}', *options],
        cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.fixture(scope='module')
def bundle():
    code, output = play('bundle.yml', 'connected', '-e', f'bundle={BUNDLE}')
    assert code == 0, output[-3000:]


def inside(*command):
    machine = MACHINES['app']
    return subprocess.run([machine['engine'], 'exec', machine['container'], *command], stdout=subprocess.PIPE, text=True, check=False)


def test_the_host_reaches_nothing():
    assert 'default' not in inside('ip', 'route').stdout


def test_a_bundle_for_another_system_stops_the_run_with_what_to_do(bundle):
    (BUNDLE / 'debs').rename(BUNDLE / 'elsewhere')
    try:
        code, output = play('playbook.yml', 'app', '-e', f'mirrors_bundle={BUNDLE}')
    finally:
        (BUNDLE / 'elsewhere').rename(BUNDLE / 'debs')
    assert code == 2 and 'make bundle HOST=' in output
    assert inside('sh', '-c', 'command -v nginx').returncode != 0


def test_the_host_is_set_up_from_the_bundle(bundle):
    code, output = play('playbook.yml', 'app', '-e', f'mirrors_bundle={BUNDLE}')
    assert code == 0, output[-3000:]
    subprocess.run(['curl', '--fail', '--silent', f'http://127.0.0.1:{MACHINES["app"]["http_port"]}/'], check=True)
    code, output = play('playbook.yml', 'app', '-e', f'mirrors_bundle={BUNDLE}')
    assert code == 0 and 'changed=0' in output


def test_a_changed_wheel_is_refused(bundle):
    wheel = next(BUNDLE.glob('wheels/*/flask-*.whl'), None) or next(BUNDLE.glob('wheels/*/Flask-*.whl'))
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[:-1])
    before = inside('ls', '/srv/flaskrandom/venvs').stdout
    # another line in the lock makes it another environment
    app = shutil.copytree(CHECKOUT / 'files/flaskrandom', FOLDER / 'app', dirs_exist_ok=True)
    with (app / 'requirements.txt').open('a') as lock:
        lock.write('# another\n')
    try:
        code, output = play('playbook.yml', 'app', '-e', f'mirrors_bundle={BUNDLE}', '-e', f'flask_app_src={app}')
    finally:
        wheel.write_bytes(whole)
    assert code == 2 and 'DO NOT MATCH THE HASHES' in output
    assert inside('ls', '/srv/flaskrandom/venvs').stdout == before
