"""What the tests of security share: an app that logs the requests that reach it, and a port scan from a second machine."""

import json

import pytest

pytest_plugins = ['machine', 'second_machine']

# Runs in the host's gunicorn with its settings, like the candidate during an activation.
ECHO = r"""
import json
def app(environ, start_response):
    seen = {name[5:].lower().replace('_', '-'): value for name, value in environ.items() if name.startswith('HTTP_')}
    for name in 'REMOTE_ADDR', 'REQUEST_METHOD', 'PATH_INFO', 'SCRIPT_NAME', 'wsgi.url_scheme':
        seen[name] = environ[name]
    environ['wsgi.input'].read()
    line = json.dumps(seen) + '\n'
    with open('/run/flaskrandom/app/echo.seen', 'a') as file:
        file.write(line)
    start_response('200 OK', [('Content-Type', 'application/json'), ('X-Frame-Options', 'DENY')])
    return [line.encode()]
"""
START_ECHO = """
mkdir /run/echo
cat >/run/echo/echo.py
systemd-run --quiet --unit=echo --uid=flaskrandom -p WorkingDirectory=/srv/flaskrandom/current --setenv=PYTHONPATH=/run/echo \
  /srv/flaskrandom/current/bin/gunicorn -c .gunicorn.py -b unix:/run/flaskrandom/app/echo.sock echo:app
timeout 20 sh -c 'until test -S /run/flaskrandom/app/echo.sock; do sleep 0.1; done'
ln -sfn app/echo.sock /run/flaskrandom/live.sock
"""
STOP_ECHO = """
ln -sfn app/flaskrandom.sock /run/flaskrandom/live.sock
systemctl stop echo
rm -rf /run/flaskrandom/app/echo.* /run/echo
"""

SCAN = """
import json, socket, sys, time
from concurrent.futures import ThreadPoolExecutor
family, *_, address = socket.getaddrinfo(sys.argv[1], 0, type=socket.SOCK_STREAM)[0]
def state(port):
    with socket.socket(family) as s:
        s.settimeout(1)
        try:
            s.connect((address[0], port, *address[2:]))
            return port, 'open'
        except socket.timeout:
            return port, 'silent'
        except OSError as error:
            return port, type(error).__name__
# a new machine cannot use its IPv6 address at once
deadline = time.monotonic() + 10
while state(22)[1] != 'open' and time.monotonic() < deadline:
    time.sleep(0.2)
with ThreadPoolExecutor(1000) as pool:
    print(json.dumps(list(pool.map(state, range(1, 65536)))))
"""
# http.server of Python 3.6 has no IPv6
SERVER = 'import signal, socket, sys; s = socket.socket(socket.AF_INET6); s.bind(("::", int(sys.argv[1]))); s.listen(100); signal.pause()'


@pytest.fixture
def echo(host):
    """Puts an app in the place of the deployed one that answers with the request and logs it in /run/flaskrandom/app/echo.seen."""
    host.run_expect([0], 'printf %%s %s | sudo sh -euc %s', ECHO, START_ECHO)
    yield
    host.run_expect([0], 'sudo sh -euc %s', STOP_ECHO)


@pytest.fixture(scope='session')
def send(machine):
    """Sends bytes to port 80; returns the Answer."""
    return machine.send


@pytest.fixture
def scan(host, second_machine):
    """Scans all ports from the second machine, by an IP family; returns `open`, `silent` or an error's name by port.

    Meanwhile two servers listen on all addresses: on 9000, which firewall_allow opens, and on 9999.
    """
    for port in (9000, 9999):
        host.run_expect([0], 'sudo systemd-run --unit=open-%s python3 -c %s %s', str(port), SERVER, str(port))
    host.run_expect([0], "timeout 10 sh -c 'until ss -ltn | grep -q :9000 && ss -ltn | grep -q :9999; do sleep 0.2; done'")

    def run(family):
        address = host.check_output('ip -o -f %s address show dev eth0', family).split()[3].split('/')[0]
        answer = second_machine.run('python3', '-', address + ('%eth0' if address.startswith('fe80') else ''), stdin=SCAN)
        return dict(json.loads(answer))

    yield run
    host.run_expect([0], 'sudo systemctl stop open-9000 open-9999')
