"""Requests that are forged, malformed, slow or too many, and how nginx answers and logs them."""

import json
import os
import re
import subprocess
import time

import pytest
from machine import CHECKOUT, INVENTORY

HEAD = b'Host: app\r\nConnection: close\r\n'
FORGED = [
    'Forwarded',
    'Front-End-Https',
    'Proxy',
    'True-Client-IP',
    'X-Client-IP',
    'X-Cluster-Client-IP',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Port',
    'X-Forwarded-Prefix',
    'X-Forwarded-Proto',
    'X-Forwarded-Protocol',
    'X-Forwarded-Scheme',
    'X-Forwarded-Server',
    'X-Forwarded-Ssl',
    'X-Original-URL',
    'X-Real-IP',
    'X-Request-ID',
    'X-Rewrite-URL',
    'X-Scheme',
    'X-Script-Name',
    'SCRIPT_NAME',
    'REMOTE_ADDR',
]


def test_forged_headers_do_not_reach_the_app(send, echo):
    lies = ''.join(f'{name}: forged\r\n' for name in FORGED).encode()
    status, _, body = send(b'GET http://app:81/ HTTP/1.1\r\nHost: forged\r\nConnection: close\r\n' + lies + b'\r\n')
    seen = json.loads(body)
    assert status == 200
    assert 'forged' not in body
    assert seen['host'] == seen['x-forwarded-host'] == 'app'
    assert seen['x-forwarded-proto'] == 'http'
    assert seen['x-forwarded-for'] == seen['x-real-ip'] == seen['REMOTE_ADDR']
    assert seen['wsgi.url_scheme'] == 'http'
    assert len(seen['x-request-id']) == 32


def test_the_app_gets_the_port_of_the_host_header(send, echo):
    assert json.loads(send(b'GET / HTTP/1.1\r\nHost: App:8080\r\nConnection: close\r\n\r\n')[2])['host'] == 'App:8080'


def test_headers_of_the_app_take_precedence(send, echo):
    headers = send(b'GET / HTTP/1.1\r\n' + HEAD + b'\r\n')[1]
    assert headers['x-frame-options'] == 'DENY'
    assert headers['x-content-type-options'] == 'nosniff'


def test_the_server_header_has_no_version(send):
    headers = send(b'GET / HTTP/1.1\r\n' + HEAD + b'\r\n')[1]
    assert headers['server'] == 'nginx'
    assert headers['x-frame-options'] == 'SAMEORIGIN'


def get(path):
    return b'GET ' + path + b' HTTP/1.1\r\n' + HEAD + b'\r\n'


@pytest.mark.parametrize(
    'status, request_',
    [
        pytest.param(400, b'GARBAGE\r\n\r\n', id='not HTTP'),
        pytest.param(400, b'GET / HTTP/1.1\r\n\r\n', id='no host'),
        pytest.param(400, b'GET / HTTP/1.1\r\n' + HEAD + b'A: ' + b'b' * 9000 + b'\r\n\r\n', id='header too long'),
        pytest.param(400, b'POST / HTTP/1.1\r\n' + HEAD + b'Content-Length: 1x\r\n\r\n', id='length not a number'),
        pytest.param(400, get(b'/../../etc/passwd'), id='outside of the root'),
        pytest.param(400, get(b'/\xff'), id='bytes beyond ASCII'),
        pytest.param(404, get(b'/.env'), id='hidden file'),
        pytest.param(404, get(b'/static/.git/config'), id='hidden folder'),
        pytest.param(404, get(b'/' + b'a' * 8176), id='longest allowed line'),
        pytest.param(404, b'GET /x HTTP/1.1\r\n' + HEAD + b'A: b\r\n' * 500 + b'\r\n', id='many headers'),
        pytest.param(405, b'BREW / HTTP/1.1\r\n' + HEAD + b'\r\n', id='unknown method'),
        pytest.param(405, b'TRACE / HTTP/1.1\r\n' + HEAD + b'\r\n', id='trace'),
        pytest.param(405, get(b'/getrandomstr'), id="the app's own 405"),
        pytest.param(413, b'POST / HTTP/1.1\r\n' + HEAD + b'Content-Length: 99999999\r\n\r\n', id='body too long for nginx'),
        pytest.param(414, get(b'/' + b'a' * 9000), id='line too long'),
        pytest.param(501, b'POST / HTTP/1.1\r\n' + HEAD + b'Transfer-Encoding: gzip\r\n\r\n', id='unknown encoding'),
    ],
)
def test_errors_have_the_format_of_the_app(send, status, request_):
    answer, headers, body = send(request_)
    assert answer == status
    assert headers['content-type'] == 'application/json'
    assert {**json.loads(body), 'error': ''} == {'data': [], 'datalen': 0, 'msg': 'fail', 'error': ''}
    assert headers['x-content-type-options'] == 'nosniff'


