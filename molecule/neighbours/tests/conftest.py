"""What the tests of neighbours share: the apps, their inventories, and requests by name."""

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from cryptography import x509

CHECKOUT = Path(os.environ['MOLECULE_PROJECT_DIRECTORY'])
MACHINE = yaml.safe_load((Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY']) / 'instance_config.yml').read_text())[0]
APP = CHECKOUT / 'molecule/release/app'

pytest_plugins = ['machine', 'pytest_load']


class Answer:
    """An answer over HTTP: `status`, `text`, `headers`, and `certificate` (the names in it, over TLS)."""

    def __init__(self, response, certificate=()):
        self.status, self.text, self.headers = response.status, response.read().decode(), response.headers
        self.certificate = certificate

    def json(self):
        """The object in its text."""
        return json.loads(self.text)

    @property
    def app(self):
        """The name that the app has in its environment."""
        return self.json()['setting']


class Closed(NamedTuple):
    """A TLS connection that was closed without an answer."""

    certificate: list
    status: int = 0


class Neighbours:
    """The apps of the machine, in inventories of their own."""

    def __init__(self, folder, load):
        self.folder = folder
        self.put_load = load
        self.https_port = self.published(443)

    def published(self, port):
        command = [MACHINE['engine'], 'port', MACHINE['container'], f'{port}/tcp']
        return int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[0].rpartition(':')[2])

    def inventory(self, name, apps):
        """Writes an inventory of apps (name to variables), all of which are on the machine."""
        shared = {
            'ansible_host': MACHINE['address'],
            'ansible_port': MACHINE['port'],
            'ansible_user': MACHINE['user'],
            'ansible_ssh_private_key_file': MACHINE['identity_file'],
            'ansible_ssh_common_args': f"-o UserKnownHostsFile={os.environ['MOLECULE_EPHEMERAL_DIRECTORY']}/known_hosts",
            'python_venv_python': os.environ.get('APP_PYTHON') or 'python3',
        }
        path = self.folder / name / 'hosts.yml'
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump({'all': {'hosts': apps, 'vars': shared}}))
        return path

    def app(self, name, release='one', **variables):
        """The variables of an app whose answers have its own name in them."""
        source = self.folder / 'apps' / name
        shutil.copytree(APP, source, dirs_exist_ok=True)
        text = (APP / 'app.py').read_text()
        (source / 'app.py').write_text(text.replace("RELEASE = 'one'", f'RELEASE = {release!r}'))
        return {
            'flask_app_name': name,
            'flask_app_src': str(source),
            'flask_app_health_path': '/health',
            'flask_app_workers': 2,
            'flask_app_environment': {'SETTING': name},
            **variables,
        }

    def start(self, playbook, inventory, *options):
        """Starts a playbook."""
        return subprocess.Popen(
            ['ansible-playbook', '-i', str(inventory), playbook, *options],
            cwd=CHECKOUT,
            env={**os.environ, 'ANSIBLE_FORCE_COLOR': 'false', 'ANSIBLE_CONFIG': str(CHECKOUT / 'ansible.cfg')},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def play(self, playbook, inventory, *options, fails=False):
        """Runs a playbook, which must succeed, or fail; returns by host how much it changed, and what it printed."""
        process = self.start(playbook, inventory, *options)
        output = process.communicate(timeout=600)[0]
        assert (process.returncode != 0) == fails, output
        return {host: int(number) for host, number in re.findall(r'(?m)^(\S+) .*changed=(\d+)', output)}, output

    def ask(self, name, path='/', method='GET', body=None, tls=False, **headers):
        """Sends a request for a host name."""
        if not tls:
            connection = http.client.HTTPConnection('127.0.0.1', int(MACHINE['http_port']), timeout=20)
            connection.request(method, path, body, {'Host': name, **headers})
            with contextlib.closing(connection):
                return Answer(connection.getresponse())
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(('127.0.0.1', self.https_port), timeout=20)
        with context.wrap_socket(plain, server_hostname=name) as encrypted:
            certificate = x509.load_der_x509_certificate(encrypted.getpeercert(binary_form=True))
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
            connection = http.client.HTTPConnection(name)
            connection.sock = encrypted
            try:
                connection.request(method, path, body, {'Host': name, **headers})
                return Answer(connection.getresponse(), names)
            except (http.client.RemoteDisconnected, ConnectionResetError):
                return Closed(names)

    @contextlib.contextmanager
    def load(self, title, names, rate=200):
        """Puts requests at a rate per second, shared by the apps of some names, while a block runs; each must be answered."""
        with contextlib.ExitStack() as stack:
            options = [f"--at=127.0.0.1:{MACHINE['http_port']}", f'--rate={rate / len(names)}']
            results = [stack.enter_context(self.put_load(f'{title}: {name}', f'http://{name}', *options)) for name in names]
            yield
        assert [result['failures'] for result in results] == [{}] * len(names), results
        assert all(result['requests'] > 0 for result in results)


@pytest.fixture(scope='session')
def neighbours(tmp_path_factory, load):
    return Neighbours(tmp_path_factory.mktemp('neighbours'), load)


@pytest.fixture(autouse=True)
def same_host(host):
    """Keeps all tests in the order of the files: pytest groups those with testinfra's host."""
