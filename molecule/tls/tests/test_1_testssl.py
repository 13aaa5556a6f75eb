"""testssl.sh on a second machine finds no weakness."""

import json

import pytest

# Prints the ACME server's root certificate, which is a new one after every start.
ROOT = """python3 -c 'import ssl, urllib.request as r
print(r.urlopen("https://127.0.0.1:15000/roots/0", context=ssl._create_unverified_context()).read().decode())'"""

ACCEPTED = {'cert_extlifeSpan': 'the ACME server of the tests issues for five years, a public one for 90 days'}


@pytest.fixture
def scanner(second_machine):
    """The second machine with testssl.sh."""
    second_machine.install('testssl.sh')
    return second_machine


def test_testssl_finds_nothing_of_medium_severity_and_gives_the_best_grade(scanner, root):
    scanner.run('tee', '/root.pem', stdin=root(ROOT))
    address = scanner.run('getent', 'ahostsv4', 'app').split()[0]
    options = ['--quiet', '--warnings=off', '--color=0', '--add-ca=/root.pem', f'--ip={address}', '--jsonfile=/findings.json']
    # its exit status counts its findings
    report = scanner.run('timeout', '400', 'testssl', *options, 'one.test:443', check=False)
    findings = json.loads(scanner.run('cat', '/findings.json'))
    bad = [finding for finding in findings if finding['severity'] in ('MEDIUM', 'HIGH', 'CRITICAL', 'FATAL')]
    assert [finding for finding in bad if finding['id'] not in ACCEPTED] == [], report
    by_id = {finding['id']: finding for finding in findings}
    assert by_id['overall_grade']['finding'] == 'A+', report
    # proves that the scan was complete and trusted the chain
    assert by_id['cert_chain_of_trust']['finding'] == 'passed.' and by_id['TLS1_3']['severity'] == by_id['heartbleed']['severity'] == 'OK'
