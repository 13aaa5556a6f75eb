"""Deployments: what serves after success, failure and interruption."""

import json
import os
import socket
import subprocess

import pytest
from release import web as web_module
from release.config import Config
from release.deploy import Deployment
from release.errors import Failure
from release.history import History
from release.supervisor import Program
from release.traffic import CANDIDATE, Traffic
from standins import has_ended, wait_for

SHORT = {'path': '/', 'status': 200, 'text': 'well', 'timeout': 1.5}


def deploy(host, release, revision=''):
    Deployment(host.config).activate(release, revision)


def failure(host, release):
    with pytest.raises(Failure) as caught:
        deploy(host, release)
    return str(caught.value)


def at_rest(host):
    """Nothing runs beside the program, and it has the traffic."""
    assert host.services.running() == []
    assert host.live == 'app/shop.sock'
    assert not (host.config.run / 'standby.sock').is_symlink()
    return True


@pytest.fixture
def first(host):
    """A host on which the release `a` serves."""
    host.make_release('a')
    deploy(host, 'a')
    return host


def test_the_first_release_is_activated(host, capsys):
    host.make_release('a')
    deploy(host, 'a', 'v1')
    assert host.current == 'a' and host.get() == 'well, from a' and at_rest(host)
    history = Deployment(host.config).history
    assert history.served == ['a'] and history.facts('a')['revision'] == 'v1'
    assert capsys.readouterr().out.splitlines()[-1] == 'a serves'


def test_the_same_again_changes_nothing(first, capsys):
    process = first.supervisor.process.pid
    assert Deployment(first.config).pending_changes('a') == []
    deploy(first, 'a')
    assert first.supervisor.process.pid == process
    assert 'a serves already' in capsys.readouterr().out


def test_a_second_release_is_activated(first):
    first.make_release('b', environment='e2')
    deploy(first, 'b')
    assert first.current == 'b' and first.get() == 'well, from b' and at_rest(first)
    assert Deployment(first.config).history.served == ['a', 'b']


@pytest.mark.parametrize(
    'how, problem',
    [
        ({'status': 500}, 'status 500 instead of 200'),
        ({'body': 'ill'}, "the answer does not contain 'well'"),
        ({'exit': 1, 'says': 'ImportError: not today'}, 'gunicorn exited'),
        ({'dies': 0.2}, '1 of 2 workers have imported the app'),
    ],
)
def test_a_bad_candidate_gets_no_request(first, how, problem):
    first.config.settle = 1
    first.make_release('b', beside=how, health=SHORT)
    text = failure(first, 'b')
    assert 'The release b failed before it got traffic: ' in text and 'The release a still serves' in text
    assert problem in text and how.get('says', '') in text
    assert first.current == 'a' and first.get() == 'well, from a' and at_rest(first)
    assert first.releases == ['a']


# -- the release is the cause


def test_a_failed_release_keeps_its_environment_for_the_next(first):
    first.make_release('b', environment='e2', beside={'exit': 1})
    failure(first, 'b')
    assert first.releases == ['a'] and (first.config.root / 'venvs/e2').exists()
    history = Deployment(first.config).history
    assert history.facts('b')['failed'] == 'gunicorn exited' and history.served == ['a']


def test_a_failed_first_release_is_removed(host):
    host.make_release('a', beside={'status': 500}, health=SHORT)
    text = failure(host, 'a')
    assert 'No release serves yet. Correct the app' in text
    assert host.current == '' and host.releases == [] and host.services.running() == []


def test_a_failed_release_command_ends_the_deploy(first):
    first.make_release('b', commands=['echo no table; exit 3'])
    text = failure(first, 'b')
    assert 'no table' in text and 'The release a still serves.' in text and first.releases == ['a']
    assert not [call for call in first.services.calls() if call.startswith('start shop-next@b')]


def test_a_repaired_release_is_activated(first):
    first.make_release('b', beside={'exit': 1})
    failure(first, 'b')
    first.make_release('b')
    deploy(first, 'b')
    assert first.current == 'b' and not Deployment(first.config).history.has_failed('b')


def test_a_release_that_is_only_healthy_as_the_candidate(first):
    first.make_release('b', program={'exit': 1, 'says': '\x1b[31mno rights: caf\xe9\n'})
    text = failure(first, 'b')
    assert 'The release b was healthy as the candidate, but could not run as the program shop: supervisor gave up' in text
    assert 'The log of shop:\nno rights: caf\ufffd' in text and 'The release a serves again. Correct the app' in text
    assert first.current == 'a' and first.get() == 'well, from a' and at_rest(first) and first.releases == ['a']


