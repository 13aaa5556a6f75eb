"""Whether a release is healthy is seen from outside, in a limited time, whatever it answers."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from conftest import needs_root
from release import health
from release.errors import Unhealthy
from standins import Server, wait_for

HEALTH = {'path': '/', 'status': 200, 'text': 'well', 'timeout': 5}
WELL = b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell'
FINE, REDIRECTED = {'problem': '', 'redirected': False}, {'problem': '', 'redirected': True}


@pytest.fixture
def serve(folder):
    """Makes servers at `app.sock`; bytes, or a function that gets the connection, are the answer."""
    servers, requests = [], []

    def made(answer, name='app.sock'):
        def handle(connection):
            request = b''
            while not request.endswith(b'\r\n\r\n'):
                request += connection.recv(10000)
            requests.append(request)
            if callable(answer):
                answer(connection)
            else:
                connection.sendall(answer)

        servers.append(Server(folder / name, handle))
        return requests

    yield made
    for server in servers:
        server.end()


@pytest.fixture
def bind(folder):
    return 'unix:{}/app.sock'.format(folder)


def test_a_good_answer_is_healthy(serve, config, bind):
    serve(WELL)
    assert health.check_health(config, HEALTH, bind, 5) == FINE
    assert health.check_health_as_nginx(config, HEALTH, bind, 5) == FINE


def test_the_request_is_like_nginxs(serve, config, bind):
    requests = serve(WELL)
    config.host, config.scheme = 'shop.example', 'https'
    health.check_health(config, dict(HEALTH, path='/well?x=1'), bind, 5)
    lines = requests[0].decode().split('\r\n')
    assert lines[0] == 'GET /well?x=1 HTTP/1.1'
    for line in ['Host: shop.example', 'X-Forwarded-Host: shop.example', 'X-Forwarded-Proto: https', 'X-Real-IP: 127.0.0.1']:
        assert lines.count(line) == 1
    assert len([line for line in lines if line.startswith('Host:')]) == 1


def test_an_app_below_a_path_is_asked_there(serve, config, bind):
    requests = serve(WELL)
    config.prefix = '/shop'
    assert health.check_health(config, HEALTH, bind, 5) == FINE
    config.prefix = ''
    assert health.check_health(config, HEALTH, bind, 5) == FINE
    below, whole = (request.decode().split('\r\n') for request in requests)
    assert below[0] == 'GET /shop/ HTTP/1.1' and below.count('X-Forwarded-Prefix: /shop') == 1
    assert whole[0] == 'GET / HTTP/1.1' and not [line for line in whole if line.startswith('X-Forwarded-Prefix')]


def test_an_app_on_a_port_is_healthy(config):
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        listener.listen(1)

        def answer():
            connection = listener.accept()[0]
            connection.recv(10000)
            connection.sendall(WELL)
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert health.check_health(config, HEALTH, '0.0.0.0:{}'.format(listener.getsockname()[1]), 5) == FINE
        thread.join()


@pytest.mark.parametrize(
    'answer, problem',
    [
        (b'HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nwell', 'status 500 instead of 200'),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nill', "the answer does not contain 'well'"),
        (b'HTTP/1.1 204 Nothing\r\n\r\n', 'status 204'),
        (b'', 'no answer ('),
        (b'\x00\xff\x1b[31m' * 20, 'no answer ('),
        (b'HTTP/1.1 abc\r\n\r\n', 'no answer ('),
        (b'HTTP/9.9 200 OK\r\n\r\n', 'no answer ('),
        (b'HTTP/1.1 200 OK\r\n' + b'X: y\r\n' * 1000 + b'\r\nwell', 'no answer (got more than 100 headers)'),
        (b'HTTP/1.1 200 OK\r\nX: ' + b'y' * 100000 + b'\r\n\r\nwell', 'no answer (got more than 65536 bytes'),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nwell', 'no answer ('),
        (b'HTTP/1.1 302 Found\r\nLocation: https://[\r\n\r\n', 'no answer ('),
    ],
)
def test_a_bad_answer_is_unhealthy(serve, config, bind, answer, problem):
    serve(answer)
    found = health.check_health_as_nginx(config, HEALTH, bind, 5)
    assert found['problem'].startswith(problem) and not found['redirected']


@pytest.mark.parametrize('answer', [b'\x01' * 60000, b'"' * 60000, b'HTTP/1.1 \x1b]0;x\x07' + b'\x1b[2J' * 10000, b'a\xe4\xb8', b'\x85\n'])
def test_answers_are_shown_as_short_plain_text(serve, config, bind, answer):
    serve(answer)
    problem = health.check_health_as_nginx(config, HEALTH, bind, 5)['problem']
    assert problem.startswith('no answer (') and len(problem) < 1000
    assert problem.isprintable()


@pytest.mark.parametrize(
    'location, healthy',
    [
        ('https://shop.example/', True),
        ('https://SHOP.example:443/x?y', True),
        ('https://other.example/', False),
        ('https://shop.example.other.example/', False),
        ('https://shop.example@other.example/', False),
        ('http://shop.example/', False),
        ('//shop.example/', False),
        ('/login', False),
        ('', False),
    ],
)
@pytest.mark.parametrize('allowed', [True, False])
def test_redirects_to_https_on_the_same_host_are_healthy(serve, config, bind, location, healthy, allowed):
    config.host, config.redirect_ok = 'Shop.example', allowed
    serve('HTTP/1.1 308 There\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n'.format(location).encode())
    found = health.check_health(config, HEALTH, bind, 5)
    assert found == (REDIRECTED if healthy and allowed else {'problem': 'status 308 instead of 200', 'redirected': False})


def test_a_location_header_alone_is_no_redirect(serve, config, bind):
    serve(b'HTTP/1.1 201 Made\r\nLocation: https://shop.example/\r\nContent-Length: 0\r\n\r\n')
    assert health.check_health(config, HEALTH, bind, 5)['problem'] == 'status 201 instead of 200'
    assert health.check_health(config, dict(HEALTH, status=201, text=''), bind, 5) == FINE


def drip(connection):
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nwell')
    while True:
        connection.sendall(b' ')
        time.sleep(0.02)


def drip_headers(connection):
    while True:
        connection.sendall(b'HTTP/1.1 100 Continue\r\n\r\n')
        time.sleep(0.02)


@pytest.mark.parametrize('answer', [lambda connection: time.sleep(2), drip, drip_headers])
def test_a_slow_answer_is_unhealthy(serve, config, bind, answer):
    serve(answer)
    started = time.monotonic()
    found = health.check_health_as_nginx(config, HEALTH, bind, 0.3)
    assert found['problem'] in ('no answer (timed out)', 'no complete answer within 0 s') and not found['redirected']
    assert time.monotonic() - started < 2


def endless(connection):
    connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n')
    while True:
        connection.sendall(b'x' * 100000)


def test_an_endless_body_is_read_up_to_the_limit(serve, config, bind):
    serve(endless)
    assert 'does not contain' in health.check_health_as_nginx(config, HEALTH, bind, 5)['problem']


def test_the_text_may_be_anywhere_in_a_large_body(serve, config, bind):
    serve(b'HTTP/1.1 200 OK\r\n\r\n' + b'\xff' * 500000 + b'well')
    assert health.check_health_as_nginx(config, HEALTH, bind, 5) == FINE


@pytest.mark.parametrize('path', ['/a b', '/\n', '/好', '/\x00'])
def test_an_invalid_path_fails(serve, config, bind, path):
    serve(WELL)
    assert health.check_health(config, dict(HEALTH, path=path), bind, 5)['problem'].startswith('no answer (')


@pytest.mark.parametrize('kind', ['nothing', 'file', 'folder', 'fifo', 'dangling', 'deaf', 'datagram'])
def test_a_missing_server_is_unhealthy(folder, config, bind, kind):
    path = folder / 'app.sock'
    closed = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == 'datagram' else socket.SOCK_STREAM)
    if kind == 'file':
        path.write_text('')
    elif kind == 'folder':
        path.mkdir()
    elif kind == 'fifo':
        os.mkfifo(str(path))
    elif kind == 'dangling':
        path.symlink_to('/nowhere')
    elif kind in ('deaf', 'datagram'):
        closed.bind(str(path))
    assert health.check_health_as_nginx(config, HEALTH, bind, 5)['problem'].startswith('no answer (')
    closed.close()


@needs_root
def test_a_link_to_a_forbidden_socket_is_unhealthy(serve, folder, config, bind, monkeypatch):
    serve(WELL, 'root.sock')
    (folder / 'root.sock').chmod(0o600)
    (folder / 'app.sock').symlink_to(folder / 'root.sock')
    assert health.check_health_as_nginx(config, HEALTH, bind, 5) == FINE
    monkeypatch.setattr(health, 'NGINX_USER', 'nobody')
    assert 'Permission denied' in health.check_health_as_nginx(config, HEALTH, bind, 5)['problem']
    (folder / 'root.sock').chmod(0o666)
    assert health.check_health_as_nginx(config, HEALTH, bind, 5) == FINE


def test_the_check_works_without_nginxs_account(serve, config, bind, monkeypatch):
    serve(WELL)
    monkeypatch.setattr(health, 'NGINX_USER', 'no-such-account')
    assert 'no complete answer' in health.check_health_as_nginx(config, HEALTH, bind, 5)['problem']


# -- workers

MASTER = """
import os, time
for _ in range(3):
    if not os.fork():
        time.sleep(60)
