"""Repositories are fetched from real servers, without a trace of the token, and the folder has nothing else afterwards."""

import base64
import contextlib
import json
import os
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from load_plugin import load

ROOT = Path(__file__).parents[2]
plugin = load('plugins/action/git_checkout.py')
TOKEN = 'token-that-nobody-may-see'


def git(folder, *command):
    who = ['-c', 'user.name=me', '-c', 'user.email=me@a.example', '-c', 'protocol.file.allow=always', '-c', 'init.defaultBranch=main']
    return subprocess.run(['git', *who, '-C', folder, *command], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Server(ThreadingHTTPServer):
    """Serves the repositories of a folder by https, to whoever has the token.

    Attributes:
        seen: the token's appearances in command lines while a request was answered.
        users: the names that clients gave.
        url: its address.
    """

    def __init__(self, folder):
        super().__init__(('127.0.0.1', 0), Handler)
        self.folder, self.seen, self.users = folder, [], set()
        subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=localhost',
             '-addext', 'subjectAltName=DNS:localhost', '-keyout', folder / 'key.pem', '-out', folder / 'server.pem'],
            check=True, capture_output=True,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / 'server.pem', folder / 'key.pem')
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f'https://localhost:{self.server_port}'


class Handler(BaseHTTPRequestHandler):
    """Lets git's own program answer."""

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers['Content-Length'])))

    def log_message(self, *_):
        pass

    def answer(self, body=b''):
        for path in Path('/proc').glob('[0-9]*/cmdline'):
            with contextlib.suppress(OSError):
                if TOKEN.encode() in path.read_bytes():
                    self.server.seen.append(path.read_bytes())
        given = self.headers.get('Authorization', '').partition('Basic ')[2]
        user, _, password = base64.b64decode(given).decode().partition(':')
        if password != TOKEN and not self.path.startswith('/open/'):
            self.send_response(401)
            self.send_header('WWW-Authenticate', 'Basic realm="git"')
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        self.server.users.add(user)
        path, _, query = self.path.partition('?')
        variables = {
            'GIT_PROJECT_ROOT': str(self.server.folder), 'GIT_HTTP_EXPORT_ALL': '1', 'PATH_INFO': path, 'QUERY_STRING': query,
            'REQUEST_METHOD': self.command, 'CONTENT_TYPE': self.headers.get('Content-Type', ''), 'CONTENT_LENGTH': str(len(body)),
            'HTTP_CONTENT_ENCODING': self.headers.get('Content-Encoding', ''), 'GIT_PROTOCOL': self.headers.get('Git-Protocol', ''),
            'PATH': os.environ['PATH'],
        }  # fmt: skip
        done = subprocess.run(['git', 'http-backend'], env=variables, input=body, stdout=subprocess.PIPE, check=True)
        head, _, content = done.stdout.partition(b'\r\n\r\n')
        fields = dict(line.split(': ', 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop('Status', '200').split()[0]))
        for name, value in {**fields, 'Content-Length': str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server with the private repository shop.git, in which `libs/common` is a submodule and `backend` the app's folder."""
    folder = tmp_path / 'server'
    folder.mkdir()
    server = Server(folder)
    monkeypatch.setenv('GIT_SSL_CAINFO', str(folder / 'server.pem'))
    monkeypatch.setenv('HOME', str(tmp_path))
    # a store of the user's own must not get the token
    (tmp_path / '.gitconfig').write_text('[credential]\nhelper = store\n')
    for name, files in {'common': ['common.py'], 'shop': ['backend/app.py', 'backend/requirements.txt']}.items():
        work = tmp_path / 'work' / name
        for file in files:
            (work / file).parent.mkdir(parents=True, exist_ok=True)
            (work / file).write_text('gunicorn==23.0.0 --hash=sha256:1\n' if file.endswith('txt') else '')
        git(work, 'init', '--quiet', '--initial-branch=main')
        git(work, 'add', '.')
        git(work, 'commit', '--quiet', '--message=first')
        git(tmp_path, 'clone', '--quiet', '--bare', str(work), str(folder / f'{name}.git'))
    shop = tmp_path / 'work/shop'
    git(shop, 'tag', 'bare')
    git(shop, 'submodule', '--quiet', 'add', str(folder / 'common.git'), 'backend/common')
    # relative, as for a private repository beside this one
    git(shop, 'config', '--file=.gitmodules', 'submodule.backend/common.url', '../common.git')
    git(shop, 'add', '.gitmodules')
    git(shop, 'commit', '--quiet', '--message=with a submodule')
    git(shop, 'push', '--quiet', '--tags', str(folder / 'shop.git'), 'main')
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def files(folder):
    below = [path.relative_to(folder) for path in folder.rglob('*') if path.is_file()]
    return sorted(str(path) for path in below if '.git' not in path.parts)


def traces(folder):
    return [path for path in folder.rglob('*') if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_a_private_repository_with_submodules_and_no_trace_of_the_token(server, tmp_path):
    plugin.checkout(f'{server.url}/shop.git', 'HEAD', tmp_path / 'app', token=TOKEN)
    assert files(tmp_path / 'app') == ['.gitmodules', 'backend/app.py', 'backend/common/common.py', 'backend/requirements.txt']
    assert server.seen == [] and traces(tmp_path) == []
    assert server.users == {'oauth2'}


def test_the_user_of_the_url_is_the_users_own(server, tmp_path):
    plugin.checkout(f'{server.url.replace("//", "//deploy@")}/shop.git', 'bare', tmp_path / 'app', token=TOKEN)
    assert server.users == {'deploy'}


def test_another_version_leaves_nothing_of_the_one_before(server, tmp_path):
    repo, app = f'{server.url}/shop.git', tmp_path / 'app'
    plugin.checkout(repo, 'main', app, token=TOKEN)
    (app / 'backend/app.py').write_text('changed by hand')
    (app / 'backend/left.pyc').touch()
    plugin.checkout(repo, 'bare', app, token=TOKEN)
    assert files(app) == ['backend/app.py', 'backend/requirements.txt']
    assert (app / 'backend/app.py').read_text() == ''


@pytest.mark.parametrize('version', ['main', 'bare', 'commit', 'hidden'])
def test_branches_tags_and_commits(server, tmp_path, version):
    bare = server.folder / 'shop.git'
    expected = git(bare, 'rev-parse', 'bare' if version == 'bare' else 'main')
    if version == 'hidden':
        # what no branch leads to
        expected = git(bare, 'commit-tree', 'main^{tree}', '-m', 'other')
        git(bare, 'update-ref', 'refs/pull/1/head', expected)
        git(bare, 'config', 'uploadpack.allowAnySHA1InWant', 'true')
    plugin.checkout(f'{server.url}/shop.git', expected if version in ('commit', 'hidden') else version, tmp_path / 'app', token=TOKEN)
    assert git(tmp_path / 'app', 'rev-parse', 'HEAD') == expected


def test_a_missing_version_is_named(server, tmp_path):
    with pytest.raises(AnsibleActionFail, match="flask_app_version must be a branch, tag or commit of flask_app_repo, got 'v9'"):
        plugin.checkout(f'{server.url}/shop.git', 'v9', tmp_path / 'app', token=TOKEN)


@pytest.mark.parametrize('token', ['', 'wrong'])
def test_a_refusal_names_the_ways_in_and_no_token(server, tmp_path, token):
    with pytest.raises(AnsibleActionFail) as error:
        plugin.checkout(f'{server.url}/shop.git', 'HEAD', tmp_path / 'app', token=token)
    assert 'flask_app_repo_key or flask_app_repo_token' in str(error.value)
    assert not token or token not in str(error.value)


def test_the_token_is_for_its_own_server_only(server, tmp_path):
    folder = tmp_path / 'other'
    folder.mkdir()
    other = Server(folder)
    os.environ['GIT_SSL_CAINFO'] = str(tmp_path / 'both.pem')
    (tmp_path / 'both.pem').write_text((folder / 'server.pem').read_text() + (server.folder / 'server.pem').read_text())
    git(folder, 'clone', '--quiet', '--bare', str(server.folder / 'common.git'), 'common.git')
    threading.Thread(target=other.serve_forever, daemon=True).start()
    work = tmp_path / 'work/shop'
    git(work, 'config', '--file=.gitmodules', 'submodule.backend/common.url', f'{other.url}/common.git')
    git(work, 'commit', '--quiet', '--all', '--message=elsewhere')
    git(work, 'push', '--quiet', str(server.folder / 'shop.git'), 'main')
    try:
        with pytest.raises(AnsibleActionFail, match='could not read Username'):
            plugin.checkout(f'{server.url}/shop.git', 'HEAD', tmp_path / 'app', token=TOKEN)
    finally:
        other.shutdown()
        other.server_close()
    assert other.users == set()


def test_the_keys_file_is_given_to_ssh(tmp_path, monkeypatch):
    monkeypatch.setenv('GIT_SSH_COMMAND', 'ssh -o UserKnownHostsFile=/x')
    options, environment = plugin.settings('git@a.example:x.git', '~/my key', '')
    expected = f"ssh -o UserKnownHostsFile=/x -i '{Path.home()}/my key' -o IdentitiesOnly=yes -o BatchMode=yes"
    assert environment['GIT_SSH_COMMAND'] == expected
    assert not any('credential' in option for option in options)


def test_the_role_shows_no_token_and_finds_the_apps_folder(server, tmp_path):
    play = {
        'hosts': 'localhost', 'connection': 'local', 'gather_facts': False,
        'tasks': [{'import_role': {'name': str(ROOT / 'roles/flask-app'), 'tasks_from': 'source'}},
                  {'assert': {'that': ["(flask_app_source ~ '/app.py') is file"]}}],
    }  # fmt: skip
    (tmp_path / 'play.yml').write_text(yaml.safe_dump([play]))
    variables = {'flask_app_repo': f'{server.url}/shop.git', 'flask_app_repo_token': TOKEN, 'flask_app_repo_path': 'backend/'}
    (tmp_path / 'vars.json').write_text(json.dumps(variables))
    done = subprocess.run(
        [Path(sys.executable).with_name('ansible-playbook'), '-i', 'localhost,', '-vvvv', tmp_path / 'play.yml',
         '-e', f'@{tmp_path}/vars.json'],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        env=os.environ | {'ANSIBLE_DISPLAY_ARGS_TO_STDOUT': '1', 'ANSIBLE_CONFIG': str(ROOT / 'ansible.cfg')},
    )  # fmt: skip
    (tmp_path / 'vars.json').unlink()
    assert done.returncode == 0, done.stdout
    assert TOKEN not in done.stdout and server.seen == []
    assert traces(tmp_path) == []
