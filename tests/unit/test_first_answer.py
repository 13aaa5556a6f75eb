"""The first server that answers is found, slow ones and dead ones are named, and nobody's password is."""

import base64
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import run_module

DEAD = 'http://127.0.0.1:1/a'
TOKEN = base64.b64encode(b'user:pass/word').decode()


class Server(BaseHTTPRequestHandler):
    """Answers /good at once, /slow after a second, /drip byte by byte, /private to those who have the password."""

    def do_GET(self):
        kind = self.path.split('/')[1]
        if kind == 'private' and self.headers.get('Authorization') != f'Basic {TOKEN}':
            self.send_error(401)
            return
        if kind == 'slow':
            time.sleep(1)
        self.send_response(200 if kind != 'broken' else 503)
        self.end_headers()
        for _ in range(10):
            if kind == 'drip':
                time.sleep(0.1)
            self.wfile.write(b'x' * 10000)

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture(scope='module')
def server():
    with ThreadingHTTPServer(('127.0.0.1', 0), Server) as found:
        found.daemon_threads = True
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f'127.0.0.1:{found.server_port}'
        found.shutdown()


def ask(*urls, **options):
    return run_module.run('first_answer', {'urls': urls, 'paths': ['/file'], 'timeout': 0.4, **options})


def test_the_first_that_answers_is_taken_and_the_others_are_named(server):
    answer, _ = ask(DEAD, f'http://{server}/broken', f'http://{server}/good', f'http://{server}/better')
    assert answer['index'] == 2
    assert [warning.split()[0] for warning in answer['warnings']] == [DEAD, f'http://{server}/broken']
    assert answer['warnings'][0].endswith(f'taking http://{server}/good')


@pytest.mark.parametrize('kind', ['slow', 'drip'])
def test_a_slow_one_is_passed_over_unless_it_is_all_there_is(server, kind):
    assert ask(f'http://{server}/{kind}', f'http://{server}/good')[0]['index'] == 1
    assert ask(DEAD, f'http://{server}/{kind}')[0]['index'] == 1


def test_a_password_opens_and_is_not_shown(server):
    private = f'http://user:pass%2Fword@{server}/private'
    answer, output = ask('http://user:pass%2Fword@127.0.0.1:1/a', private)
    assert answer['index'] == 1
    assert 'pass%2Fword' not in output and 'pass/word' not in output
    answer, output = ask('http://user:secret@127.0.0.1:1/a', f'http://user:secret@{server}/private', proxy='')
    assert answer['failed'] and '401' in answer['msg'] and '127.0.0.1:1' in answer['msg']
    assert 'secret' not in output


def test_a_token_is_not_shown_and_a_short_name_leaves_the_text_readable(server):
    answer, output = ask('http://token@127.0.0.1:1/a', 'http://u:secret@127.0.0.1:1/b')
    assert 'refused' in answer['msg'] and 'urlopen' in answer['msg']
    assert 'token' not in output and 'secret' not in output


def test_all_paths_must_be_there(server):
    assert ask(f'http://{server}', paths=['/good', '/broken'])[0]['failed']


def test_a_proxy_is_asked(server):
    # the server takes the absolute address of a proxy's request for a path
    assert ask('http://unknown.invalid/a', proxy=f'http://{server}')[0]['index'] == 0
    assert ask('http://unknown.invalid/a', proxy=f'http://{server}', no_proxy=['unknown.invalid'])[0]['failed']
