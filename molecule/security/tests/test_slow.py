"""1000 slow clients of slowhttptest on a second machine, beside ordinary ones."""

import json
import re
import subprocess
import sys
import time

import pytest

SECONDS = 20
# Prints the number of answers with status 200, the other results, and the longest time in seconds.
ORDINARY = """
import http.client, json, sys, time
host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
served, others, longest, end = 0, [], 0, time.monotonic() + seconds
while time.monotonic() < end:
    start = time.monotonic()
    try:
        connection = http.client.HTTPConnection(host, port, timeout=10)
        connection.request('GET', '/')
        status = connection.getresponse().status
        connection.close()
    except OSError as error:
        status = repr(error)
    longest = max(longest, time.monotonic() - start)
    if status == 200:
        served += 1
    else:
        others.append(status)
    time.sleep(0.05)
print(json.dumps([served, others, longest]))
"""


@pytest.fixture(scope='module')
def slowhttptest(second_machine):
    """Starts slowhttptest with options."""
    second_machine.install('slowhttptest')

    def start(*options):
        return second_machine.start('slowhttptest', *options, '-c1000', '-r200', f'-l{SECONDS}', '-p3', '-uhttp://app/')

    return start


@pytest.mark.parametrize(
    'options',
    [
        pytest.param(['-H', '-i10', '-x24'], id='slow headers'),
        pytest.param(['-B', '-i10', '-x10', '-s8192'], id='slow body'),
        pytest.param(['-X', '-k3', '-w1', '-y1', '-z1', '-n5'], id='slow read'),
    ],
)
def test_ordinary_requests_are_answered_beside_1000_slow_clients(machine, second_machine, slowhttptest, options):
    attack = slowhttptest(*options)
    time.sleep(3)
    # from the attacker's address, and from another
    arguments = [str(SECONDS - 4)]
    same = second_machine.start('python3', '-', 'app', '80', *arguments, stdin=ORDINARY)
    command = [sys.executable, '-c', ORDINARY, '127.0.0.1', str(machine.facts['http_port']), *arguments]
    other = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    connected = [int(count) for count in re.findall(r'connected:\D*?(\d+)\s', re.sub(r'\x1b\[[\d;]*m', '', attack.communicate()[0]))]
    assert max(connected) > 900
    for served, others, longest in map(json.loads, [same.communicate()[0], other]):
        assert served >= 100 and others == []
        assert longest < 1