os.write(1, b'.')
time.sleep(60)
"""


@pytest.fixture
def master():
    """A process with three children."""
    process = subprocess.Popen([sys.executable, '-S', '-E', '-c', MASTER], stdout=subprocess.PIPE, start_new_session=True)
    process.stdout.read(1)
    yield process
    for pid in health.children(process.pid):
        os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()
    process.stdout.close()


def mark(config, pid, kind='file'):
    path = config.run / 'app' / 'ready-{}-{}'.format(pid, health.start_ticks(pid))
    if kind == 'file':
        path.write_text('')
    elif kind == 'folder':
        path.mkdir()
    elif kind == 'fifo':
        os.mkfifo(str(path))
    else:
        path.symlink_to('/etc/shadow' if kind == 'link' else path)
    return path


def test_marks_are_recognized_by_name_only(config, master):
    children = sorted(health.children(master.pid))
    assert len(children) == 3 and health.ready_workers(config, master.pid) == set()
    for number, kind in enumerate(['folder', 'fifo', 'link']):
        mark(config, children[number], kind)
    assert health.ready_workers(config, master.pid) == set(children)
    assert health.ready_workers(config, 0) == set()


def test_marks_of_others_do_not_count(config, master):
    # of a process that is no child of the master, of one that ended, and of another one with its number
    child = health.children(master.pid).pop()
    mark(config, os.getpid(), 'loop')
    (config.run / 'app/ready-4194999-7').write_text('')
    (config.run / 'app/ready-{}-1'.format(child)).write_text('')
    assert health.ready_workers(config, master.pid) == set()


@pytest.fixture
def wait(config, bind, master):
    """Waits until the release at the socket is healthy, with three workers."""

    def wait_until_healthy(timeout=1, settle=0.1, pid=master.pid, workers=3):
        settings = {'workers': workers, 'health': dict(HEALTH, timeout=timeout)}
        return health.wait_until_healthy(config, settings, bind, lambda: pid, settle)

    return wait_until_healthy


def test_a_healthy_release(serve, config, wait, master):
    serve(WELL)
    for pid in health.children(master.pid):
        mark(config, pid)
    assert wait() is False
    assert wait(settle=0) is False


def test_a_redirecting_release(serve, config, wait, master):
    serve(b'HTTP/1.1 301 There\r\nLocation: https://shop.example/\r\nContent-Length: 0\r\n\r\n')
    for pid in health.children(master.pid):
        mark(config, pid)
    assert wait() is True


@pytest.mark.parametrize('ready', [0, 2])
def test_missing_workers_are_unhealthy(serve, config, wait, master, ready):
    serve(WELL)
    for pid in sorted(health.children(master.pid))[:ready]:
        mark(config, pid)
    with pytest.raises(Unhealthy) as caught:
        wait(timeout=0.1)
    assert str(caught.value) == '{} of 3 workers have imported the app within 0.1 s; the health path is /'.format(ready)


def test_a_missing_master_is_unhealthy(wait):
    with pytest.raises(Unhealthy) as caught:
        wait(timeout=0, pid=0)
    assert '0 of 3 workers' in str(caught.value)


def test_a_release_that_becomes_healthy(serve, config, wait, master, bind):
    for pid in health.children(master.pid):
        mark(config, pid)
    timer = threading.Timer(0.1, serve, [WELL])
    timer.start()
    assert wait(timeout=5) is False
    timer.join()


def test_a_worker_that_exits_after_a_good_answer(serve, config, wait, master):
    marks = [mark(config, pid) for pid in health.children(master.pid)]
    requests = serve(WELL)
    thread = threading.Thread(target=lambda: (wait_for(lambda: requests), marks[0].unlink()))
    thread.start()
    with pytest.raises(Unhealthy) as caught:
        wait(settle=5, workers=2)
    assert str(caught.value) == 'a worker ended after it had been healthy'
    thread.join()


def test_an_answer_that_becomes_bad(serve, config, wait, master):
    answers = [WELL, WELL.replace(b'200', b'503')]
    serve(lambda connection: connection.sendall(answers.pop(0)))
    for pid in health.children(master.pid):
        mark(config, pid)
    with pytest.raises(Unhealthy) as caught:
        wait(settle=5)
    assert str(caught.value) == 'status 503 instead of 200 after it had been healthy'


def test_a_master_that_supervisor_gave_up(config, bind):
    def gone():
        raise Unhealthy('gunicorn exited')

    with pytest.raises(Unhealthy):
        health.wait_until_healthy(config, {'workers': 1, 'health': HEALTH}, bind, gone, 0)


