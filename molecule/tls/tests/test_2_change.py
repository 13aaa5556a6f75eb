"""Changes of a serving host, such as renewals, names and modes of TLS, cost no request; invalid ones are refused."""

import datetime
import json
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from machine import play

# Keeps the order: pytest runs the tests with the fixture `host` before the others.
pytestmark = pytest.mark.usefixtures('host')

# with a terminal certbot does not sleep first; 0.27 has no option for that
RENEW = "script --quiet --return --command 'certbot renew --force-renewal' /dev/null"
THREE = ['one.test', 'two.test', 'three.test']


def assert_no_failures(result):
    """Checks the figures of a load."""
    assert result['failed'] == 0 and result['requests'] >= 200, result


def test_a_renewal_costs_no_request(machine, root):
    before = machine.certificate('one.test').serial_number
    with machine.load('renewal') as result:
        root(RENEW)
    assert_no_failures(result)
    after = machine.certificate('one.test').serial_number
    assert after != before
    # a restart reads the files
    root('systemctl restart nginx')
    assert machine.certificate('one.test').serial_number == after


@pytest.mark.parametrize('by', ["certbot's timer", 'the playbook'])
def test_a_failed_reload_is_repeated(machine, root, by):
    before = machine.certificate('one.test').serial_number
    root('echo no_such_directive >/etc/nginx/conf.d/broken.conf')
    try:
        root(RENEW, fails=True)
        assert machine.certificate('one.test').serial_number == before
    finally:
        root('rm /etc/nginx/conf.d/broken.conf')
    if by == 'the playbook':
        play('playbook.yml')
    else:
        # the timer starts this unit
        root('systemctl start certbot.service')
    # nginx replaces its workers asynchronously
    deadline = time.monotonic() + 20
    while (after := machine.certificate('one.test').serial_number) == before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert after != before
    assert f'{after:X}' in root('openssl x509 -noout -serial -in /etc/ssl/flask-host/flaskrandom/site.pem')


def test_adding_a_name_costs_no_request(machine):
    with machine.load('name added') as result:
        play('playbook.yml', flask_app_domains=THREE)
    assert_no_failures(result)
    assert machine.names('three.test') == sorted(THREE)


@pytest.mark.parametrize('fault', ['the server is down', 'a name resolves to another host'])
def test_a_failed_request_is_reported_and_the_old_certificate_stays(machine, root, fault):
    names = [*THREE, 'nowhere.test']
    serial = machine.certificate('one.test').serial_number
    if fault == 'the server is down':
        root('systemctl stop pebble')
    try:
        run = play('playbook.yml', flask_app_domains=names, fails=True)
    finally:
        if fault == 'the server is down':
            # it does not store its accounts
            root('systemctl start pebble && rm -r /etc/letsencrypt/accounts')
    assert run.status == 2
    assert 'https://localhost:14000/dir issued no certificate for one.test, two.test, three.test, nowhere.test' in run.words
    assert ('onnection refused' if fault == 'the server is down' else 'Domain: nowhere.test') in run.words
    assert machine.certificate('one.test').serial_number == serial
    assert machine.ask_tls('one.test').status == 200


def test_a_removed_ca_is_not_trusted_any_more(machine, root):
    ask = """python3 -c 'import urllib.request as r; print(r.urlopen("https://localhost:14000/dir").status)' 2>&1 || true"""
    assert root(ask) == '200'
    play('playbook.yml', flask_app_domains=THREE, tls_acme_ca='')
    assert 'CERTIFICATE_VERIFY_FAILED' in root(ask)


def test_switching_to_self_signed_and_back_costs_no_request(machine, root):
    with machine.load('acme to self-signed') as result:
        play('playbook.yml', tls_mode='selfsigned', flask_app_domains=THREE)
    assert_no_failures(result)
    assert machine.issuer('one.test') == 'CN=self-signed' and machine.names('one.test') == sorted(THREE)
    assert machine.ask(host='one.test').status == 301
    assert 'strict-transport-security' not in machine.ask_tls('one.test').headers
    assert 'flaskrandom' not in root('certbot certificates')

    with machine.load('self-signed to acme') as result:
        play('playbook.yml', flask_app_domains=THREE)
    assert_no_failures(result)
    # one certificate for all three
    assert 'Pebble' in machine.issuer('three.test') and machine.names('one.test') == sorted(THREE)


