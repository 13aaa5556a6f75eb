"""supervisor may hang, restart, refuse or answer nonsense: every call ends in time and says what is wrong."""

import socket
import time

import pytest
from release import supervisor
from release.errors import Failure, Unhealthy
from release.supervisor import Program
from standins import Server, Supervisor


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(supervisor, 'RESTART_TIMEOUT', 0.2)
    monkeypatch.setattr(supervisor, 'CALL_TIMEOUT', 0.3)


@pytest.fixture
def daemon(folder):
    stand_in = Supervisor(folder / 's.sock')
    yield stand_in
    stand_in.end()


@pytest.fixture
def program(folder):
    return Program('shop', str(folder / 's.sock'), 0.3)


def unreachable(program):
    started = time.monotonic()
    with pytest.raises(Failure) as caught:
        program.pid()
    assert time.monotonic() - started < 3
    assert not isinstance(caught.value, Unhealthy)
    assert str(caught.value).startswith('supervisor does not answer at {} ('.format(program.socket_path))
    assert str(caught.value).endswith('Check it with `systemctl status supervisor`.')


def test_the_state_of_the_program(daemon, program):
    daemon.state = 'RUNNING'
    assert program.state() == 'running' and program.info()['name'] == 'shop' and program.pid() == 0


def test_an_unknown_program(daemon, program):
    daemon.known = False
    assert program.info() == {} and program.pid() == 0 and program.state() == 'unknown'


@pytest.mark.parametrize(
    'raw',
    [
        b'',
        b'\xff\x00',
        b'HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 5\r\n\r\n\x1b[31m',
        b'HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 40\r\n\r\n<?xml version="1.0"?><methodResponse>\xff\xe4 ',
        b'HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<html><body>Hello</body></html>',
        b'HTTP/1.1 200 OK\r\n\r\n<methodResponse><params><param><value><int>x</int></value></param></params></methodResponse>',
        b'HTTP/1.1 200 OK\r\n\r\n<methodResponse><fault><value><int>1</int></value></fault></methodResponse>',
        b'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n',
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<methodResponse>',
    ],
)
def test_answers_that_are_not_xml(daemon, program, raw):
    daemon.raw = raw
    unreachable(program)


@pytest.mark.parametrize('kind', ['nothing', 'file', 'deaf', 'silent', 'hangs', 'closes'])
def test_a_missing_answer_fails(folder, program, kind):
    path = folder / 's.sock'
    server, listener = None, socket.socket(socket.AF_UNIX)
    if kind == 'file':
        path.write_text('')
    elif kind in ('deaf', 'silent'):
        listener.bind(str(path))
        if kind == 'silent':
            # connections wait for ever, as those to a stopped supervisor do
            listener.listen(5)
    elif kind == 'hangs':
        server = Server(path, lambda connection: time.sleep(1))
    elif kind == 'closes':
        server = Server(path, lambda connection: connection.close())
    unreachable(program)
    listener.close()
    if server:
        server.end()


def test_a_restarting_supervisor_is_waited_for(daemon, program):
    daemon.faults['getProcessInfo'] = [6, 6]
    assert program.state() == 'stopped'
    daemon.faults['getProcessInfo'] = [6] * 1000
    unreachable(program)


def test_a_supervisor_that_comes_back(folder, program, monkeypatch):
    monkeypatch.setattr(supervisor, 'RESTART_TIMEOUT', 5)
    waits = []

    def sleep(seconds):
        waits.append(Supervisor(folder / 's.sock'))

    monkeypatch.setattr(supervisor.time, 'sleep', sleep)
    assert program.state() == 'stopped' and len(waits) == 1
    waits[0].end()


def test_refusals_are_reported(daemon, program):
    daemon.faults['reloadConfig'] = [92]
    with pytest.raises(Failure) as caught:
        program.pending_change()
    assert str(caught.value) == 'supervisor refused reloadConfig for shop: FAULT of reloadConfig'


@pytest.mark.parametrize('state', ['EXITED', 'FATAL'])
def test_a_program_that_supervisor_gave_up(daemon, program, state):
    daemon.state = state
    with pytest.raises(Unhealthy) as caught:
        program.starting_pid()
    assert str(caught.value).startswith('supervisor gave up: ')


def test_an_unknown_program_cannot_be_started(daemon, program):
    daemon.known = False
    with pytest.raises(Unhealthy) as caught:
        program.starting_pid()
    assert str(caught.value) == 'supervisor gave up: unknown program'


def test_a_program_that_is_started_again(daemon, program):
    daemon.state = 'BACKOFF'
    assert program.starting_pid() == 0


def test_pending_changes(daemon, program):
    assert program.pending_change() == ''
    daemon.changed = ['other']
    assert program.pending_change() == ''
    daemon.changed = ['shop']
    assert program.pending_change() == 'changed'
    daemon.added = ['shop']
    assert program.pending_change() == 'added'


def changes(daemon):
    return [call for call in daemon.calls if call not in ('getProcessInfo', 'reloadConfig')]


def test_restart_starts_a_new_process(daemon, program):
    program.restart()
    assert changes(daemon) == ['stopProcess', 'startProcess'] and daemon.state == 'RUNNING'


def test_restart_with_a_new_file(daemon, program):
    daemon.added, daemon.known = ['shop'], False
    program.restart()
    assert changes(daemon) == ['stopProcess', 'addProcessGroup', 'startProcess']


def test_restart_with_a_changed_file(daemon, program):
    daemon.changed = ['shop']
    program.restart()
    assert changes(daemon) == ['stopProcess', 'removeProcessGroup', 'addProcessGroup', 'startProcess']


def test_restart_accepts_races(daemon, program):
    daemon.changed = ['shop']
    daemon.faults = {'stopProcess': [10], 'removeProcessGroup': [10], 'addProcessGroup': [90], 'startProcess': [60]}
    program.restart()


def test_a_refused_restart_is_reported(daemon, program):
    daemon.faults['startProcess'] = [50]
    with pytest.raises(Failure) as caught:
        program.restart()
    assert 'supervisor refused startProcess for shop' in str(caught.value)


def test_stop_waits_until_the_program_has_stopped(daemon, program):
    daemon.state = 'STOPPING'
    program.stop()
    assert daemon.state == 'STOPPED'
    daemon.state, daemon.stays_stopping = 'STOPPING', True
    with pytest.raises(Failure) as caught:
        program.stop()
    assert str(caught.value) == 'supervisor has not stopped shop in 0.3 s.'
