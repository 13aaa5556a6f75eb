"""The processes beside gunicorn: which run after a deploy, a rollback, a failure and an interruption, and in which order they change."""

import json
import subprocess
import time
from threading import Timer

import pytest
from release import commands, switch
from release.deploy import Deployment
from release.errors import Failure
from release.processes import Processes
from test_deploy import at_rest, deploy, failure

WORKER = {
    'command': 'exec worker',
    'count': 2,
    'stop_signal': 'TERM',
    'stop_timeout': 5,
    'settle_time': 1,
    'start_retries': 3,
    'address_space': 0,
    'environment': {},
    'single': False,
    'overlap': False,
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(switch, 'POLL_INTERVAL', 0.01)
    monkeypatch.setattr(switch, 'STOP_MARGIN', 0.3)


def options(**values):
    return dict(WORKER, **values)


def running(host):
    """The groups that run."""
    states = {group: {state for state, _ in processes.values()} for group, processes in host.supervisor.groups.items()}
    return sorted(group for group, found in states.items() if found == {'RUNNING'})


@pytest.fixture
def first(host):
    """A host on which the release `a` serves, with a worker and a scheduler."""
    host.make_release('a', processes={'worker': options(), 'beat': options(count=1, single=True)})
    deploy(host, 'a')
    host.supervisor.events.clear()
    return host


def test_processes_start_with_the_release(first):
    assert running(first) == ['shop.beat@a', 'shop.worker@a'] and at_rest(first)
    assert Deployment(first.config).pending_changes('a') == []
    assert sorted(first.supervisor.groups['shop.worker@a']) == ['worker.1', 'worker.2']


def test_the_same_again_starts_nothing(first):
    deploy(first, 'a')
    assert first.supervisor.events == []


def test_new_processes_start_when_the_old_ones_have_ended(first, capsys):
    first.supervisor.behaviour = {'worker': {'stays': 0.2}}
    first.make_release('b', processes={'worker': options(), 'beat': options(count=1, single=True)})
    deploy(first, 'b')
    events = first.supervisor.events
    assert running(first) == ['shop.beat@b', 'shop.worker@b']
    for kind in ('worker', 'beat'):
        assert events.index('stop shop.{}@a'.format(kind)) < events.index('remove shop.{}@a'.format(kind))
        assert events.index('remove shop.{}@a'.format(kind)) < events.index('add shop.{}@b'.format(kind))
    assert events.index('stop shop.worker@a') < events.index('add shop.beat@b') < events.index('add shop.worker@b'), 'all types at once'
    assert 'waiting for 2 processes of worker of a' in capsys.readouterr().out


def test_overlapping_processes_are_proven_before_the_old_ones_end(first):
    first.make_release('b', processes={'worker': options(overlap=True)})
    deploy(first, 'b')
    events = first.supervisor.events
    assert events.index('shop.worker@b:worker.2 running') < events.index('stop shop.worker@a')
    assert running(first) == ['shop.worker@b']


def test_a_worker_that_forks_is_stopped_while_it_has_a_job(host):
    """Between two jobs, RQ may lose the one that it is taking."""
    host.make_release('a', processes={'worker': options(count=1, stop_while_busy=True)})
    idle = subprocess.Popen(['sleep', '60'])
    busy = subprocess.Popen(['/bin/sh', '-c', 'sleep 60; true'])
    try:
        deploy(host, 'a')
        host.supervisor.behaviour = {'worker': {'pid': idle.pid}}
        timer = Timer(0.5, lambda: host.supervisor.behaviour.update(worker={'pid': busy.pid}))
        timer.start()
        started = time.monotonic()
        Deployment(host.config).stop_all()
        assert 0.4 < time.monotonic() - started < 2
        timer.join()
    finally:
        subprocess.call(['pkill', '-P', str(busy.pid)])
        for process in (idle, busy):
            process.kill()
            process.wait()


def test_a_worker_without_a_job_is_stopped_all_the_same(host, monkeypatch):
    monkeypatch.setattr(switch, 'BUSY_TIMEOUT', 0.3)
    host.make_release('a', processes={'worker': options(stop_while_busy=True)})
    deploy(host, 'a')
    Deployment(host.config).stop_all()
    assert host.supervisor.groups == {}


def test_a_type_that_is_gone_ends(first):
    first.make_release('b')
    deploy(first, 'b')
    assert first.supervisor.groups == {} and not list(first.config.programs.iterdir())
    assert Deployment(first.config).pending_changes('b') == []


@pytest.mark.parametrize('overlap', [False, True])
def test_web_and_processes_go_back(first, overlap):
    first.make_release('b', environment='e2', processes={'worker': options(overlap=overlap), 'beat': options(count=1)})
    first.supervisor.behaviour = {'shop.worker@b': {'dies': True}}
    (first.config.programs.parent / 'shop.worker.1.log').write_text('')
    text = failure(first, 'b')
    why = 'the process shop.worker@b:worker.1 did not stay up: Exited too quickly'
    assert text.startswith('The release b served, but could not stay: ' + why)
    assert 'The release a serves again.' in text
    assert first.get() == 'well, from a' and at_rest(first) and running(first) == ['shop.beat@a', 'shop.worker@a']
    if overlap:
        assert 'stop shop.worker@a' not in first.supervisor.events
    assert first.releases == ['a'] and Deployment(first.config).history.has_failed('b')
    assert Deployment(first.config).pending_changes('a') == []


def test_the_first_release_has_nothing_to_go_back_to(host):
    host.make_release('a', processes={'worker': options()})
    host.supervisor.behaviour = {'worker': {'dies': True}}
    text = failure(host, 'a')
    assert text.startswith('The release a serves, but the process shop.worker@a:worker.1 did not stay up') and host.get() == 'well, from a'
    host.supervisor.behaviour = {}
    deploy(host, 'a')
    assert running(host) == ['shop.worker@a'] and Deployment(host.config).history.served == ['a']


def test_both_are_named_where_neither_release_can_run(first):
    first.make_release('b', processes={'worker': options()})
    first.supervisor.behaviour = {'worker': {'dies': True}}
    text = failure(first, 'b')
    assert 'shop.worker@b:worker.1' in text and 'shop.worker@a:worker.1' in text
    assert 'Neither could the previous release, a, be restored: ' in text


def test_a_rollback_brings_the_processes_back(first):
    first.make_release('b', processes={'mail': options()})
    deploy(first, 'b')
    assert running(first) == ['shop.mail@b']
    Deployment(first.config).rollback()
    assert running(first) == ['shop.beat@a', 'shop.worker@a']


def test_a_replaced_release_starts_its_processes_anew(first):
    (first.config.releases / 'a/.manifest.json').unlink()
    (first.config.releases / 'a/.manifest.json').write_text('{ }')
    assert 'the processes do not run the present build of a' in Deployment(first.config).pending_changes('a')
    deploy(first, 'a')
    assert first.supervisor.events.index('remove shop.worker@a') < first.supervisor.events.index('add shop.worker@a')


def interrupted(first):
    """Kills a deploy of `b` before it has changed a process."""

    class Killed(BaseException):
        pass

    def die(self, release):
        raise Killed

    first.make_release('b', processes={'worker': options()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Processes, 'switch', die)
        with pytest.raises(Killed):
            deploy(first, 'b')
    assert first.current == 'b' and running(first) == ['shop.beat@a', 'shop.worker@a']


def test_an_interrupted_deploy_is_completed(first):
    interrupted(first)
    deploy(first, 'b')
    assert running(first) == ['shop.worker@b'] and Deployment(first.config).history.served == ['a', 'b']


def test_an_interrupted_deploy_goes_back_to_the_release_before(first):
    interrupted(first)
    first.supervisor.behaviour = {'shop.worker@b': {'dies': True}}
    assert 'The release a serves again.' in failure(first, 'b')
    assert first.current == 'a' and running(first) == ['shop.beat@a', 'shop.worker@a']


def test_a_release_with_a_running_process_is_not_pruned(first):
    first.supervisor.behaviour = {'shop.worker@a': {'stays': 60}}
    for name in 'bcde':
        first.make_release(name)
    with pytest.raises(Failure) as caught:
        Deployment(first.config).activate('b')
    assert str(caught.value).startswith('supervisor has not stopped shop.worker@a in 5.3 s.')
    history = Deployment(first.config).history
    history.record_served(['b', 'c', 'd', 'e'])
    Deployment(first.config).prune()
    assert 'a' in first.releases
    first.supervisor.groups.clear()
    Deployment(first.config).prune()
    assert 'a' not in first.releases


@pytest.mark.parametrize('state', ['FATAL', 'STOPPED', 'EXITED', 'BACKOFF'])
def test_a_process_that_does_not_run_is_drift(first, state):
    first.supervisor.groups['shop.worker@a']['worker.2'] = state, 0
    assert Deployment(first.config).pending_changes('a') == ['the process shop.worker@a:worker.2 is in the state ' + state.lower()]
    program = first.supervisor.process.pid
    deploy(first, 'a')
    assert running(first) == ['shop.beat@a', 'shop.worker@a'] and first.supervisor.process.pid == program, 'the web is not touched'


def test_changes_by_hand_are_drift(first):
    file = first.config.programs / 'shop.processes.conf'
    file.write_text(file.read_text().replace('numprocs=2', 'numprocs=3'))
    assert Deployment(first.config).pending_changes('a') == ['{} is not that of a'.format(file)]
    first.supervisor.groups['shop.mail@a'] = {'mail.1': ('RUNNING', 0)}
    del first.supervisor.groups['shop.beat@a']
    assert Deployment(first.config).pending_changes('a')[1:] == [
        'the processes shop.beat@a are not loaded',
        'the processes shop.mail@a are loaded',
    ]
    deploy(first, 'a')
    assert running(first) == ['shop.beat@a', 'shop.worker@a'] and Deployment(first.config).pending_changes('a') == []


def test_processes_of_other_apps_stay(first):
    first.supervisor.groups['shop-2.worker@a'] = {'mail.1': ('RUNNING', 0)}
    first.make_release('b')
    deploy(first, 'b')
    Deployment(first.config).stop_all()
    assert list(first.supervisor.groups) == ['shop-2.worker@a']


def test_all_processes_are_stopped(first, capsys):
    Deployment(first.config).stop_all()
    assert first.supervisor.groups == {} and not list(first.config.programs.iterdir())
    assert capsys.readouterr().out.endswith('stopped shop.beat@a\nstopped shop.worker@a\n')


def test_the_file_of_supervisor(first):
    text = (first.config.programs / 'shop.processes.conf').read_text()
    for line in [
        '[program:shop.worker@a]',
        'command=/usr/local/sbin/shop-release process a worker %(process_num)d',
        'numprocs=2',
        'stopwaitsecs=5',
        'startsecs=1',
        'startretries=3',
        'stdout_logfile={}/shop.worker.%(process_num)d.log'.format(str(first.config.programs.parent)),
    ]:
        assert line in text.splitlines()


def test_what_a_process_gets(host, tmp_path, monkeypatch):
    """It runs in the release, with the app's environment, its own, the secrets, and its own name."""
    secrets = host.config.root / 'secrets/s.json'
    secrets.write_text(json.dumps({'TOKEN': 'sesame'}))
    worker = options(environment={'B': '{release}/b'}, command='exec {release}/tool')
    folder = host.make_release('a', processes={'worker': worker}, secrets=str(secrets))
    settings = json.loads((folder / '.release.json').read_text())
    settings['environment'] = {'A': '{release}/a', 'B': 'b'}
    (folder / '.release.json').write_text(json.dumps(settings))
    found = {}
    monkeypatch.setattr(commands.os, 'chdir', lambda path: found.update(folder=path))
    monkeypatch.setattr(commands, 'become', lambda user: found.update(user=user))
    monkeypatch.setattr(commands.os, 'execve', lambda path, command, variables: found.update(command=command, variables=variables))
    Deployment(host.config).processes.execute('a', 'worker', '2')
    variables = {name.decode(): value.decode() for name, value in found['variables'].items()}
    assert found['command'] == [b'/bin/sh', b'-c', 'exec {}/tool'.format(folder).encode()] and found['folder'] == str(folder)
    assert (variables['A'], variables['B'], variables['TOKEN']) == ('{}/a'.format(folder), '{}/b'.format(folder), 'sesame')
    assert variables['PROCESS_NAME'] == 'worker.2' and variables['PATH'].startswith('{}/bin:'.format(folder))
