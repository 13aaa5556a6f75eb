"""A removal leaves only what is explained here, and costs another site on the machine no request."""

import json
import re

import pytest
from conftest import listing
from machine import play

# Patterns of what may differ from before the first run, and why.
EXPLAINED = {
    r'/var/(cache|lib)/apt/': "apt's lists and downloads",
    r'/var/lib/dpkg/': "dpkg's own records",
    r'/var/backups/': "Debian's backups of dpkg's records, at midnight",
    r'/var/lib/ucf/': "ucf's records of configuration files, with backups",
    r'/var/cache/(debconf|ldconfig)/|/etc/ld\.so\.cache$': 'caches that package installation writes',
    r'/var/log/': 'logs',
    r'/var/www(/|$)': "nginx's package creates it and leaves it when purged",
    r'/etc/(passwd|group|shadow|gshadow|subuid|subgid)-$': 'backups of the account files',
    r'/etc/\.pwd\.lock$': 'the lock of the account files',
    r'/var/lib/systemd/': "systemd's records of timers and enabled units",
}
# Patterns of what stays with the data unless remove_data is set.
DATA = {
    r'/srv/flaskrandom(/shared(/.*)?)?$': 'the data',
    r'/srv/flaskrandom/history\.json$': 'records the init commands, which must not run again',
    r'account flaskrandom$|/etc/(passwd|group|shadow|gshadow)$': 'the owner of the data',
    r'/var/lib/flask-host(/accounts)?$': 'the record that the account belongs to the data',
}


@pytest.fixture(scope='module')
def removed(machines, load):
    """Removes the app under load on the other site; returns the Run and the load's figures."""
    with load('removal beside another site', machines['shared'].url, '--rate=100') as figures:
        run = play('remove.yml')
    return run, figures


def differences(root, *explained):
    """Returns what differs from before the first run and is not explained: before and now by name."""
    before, after = json.loads(root('cat /root/before.json')), listing(root)
    patterns = [pattern for patterns in explained for pattern in patterns]
    names = [name for name in sorted(before | after) if not any(re.match(pattern, name) for pattern in patterns)]
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def test_the_removal_costs_another_site_no_request(removed):
    assert removed[1]['failed'] == 0 and removed[1]['requests'] > 500, removed[1]


def test_only_explained_files_remain(removed, root):
    assert differences(root, EXPLAINED, DATA) == {}


def test_a_second_removal_changes_nothing(removed):
    assert play('remove.yml').changed == {'app': 0, 'shared': 0}


def test_data_is_removed_on_request(removed, host, root):
    assert root('ls /srv/flaskrandom').split() == ['history.json', 'shared']
    play('remove.yml', f'--limit={host.backend.host}', '-e', '{"remove_data": true}')
    assert differences(root, EXPLAINED) == {}
