"""Long connections: they reach the app, nothing of them is held back, and a deploy ends them properly."""

import collections
import contextlib
import json
import os
import select
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import time

import pytest
from machine import CHECKOUT, Machine, play, read_facts

APP = CHECKOUT / 'molecule/connections/app'
CLIENTS = int(os.environ.get('CLIENTS', '50'))  # websockets, and as many that read events
DEPLOYS = int(os.environ.get('DEPLOYS', '1'))
RATE = os.environ.get('RATE', '100')
BACK = 2  # seconds
WORKERS = {
    'gthread': {},
    'gevent': {'flask_app_gunicorn': {'worker_class': 'gevent'}, 'flask_app_environment': {'ASYNC_MODE': 'gevent'}},
}

# 150 requests of 30 ms each; asks the worker to stop as soon as it has accepted all of them, as a deploy does
STOPPED_AFTER_ACCEPTING = """
import os, signal, socket, subprocess, time
PATH = '/run/chat/app/chat.sock'
waiting = lambda: any(line.split()[5] == '02' and line.endswith(PATH + '\\n') for line in list(open('/proc/net/unix'))[1:])
connections = []
for _ in range(150):
    connections.append(socket.socket(socket.AF_UNIX))
    connections[-1].connect(PATH)
    connections[-1].sendall(b'GET /busy HTTP/1.0\\r\\n\\r\\n')
time.sleep(0.2)
while waiting():
    time.sleep(0.1)
os.kill(int(subprocess.check_output(['supervisorctl', 'pid', 'chat'])), signal.SIGTERM)
for connection in connections:
    try:
        print(connection.recv(12).decode())
    except OSError as error:
        print(type(error).__name__)
"""

pytest_plugins = ['machine']


@pytest.fixture(scope='module')
def chat():
    return Machine(next(iter(read_facts().values())))


@contextlib.contextmanager
def clients(chat, folder, *options):
    """Holds connections open while a block runs; yields clients.py's result, which is filled when the block has ended."""
    stop = folder / 'stop'
    command = [sys.executable, CHECKOUT / 'tests/support/clients.py', chat.url.partition('//')[2], f'--until={stop}', *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    result = {}
    try:
        time.sleep(2)
        yield result
        time.sleep(BACK)
    finally:
        stop.touch()
        result.update(json.loads(process.communicate(timeout=60)[0]))


def parts(chat, path, seconds, headers=''):
    """What a GET brings within some seconds, and after how many of them each part came."""
    begun, found = time.monotonic(), []
    with chat.connect() as connection:
        connection.sendall(f'GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n'.encode())
        while (left := begun + seconds - time.monotonic()) > 0:
            connection.settimeout(left)
            with contextlib.suppress(socket.timeout):
                data = connection.recv(65536)
                if not data:
                    break
                found.append((round(time.monotonic() - begun, 2), data))
    return found


@pytest.mark.parametrize('path', ['/events', '/lines'])
def test_a_stream_comes_as_the_app_makes_it(path, chat):
    """Events by their type, the other one by nginx_stream_paths."""
    found = parts(chat, path, 3.5)
    assert found[0][0] < 1 and len(found) >= 3, found


@pytest.mark.parametrize('path, headers, there', [('/silent', 'Accept: text/event-stream\r\n', True), ('/silent', '', False)])
def test_who_waits_for_events_has_another_timeout(path, headers, there, chat):
    """nginx_app_timeout is 2 s here."""
    begun = time.monotonic()
    parts(chat, path, 4, headers)
    assert (time.monotonic() - begun >= 4) == there


def test_long_polling(chat):
    """Every client's requests reach the process that knows it."""
    for _ in range(10):
        packet = json.loads(chat.ask('/socket.io/?EIO=4&transport=polling').body[1:])
        session = f'/socket.io/?EIO=4&transport=polling&sid={packet["sid"]}'
        assert chat.ask(session, data=b'40').body.lower() == 'ok'
        assert chat.ask(session).body.startswith('40')


def test_other_upgrades_do_not_reach_the_app(chat):
    seen = chat.ask('/headers', headers={'Upgrade': 'h2c', 'Connection': 'Upgrade, HTTP2-Settings', 'HTTP2-Settings': 'AAMAAABk'}).json()
    assert not {'Upgrade', 'Connection'} & {name for name, value in seen.items() if value}


def test_a_websocket_that_goes_on_sending_is_not_reset(chat):
    """The app closes it after the first text."""
    upgrade = 'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'
    for _ in range(5):
        with chat.connect() as connection:
            connection.sendall(f'GET /bye HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n'.encode())
            found, ended = b'', 0.0
            while not ended or time.monotonic() < ended + 0.2:
                if select.select([connection], [], [], 0.001)[0]:
                    found += (data := connection.recv(4096))
                    ended = ended or (0.0 if data else time.monotonic())
                if b'\r\n\r\n' in found:
                    connection.sendall(struct.pack('!BBI', 0x81, 0x84, 0) + b'text')
                    time.sleep(0.001)
        assert found.endswith(b'\x88\x02\x03\xe8')


@pytest.mark.parametrize('workers', WORKERS)
def test_deploys_while_clients_are_connected(workers, chat, load, root, figures, tmp_path):
    # the default, which the scenario shortens for other tests
    variables = {**WORKERS[workers], 'nginx_app_timeout': 60}
    play('playbook.yml', **variables)
    root('rm -f /srv/chat/shared/data/texts')
    half = CLIENTS // 2
    kinds = {'websocket=/ws': CLIENTS - half, 'socketio=/socket.io/?EIO=4&transport=websocket': half, 'events=/events': CLIENTS}
    options = [f'--{kind}={number}' for kind, number in kinds.items()]
    deploys = []
    with load(f'{workers}, requests', chat.url, f'--rate={RATE}') as answers, clients(chat, tmp_path, *options) as result:
        for number in range(DEPLOYS):
            folder = tmp_path / str(number) / 'chat'
            shutil.copytree(APP, folder)
            (folder / 'version').write_text(f'{workers} {number}')
            deploys.append(time.time())
            play('playbook.yml', flask_app_src=str(folder), **variables)
    cuts = collections.Counter((kind, number, sum(begun < at for begun in deploys)) for kind, number, at, _, _ in result['cuts'])
    ends = collections.Counter(f'{kind} {how}' for kind, _, _, how, _ in result['cuts'])
    longest = max((back or 999) for *_, back in result['cuts'])
    lost = set(result['acknowledged']) - set(root('cat /srv/chat/shared/data/texts').split())
    figures.append(
        f'{workers}, {sum(result["clients"].values())} clients, {DEPLOYS} deploys: ends {dict(ends)}, cuts of a client in a deploy '
        f'{dict(collections.Counter(cuts.values()))}, back within {longest:.2f} s, refused {result["refused"]}, '
        f'{len(result["acknowledged"])} texts acknowledged, {len(lost)} of them lost, {result["unanswered"]} not answered'
    )
    assert {end.split()[1] for end in ends} == {'closed'}, ends
    assert len(cuts) == 2 * CLIENTS * DEPLOYS and max(cuts.values()) <= 2
    assert not lost
    assert answers['failed'] == 0, answers
    assert longest < BACK


def test_a_worker_that_stops_serves_what_it_has_accepted(root):
    play('playbook.yml', **WORKERS['gevent'])
    answers = root(f'python3 -c {shlex.quote(STOPPED_AFTER_ACCEPTING)}').splitlines()
    assert collections.Counter(answers) == {'HTTP/1.0 200': 150}
