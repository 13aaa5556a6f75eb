"""What testssl.sh finds, from a second machine."""

import json

import pytest
from conftest import FACTS
from second_machine import second_machine

# The ACME server's root, as whoever connects trusts it; pebble makes a new one at every start.
FETCH = """
import ssl, urllib.request
print(urllib.request.urlopen('https://127.0.0.1:15000/roots/0', context=ssl._create_unverified_context()).read().decode())
"""

ACCEPTED = {'cert_extlifeSpan': 'this ACME server of the tests gives five years, a public one 90 days'}


@pytest.fixture(scope='module')
def testssl():
    with second_machine(FACTS) as machine:
        machine.install('testssl.sh')

        def scan(root):
            machine.run('tee', '/root.pem', stdin=root)
            address = machine.run('getent', 'ahostsv4', 'app').split()[0]
            options = ['--quiet', '--warnings=off', '--color=0', '--add-ca=/root.pem', f'--ip={address}', '--jsonfile=/findings.json']
            # its exit status is a count of what it found odd
            said = machine.run('timeout', '400', 'testssl', *options, 'one.test:443', check=False)
            return said, {finding['id']: finding for finding in json.loads(machine.run('cat', '/findings.json'))}

        yield scan


def test_nothing_of_medium_severity_and_the_best_grade(testssl, root):
    said, findings = testssl(root(f"python3 -c '{FETCH.replace(chr(39), chr(34))}'"))
    bad = [name for name, finding in findings.items() if finding['severity'] in ('MEDIUM', 'HIGH', 'CRITICAL', 'FATAL')]
    assert [name for name in bad if name not in ACCEPTED] == [], said
    assert findings['overall_grade']['finding'] == 'A+', said
    # the figures are of a whole scan, with a chain that it trusts
    assert findings['chain_of_trust']['severity'] == findings['TLS1_2']['severity'] == findings['heartbleed']['severity'] == 'OK'
