"""Deploys under load: no request fails or waits, and secrets stay secret."""

import ipaddress
import time

import pytest
from conftest import is_settled
from machine import CHECKOUT, Run
from pytest_load import judge_times

# Keeps the order: pytest runs the tests with the fixture `host` before the others.
pytestmark = pytest.mark.usefixtures('host')

NEWER_LOCK = (CHECKOUT / 'files/flaskrandom/requirements.txt').read_text()


@pytest.fixture(scope='module')
def rest(machine):
    """Returns the load's figures without a deploy."""
    with machine.load('at rest') as result:
        time.sleep(5)
    assert result['failed'] == 0
    return result


@pytest.mark.parametrize(
    'release, changes, variables',
    [
        ('code', {}, {}),
        ('slow-import', {'code': 'time.sleep(3)\n'}, {}),
        ('lock', {'lock': NEWER_LOCK}, {}),
        ('workers', {}, {'flask_app_workers': 4}),
        ('environment', {}, {'flask_app_environment': {'SETTING': 'a%b"c;d e'}}),
    ],
)
def test_deploy_under_load(machine, rest, root, figures, release, changes, variables):
    before = machine.ask().json()
    app = machine.app(release, **changes)
    with machine.load(f'deploy of changed {release}') as result:
        run = machine.deploy(app, **variables)
    figures.append(f'deploy of changed {release}: {run.seconds:.1f} s under load')
    assert result['failed'] == 0
    assert set(result['releases']) == {before['release'], release}
    assert is_settled(root)
    after = machine.ask().json()
    assert (after['flask'] != before['flask']) == (release in ('lock', 'workers'))
    assert after['setting'] == variables.get('flask_app_environment', {}).get('SETTING', '')
    workers = root('ps --no-headers --ppid $(supervisorctl pid flaskrandom) | wc -l')
    assert int(workers) == variables.get('flask_app_workers', 3)
    judge_times(result, rest)
    assert result['max'] < 1000
    assert result['p999'] < rest['p999'] + 200


def test_the_app_gets_the_clients_address_from_nginx(machine):
    """Not from headers that the client sent."""
    answer = machine.ask(headers={'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'https'}).json()
    assert ipaddress.ip_address(answer['address']) != ipaddress.ip_address('192.0.2.1')
    assert answer['scheme'] == 'http'


def test_deploying_the_same_again_changes_nothing(machine, figures):
    app = machine.app('unchanged')
    first, second = machine.deploy(app), machine.deploy(app)
    figures.append(f'deploy of changed code: {first.seconds:.1f} s, of nothing: {second.seconds:.1f} s, no load')
    assert second.changed == {'app': 0}


def test_two_simultaneous_deploys_succeed(machine, root):
    runs = [machine.start_deploy(machine.app(name)) for name in ('both', 'at-once')]
    assert [run.wait() for run in runs] == [0, 0], runs[0].output + runs[1].output
    assert machine.release() in ('both', 'at-once')
    assert is_settled(root)


def test_secrets_appear_nowhere_but_in_their_file(machine, root):
    secret = 'correct-horse-battery'
    app = machine.app('secret', 'RELEASE = os.environ["SECRET"][::-1]\n')
    run = Run('playbook.yml', '-vvv', '--diff', flask_app_src=str(app), flask_app_secrets={'SECRET': secret})
    processes = []
    while run.status is None:
        processes.append(root('cat /proc/[0-9]*/cmdline | tr "\\0" " "', fails=True))
    assert run.wait() == 0, run.output
    assert machine.release() == secret[::-1]
    assert secret not in run.output
    assert not any(secret in commands for commands in processes)
    # the pattern does not match the command line of grep itself
    pattern = f'[{secret[0]}]{secret[1:]}'
    assert root(f'grep -rlI "{pattern}" /srv /etc /var/log /run/flaskrandom; journalctl | grep -c "{pattern}"', fails=True).split() == [
        root('ls /srv/flaskrandom/secrets/*.json'),
        '0',
    ]
    assert root('stat -c "%U %a" /srv/flaskrandom/secrets/*.json') == 'root 640'
