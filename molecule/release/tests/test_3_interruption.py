"""Whatever is killed, the app serves on, and the next run converges."""

import subprocess
import time

import pytest
from conftest import at_rest

# what the program and everything below it are called on the machine
MASTER = 'supervisorctl pid flaskrandom'
NEXT = 'systemctl show --value --property=MainPID "flaskrandom-next@*"'
HANDING_OVER = 'TASK [handover : Hand over to the release]'


def wait_until(condition, seconds=20):
    """Waits until a condition holds; fails when it takes longer."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'it did not happen in time'
        time.sleep(0.05)


def converges(machine, bash, app):
    """Deploys again, which ends what was begun."""
    machine.deploy(app)
    assert machine.release() == app.name
    assert at_rest(bash)


@pytest.mark.parametrize(
    'release, task, seconds',
    [('killed-unpacking', 'TASK [flask-app : Unpack the release]', 0), ('killed-handing-over', HANDING_OVER, 1.5)],
)
def test_the_controller_is_killed(machine, bash, release, task, seconds):
    app = machine.app(release)
    with machine.load(f'controller killed, {release}') as figures:
        run = machine.start_deploy(app)
        run.wait_for(task)
        time.sleep(seconds)
        run.kill()
        time.sleep(5)
    assert figures['failed'] == 0
    bash('rm -rf /srv/flaskrandom/releases/.[!.]*')
    converges(machine, bash, app)


@pytest.mark.parametrize('release, socket', [('cut-short-before', 'flaskrandom.sock'), ('cut-short-after', 'next.sock')])
def test_the_hand_over_itself_is_killed(machine, bash, release, socket):
    """`socket` has the traffic when it is killed."""
    app = machine.app(release)
    with machine.load(f'hand-over killed while {socket} serves') as figures:
        run = machine.start_deploy(app)
        wait_until(lambda: bash('systemctl list-units --no-legend "flaskrandom-next@*"').strip(), 150)
        wait_until(lambda: bash('readlink /run/flaskrandom/live.sock').strip() == socket)
        bash("pgrep -f 'flaskrandom-release activat[e]' | xargs kill -9")
        assert run.wait() != 0
        converges(machine, bash, app)
    assert figures['failed'] == 0


def test_the_host_restarts_in_the_middle(machine, bash):
    app = machine.app('restarted')
    run = machine.start_deploy(app)
    wait_until(lambda: bash('systemctl list-units --no-legend "flaskrandom-next@*"').strip(), 150)
    engine = [machine.facts['engine'], 'restart', '--time=5', machine.facts['container']]
    subprocess.run(engine, check=True, capture_output=True)
    assert run.wait() != 0

    def answers():
        try:
            return machine.release()
        except OSError:
            return None

    wait_until(answers, 30)
    converges(machine, bash, app)
    assert machine.deploy(app).changed == 0


@pytest.mark.parametrize(
    'what, victims, lost',
    [
        ('a worker', f'pgrep -P $({MASTER}) | head -1', 1),
        ('the master', MASTER, 0),
        # supervisor looks for ended programs once a second, and the app has to start, on a machine that may be busy
        ('master and workers', f'{MASTER}; pgrep -P $({MASTER})', 1500),
    ],
)
def test_gunicorn_is_killed(machine, bash, what, victims, lost):
    """A killed worker takes the request with it that it works on; with all of them gone nothing answers for a while."""
    before = bash(MASTER).strip()
    with machine.load(f'kill -9 of {what}') as figures:
        bash(f'kill -9 $({victims})')
        time.sleep(3)
    assert figures['failed'] <= lost
    assert (bash(MASTER).strip() != before) == (what != 'a worker')


@pytest.mark.parametrize(
    'what, command',
    [
        ('the second gunicorn', f'kill -9 $({NEXT})'),
        ('supervisor', 'systemctl restart supervisor'),
    ],
)
def test_something_breaks_in_mid_hand_over(machine, bash, what, command):
    app = machine.app('broken-by-' + what.replace(' ', '-'))
    with machine.load(f'{what} killed or restarted in mid-hand-over') as figures:
        run = machine.start_deploy(app)
        wait_until(lambda: bash('readlink /run/flaskrandom/live.sock').strip() == 'next.sock', 150)
        bash(command)
        run.wait()
    # the requests in flight
    assert figures['failed'] <= 10
    converges(machine, bash, app)
