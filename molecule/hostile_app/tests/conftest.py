"""The fixtures of the acts."""

import pytest
from victim import Victim

pytest_plugins = ['machine']


@pytest.fixture(scope='session')
def folder(tmp_path_factory):
    """The folder of the apps that are deployed."""
    return tmp_path_factory.mktemp('hostile')


@pytest.fixture(scope='module')
def victim(host, folder):
    """The machine with the hostile app."""
    victim = Victim(host, folder)
    victim.prepare()
    first = victim.playbook('tame')
    assert first.status == 0, first.output
    return victim
