"""What the tests of TLS share: the machine with its port 443, and load on it."""

import ssl
import subprocess

import pytest
import yaml
from cryptography import x509
from machine import CHECKOUT, Machine, read_facts

pytest_plugins = ['machine', 'second_machine']


def example(name):
    """Returns the variables of an inventory in examples/."""
    return yaml.safe_load((CHECKOUT / 'examples' / name / 'group_vars/all.yml').read_text())


class TlsMachine(Machine):
    """The machine with its port 443.

    Attributes:
        https: the port of this computer that leads there.
    """

    def __init__(self, put_load):
        super().__init__(next(iter(read_facts().values())))
        self.put_load = put_load
        command = [self.facts['engine'], 'port', self.facts['container'], '443/tcp']
        published = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
        self.https = int(published.splitlines()[0].rsplit(':', 1)[1])

    def handshake(self, name, minimum=ssl.TLSVersion.TLSv1_2, maximum=ssl.TLSVersion.TLSv1_3, alpn=('h2', 'http/1.1')):
        """Opens a TLS connection, whose certificate is not verified.

        Args:
            name: the server name that is sent (SNI); None for a client that sends none.
            minimum, maximum: versions of TLS.
            alpn: the protocols that are offered.

        Raises:
            ssl.SSLError: the handshake failed.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers('ALL:@SECLEVEL=0')
        context.minimum_version, context.maximum_version = minimum, maximum
        context.set_alpn_protocols(list(alpn))
        connection = self.connect(self.https)
        try:
            return context.wrap_socket(connection, server_hostname=name)
        except BaseException:
            connection.close()
            raise

    def certificate(self, name):
        """Returns the certificate for a server name."""
        with self.handshake(name) as connection:
            return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))

    def names(self, name):
        """Returns the sorted DNS names of the certificate for a server name."""
        extension = self.certificate(name).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return sorted(extension.value.get_values_for_type(x509.DNSName))

    def issuer(self, name):
        """Returns the issuer of the certificate for a server name."""
        return self.certificate(name).issuer.rfc4514_string()

    def ask_tls(self, name, path='/', host=None):
        """Sends a GET over TLS with a server name; the Host header is the same unless `host` is given. Returns the Answer."""
        return self.ask(path, host=host or name, connection=self.handshake(name, alpn=['http/1.1']))

    def load(self, what, tls=True):
        """Sends 200 requests a second to the machine while a block runs, see pytest_load."""
        url, port = ('https://one.test', self.https) if tls else ('http://one.test', self.facts['http_port'])
        return self.put_load(what, url, f'--at=127.0.0.1:{port}', '--rate=200', '--moved')


@pytest.fixture(scope='session')
def machine(load):
    return TlsMachine(load)
