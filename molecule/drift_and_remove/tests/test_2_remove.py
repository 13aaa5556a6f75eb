"""What the playbook made goes; what remains is explained, and what others serve goes on without a failed request."""

import json
import re

import pytest
from conftest import FACTS, listing, play

# What differs from before, and why.
EXPLAINED = {
    r'/var/(cache|lib)/apt/': "apt's lists and downloads",
    r'/var/lib/dpkg/': "dpkg's own record",
    r'/var/lib/ucf/': "the record of files that packages configure, with its older versions",
    r'/var/cache/(debconf|ldconfig)/|/etc/ld\.so\.cache$': 'made anew by packages that come and go',
    r'/var/log/': 'logs, which tell what happened',
    r'/var/www(/|$)': "nginx's package makes it, and leaves it when it is purged",
    r'/etc/(passwd|group|shadow|gshadow|subuid|subgid)-$': 'the backup of the list of accounts as it was before the last change',
    r'/etc/\.pwd\.lock$': 'the lock of the list of accounts',
    r'/var/lib/systemd/': "systemd's own record of timers and of what was enabled",
}
# What stays with data that nobody asked to remove.
DATA = {
    r'/srv/flaskrandom(/shared(/.*)?)?$': 'the data',
    r'/srv/flaskrandom/history\.json$': 'which init commands must not run again',
    r'account flaskrandom$|/etc/(passwd|group|shadow|gshadow)$': 'the account that the data belongs to',
    r'/var/lib/flask-host(/accounts)?$': 'the note that the account goes with the data',
}


@pytest.fixture(scope='module')
def removed(load):
    """The removal under load on the other site: how much it changed, and what became of the requests."""
    with load('removal beside another site', f'http://127.0.0.1:{FACTS["shared"]["http_port"]}', '--rate=100') as figures:
        changed, _ = play('remove.yml')
    return changed, figures


def differences(bash, *explained):
    """What differs from before and is not explained, name to before and now."""
    before, after = json.loads(bash('cat /root/before.json')), listing(bash)
    patterns = [pattern for patterns in explained for pattern in patterns]
    names = [name for name in sorted(before | after) if not any(re.match(pattern, name) for pattern in patterns)]
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def test_others_were_served_without_a_failed_request(removed):
    assert removed[1]['failed'] == 0 and removed[1]['requests'] > 500, removed[1]


def test_what_remains_is_explained(removed, bash):
    assert differences(bash, EXPLAINED, DATA) == {}


def test_a_second_removal_changes_nothing(removed):
    assert play('remove.yml')[0] == {'app': 0, 'shared': 0}


def test_data_goes_when_asked(removed, host, bash):
    assert bash('ls /srv/flaskrandom').split() == ['history.json', 'shared']
    play('remove.yml', f'--limit={host.backend.host}', '-e', '{"remove_data": true}')
    assert differences(bash, EXPLAINED) == {}
