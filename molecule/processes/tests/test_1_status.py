"""What runs is seen from the controller: make status, make logs and make run."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest
from machine import CHECKOUT, INVENTORY

JOBS = {'hello': {'command': 'echo hello from a job', 'schedule': '*:*:0/2'}}
SECRET = 'planted-f3b1'
REMOTE = [sys.executable, '-m', 'tools.remote']


@pytest.fixture(scope='module', autouse=True)
def seen(shop):
    shop.deploy(shop.version(), flask_app_jobs=JOBS, flask_app_secrets={'PLANTED': SECRET})
    return shop


def status(*options):
    return subprocess.run(['tools/status', '-i', INVENTORY, *options], cwd=CHECKOUT, capture_output=True, text=True)


def logs(*options):
    done = subprocess.run([*REMOTE, 'logs', '-i', INVENTORY, *options], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [tuple(part.strip() for part in line.split(' | ', 1)) for line in done.stdout.splitlines()]


def run(*command, **options):
    return subprocess.run([*REMOTE, 'run', '-i', INVENTORY, '--', *command], cwd=CHECKOUT, capture_output=True, text=True, **options)


def within(seconds, holds):
    """Waits until a function returns something true; returns it."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return found


def test_status_shows_what_runs(shop, programs):
    def healthy():
        done = status('--json')
        facts = next(iter(json.loads(done.stdout)['hosts'].values()))
        return facts if done.returncode == 0 and facts['jobs'][0]['last'] else None

    facts = within(20, healthy)
    assert facts['problems'] == [] and facts['app'] == 'shop' and facts['release']['id'] == shop.release()
    assert {f'shop.{one["type"]}@{one["release"]}:{one["name"]}' for one in facts['processes']} == set(programs())
    assert all(one['memory'] > 1e6 and one['state'] == 'running' for one in [*facts['processes'], facts['web']])
    assert [(one['name'], one['result']) for one in facts['jobs']] == [('hello', 'succeeded')] and facts['jobs'][0]['next']
    assert facts['disk']['folders']['shared']['complete'] and facts['disk']['folders']['venvs']['bytes'] > 1e6


def test_status_shows_problems_first(shop, root):
    beat = f'shop.beat@{shop.release()}:beat.1'
    root(f'supervisorctl stop {beat}')
    done = status()
    root(f'supervisorctl start {beat}')
    lines = done.stdout.splitlines()
    assert done.returncode == 2 and lines[1:3] == ['  problems:', f'  - the process {beat} is in the state stopped'], done.stdout
    assert any(line.split()[:2] == ['beat.1', 'STOPPED,'] for line in lines), done.stdout


def test_logs_of_all_sources_are_shown(shop):
    shop.ask('/not-there?mark=a%20b')

    def shown():
        found = logs('--since=5m')
        return found if {'web', 'celery.1', 'job.hello', 'nginx.access'} <= {source for source, _ in found} else None

    assert ('job.hello', 'hello from a job') in [(source, line.rpartition(': ')[2]) for source, line in within(20, shown)]
    within(10, lambda: logs('--grep=/not-there?mark=', '--process=nginx'))
    assert {source for source, _ in logs('--process=rq')} <= {'rq.1', 'rq.2'}


def test_logs_are_followed_until_the_connection_ends(shop, root):
    command = [*REMOTE, 'logs', '-i', INVENTORY, '--follow', '--grep=mark-of-follow']
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE) as process:
        within(20, lambda: 'tail --follow' in root('ps -eo args'))
        shop.ask('/mark-of-follow')
        assert select.select([process.stdout], [], [], 20)[0] and b'mark-of-follow' in os.read(process.stdout.fileno(), 10000)
        process.send_signal(signal.SIGTERM)
    within(20, lambda: 'tail --follow' not in root('ps -eo args'))


def test_a_command_runs_as_the_app_and_its_status_comes_back(shop):
    done = run('sh', '-c', 'id -un; pwd; echo "$PLANTED"; cat; exit 5', input="it's\n")
    assert done.stdout.splitlines() == ['shop', f'/srv/shop/releases/{shop.release()}', SECRET, "it's"]
    assert done.returncode == 5, done.stderr


def test_no_secret_is_in_a_process_list(root):
    command = [*REMOTE, 'run', '-i', INVENTORY, '--', 'sh', '-c', 'echo begun; sleep 3']
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == 'begun\n'
        here = subprocess.run(['ps', '-eo', 'args'], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert 'echo begun' in here and SECRET not in here + root('ps -eo args')


def test_a_command_on_a_terminal_gets_one_of_its_own(shop):
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(CHECKOUT)
        command = 'echo ready; read x; echo $x by $(id -un) on $(tty); exit 6'
        os.execvp(REMOTE[0], [*REMOTE, 'run', '-i', INVENTORY, '--', 'sh', '-c', command])
    shown, typed = b'', False
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and select.select([terminal], [], [], 30)[0]:
        try:
            piece = os.read(terminal, 10000)
        except OSError:
            break
        shown += piece
        if b'ready' in shown and not typed:
            typed = os.write(terminal, b'typed\n')
    assert b'typed by shop on /dev/pts/' in shown
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 6
