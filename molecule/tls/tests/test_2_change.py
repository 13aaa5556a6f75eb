"""What changes on a serving host: renewals, names, modes. And what must not."""

import datetime
import json
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# pytest would put the tests that ask for the host before the others
pytestmark = pytest.mark.usefixtures('host')

# at a terminal it does not sleep first; 0.27 has no option against that
RENEW = "script --quiet --return --command 'certbot renew --force-renewal' /dev/null"
THREE = ['one.test', 'two.test', 'three.test']


def unhurt(result):
    assert result['failed'] == 0 and result['requests'] >= 200, result


def test_a_renewal_costs_no_request(machine, root):
    before = machine.certificate('one.test').serial_number
    with machine.load('renewal') as result:
        root(RENEW)
    unhurt(result)
    after = machine.certificate('one.test').serial_number
    assert after != before
    # the files, too, which a restart would read
    root('systemctl restart nginx')
    assert machine.certificate('one.test').serial_number == after


@pytest.mark.parametrize('by', ["certbot's timer", 'the playbook'])
def test_a_reload_that_failed_is_repeated(machine, root, by):
    before = machine.certificate('one.test').serial_number
    root('echo no_such_directive >/etc/nginx/conf.d/broken.conf')
    try:
        root(RENEW, fails=True)
        assert machine.certificate('one.test').serial_number == before
    finally:
        root('rm /etc/nginx/conf.d/broken.conf')
    if by == 'the playbook':
        status, output = machine.run()
        assert status == 0, output
    else:
        # what the timer starts
        root('systemctl start certbot.service')
    # nginx has been told, and starts new processes
    deadline = time.monotonic() + 20
    while (after := machine.certificate('one.test').serial_number) == before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert after != before
    assert f'{after:X}' in root('openssl x509 -noout -serial -in /etc/ssl/flask-host/flaskrandom/site.pem')


def test_a_name_is_added_without_a_lost_request(machine):
    with machine.load('name added') as result:
        status, output = machine.run(flask_app_domains=THREE)
    assert status == 0, output
    unhurt(result)
    assert machine.names('three.test') == sorted(THREE)


@pytest.mark.parametrize('trouble', ['the server is down', 'a name leads elsewhere'])
def test_a_failure_is_said_and_the_old_certificate_serves_on(machine, root, trouble):
    names = [*THREE, 'nowhere.test']
    serial = machine.certificate('one.test').serial_number
    if trouble == 'the server is down':
        root('systemctl stop pebble')
    try:
        status, output = machine.run(flask_app_domains=names)
    finally:
        if trouble == 'the server is down':
            # it forgets its accounts
            root('systemctl start pebble && rm -r /etc/letsencrypt/accounts')
    assert status == 2
    assert 'https://localhost:14000/dir gave no certificate for one.test, two.test, three.test, nowhere.test' in output
    assert ('onnection refused' if trouble == 'the server is down' else 'Domain: nowhere.test') in output
    assert machine.certificate('one.test').serial_number == serial
    assert machine.ask('one.test')[0] == 200


def test_a_ca_that_is_not_named_any_more_is_not_trusted(machine, root):
    ask = """python3 -c 'import urllib.request as r; print(r.urlopen("https://localhost:14000/dir").status)' 2>&1 || true"""
    assert root(ask) == '200'
    status, output = machine.run(flask_app_domains=THREE, tls_acme_ca='')
    assert status == 0, output
    assert 'CERTIFICATE_VERIFY_FAILED' in root(ask)


def test_from_acme_to_self_signed_and_back_without_a_lost_request(machine, root):
    with machine.load('acme to self-signed') as result:
        status, output = machine.run(tls_mode='selfsigned', flask_app_domains=THREE)
    assert status == 0, output
    unhurt(result)
    assert machine.issuer('one.test') == 'CN=self-signed' and machine.names('one.test') == sorted(THREE)
    assert machine.ask('one.test', tls=False)[0] == 301
    assert 'strict-transport-security' not in machine.ask('one.test')[1]
    assert 'flaskrandom' not in root('certbot certificates')

    with machine.load('self-signed to acme') as result:
        status, output = machine.run(flask_app_domains=THREE)
    assert status == 0, output
    unhurt(result)
    # all three at once
    assert 'Pebble' in machine.issuer('three.test') and machine.names('one.test') == sorted(THREE)


def pair(folder, names, days=30, fits=True, garbage=''):
    """A certificate and a key as the user's own files; `garbage` is the name of one that is none."""
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


def test_the_users_own_files(machine, tmp_path):
    with machine.load('acme to own files') as result:
        status, output = machine.run(**pair(tmp_path, ['one.test', '*.test']), flask_app_domains=THREE)
    assert status == 0, output
    unhurt(result)
    assert machine.issuer('three.test') == 'CN=own'
    # a new pair under the same names; and not even who wants to see all sees its key
    status, output = machine.run('-vvv', '--diff', **pair(tmp_path, THREE), flask_app_domains=THREE)
    assert status == 0, output
    assert machine.names('one.test') == sorted(THREE)
    assert not [line for line in (tmp_path / 'key.pem').read_text().splitlines()[1:-1] if line in output]


@pytest.mark.parametrize(
    'flaw, says',
    [
        ({'fits': False}, 'tls_key: '),
        ({'days': -1}, 'expired at'),
        ({'names': ['one.test']}, 'not for two.test'),
        ({'garbage': 'certificate.pem'}, 'must have a certificate in PEM'),
        ({'garbage': 'key.pem'}, 'its key in PEM'),
    ],
)
def test_files_that_do_not_fit_are_refused_before_the_host_is_touched(machine, tmp_path, flaw, says):
    status, output = machine.run(**pair(tmp_path, **{'names': THREE, **flaw}), flask_app_domains=THREE)
    assert status == 2 and says in output
    assert 'Look at the host' not in output
    assert machine.ask('one.test')[0] == 200


NGINX_FILES = 'find /etc/nginx -type f -exec sha256sum {} + | sort'


def test_ciphers_that_do_not_exist_are_refused_and_nginx_restarts(machine, root, tmp_path):
    before = root(NGINX_FILES)
    status, output = machine.run(**pair(tmp_path, THREE), flask_app_domains=THREE, nginx_tls_ciphers=['NO-SUCH-CIPHER'])
    assert status == 2 and 'SSL_CTX_set_cipher_list("NO-SUCH-CIPHER") failed' in output
    assert root(NGINX_FILES) == before
    root('systemctl restart nginx')
    assert machine.ask('one.test')[0] == 200


def test_tls_goes_without_a_lost_request(machine, root):
    with machine.load('own files to none', tls=False) as result:
        status, output = machine.run(tls_mode='none')
    assert status == 0, output
    unhurt(result)
    assert result['releases'].keys() == {'moved', 'one'}, json.dumps(result)
    assert root('ls -d /etc/ssl/flask-host/flaskrandom /var/lib/flask-host/acme/flaskrandom /etc/letsencrypt/live/flask-flaskrandom 2>/dev/null || true') == ''
    assert ':443 ' not in root('ss -ltn')


def test_a_site_that_nginx_would_not_read_is_refused_and_nginx_restarts(machine, root):
    before = root(NGINX_FILES)
    status, output = machine.run(tls_mode='none', nginx_headers={'X-Long': 'a' * 5000})
    assert status == 2 and 'too long parameter' in output
    assert root(NGINX_FILES) == before
    root('systemctl restart nginx')
    assert machine.ask('one.test', tls=False)[0] == 200
