"""An app below a path of its site, by gunicorn with the settings that a release has."""

import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

FILES = Path(__file__).resolve().parents[2] / "roles" / "flask-app" / "files"
APP = """
import flask

app = flask.Flask(__name__)


@app.route("/")
def index():
    return flask.jsonify(root=flask.request.script_root, path=flask.request.path, static=flask.url_for("static", filename="x.css"))


@app.route("/go")
def go():
    return flask.redirect(flask.url_for("index"))


@app.route("/send/<path:path>")
def send(path):
    return "", 200, {"X-Accel-Redirect": "/" + path}
"""


class Connection(http.client.HTTPConnection):
    """A connection to a unix socket."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.host)


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Sends a GET as nginx does; a function of the path and the prefix. Returns status, headers and body."""
    folder = tmp_path_factory.mktemp("p")
    (folder / "app").mkdir()
    (folder / "app.py").write_text(APP)
    for name in ("gunicorn", "connections"):
        shutil.copy(str(FILES / (name + ".py")), str(folder / ".{}.py".format(name)))
    values = {"user": "shop", "home": "/", "run": str(folder), "wsgi": "app:app", "workers": 1, "graceful_timeout": 1,
              "gunicorn": {}, "environment": {}, "secrets": "", "health": {"timeout": 20}}  # fmt: skip
    (folder / ".release.json").write_text(json.dumps(values))
    path = str(folder / "app" / "shop.sock")
    command = [sys.executable, "-m", "gunicorn", "-c", ".gunicorn.py", "-b", "unix:" + path]
    with subprocess.Popen(command, cwd=str(folder), stderr=subprocess.PIPE, universal_newlines=True) as server:
        deadline = time.monotonic() + 60
        while not list((folder / "app").glob("ready-*")):
            assert server.poll() is None and time.monotonic() < deadline, server.stderr.read()
            time.sleep(0.1)

        def answer(url, prefix):
            connection = Connection(path)
            connection.request("GET", url, headers={"Host": "shop.example", **({"X-Forwarded-Prefix": prefix} if prefix else {})})
            response = connection.getresponse()
            try:
                return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read().decode()
            finally:
                connection.close()

        yield answer
        server.terminate()
        log = server.stderr.read()
    assert "Traceback" not in log


@pytest.mark.parametrize("prefix", ["", "/shop", "/a/b"])
def test_the_app_makes_urls_below_the_path(ask, prefix):
    status, _, text = ask(prefix + "/", prefix)
    assert status == 200
    assert json.loads(text) == {"root": prefix, "path": "/", "static": prefix + "/static/x.css"}
    status, headers, _ = ask(prefix + "/go", prefix)
    assert status == 302
    assert headers["location"] in (prefix + "/", "http://shop.example" + prefix + "/")


@pytest.mark.parametrize("path", ["/", "/shop", "/shopping/", "//shop/", "/x/../shop/"])
def test_another_path_is_not_the_apps(ask, path):
    assert ask(path, "/shop")[0] == 404


@pytest.mark.parametrize("path", ["files/a", "shop/files/a"])
def test_nginx_finds_a_protected_file_below_the_path(ask, path):
    assert ask("/shop/send/" + path, "/shop")[1]["x-accel-redirect"] == "/shop/files/a"
    assert ask("/send/" + path, "")[1]["x-accel-redirect"] == "/" + path
