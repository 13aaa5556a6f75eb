"""From another machine nothing answers but ssh, nginx and what a variable lets in."""

import pytest


@pytest.mark.parametrize('family', ['inet', 'inet6'])
def test_only_what_must_be_reached_answers(reached, family):
    states = reached(family)
    assert {port for port, state in states.items() if state == 'open'} == {22, 80, 9000}
    # let in, but nobody is there
    assert {port for port, state in states.items() if state == 'ConnectionRefusedError'} == {9001}
