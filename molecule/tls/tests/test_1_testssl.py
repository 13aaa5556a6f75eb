"""What testssl.sh finds, from a second machine."""

import json

import pytest
from conftest import FACTS
from second_machine import second_machine

# The ACME server's root, as whoever connects would trust it; it makes a new one at every start.
ROOT = """python3 -c 'import ssl, urllib.request as r
print(r.urlopen("https://127.0.0.1:15000/roots/0", context=ssl._create_unverified_context()).read().decode())'"""

ACCEPTED = {'cert_extlifeSpan': 'this ACME server of the tests gives five years, a public one 90 days'}


@pytest.fixture
def scanner():
    with second_machine(FACTS) as machine:
        machine.install('testssl.sh')
        yield machine


def test_nothing_of_medium_severity_and_the_best_grade(scanner, root):
    scanner.run('tee', '/root.pem', stdin=root(ROOT))
    address = scanner.run('getent', 'ahostsv4', 'app').split()[0]
    options = ['--quiet', '--warnings=off', '--color=0', '--add-ca=/root.pem', f'--ip={address}', '--jsonfile=/findings.json']
    # its exit status counts what it found odd
    said = scanner.run('timeout', '400', 'testssl', *options, 'one.test:443', check=False)
    findings = json.loads(scanner.run('cat', '/findings.json'))
    bad = [finding for finding in findings if finding['severity'] in ('MEDIUM', 'HIGH', 'CRITICAL', 'FATAL')]
    assert [finding for finding in bad if finding['id'] not in ACCEPTED] == [], said
    by_id = {finding['id']: finding for finding in findings}
    assert by_id['overall_grade']['finding'] == 'A+', said
    # so it was a whole scan, of a chain that it trusts
    assert by_id['cert_chain_of_trust']['finding'] == 'passed.' and by_id['TLS1_3']['severity'] == by_id['heartbleed']['severity'] == 'OK'