def test_a_release_that_is_unhealthy_under_supervisor(first):
    first.make_release('b', program={'status': 500}, health=SHORT)
    text = failure(first, 'b')
    assert 'status 500 instead of 200' in text and 'The release a serves again.' in text
    assert first.current == 'a' and at_rest(first)


def test_a_first_release_that_cannot_take_over(host):
    host.make_release('a', program={'exit': 1})
    text = failure(host, 'a')
    assert 'a still serves, as shop-next@a.service, but will not after a reboot.' in text
    assert host.get() == 'well, from a' and host.live == 'app/next.sock' and host.releases == ['a']


def test_a_repaired_release_replaces_one_that_could_not_take_over(host):
    host.make_release('a', program={'exit': 1})
    failure(host, 'a')
    host.make_release('b')
    text = failure(host, 'b')
    assert 'a serves as shop-next@a.service only' in text and '`systemctl stop shop-next@a.service`' in text
    # as the message says
    Deployment(host.config).candidates.stop('a')
    deploy(host, 'b')
    assert host.current == 'b' and host.get() == 'well, from b' and at_rest(host)


def test_the_release_before_fails_too(first):
    how = json.loads((first.config.releases / 'a/.release.json').read_text())
    (first.config.releases / 'a/.release.json').write_text(json.dumps(dict(how, program={'exit': 1})))
    first.make_release('b', program={'exit': 1})
    text = failure(first, 'b')
    assert 'Neither could the previous release, a: supervisor gave up' in text
    assert 'b still serves, as shop-next@b.service' in text
    assert first.get() == 'well, from b' and first.get('standby.sock') == 'well, from b'
    assert first.releases == ['a', 'b']


def test_the_same_release_cannot_start_again(first):
    how = json.loads((first.config.releases / 'a/.release.json').read_text())
    (first.config.releases / 'a/.release.json').write_text(json.dumps(dict(how, program={'exit': 1})))
    first.supervisor.stopProcess('shop', False)
    text = failure(first, 'a')
    assert 'a still serves, as shop-next@a.service' in text and first.get() == 'well, from a' and first.releases == ['a']


# -- something else is the cause


def outage(host, *releases):
    """What the releases need, such as a database, goes down."""
    for release in releases:
        path = host.config.releases / release / '.release.json'
        how = json.loads(path.read_text())
        path.write_text(json.dumps(dict(how, beside={'status': 500}, program={'status': 500}, health=SHORT)))


def test_rollbacks_during_an_outage_delete_nothing(first):
    for release in 'bcd':
        first.make_release(release)
        deploy(first, release)
    Deployment(first.config).prune()
    assert first.releases == ['b', 'c', 'd']
    outage(first, 'b', 'c', 'd')
    for _ in range(5):
        with pytest.raises(Failure) as caught:
            Deployment(first.config).rollback()
        assert 'The release is kept, because it has served before' in str(caught.value)
    assert first.releases == ['b', 'c', 'd'] and Deployment(first.config).history.served == ['b', 'c', 'd']
    assert first.current == 'd' and at_rest(first)


def test_errors_of_systemd_end_the_deploy(first):
    first.services.set('fails-start', 'Unit is masked.')
    first.make_release('b')
    text = failure(first, 'b')
    assert 'Unit is masked.' in text and 'The release is not the cause' in text
    assert first.releases == ['a', 'b'] and not Deployment(first.config).history.has_failed('b') and at_rest(first)
    first.services.clear('fails-start')
    deploy(first, 'b')
    assert first.current == 'b'


def test_errors_of_supervisor_end_the_deploy(first):
    first.supervisor.faults['startProcess'] = [50]
    first.make_release('b')
    text = failure(first, 'b')
    assert 'supervisor refused startProcess' in text and 'The release a serves again. The release is not the cause' in text
    assert first.releases == ['a', 'b'] and first.get() == 'well, from a' and at_rest(first)


def test_an_unwritable_history_ends_the_deploy(first, monkeypatch):
    first.make_release('b', beside={'exit': 1})
    real = History.record

    def record(history, release, **facts):
        if 'failed' in facts:
            raise OSError(28, 'No space left on device')
        real(history, release, **facts)

    monkeypatch.setattr(History, 'record', record)
    text = failure(first, 'b')
    assert 'Recording the failure failed too: [Errno 28] No space left on device' in text and 'gunicorn exited' in text


