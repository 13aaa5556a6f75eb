"""What the tests of TLS share: playbook runs with other variables, handshakes, and a load that goes on meanwhile."""

import http.client
import json
import os
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
import yaml
from cryptography import x509

CHECKOUT = Path(os.environ['MOLECULE_PROJECT_DIRECTORY'])
FACTS = yaml.safe_load((Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY']) / 'instance_config.yml').read_text())[0]

pytest_plugins = ['pytest_load']


class Machine:
    """The machine as the world sees it."""

    def __init__(self, put_load):
        self.put_load = put_load
        self.http = int(FACTS['http_port'])
        command = [FACTS['engine'], 'port', FACTS['container'], '443/tcp']
        published = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
        self.https = int(published.splitlines()[0].rsplit(':', 1)[1])

    def run(self, *options, **variables):
        """Runs the playbook with these options and variables; returns its exit status and what it said."""
        done = subprocess.run(
            ['ansible-playbook', '-i', os.environ['MOLECULE_INVENTORY_FILE'], 'playbook.yml', '-e', json.dumps(variables), *options],
            cwd=CHECKOUT,
            # colours would come in the midst of what is looked for
            env={**os.environ, 'ANSIBLE_FORCE_COLOR': '0'},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, ' '.join(done.stdout.split())

    def connect(self, name, minimum=ssl.TLSVersion.TLSv1_2, maximum=ssl.TLSVersion.TLSv1_3, alpn=('h2', 'http/1.1')):
        """Makes a TLS connection; None is a client that names no host."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers('ALL:@SECLEVEL=0')
        context.minimum_version, context.maximum_version = minimum, maximum
        context.set_alpn_protocols(list(alpn))
        connection = socket.create_connection(('127.0.0.1', self.https), timeout=10)
        try:
            return context.wrap_socket(connection, server_hostname=name)
        except BaseException:
            connection.close()
            raise

    def certificate(self, name):
        """The certificate that whoever asks for a name gets."""
        with self.connect(name) as connection:
            return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))

    def names(self, name):
        extension = self.certificate(name).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return sorted(extension.value.get_values_for_type(x509.DNSName))

    def issuer(self, name):
        return self.certificate(name).issuer.rfc4514_string()

    def ask(self, name, path='/', tls=True, host=None):
        """Sends a request; returns status, headers (lower-case names) and body of the answer."""
        connection = self.connect(name, alpn=['http/1.1']) if tls else socket.create_connection(('127.0.0.1', self.http), timeout=10)
        with connection:
            connection.sendall(f'GET {path} HTTP/1.1\r\nHost: {host or name}\r\nConnection: close\r\n\r\n'.encode())
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()

    def load(self, what, tls=True):
        """Puts 200 requests a second on the machine while a block runs, see pytest_load."""
        url, port = ('https://one.test', self.https) if tls else ('http://one.test', self.http)
        return self.put_load(what, url, f'--at=127.0.0.1:{port}', '--rate=200', '--moved')


@pytest.fixture(scope='session')
def machine(load):
    return Machine(load)
