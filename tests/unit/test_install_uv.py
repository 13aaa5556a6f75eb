"""uv comes from a wheel whose hash is locked, and from no other, whatever an index sends."""

import base64
import hashlib
import io
import os
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
import run_module

NAME = 'uv-1.2.3-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl'
TOKEN = base64.b64encode(b'user:pass/word').decode()


def packed(text):
    """A wheel with a script."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as files:
        files.writestr(zipfile.ZipInfo('uv-1.2.3.data/scripts/uv'), text)
    return content.getvalue()


WHEEL = packed('#!/bin/sh\necho uv 1.2.3\n')
HASH = hashlib.sha256(WHEEL).hexdigest()
LINKS = ''.join(
    f'<a href="{{0}}{name}#sha256={HASH}" data-requires-python="&gt;=3.8">{name}</a>\n'
    for name in [NAME.replace('1.2.3', '1.2.30'), NAME.replace('x86_64', 'aarch64'), 'uv-1.2.3.tar.gz', NAME]
)


class Server(BaseHTTPRequestHandler):
    """Indexes below a word that says how they behave."""

    asked: ClassVar = []

    def do_GET(self):
        kind, _, name = self.path[1:].partition('/')
        self.asked.append((kind, name, self.headers.get('Authorization')))
        if kind in ('private', 'moved') and name and self.headers.get('Authorization') != f'Basic {TOKEN}':
            self.answer(401)
        elif kind == 'broken':
            self.answer(503)
        elif kind == 'other' and name == 'simple/uv/':  # the files are on another host
            self.answer(200, LINKS.format(f'http://localhost:{self.server.server_port}/good/files/').encode())
        elif name == 'simple/uv/':
            self.answer(200, LINKS.format('../../files/').encode())
        elif kind == 'moved':
            self.answer(302, headers={'Location': f'http://localhost:{self.server.server_port}/good/{name}'})
        else:
            self.answer(200, {'evil': packed('#!/bin/sh\necho evil\n'), 'short': WHEEL[:-9]}.get(kind, WHEEL))

    def answer(self, code, body=b'', headers=()):
        self.send_response(code)
        self.send_header('Content-Length', str(len(body)))
        for header, value in dict(headers).items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture(scope='module')
def server():
    with ThreadingHTTPServer(('127.0.0.1', 0), Server) as found:
        found.daemon_threads = True
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f'127.0.0.1:{found.server_port}'
        found.shutdown()


def install(folder, index='', python=sys.executable, environment=None, **options):
    """Runs the module; returns what it answers, and as text."""
    values = {'version': '1.2.3', 'machine': 'x86_64', 'hashes': ['0' * 64, HASH], 'dest': str(folder / 'opt/uv-1.2.3'), 'timeout': 2}
    return run_module.run('install_uv', {**values, 'index': index, **options}, python, environment)


def test_the_wheel_of_the_index_is_installed_once(server, tmp_path):
    answer, _ = install(tmp_path, f'http://{server}/good/simple')
    assert answer['changed'] and answer['installed']
    binary = tmp_path / 'opt/uv-1.2.3/uv'
    assert binary.read_text().endswith('echo uv 1.2.3\n') and binary.stat().st_mode & 0o7777 == 0o755
    assert [path.name for path in tmp_path.rglob('*')] == ['opt', 'uv-1.2.3', 'uv']
    answer, _ = install(tmp_path, 'http://127.0.0.1:1/')
    assert answer['installed'] and not answer['changed'] and 'warnings' not in answer


@pytest.mark.parametrize('kind, words', [('evil', 'which is not in the lock'), ('short', 'which is not in the lock'), ('broken', '503')])
def test_an_index_with_anything_else_is_left_with_a_warning(server, tmp_path, kind, words):
    answer, _ = install(tmp_path, f'http://{server}/{kind}/simple/')
    assert not answer['installed'] and not answer['changed'] and not answer.get('failed')
    assert words in answer['warnings'][0]
    assert [path.name for path in tmp_path.rglob('*')] == ['opt']


def test_another_architecture_is_not_taken(server, tmp_path):
    answer, _ = install(tmp_path, f'http://{server}/good/simple', machine='riscv64')
    assert 'it has no wheel of uv 1.2.3 for riscv64' in answer['warnings'][0]


def test_a_password_opens_the_file_too_and_is_not_shown(server, tmp_path):
    answer, output = install(tmp_path, f'http://user:pass%2Fword@{server}/private/simple')
    assert answer['installed'], output
    answer, output = install(tmp_path / 'again', f'http://user:secret@{server}/private/simple')
    assert not answer['installed'] and '401' in answer['warnings'][0] and 'secret' not in output


@pytest.mark.parametrize('kind', ['other', 'moved'])
def test_other_hosts_do_not_get_the_password(server, tmp_path, kind):
    Server.asked.clear()
    answer, output = install(tmp_path, f'http://user:pass%2Fword@{server}/{kind}/simple')
    assert answer['installed'], output
    assert next(given for asked, _, given in Server.asked if asked == kind) == f'Basic {TOKEN}'
    assert [given for asked, _, given in Server.asked if asked == 'good'] == [None]


def test_a_file_of_the_controllers_is_installed(tmp_path):
    (tmp_path / 'wheel').write_bytes(WHEEL)
    assert install(tmp_path, wheel=str(tmp_path / 'wheel'))[0]['installed']
    answer, _ = install(tmp_path / 'again', wheel=str(tmp_path / 'wheel'), hashes=['0' * 64])
    assert answer['failed'] and 'which is not in the lock' in answer['msg'] and not (tmp_path / 'again/opt/uv-1.2.3').exists()


def test_what_an_interrupted_run_left_is_replaced(server, tmp_path):
    (tmp_path / 'opt/uv-1.2.3.new').mkdir(parents=True)
    (tmp_path / 'opt/uv-1.2.3.new/uv').write_text('half')
    assert install(tmp_path, f'http://{server}/good/simple')[0]['installed']
    assert os.listdir(tmp_path / 'opt') == ['uv-1.2.3']


@pytest.mark.skipif(not run_module.OLD, reason='no Python here that is old enough')
def test_it_runs_on_an_old_python(server, tmp_path, tmp_path_factory):
    environment = run_module.for_old_python(tmp_path_factory.mktemp('library'))
    assert install(tmp_path, f'http://user:pass%2Fword@{server}/private/simple', run_module.OLD[0], environment)[0]['installed']