def test_a_stopped_app_is_a_502_in_the_format_of_the_app(host, send):
    host.run_expect([0], 'sudo supervisorctl stop flaskrandom')
    try:
        status, headers, body = send(get(b'/'))
    finally:
        host.run_expect([0], 'sudo supervisorctl start flaskrandom')
    assert (status, headers['retry-after'], json.loads(body)['error']) == (502, '1', 'Bad Gateway')


def test_512_simultaneous_connections_are_served(machine, host):
    # 128 before the run; a listening socket keeps the limit it was opened with
    assert host.check_output('ss --listening --no-header --unix src /run/flaskrandom/app/flaskrandom.sock').split()[3] == '2048'
    connections = [machine.connect() for _ in range(512)]
    for connection in connections:
        connection.settimeout(30)
    for connection in connections:
        connection.sendall(get(b'/'))
    answers = [connection.recv(100).split(b'\r\n')[0] for connection in connections]
    for connection in connections:
        connection.close()
    assert answers == [b'HTTP/1.1 200 OK'] * 512


def test_clients_are_served_beside_1000_slow_ones(machine, send):
    slow = [machine.connect() for _ in range(1000)]
    for connection in slow:
        connection.sendall(b'POST /getrandomstr HTTP/1.1\r\nHost: app\r\nContent-Length: 900\r\n')
    start = time.monotonic()
    assert send(get(b'/'))[0] == 200
    assert time.monotonic() - start < 1
    for connection in slow:
        connection.close()


def nginx_config(**arguments):
    """Runs the module nginx_config on the machine; returns whether it succeeded and what it printed, on one line."""
    command = ['ansible', '-i', INVENTORY, 'app', '--become', '--module-name=nginx_config', '--args', json.dumps(arguments)]
    environment = {**os.environ, 'ANSIBLE_FORCE_COLOR': '0'}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode == 0, ' '.join(done.stdout.split())  # Ansible wraps long messages


@pytest.mark.parametrize('place', ['sites-enabled/gone', 'modules-enabled/gone.conf', 'sites-enabled/../gone', 'conf.d/gone.txt'])
def test_a_broken_link_is_refused_where_nginx_would_read_it(host, place):
    host.run_expect([0], 'sudo ln -s /nowhere /etc/nginx/%s', place)
    try:
        written, output = nginx_config(files=[{'path': 'unused.conf', 'content': '# of a test\n'}])
        nginx = host.run('sudo nginx -t -q')
        nginx_config(absent=['unused.conf'])
    finally:
        host.run_expect([0], 'sudo rm -f /etc/nginx/%s /etc/nginx/unused.conf', place)
    assert written == (nginx.rc == 0) == (place in ('sites-enabled/../gone', 'conf.d/gone.txt')), output
    # without times and process ids
    assert all(error in output.replace('\\"', '"') for error in re.findall(r'\[emerg\] \S+ (.*)', nginx.stderr)), output


def test_the_access_log_is_json_with_times_and_request_id(host, send):
    send(get(b'/logged'))
    # nginx writes the log within a second, also the rest of earlier tests
    line = host.check_output('sudo timeout 20 sh -c "until grep /logged /var/log/nginx/flaskrandom.access.log; do sleep 0.2; done"')
    entry = json.loads(line.splitlines()[0])
    assert entry['status'] == '404'
    assert entry['request_time'] >= 0 and float(entry['upstream_time']) >= 0
    assert len(entry['id']) == 32


def test_the_apps_account_does_not_own_its_code(host):
    files = host.check_output('sudo find -L /srv/flaskrandom/current/ /srv/flaskrandom/venvs/ -user flaskrandom -o -perm -o=w -not -type l')
    assert files == ''
    assert host.user('flaskrandom').shell == '/usr/sbin/nologin'
    assert host.file('/var/run/supervisor.sock').mode == 0o700
    assert host.file('/var/run/supervisor.sock').user == 'root'
