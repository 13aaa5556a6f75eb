"""What only a real server shows: gunicorn from the app's lock, on a loopback port of its own."""

import http.client
import json
import re
import socket
import subprocess
import sys

import pytest
from dotenv import dotenv_values

MEGABYTES = b" " * 2 * 1024**2
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def port(app_folder):
    command = [sys.executable, "-m", "gunicorn", "--workers", "1", "--bind", "127.0.0.1:0", "app:app"]
    with subprocess.Popen(command, cwd=str(app_folder), stderr=subprocess.PIPE, universal_newlines=True) as server:
        log = ""
        while "Listening at" not in log:
            line = server.stderr.readline()
            assert line, log
            log += line
        yield int(re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log).group(1))
        server.terminate()
        log += server.stderr.read()
    assert "Traceback" not in log


def answer(port, method, path, body, headers=JSON, **more):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers, **more)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def raw_status(port, request):
    """Send request (bytes) as it is and nothing more, and return the status (int) of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return int(connection.makefile("rb").readline().split()[1])


def test_the_articles_requests_succeed(port):
    assert answer(port, "GET", "/", None) == (200, "<h1>Hello World! From Flask!</h1>")
    status, text = answer(port, "POST", "/getrandomstr", b'{"intlen":10,"intnum":5,"withnum":true,"withlow":true}')
    assert status == 200
    assert json.loads(text)["datalen"] == 5


# a sender of more than the server's buffers hold sees a reset, and no answer, unless the app reads on
@pytest.mark.parametrize("method, path", (("POST", "/getrandomstr"), ("GET", "/"), ("PUT", "/"), ("POST", "/nowhere")))
def test_large_body_is_answered(port, method, path):
    status, text = answer(port, method, path, MEGABYTES)
    assert status == 413
    assert "body" in json.loads(text)["error"]


def test_large_body_in_chunks_is_answered(port):
    status, text = answer(port, "POST", "/getrandomstr", iter([MEGABYTES] * 4), encode_chunked=True)
    assert status == 413
    assert "body" in json.loads(text)["error"]


@pytest.mark.parametrize(
    "header, body",
    (
        (b"Transfer-Encoding: chunked", b"ZZ\r\n{}\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"2\r\n{}{}\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"-2\r\n{}\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"2\r\n{"),
        (b"Content-Length: 50", b'{"intlen":10,'),
    ),
)
def test_malformed_bodies_are_refused(port, header, body):
    request = [b"POST /getrandomstr HTTP/1.1", b"Host: x", b"Content-Type: application/json", header, b"", body]
    assert 400 <= raw_status(port, b"\r\n".join(request)) < 500


HOSTS = (b"", b"a b", b"..", b"a" * 300, b"[::1", b"x:y", b"x:99999999", b"http://x/y", b"\xff\xfe", "ü.de".encode())


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: repr(host[:9]))
@pytest.mark.parametrize("path", (b"/", b"//", b"/?%ff", b"http://x/"))
def test_unusual_hosts_are_no_server_error(port, host, path):
    # whether such a name is refused is Flask's affair, and differs between versions
    request = b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, host)
    assert raw_status(port, request) in (200, 400, 404)


def test_flaskenv_is_read(app_folder):
    assert dict(dotenv_values(str(app_folder / ".flaskenv"))) == {
        "FLASK_ENV": "development",
        "FLASK_DEBUG": "1",
        "FLASK_APP": "app.py",
        "FLASK_RUN_PORT": "8000",
    }
