"""More than 200 requests that smuggle, forge, traverse paths, overflow or are not HTTP: nginx's answers, and what reaches the app."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

HOST = [b'Host: app']
LIES = [b'X-Forwarded-For: 6.6.6.6', b'X-Real-IP: 6.6.6.6', b'X-Forwarded-Proto: https', b'X-Request-ID: forged']
QUIET = 0.7  # seconds without a byte after which an answer counts as complete


def message(*lines, body=b''):
    return b'\r\n'.join(lines) + b'\r\n\r\n' + body


# A request that nginx must not pass on: it names another client.
SMUGGLED = message(b'GET /smuggled HTTP/1.1', *HOST, *LIES)


def post(*headers, body=b''):
    return message(b'POST /x HTTP/1.1', *HOST, *headers, body=body)


def length(body):
    return b'Content-Length: %d' % len(body)


def smuggling():
    """Requests whose end is ambiguous: nginx and the app must agree on it."""
    ended, hidden = b'0\r\n\r\n' + SMUGGLED, b'%x\r\n%s\r\n0\r\n\r\n' % (len(SMUGGLED), SMUGGLED)
    values = [b'chunked', b'CHUNKED', b'xchunked', b'chunked, identity', b'identity, chunked', b'gzip, chunked', b'chunked;q=1',
              b'\tchunked', b'\x0bchunked', b'"chunked"', b'chunked\x00', b'chunked,', b',chunked', b'identity', b'',
                  b'c hunked']  # fmt: skip
    for value in values:
        for body in ended, hidden:
            yield post(b'Transfer-Encoding: ' + value, length(body), body=body)
        yield post(length(b'5\r\n'), b'Transfer-Encoding: ' + value, body=hidden)
    names = [b'Transfer-Encoding ', b' Transfer-Encoding', b'Transfer-Encoding\t', b'Transfer_Encoding', b'X: y\nTransfer-Encoding',
             b'X: y\rTransfer-Encoding', b'Transfer-Encoding\x00', b'\xefTransfer-Encoding', b'Transfer-Encoding\x0b',
                 b'X:\n Transfer-Encoding']  # fmt: skip
    for name in names:
        for body in ended, hidden:
            yield post(name + b': chunked', length(body), body=body)
    for first, second in [(b'chunked', b'identity'), (b'identity', b'chunked'), (b'chunked', b'chunked'), (b'chunked', b'x')]:
        yield post(b'Transfer-Encoding: ' + first, b'Transfer-Encoding: ' + second, body=ended)
    for fold in b'\r\n ', b'\r\n\t', b'\n ', b'\r ':
        yield post(b'Transfer-Encoding:' + fold + b'chunked', length(ended), body=ended)
        yield post(b'Content-Length:' + fold + b'%d' % len(SMUGGLED), body=SMUGGLED)
    sizes = [b'+5', b'-5', b'0x5', b'5 5', b'5, 5', b'5,6', b'5.0', b'5e0', b'', b'\x35\x00', b'05', b'5 ', b'\t5',
             b'99999999999999999999', b'five',
             b'5;6', b'\xb2']  # fmt: skip
    for size in sizes:
        yield post(b'Content-Length: ' + size, body=b'12345' + SMUGGLED)
    for first, second in [(b'5', b'6'), (b'0', b'5'), (b'5', b'0'), (b'5', b'5'), (b'5', b'x')]:
        yield post(b'Content-Length: ' + first, b'Content-Length: ' + second, body=b'12345' + SMUGGLED)
        yield post(b'Content-Length: ' + first, b'Content-Length : ' + second, body=b'12345' + SMUGGLED)
    chunks = [b'5;a=b\r\n12345\r\n', b'5;' + b'a' * 5000 + b'\r\n12345\r\n', b'5 \r\n12345\r\n', b' 5\r\n12345\r\n', b'+5\r\n12345\r\n',
              b'0x5\r\n12345\r\n',
              b'5\n12345\n', b'5\r\n12345', b'5\r12345\r', b'ffffffffffffffff1\r\n', b'-1\r\n', b'5;\n12345\r\n', b'5;a="\r\n12345\r\n',
                  b'g\r\n',
              b'5\r\n123456\r\n', b'5\r\n1234\r\n', b'\r\n', b'5\x00\r\n12345\r\n', b'00000005\r\n12345\r\n']  # fmt: skip
    for chunk in chunks:
        yield post(b'Transfer-Encoding: chunked', body=chunk + ended)
    yield post(b'Transfer-Encoding: chunked', body=b'0\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: 99\r\n\r\n' + SMUGGLED)
    for line in b'GET /x HTTP/1.0', b'GET /x HTTP/1.1', b'HEAD /x HTTP/1.1', b'OPTIONS * HTTP/1.1', b'DELETE /x HTTP/1.1':
        yield message(line, *HOST, length(SMUGGLED), body=SMUGGLED)
        yield message(line, *HOST, b'Transfer-Encoding: chunked', body=ended)
    yield message(b'GET /x HTTP/1.1', *HOST, b'Upgrade: h2c', b'Connection: Upgrade, HTTP2-Settings', b'HTTP2-Settings: AAMAAABk',
                  body=SMUGGLED)
    yield message(b'GET /x HTTP/1.1', *HOST, b'Upgrade: websocket', b'Connection: Upgrade', body=SMUGGLED)
    yield post(b'Expect: 100-continue', length(SMUGGLED), body=SMUGGLED)


def forging():
    """Requests that claim another client, scheme or site."""
    names = [b'X-Forwarded-For', b'X-Forwarded-Proto', b'X-Forwarded-Ssl', b'X-Forwarded-Protocol', b'X-Forwarded-Scheme',
             b'X-Forwarded-Host',
             b'X-Forwarded-Port', b'X-Forwarded-Prefix', b'X-Real-IP', b'X-Scheme', b'X-Script-Name', b'Front-End-Https', b'Forwarded',
                 b'X-Request-ID',
             b'X_Forwarded_For', b'X-Forwarded_Proto', b'REMOTE_ADDR', b'SCRIPT_NAME', b'x-forwarded-for',
                 b'X-FORWARDED-PROTO']  # fmt: skip
    for name in names:
        yield message(b'GET /x HTTP/1.1', *HOST, name + b': 6.6.6.6')
        yield message(b'GET /x HTTP/1.1', *HOST, name + b': https', name + b': 6.6.6.6', b'Connection: ' + name)
    yield message(b'GET /x HTTP/1.1', *HOST, b'Forwarded: for=6.6.6.6;proto=https;host=forged', *LIES)
    hosts = [b'forged, app', b'forged app', b'forged/x', b'forged@app', b'app:x', b'app:99999', b'', b'..', b'[::1', b'app\x00',
             b'app\tforged', b'-', b'a' * 300]  # fmt: skip
    for host in hosts:
        yield message(b'GET /x HTTP/1.1', b'Host: ' + host)
    yield message(b'GET /x HTTP/1.1', *HOST, b'Host: forged')
    targets = [b'http://forged/x', b'https://app/x', b'http://app:81/x', b'http://u:p@forged/x', b'ftp://forged/x', b'//forged/x',
               b'forged:80', b'*', b'http://']  # fmt: skip
    for target in targets:
        yield message(b'GET ' + target + b' HTTP/1.1', *HOST)
    yield message(b'CONNECT forged:80 HTTP/1.1', *HOST)


def traversing():
    """Requests for files that must not be served."""
    steps = [b'/../', b'/..%2f', b'/%2e%2e/', b'/%2e%2e%2f', b'/..%5c', b'/..\\', b'/.%00./', b'/%252e%252e%252f', b'/..;/',
             b'/%c0%ae%c0%ae/', b'//../', b'/.../', b'/./../']
    for step in steps:
        yield message(b'GET ' + step * 6 + b'etc/passwd HTTP/1.1', *HOST)
        yield message(b'GET /static' + step * 6 + b'etc/nginx/nginx.conf HTTP/1.1', *HOST)
    for path in [b'/.env', b'/.git/config', b'/.gunicorn.py', b'/.release.json', b'/static/.flaskenv', b'/%2eenv', b'/app.py',
                 b'/static/../app.py', b'/etc/passwd',
                 b'/.well-known/../.env', b'/.nginx-error', b'/\x00', b'/%00', b'/x%00.html', b'/x?%0d%0aX-Forwarded-For:%206.6.6.6',
                     b'/x%0d%0aX-Forwarded-For:%206.6.6.6',
                 b'/file:///etc/passwd', b'/nginx_status', b'/server-status', b'/x?file=/etc/passwd']:  # fmt: skip
        yield message(b'GET ' + path + b' HTTP/1.1', *HOST)


def overflowing():
    """Requests with too long or too many parts."""
    for size in 8190, 8200, 9000, 40000, 200000:
        yield message(b'GET /' + b'a' * size + b' HTTP/1.1', *HOST)
        yield message(b'GET /x HTTP/1.1', *HOST, b'A: ' + b'a' * size)
        yield message(b'GET /x HTTP/1.1', *HOST, b'a' * size + b': a')
        yield message(b'a' * size + b' /x HTTP/1.1', *HOST)
    for count in 100, 1000, 10000:
        yield message(b'GET /x HTTP/1.1', *HOST, *[b'A: b'] * count)
    yield post(b'Content-Length: 17000000', body=b'a' * 100000)
    yield post(b'Transfer-Encoding: chunked', body=b'1400000\r\n' + b'a' * 100000)


def malformed():
    """Requests that are not HTTP."""
    for line in [b'', b'\r\n', b'GET', b'GET /', b'GET  /x HTTP/1.1', b'GET /x  HTTP/1.1', b'GET\t/x\tHTTP/1.1', b'GET x HTTP/1.1',
                 b'get /x HTTP/1.1', b'G\x00T /x HTTP/1.1',
                 b'GET /x HTTP/0.9', b'GET /x HTTP/1.2', b'GET /x HTTP/1.10', b'GET /x HTTP/2.0', b'GET /x HTTP/3', b'GET /x HTTP/1.',
                     b'GET /x http/1.1', b'GET /x HTTP/-1.1',
                 b'GET /x HTTQ/1.1', b'GET /x HTTP/1.1 x', b'GET /x y HTTP/1.1', b'TRACE /x HTTP/1.1', b'TRACK /x HTTP/1.1',
                     b'PRI * HTTP/2.0', b'PROPFIND /x HTTP/1.1',
                 b'GET /\xff\xfe HTTP/1.1', b'GET /x\x7f HTTP/1.1', b'GET /%zz HTTP/1.1', b'GET /% HTTP/1.1',
                     b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', b'SSH-2.0-x']:  # fmt: skip
        yield message(line, *HOST)
    for header in [b'no colon', b': no name', b'A B: c', b'A\x00: b', b'A: \x00', b'A: \x01\x7f', b'\xff: b', b'A:b:c', b'(A): b',
                   b' A: b', b'A: b\rC: d', b'A: b\nC: d']:
        yield message(b'GET /x HTTP/1.1', *HOST, header)
    yield b'GET /x HTTP/1.1\nHost: app\n\n'
    yield b'GET /x HTTP/1.1\rHost: app\r\r'


REQUESTS = [request for kind in (smuggling, forging, traversing, overflowing, malformed) for request in kind()]
SECRETS = re.compile(rb'root:x:0|PRIVATE KEY|worker_processes|proxy_pass|FLASK_APP|ProxyFix|import ')


def read(connection):
    """Reads until the host sends nothing more. Returns what it sent, and whether it closed the connection."""
    connection.settimeout(QUIET)
    received = b''
    while True:
        try:
            piece = connection.recv(65536)
        except TimeoutError:
            return received, False
        except ConnectionError:
            return received, True
        if not piece:
            return received, True
        received += piece


def attack(machine, request, probe, own):
    """Sends a request, and another one on the same connection.

    Args:
        request: the first one.
        probe: the second one.
        own: what the probe's answer must contain.

    Returns:
        What is wrong with the answers, or ''.
    """
    with machine.connect() as connection:
        try:
            connection.sendall(request)
        except ConnectionError:
            return ''  # refused before all of it was sent
        answer, closed = read(connection)
        after = b''
        if not closed:
            connection.sendall(probe)
            after, _ = read(connection)
    for status, rest in re.findall(rb'^HTTP/1\.1 (5\d\d) (.*?)(?=^HTTP/1\.1|\Z)', answer + after, re.M | re.S):
        # nginx's own 501 and 505 are right; any other is the app's or a crash
        if status not in (b'501', b'505') or b'"msg":"fail"' not in rest:
            return f'status {status.decode()}'
    if SECRETS.search(answer + after):
        return 'a file of the host'
    # the probe becomes part of a body that is incomplete or too long
    waits = answer == b'' or answer.startswith(b'HTTP/1.1 413 ')
    if not closed and not waits and not (after.startswith(b'HTTP/1.1 200') and own in after):
        return f'the probe got another answer: {after[:300]}'
    return ''


def attack_all(machine, probe):
    """Sends all requests, each followed by the probe for its number. Returns the wrong ones with the reason."""
    with ThreadPoolExecutor(16) as pool:
        wrong = pool.map(lambda job: (job[1][:300], attack(machine, job[1], *probe(job[0]))), enumerate(REQUESTS))
        return [case for case in wrong if case[1]]


def get(path):
    return message(b'GET ' + path + b' HTTP/1.1', *HOST, b'Connection: close')


def test_there_are_at_least_200_requests():
    assert len(set(REQUESTS)) >= 200


def test_the_app_survives_all_requests(machine, send):
    assert attack_all(machine, lambda number: (get(b'/'), b'Hello World')) == []
    assert send(get(b'/'))[0] == 200


@pytest.mark.usefixtures('echo')
def test_the_app_sees_only_the_real_client(machine, host, send):
    client = json.loads(send(get(b'/'))[2])['REMOTE_ADDR']
    assert client
    assert attack_all(machine, lambda number: (get(b'/own-%d' % number), b'"/own-%d"' % number)) == []
    seen = [json.loads(line) for line in host.check_output('sudo cat /run/flaskrandom/app/echo.seen').splitlines()]
    # many of them are valid and reach the app
    assert len(seen) > 100
    assert {(request['REMOTE_ADDR'], request['wsgi.url_scheme'], request['SCRIPT_NAME']) for request in seen} == {(client, 'http', '')}
    # a smuggled request would have no id or that of another
    ids = [request.get('x-request-id', '') for request in seen]
    assert all(re.fullmatch('[0-9a-f]{32}', id_) for id_ in ids) and len(set(ids)) == len(ids)
    assert not [request for request in seen if any('6.6.6.6' in value for name, value in request.items() if name != 'PATH_INFO')]
