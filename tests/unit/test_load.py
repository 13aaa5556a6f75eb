"""The load generator counts each kind of wrong answer, and nothing else."""

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

GENERATOR = Path(__file__).parents[1] / 'support/load.py'
JUDGED = """
from pytest_load import judge_times
def test_times():
    judge_times({'late': 1}, {'late': %d})
    assert False, 'judged'
"""


@contextlib.contextmanager
def server(spoil):
    """A web server that answers as load.py wants it; `spoil` may make it worse. Gives the port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
            answer = {'status': 200, 'echo': body.decode(), 'length': 0, 'path': self.path}
            spoil(answer)
            content = json.dumps({'release': answer['path'], 'echo': answer['echo']}).encode()
            self.send_response(answer['status'])
            self.send_header('Content-Length', str(len(content) + answer['length']))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made.server_port
        made.shutdown()


def run(port, *options):
    done = subprocess.run(
        [sys.executable, GENERATOR, f'http://127.0.0.1:{port}', '--rate=100', '--seconds=1', *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.returncode, json.loads(done.stdout)


def test_right_answers():
    with server(lambda answer: None) as port:
        status, result = run(port)
    assert (status, result['requests'], result['failed']) == (0, 100, 0)
    assert result['releases'] == {'/': 98, '/slow': 2}


@pytest.mark.parametrize(
    'flaw, kind', [({'status': 502}, 'status 502'), ({'echo': 'another'}, 'echo differs'), ({'length': 1}, 'answer cut short')]
)
def test_wrong_answers(flaw, kind):
    with server(lambda answer: answer.update(flaw if answer['path'] == '/slow' else {})) as port:
        status, result = run(port)
    assert (status, result['requests'], result['failures']) == (1, 100, {kind: 2})


def test_nobody_answers():
    with server(lambda answer: None) as port:
        pass
    status, result = run(port)
    assert (status, result['failures']) == (1, {'ConnectionRefusedError': 100})
    assert result['gap'] > 900


def test_a_stall_is_slow_requests_not_fewer_of_them():
    start = time.monotonic()
    with server(lambda answer: time.sleep(max(0, start + 1.2 - time.monotonic()))) as port:
        status, result = run(port, '--seconds=2')
    assert (status, result['requests']) == (0, 200)
    assert result['max'] > 600 and result['gap'] > 600


@pytest.mark.parametrize('late, judged', [(49, True), (50, False)])
def test_times_on_a_busy_machine_are_reported_as_skipped(tmp_path, late, judged):
    (tmp_path / 'test_judged.py').write_text(JUDGED % late)
    command = [sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider', '-p', 'pytest_load', '--rootdir', tmp_path, tmp_path]
    said = subprocess.run(
        command, env=os.environ | {'PYTHONPATH': str(GENERATOR.parent)}, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=False
    ).stdout
    assert ('1 failed' in said) is judged
    assert ('1 skipped' in said and '::test_times: Skipped: all but the times was checked' in said) is not judged
