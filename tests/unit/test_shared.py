"""What releases share: a name means the same on every computer, and a file has a folder of its own."""

import sqlite3

import pytest
from load_plugin import load

plugin = load('plugins/filter/shared.py')


@pytest.mark.parametrize('name', ['app.db', 'data/x.sqlite3', '.env.local', 'a.b.json'])
def test_a_name_with_a_suffix_is_a_file(name):
    assert plugin.is_file(name)


@pytest.mark.parametrize('name', ['instance', '.data', 'static/v1.0', 'conf.d/', 'a.b/c', 'v1.2.3', '.cache/'])
def test_any_other_name_is_a_folder(name):
    assert not plugin.is_file(name)


def test_where_they_are():
    assert plugin.paths(['instance/', 'app.db', 'data/x.db']) == [
        {'name': 'instance', 'folder': 'instance', 'path': 'instance'},
        {'name': 'app.db', 'folder': '.files/app.db', 'path': '.files/app.db/app.db'},
        {'name': 'data/x.db', 'folder': '.files/data:x.db', 'path': '.files/data:x.db/x.db'},
    ]


@pytest.mark.parametrize('names, says', [(['a', '../b'], '../b'), (['/srv'], '/srv'), (['a b'], 'a b'), ([''], "got ''"),
                                         (['a//b'], 'a//b'),
                                         (['lib/x'], 'lib/x'), (['.files'], '.files'), (['.flaskenv'], '.flaskenv'),
                                         (['a', 'b', 'a/c.db'], 'a/c.db'), (['a', 'a/'], "'a'"), (['.'], "'.'")])  # fmt: skip
def test_wrong_names_are_shown(names, says):
    found = plugin.errors(names)
    assert len(found) == 1 and says in found[0] and 'flask_app_shared' in found[0]


def test_right_names():
    assert plugin.errors(['instance', '.data', 'a/b', 'a/c.db', 'library', 'binary.db', 'conf.d/']) == []


def test_a_name_that_the_apps_folder_contradicts(tmp_path):
    (tmp_path / 'conf.d').mkdir()
    (tmp_path / 'database').touch()
    found = plugin.mismatches(['conf.d', 'database', 'conf.d/', 'app.db', 'instance'], str(tmp_path))
    assert len(found) == 2 and "Write 'conf.d/'" in found[0] and "'database' means a folder" in found[1]


def test_sqlite_puts_its_journal_beside_the_file_and_not_into_the_release(tmp_path):
    """What docs/app.md promises, with this computer's sqlite."""
    (shared := tmp_path / 'shared').mkdir()
    (release := tmp_path / 'release').mkdir()
    (release / 'app.db').symlink_to(shared / 'app.db')
    with sqlite3.connect(release / 'app.db') as database:
        database.execute('pragma journal_mode=wal')
        database.execute('create table t (x)')
        assert {path.name for path in shared.iterdir()} == {'app.db', 'app.db-wal', 'app.db-shm'}
    assert [path.name for path in release.iterdir()] == ['app.db']
