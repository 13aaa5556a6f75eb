"""What the host knows of its releases outlives interruptions, and says when it is damaged."""

import json
import os

import pytest
from release.errors import Failure
from release.history import History


@pytest.fixture
def path(folder):
    return folder / 'history.json'


def test_a_history_is_read_as_written(path):
    history = History(path)
    assert (history.served, history.releases, history.initialized) == ([], {}, [])
    history.initialized.append('flask init-db')
    history.record('a', prepared=True)
    history.record('a', manifest=5)
    history.record_served(['a'], revision='好')
    again = History(path)
    assert again.served == ['a'] and again.initialized == ['flask init-db']
    assert again.facts('a') == {'prepared': True, 'manifest': 5, 'revision': '好', 'has_served': True, 'at': again.facts('a')['at']}
    assert again.facts('b') == {}


def test_only_root_reads_the_history(path):
    before = os.umask(0)
    History(path).save()
    os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(str(path.parent)) == ['history.json']


def test_a_release_that_served_is_no_longer_failed(path):
    history = History(path)
    history.record('a', failed='status 500')
    assert history.has_failed('a') and not history.has_served('a')
    history.record_served(['a'])
    assert not history.has_failed('a') and history.has_served('a')
    history.record_served(['b'])
    assert History(path).has_served('a')


def test_releases_in_an_old_history_have_served(path):
    # a history of before `has_served` was written
    path.write_text(json.dumps({'served': ['a'], 'releases': {}, 'initialized': []}))
    assert History(path).has_served('a') and not History(path).has_failed('a')


DAMAGED = [
    b'',
    b'{"served": ["a"], "rel',
    b'\xff\xfe',
    b'\x00' * 100,
    b'[]',
    b'null',
    b'3',
    b'{}',
    b'{"served": []}',
    b'{"served": [], "releases": {}}',
    b'{"served": null, "releases": {}, "initialized": []}',
    b'{"served": [], "releases": [], "initialized": []}',
    b'{"served": [], "releases": {"a": 1}, "initialized": []}',
    b'{"served": [], "releases": {}, "initialized": "x"}',
    b'{"served": [1], "releases": {}, "initialized": []}',
]


@pytest.mark.parametrize('text', DAMAGED)
def test_damage_is_reported_and_nothing_is_lost(path, text):
    path.write_bytes(text)
    with pytest.raises(Failure) as caught:
        History(path)
    assert '{} is damaged'.format(path) in str(caught.value) and 'Repair it, or remove it' in str(caught.value)
    assert path.read_bytes() == text


def test_an_interruption_leaves_the_history_unchanged(path, monkeypatch):
    history = History(path)
    history.record('a', at='today')

    def fails(descriptor):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', fails)
    with pytest.raises(OSError):
        history.record('b', at='now')
    monkeypatch.undo()
    assert list(History(path).releases) == ['a']
    history.save()
    assert os.listdir(str(path.parent)) == ['history.json']
