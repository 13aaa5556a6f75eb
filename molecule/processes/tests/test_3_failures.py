"""What happens to processes that do not run, and to those of releases that cannot."""

import json
import subprocess
import time

import pytest
from conftest import SETTINGS
from machine import CHECKOUT, INVENTORY, play


@pytest.fixture(scope='module')
def current(shop):
    """The folder of the serving release."""
    folder = shop.version()
    shop.deploy(folder)
    return folder


def test_a_process_that_dies_takes_the_release_back(shop, current, programs):
    before, running = shop.release(), programs()
    # gunicorn does not import it
    bad = shop.version(huey_jobs="\nimport sys\nif 'gunicorn' not in sys.argv[0]:\n    raise RuntimeError('no jobs today')\n")
    run = shop.deploy(bad, fails=True)
    assert 'did not stay up' in run.words and 'no jobs today' in run.words and f'The release {before} serves again.' in run.words
    assert shop.release() == before
    assert programs() == running and set(running.values()) == {'RUNNING'}


def test_a_process_that_supervisor_gave_up_is_drift(shop, current, programs, root):
    beat = f'shop.beat@{shop.release()}:beat.1'
    root(f'supervisorctl stop {beat}')
    variables = json.dumps({**SETTINGS, 'flask_app_src': current})
    drift = subprocess.run(['tools/drift', '-i', INVENTORY, '-e', variables], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert f'the process {beat} is in the state stopped' in drift.stdout and drift.returncode == 2
    shop.deploy(current)
    assert programs()[beat] == 'RUNNING'


def test_all_processes_are_back_after_a_restart(shop, current, programs):
    names = set(programs())
    shop.restart()
    shop.wait()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and set(programs().values()) != {'RUNNING'}:
        time.sleep(1)
    assert programs() == dict.fromkeys(names, 'RUNNING')


def test_nothing_is_left(shop, current, root):
    play('remove.yml', remove_data=True)
    assert root('ls /etc/supervisor/conf.d /var/log/supervisor 2>/dev/null | grep shop || true') == ''
    assert 'no such user' in root('id shop', fails=True)
    assert root('ls -d /srv/shop || true').startswith('ls: cannot access')
