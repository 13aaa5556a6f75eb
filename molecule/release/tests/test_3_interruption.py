"""Whatever is killed, the app keeps serving, and the next run converges."""

import random
import time

import pytest
from conftest import is_settled
from pytest_load import judge_times

# Commands that print process ids: of the program's gunicorn, and of the candidate's.
MASTER = 'supervisorctl pid flaskrandom'
NEXT = 'systemctl show --value --property=MainPID "flaskrandom-next@*"'


def wait_until(condition, seconds=20):
    """Waits until a condition is true, at most some seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f'not within {seconds} s'
        time.sleep(0.05)


def assert_converges(machine, root, app):
    """Deploys again and checks that the app serves and nothing unfinished is left."""
    machine.deploy(app)
    assert machine.release() == app.name
    assert is_settled(root)


def test_deploys_survive_a_killed_controller(machine, root, figures):
    """Kills at a random moment in each tenth of a deploy; each deploy finds what the one before left."""
    seed = random.randrange(10000)
    moments = random.Random(seed)
    known = {machine.release()}
    with machine.load('controller killed at ten moments', rate=100) as result:
        whole = machine.deploy(machine.app('not-killed')).seconds
        for tenth in range(10):
            app = machine.app(f'killed-{tenth}')
            known |= {'not-killed', app.name}
            run = machine.start_deploy(app)
            time.sleep(moments.uniform(tenth, tenth + 1) * whole / 10)
            assert run.status in (None, 0), run.output
            run.kill()
            assert machine.release() in known
        # deploys delete unfinished releases that are older than an hour, because another deploy may be creating newer ones
        root('find /srv/flaskrandom/releases -mindepth 1 -maxdepth 1 -name ".*" -exec touch --date="2 hours ago" {} +')
        assert_converges(machine, root, app)
    figures.append(f'controller killed at ten moments: seed {seed}, of a deploy of {whole:.1f} s')
    assert result['failed'] == 0
    assert set(result['releases']) <= known


@pytest.mark.parametrize('release, socket', [('cut-short-before', 'app/flaskrandom.sock'), ('cut-short-after', 'app/next.sock')])
def test_a_killed_activation_costs_no_request(machine, root, release, socket):
    """`socket` has the traffic at that moment."""
    app = machine.app(release)
    with machine.load(f'activation killed while {socket} serves', rate=100) as result:
        run = machine.start_deploy(app)
        wait_until(lambda: root('systemctl list-units --no-legend "flaskrandom-next@*"'), 150)
        wait_until(lambda: root('readlink /run/flaskrandom/live.sock') == socket)
        root("pgrep -f 'flaskrandom-release activat[e]' | xargs kill -9")
        assert run.wait() != 0
        assert_converges(machine, root, app)
    assert result['failed'] == 0


def test_a_deploy_survives_a_restart_of_the_machine(machine, root):
    app = machine.app('restarted')
    run = machine.start_deploy(app)
    wait_until(lambda: root('systemctl list-units --no-legend "flaskrandom-next@*"'), 150)
    machine.restart()
    assert run.wait() != 0
    machine.wait(30)
    assert_converges(machine, root, app)
    assert machine.deploy(app).changed == {'app': 0}


def test_a_killed_worker_costs_at_most_its_own_request(machine, root):
    before = root(MASTER)
    with machine.load('kill -9 of a worker') as result:
        root(f'kill -9 $(pgrep -P $({MASTER}) | head -1)')
        time.sleep(3)
    assert root(MASTER) == before
    assert result['failed'] <= 1


def test_a_killed_master_is_back_within_a_second(machine, root):
    """Its workers keep serving until the new ones do."""
    before = root(MASTER)
    with machine.load('kill -9 of the master') as result:
        root(f'kill -9 $({MASTER})')
        time.sleep(3)
    assert root(MASTER) not in (before, '0')
    assert result['failed'] == 0
    judge_times(result)
    assert result['max'] < 1000


def test_killed_master_and_workers_are_back_within_seconds(machine, root, figures):
    """Supervisor polls once a second; then the app has to start."""
    before = root(MASTER)
    start = time.monotonic()
    root('flaskrandom-release run bin/gunicorn -c .gunicorn.py --check-config')
    start = time.monotonic() - start
    figures.append(f'gunicorn imports the app in {start:.2f} s')
    with machine.load('kill -9 of master and workers') as result:
        root(f'kill -9 $({MASTER}; pgrep -P $({MASTER}))')
        time.sleep(4)
    assert root(MASTER) not in (before, '0')
    # 3 s at 500 requests a second, as the machine may be busy
    assert result['failed'] <= 1500
    judge_times(result)
    # supervisor's poll, the start of the master and that of the workers, which both import the app
    assert result['gap'] < 1000 + 2 * start * 1000 + 200


@pytest.mark.parametrize(
    'what, command',
    [
        ('the second gunicorn', f'kill -9 $({NEXT})'),
        ('supervisor', 'systemctl restart supervisor'),
    ],
)
def test_a_crash_during_the_activation_costs_few_requests(machine, root, what, command):
    app = machine.app('broken-by-' + what.replace(' ', '-'))
    with machine.load(f'{what} killed or restarted during the activation') as result:
        run = machine.start_deploy(app)
        wait_until(lambda: root('readlink /run/flaskrandom/live.sock') == 'app/next.sock', 150)
        root(command)
        run.wait()
    assert result['failed'] <= 10  # the requests in flight
    assert_converges(machine, root, app)
