"""Only ssh, nginx and the ports in firewall_allow are reachable from another machine."""

import pytest


@pytest.mark.parametrize('family', ['inet', 'inet6'])
def test_only_allowed_ports_are_reachable(scan, family):
    states = scan(family)
    assert {port for port, state in states.items() if state == 'open'} == {22, 80, 9000}
    # allowed, but no server listens
    assert {port for port, state in states.items() if state == 'ConnectionRefusedError'} == {9001}