def test_a_missing_release_fails(first):
    assert 'There is no complete release b (' in failure(first, 'b')
    assert first.get() == 'well, from a' and 'b' not in Deployment(first.config).history.releases


def test_a_candidate_that_ends_before_the_program_restarts(first, monkeypatch):
    first.make_release('b')
    real = Traffic.switch

    def switch(traffic, target):
        real(traffic, target)
        if target == CANDIDATE:
            subprocess.call(['systemctl', 'kill', 'shop-next@b.service'])
            wait_for(lambda: has_ended((first.services.unit('b') / 'pid').read_text().strip()))

    monkeypatch.setattr(Traffic, 'switch', switch)
    program = Deployment(first.config).program.pid()
    text = failure(first, 'b')
    assert Deployment(first.config).program.pid() == program, 'nothing served meanwhile'
    assert 'could not run as the program shop: gunicorn exited' in text and 'The release a serves again' in text
    assert first.get() == 'well, from a' and at_rest(first)


# -- interruptions


def interrupt(host, monkeypatch, where, release='b'):
    """Deploys a release and kills the deployment where it calls something."""

    class Killed(BaseException):
        pass

    def killed(*arguments, **more):
        raise Killed()

    with monkeypatch.context() as patch:
        patch.setattr(*where, killed)
        with pytest.raises(Killed):
            deploy(host, release)


@pytest.mark.parametrize(
    'where',
    [
        (web_module, 'wait_until_healthy'),
        (Traffic, 'set_standby'),
        (Traffic, 'switch'),
        (Program, 'restart'),
        (Program, 'starting_pid'),
        (History, 'record_served'),
    ],
)
def test_an_interrupted_activation_is_completed_by_the_next(first, monkeypatch, where):
    first.make_release('b')
    interrupt(first, monkeypatch, where)
    assert first.get() in ('well, from a', 'well, from b')
    first.make_release('c')
    deploy(first, 'c')
    assert first.current == 'c' and first.get() == 'well, from c' and at_rest(first)
    assert Deployment(first.config).history.served[-1] == 'c'


def test_an_interruption_just_before_the_end_is_completed_by_the_next(first, monkeypatch):
    first.make_release('b')
    interrupt(first, monkeypatch, (Program, 'starting_pid'))
    assert first.current == 'b' and first.live == 'app/next.sock'
    deployment = Deployment(first.config)
    assert [text for text in deployment.pending_changes('b') if text == 'shop-next@b.service runs']
    deploy(first, 'b')
    assert first.current == 'b' and first.get() == 'well, from b' and at_rest(first)


def test_an_interrupted_release_cannot_take_over(first, monkeypatch, capsys):
    first.make_release('b', program={'exit': 1})
    interrupt(first, monkeypatch, (Deployment, 'restore'))
    assert first.current == 'b' and first.live == 'app/next.sock'
    first.make_release('c')
    deploy(first, 'c')
    assert first.current == 'c' and first.get() == 'well, from c' and at_rest(first)
    assert 'a serves again' in capsys.readouterr().out.lower()


def test_neither_the_interrupted_release_nor_the_one_before_can_take_over(first, monkeypatch):
    first.make_release('b', program={'exit': 1})
    interrupt(first, monkeypatch, (Deployment, 'restore'))
    how = json.loads((first.config.releases / 'a/.release.json').read_text())
    (first.config.releases / 'a/.release.json').write_text(json.dumps(dict(how, program={'exit': 1})))
    first.make_release('c')
    assert 'supervisor gave up' in failure(first, 'c')
    assert first.get() == 'well, from b' and first.services.running() == ['b']


def test_a_rollback_after_an_interruption_works(first, monkeypatch):
    first.make_release('b')
    interrupt(first, monkeypatch, (History, 'record_served'))
    assert first.current == 'b' and Deployment(first.config).history.served == ['a']
    Deployment(first.config).rollback()
    assert first.current == 'a' and first.get() == 'well, from a' and at_rest(first)


def test_a_candidate_that_is_still_stopping(first, monkeypatch):
    first.services.add('z', ending='\n' * 4)
    first.make_release('b')
    deploy(first, 'b')
    assert first.current == 'b' and at_rest(first)


def test_a_candidate_that_never_stops(first):
    first.services.add('z', ending='\n' * 100000)
    deployment = Deployment(first.config)
    deployment.candidates.stop_timeout = 0.1
    first.make_release('b')
    with pytest.raises(Failure) as caught:
        deployment.activate('b')
    assert 'shop-next@z.service has not ended in 0.1 s' in str(caught.value) and first.get() == 'well, from a'
    assert 'shop-next@z.service runs' in deployment.pending_changes('b')


