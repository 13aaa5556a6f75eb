"""From another machine nothing answers but ssh, nginx and what a variable lets in."""

import json

import pytest

SCAN = """
import json, socket, sys, time
from concurrent.futures import ThreadPoolExecutor
family, *_, address = socket.getaddrinfo(sys.argv[1], 0, type=socket.SOCK_STREAM)[0]
def state(port):
    with socket.socket(family) as s:
        s.settimeout(1)
        try:
            s.connect((address[0], port, *address[2:]))
            return port, 'open'
        except socket.timeout:
            return port, 'silent'
        except OSError as error:
            return port, type(error).__name__
# a new machine takes a moment until it may use its IPv6 address
deadline = time.monotonic() + 10
while state(22)[1] != 'open' and time.monotonic() < deadline:
    time.sleep(0.2)
with ThreadPoolExecutor(1000) as pool:
    print(json.dumps(list(pool.map(state, range(1, 65536)))))
"""


@pytest.fixture
def listener(host):
    """Servers that somebody left open to the world, one of them at a port that a variable lets in."""
    start = 'sudo systemd-run --unit=open-%s python3 -m http.server %s --bind ::'
    for port in (9000, 9999):
        host.run_expect([0], start % (port, port))
    host.run_expect([0], "timeout 10 sh -c 'until ss -ltn | grep -q :9000 && ss -ltn | grep -q :9999; do sleep 0.2; done'")
    yield
    host.run_expect([0], 'sudo systemctl stop open-9000 open-9999')


@pytest.mark.parametrize('family', ['inet', 'inet6'])
def test_only_what_must_be_reached_answers(host, neighbour, listener, family):
    address = host.check_output('ip -o -f %s address show dev eth0', family).split()[3].split('/')[0]
    states = dict(json.loads(neighbour.run('python3', '-', address + ('%eth0' if address.startswith('fe80') else ''), stdin=SCAN)))
    assert {port for port, state in states.items() if state == 'open'} == {22, 80, 9000}
    # let in, but nobody is there
    assert {port for port, state in states.items() if state == 'ConnectionRefusedError'} == {9001}


def test_the_firewall_is_back_after_a_restart(host):
    assert host.service('ufw').is_enabled
    assert host.check_output('grep ^ENABLED= /etc/ufw/ufw.conf') == 'ENABLED=yes'
