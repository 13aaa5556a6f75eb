"""A new release takes over without a failed or delayed request."""

import ipaddress
import json
import time
import urllib.request

import pytest
from conftest import CHECKOUT, at_rest
from pytest_load import judge_times

# pytest would put the tests that ask for the host before the others
pytestmark = pytest.mark.usefixtures('host')

NEWER_LOCK = (CHECKOUT / 'files/flaskrandom/requirements.txt').read_text()


@pytest.fixture(scope='module')
def rest(machine):
    """The load's figures while nothing is deployed."""
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
    before = json.loads(machine.get())
    app = machine.app(release, **changes)
    with machine.load(f'deploy of changed {release}') as result:
        run = machine.deploy(app, **variables)
    figures.append(f'deploy of changed {release}: {run.seconds:.1f} s under load')
    assert result['failed'] == 0
    assert set(result['releases']) == {before['release'], release}
    assert at_rest(root)
    after = json.loads(machine.get())
    assert (after['flask'] != before['flask']) == (release in ('lock', 'workers'))
    assert after['setting'] == variables.get('flask_app_environment', {}).get('SETTING', '')
    workers = root('ps --no-headers --ppid $(supervisorctl pid flaskrandom) | wc -l')
    assert int(workers) == variables.get('flask_app_workers', 3)
    judge_times(result, rest)
    assert result['max'] < 1000
    assert result['p999'] < rest['p999'] + 200


def test_the_app_sees_the_client(machine):
    """The address is the one that nginx sees, whatever the client says."""
    request = urllib.request.Request(machine.url, headers={'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'https'})
    with urllib.request.urlopen(request, timeout=10) as response:
        answer = json.load(response)
    assert ipaddress.ip_address(answer['address']) != ipaddress.ip_address('192.0.2.1')
    assert answer['scheme'] == 'http'


def test_nothing_happens_when_nothing_changed(machine, figures):
    app = machine.app('unchanged')
    first, second = machine.deploy(app), machine.deploy(app)
    figures.append(f'deploy of changed code: {first.seconds:.1f} s, of nothing: {second.seconds:.1f} s, no load')
    assert second.changed == 0


def test_two_deploys_at_once(machine, root):
    runs = [machine.start_deploy(machine.app(name)) for name in ('both', 'at-once')]
    assert [run.wait() for run in runs] == [0, 0], runs[0].output + runs[1].output
    assert machine.release() in ('both', 'at-once')
    assert at_rest(root)


def test_secrets_are_seen_by_nobody(machine, root):
    secret = 'correct-horse-battery'
    app = machine.app('secret', 'RELEASE = os.environ["SECRET"][::-1]\n')
    run = machine.start('playbook.yml', '-vvv', '--diff', flask_app_src=str(app), flask_app_secrets={'SECRET': secret})
    processes = []
    while run.process.poll() is None:
        processes.append(root('cat /proc/[0-9]*/cmdline | tr "\\0" " "', fails=True))
    assert run.wait() == 0, run.output
    assert machine.release() == secret[::-1]
    assert secret not in run.output
    assert not any(secret in commands for commands in processes)
    # this very grep has the word in a pattern that does not match itself
    pattern = f'[{secret[0]}]{secret[1:]}'
    assert root(f'grep -rlI "{pattern}" /srv /etc /var/log /run/flaskrandom; journalctl | grep -c "{pattern}"', fails=True).split() == [
        root('ls /srv/flaskrandom/secrets/*.json'),
        '0',
    ]
    assert root('stat -c "%U %a" /srv/flaskrandom/secrets/*.json') == 'root 640'
