"""Protocols, certificates by name, redirects and OCSP stapling, as clients see them."""

import http.client
import json
import ssl

import pytest

TLS = ssl.TLSVersion


@pytest.mark.parametrize('version', [TLS.TLSv1, TLS.TLSv1_1])
def test_old_versions_of_tls_are_refused(machine, version):
    with pytest.raises(ssl.SSLError) as refused:
        machine.handshake('one.test', version, version)
    assert refused.value.reason == 'TLSV1_ALERT_PROTOCOL_VERSION'


@pytest.mark.parametrize('version', [TLS.TLSv1_2, TLS.TLSv1_3])
@pytest.mark.parametrize('name', ['one.test', 'two.test'])
def test_current_versions_of_tls_offer_http2(machine, version, name):
    with machine.handshake(name, version, version) as connection:
        assert connection.selected_alpn_protocol() == 'h2'
        assert connection.cipher()[0].startswith(('TLS_', 'ECDHE'))


def test_the_certificate_is_from_the_acme_server(machine):
    assert machine.names('one.test') == machine.names('two.test') == ['one.test', 'two.test']
    assert 'Pebble' in machine.issuer('one.test')


@pytest.mark.parametrize('name', ['other.test', None])
def test_other_names_and_addresses_get_neither_certificate_nor_content(machine, name):
    assert machine.names(name) == ['invalid']
    with pytest.raises((http.client.BadStatusLine, ConnectionError)):
        machine.ask_tls(name, host=name or '127.0.0.1')
    with pytest.raises((http.client.BadStatusLine, ConnectionError)):
        machine.ask_tls('one.test', host=name or '127.0.0.1')


def test_the_app_answers_with_strict_transport_security(machine):
    status, headers, body = machine.ask_tls('two.test')
    assert status == 200 and '"release"' in body
    assert headers['strict-transport-security'] == 'max-age=31536000'


@pytest.mark.parametrize('host', ['one.test', 'two.test'])
def test_plain_http_redirects_to_https(machine, host):
    status, headers, _ = machine.ask('/a?b=c', host=host)
    assert (status, headers['location']) == (301, f'https://{host}/a?b=c')
    assert 'strict-transport-security' not in headers


@pytest.mark.parametrize('host', ['other.test', '127.0.0.1'])
def test_plain_http_by_other_names_and_addresses_is_not_found(machine, host):
    status, headers, body = machine.ask('/a?b=c', host=host)
    assert status == 404 and 'location' not in headers and '"release"' not in body
    assert json.loads(body) == {'error': 'Not Found', 'status': 404}


def test_the_acme_challenge_is_served_over_plain_http(machine, root):
    root('mkdir -p /var/lib/flask-host/acme/flaskrandom/.well-known/acme-challenge')
    root('echo proof >/var/lib/flask-host/acme/flaskrandom/.well-known/acme-challenge/test')
    try:
        assert machine.ask('/.well-known/acme-challenge/test', host='one.test')[::2] == (200, 'proof\n')
    finally:
        root('rm -r /var/lib/flask-host/acme/flaskrandom/.well-known')


RESPONDER = """
cd /etc/pebble
for what in intermediates intermediate-keys; do
  python3 -c 'import ssl, sys, urllib.request as r
url, context = "https://127.0.0.1:15000/" + sys.argv[1] + "/0", ssl._create_unverified_context()
print(r.urlopen(url, context=context).read().decode())' $what >$what.pem
done
serial=$(openssl x509 -in /etc/ssl/flask-host/flaskrandom/site.pem -noout -serial | cut -d= -f2)
printf 'V\\t400101000000Z\\t\\t%s\\tunknown\\t/CN=x\\n' $serial >index
systemd-run --quiet --unit=ocsp -p WorkingDirectory=/etc/pebble \\
  openssl ocsp -port 8889 -index index -CA intermediates.pem -rsigner intermediates.pem -rkey intermediate-keys.pem -nmin 60
sleep 1
systemctl reload nginx
for _ in $(seq 10); do
  echo | openssl s_client -connect 127.0.0.1:443 -servername one.test -status 2>&1 | grep 'OCSP Response Status' && break
  sleep 1
done
systemctl stop ocsp
"""


def test_the_ocsp_response_is_stapled(root):
    assert 'successful' in root(RESPONDER)


def test_the_local_port_is_plain_http(host):
    ask = 'import urllib.request as r; print(r.urlopen("http://127.0.0.1:5000/").read())'
    assert '"release"' in host.check_output('python3 -c %s', ask)


def test_only_root_reads_the_keys(root):
    assert root('stat -c "%U %a" /etc/ssl/flask-host/flaskrandom') == 'root 700'
    assert set(root('stat -c "%U %a" /etc/ssl/flask-host/flaskrandom/*').splitlines()) == {'root 600'}


def test_certificates_are_renewed_by_a_timer(host):
    assert host.service('certbot.timer').is_enabled and host.service('certbot.timer').is_running