def pair(folder, names, days=30, fits=True, garbage=''):
    """Writes a certificate and its key as a user would bring them.

    Args:
        folder: where they are written.
        names: the certificate's DNS names.
        days: the certificate is valid for, from now.
        fits: whether the key belongs to the certificate.
        garbage: the name of the file that is no PEM, or ''.

    Returns:
        The variables that use them.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, 'own')])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=90))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    if not fits:
        key = ec.generate_private_key(ec.SECP256R1())
    (folder / 'certificate.pem').write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / 'key.pem').write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    if garbage:
        (folder / garbage).write_text('garbage')
    return {'tls_mode': 'files', 'tls_certificate': str(folder / 'certificate.pem'), 'tls_key': str(folder / 'key.pem')}


def test_switching_to_own_files_costs_no_request_and_shows_no_key(machine, tmp_path):
    with machine.load('acme to own files') as result:
        play('playbook.yml', **pair(tmp_path, ['one.test', '*.test']), flask_app_domains=THREE)
    assert_no_failures(result)
    assert machine.issuer('three.test') == 'CN=own'
    # a new pair of the same names; the key appears not even in the most verbose output
    run = play('playbook.yml', '-vvv', '--diff', **pair(tmp_path, THREE), flask_app_domains=THREE)
    assert machine.names('one.test') == sorted(THREE)
    assert not [line for line in (tmp_path / 'key.pem').read_text().splitlines()[1:-1] if line in run.words]


@pytest.mark.parametrize(
    'flaw, message',
    [
        ({'fits': False}, 'tls_key must be the key'),
        ({'days': -1}, 'must not have expired'),
        ({'names': ['one.test']}, 'not for two.test'),
        ({'garbage': 'certificate.pem'}, 'must be a certificate and its key in PEM'),
        ({'garbage': 'key.pem'}, 'its key in PEM'),
    ],
)
def test_invalid_files_are_refused_before_the_host_is_contacted(machine, tmp_path, flaw, message):
    run = play('playbook.yml', **pair(tmp_path, **{'names': THREE, **flaw}), flask_app_domains=THREE, fails=True)
    assert run.status == 2 and message in run.words
    assert "Gather the host's state" not in run.words
    assert machine.ask_tls('one.test').status == 200


NGINX_FILES = 'find /etc/nginx -type f -exec sha256sum {} + | sort'


def test_unknown_ciphers_are_refused_and_nginx_can_restart(machine, root, tmp_path):
    before = root(NGINX_FILES)
    run = play('playbook.yml', **pair(tmp_path, THREE), flask_app_domains=THREE, nginx_tls_ciphers=['NO-SUCH-CIPHER'], fails=True)
    assert run.status == 2 and 'SSL_CTX_set_cipher_list("NO-SUCH-CIPHER") failed' in run.words
    assert root(NGINX_FILES) == before
    root('systemctl restart nginx')
    assert machine.ask_tls('one.test').status == 200


def test_disabling_tls_costs_no_request(machine, root):
    with machine.load('own files to none', tls=False) as result:
        play('playbook.yml', tls_mode='none')
    assert_no_failures(result)
    assert result['releases'].keys() == {'moved', 'one'}, json.dumps(result)
    paths = '/etc/ssl/flask-host/flaskrandom /var/lib/flask-host/acme/flaskrandom /etc/letsencrypt/live/flask-flaskrandom'
    assert root(f'ls -d {paths} 2>/dev/null || true') == ''
    assert ':443 ' not in root('ss -ltn')


def test_a_site_that_nginx_refuses_is_not_written_and_nginx_can_restart(machine, root):
    before = root(NGINX_FILES)
    run = play('playbook.yml', tls_mode='none', nginx_headers={'X-Long': 'a' * 5000}, fails=True)
    assert run.status == 2 and 'too long parameter' in run.words
    assert root(NGINX_FILES) == before
    root('systemctl restart nginx')
    assert machine.ask(host='one.test').status == 200
