"""What the checks of the edge share: the machine from outside, raw sockets, a second machine, an app that tells what it sees."""

import http.client
import os
import socket
from pathlib import Path

import pytest
import yaml
from second_machine import second_machine

FACTS = yaml.safe_load((Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY']) / 'instance_config.yml').read_text())[0]

# Runs under the host's own gunicorn with its own settings, as a release would during a hand-over.
ECHO = r"""
import json
def app(environ, start_response):
    seen = {name[5:].lower().replace('_', '-'): value for name, value in environ.items() if name.startswith('HTTP_')}
    for name in 'REMOTE_ADDR', 'REQUEST_METHOD', 'PATH_INFO', 'SCRIPT_NAME', 'wsgi.url_scheme':
        seen[name] = environ[name]
    environ['wsgi.input'].read()
    line = json.dumps(seen) + '\n'
    with open('/run/flaskrandom/echo.seen', 'a') as file:
        file.write(line)
    start_response('200 OK', [('Content-Type', 'application/json'), ('X-Frame-Options', 'DENY')])
    return [line.encode()]
"""
START_ECHO = """
mkdir /run/echo
cat >/run/echo/echo.py
systemd-run --quiet --unit=echo --uid=flaskrandom -p WorkingDirectory=/srv/flaskrandom/current --setenv=PYTHONPATH=/run/echo \
  /srv/flaskrandom/current/bin/gunicorn -c .gunicorn.py -b unix:/run/flaskrandom/echo.sock echo:app
timeout 20 sh -c 'until test -S /run/flaskrandom/echo.sock; do sleep 0.1; done'
ln -sfn echo.sock /run/flaskrandom/live.sock
"""
STOP_ECHO = """
ln -sfn flaskrandom.sock /run/flaskrandom/live.sock
mark=/run/flaskrandom/master-$(systemctl show --property=MainPID echo | cut -d= -f2)
systemctl stop echo
rm -rf "$mark" /run/flaskrandom/echo.* /run/echo
"""


@pytest.fixture
def echo(host):
    """An app that answers with what it sees, and notes it in /run/flaskrandom/echo.seen."""
    host.run_expect([0], 'printf %%s %s | sudo sh -euc %s', ECHO, START_ECHO)
    yield
    host.run_expect([0], 'sudo sh -euc %s', STOP_ECHO)


@pytest.fixture(scope='session')
def ask():
    """Sends bytes to port 80 and returns status, headers (lower-case names) and body of the answer."""

    def send(data):
        with socket.create_connection(('127.0.0.1', int(FACTS['http_port'])), timeout=5) as connection:
            connection.sendall(data)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()

    return send


@pytest.fixture(scope='session')
def neighbour():
    """A second machine of the same network."""
    with second_machine(FACTS) as machine:
        yield machine