# -- rollback


def test_rollback_activates_the_release_before(first, capsys):
    first.make_release('b')
    deploy(first, 'b', 'v2')
    Deployment(first.config).rollback()
    assert first.current == 'a' and first.get() == 'well, from a' and at_rest(first)
    assert Deployment(first.config).history.served == ['a'] and capsys.readouterr().out.endswith('a serves again\n')
    with pytest.raises(Failure) as caught:
        Deployment(first.config).rollback()
    assert str(caught.value) == 'There is no older release to roll back to: a is the oldest on this host.'


def test_rollback_without_a_release_fails(host):
    with pytest.raises(Failure) as caught:
        Deployment(host.config).rollback()
    assert str(caught.value) == 'There is nothing to roll back: no release has been deployed on this host.'


# -- pending changes


def test_pending_changes_are_reported(first):
    deployment = Deployment(first.config)
    assert deployment.pending_changes('b') == [
        '{} points to a'.format(first.config.current),
        'the program shop does not run b (state: running)',
    ]
    first.supervisor.changed = ['shop']
    first.services.add('z', failed='')
    (first.config.run / 'live.sock').unlink()
    assert deployment.pending_changes('a') == [
        '{}/live.sock points to nothing'.format(first.config.run),
        'the configuration of the program shop is not loaded',
        'shop-next@z.service runs',
    ]


def test_pending_changes_without_a_release(host):
    host.supervisor.known = False
    found = Deployment(host.config).pending_changes('a')
    assert found[0].endswith('current points to nothing') and 'the program shop does not run a (state: unknown)' in found


def test_a_program_that_runs_a_replaced_release_is_restarted(first):
    release = first.config.releases / 'a'
    release.rename(first.config.releases / '.a.changed')
    first.make_release('a')
    assert Deployment(first.config).running_release() == ''
    deploy(first, 'a')
    assert Deployment(first.config).running_release() == 'a' and at_rest(first)


def test_a_program_with_a_replaced_environment_is_restarted(first):
    link = first.config.root / 'venvs/e1'
    (first.config.root / 'venvs/e1.2').mkdir()
    link.unlink()
    link.symlink_to(first.config.root / 'venvs/e1.2')
    assert Deployment(first.config).running_release() == ''


def test_a_program_in_another_folder_is_restarted(first, monkeypatch):
    deployment = Deployment(first.config)
    for folder in ['', '/', '/srv', str(first.config.root), str(first.config.releases) + '/a/src (deleted)x/../..']:
        monkeypatch.setattr(deployment, 'working_folder', lambda pid, folder=folder: folder)
        assert deployment.running_release() == ''
    monkeypatch.setattr(deployment, 'working_folder', lambda pid: str(first.config.releases) + '/a/src')
    assert deployment.running_release() == 'a'


def test_the_working_folder_is_read_as_the_app(first, monkeypatch):
    monkeypatch.setattr(web_module, 'working_folder', lambda pid: '')
    monkeypatch.setattr(web_module, 'call_as', lambda user, function, timeout: 'asked as ' + repr(user) + function())
    assert Deployment(first.config).working_folder(1) == "asked as ''"


# -- kinds of hosts


def test_files_are_synced_before_current_moves(first, monkeypatch):
    seen = []
    monkeypatch.setattr(os, 'sync', lambda: seen.append(first.current))
    first.make_release('b')
    deploy(first, 'b')
    assert seen == ['a'] and first.current == 'b'


def test_redirects_are_reported(host, capsys):
    how = {'status': 302, 'header': 'Location: https://shop.example/\r\n'}
    host.make_release('a', beside=how, program=how)
    deploy(host, 'a')
    assert 'warning: shop.example redirects to https://shop.example' in capsys.readouterr().out
    assert host.current == 'a'


def test_an_app_on_a_port_is_activated(host, values):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        values['bind'] = '0.0.0.0:{}'.format(free.getsockname()[1])
    host.config = Config('shop', values)
    host.supervisor.command[-1] = values['bind']
    host.make_release('a')
    deploy(host, 'a')
    assert Deployment(host.config).pending_changes('a') == [] and host.current == 'a'
    assert not (host.config.run / 'live.sock').is_symlink()


def test_the_folder_of_the_sockets_is_created_first(host):
    host.make_release('a')
    deploy(host, 'a')
    assert 'systemd-tmpfiles --create /etc/tmpfiles.d/flask-shop.conf' in host.services.calls()
