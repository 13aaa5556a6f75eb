"""A release's archive depends on nothing but what is in it."""

import importlib.util
import io
import os
import tarfile
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleActionFail

PLUGIN = Path(__file__).parents[2] / 'plugins/action/release_archive.py'


@pytest.fixture(scope='module')
def plugin():
    spec = importlib.util.spec_from_file_location('release_archive', PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def app(tmp_path):
    for name, text in {'app.py': 'app', 'static/a.css': 'css', 'instance/x.db': 'db', 'static/instance/y': 'y'}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def names(plugin, app, exclude=(), replaced=()):
    return [str(path) for path in plugin.source_files(app, list(exclude), set(replaced))[0]]


def packed(plugin, app, contents=None, links=None):
    return plugin.pack(app, plugin.source_files(app, [], set())[0], contents or {}, links or {})


def test_a_shared_folder_hides_no_other_of_its_name(plugin, app):
    found = names(plugin, app, replaced=['instance'])
    # folders of its path are left out, those of its name elsewhere are not
    assert sorted(found) == ['app.py', 'static/a.css', 'static/instance/y']


@pytest.mark.parametrize('pattern', ['*.css', 'static/a.css', 'a.*'])
def test_patterns_match_names_and_paths(plugin, app, pattern):
    assert 'static/a.css' not in names(plugin, app, exclude=[pattern])


def test_scripts_in_place_of_the_links_stay_behind(plugin, app):
    (app / 'bin').mkdir()
    (app / 'bin/start').write_text('exec gunicorn')
    files = [Path('app.py'), Path('bin/start')]
    assert plugin.beside_links(app, files, {'bin', 'lib'}) == ([Path('app.py')], ['bin'])
    assert plugin.beside_links(app, files, set()) == (files, [])


@pytest.mark.parametrize('name', ['bin/__init__.py', 'lib/shop.py', 'pyvenv.cfg'])
def test_code_in_place_of_the_links_is_refused(plugin, app, name):
    (app / name).parent.mkdir(exist_ok=True)
    (app / name).write_text('')
    with pytest.raises(AnsibleActionFail, match=f'has {Path(name).parts[0]} at its top'):
        plugin.beside_links(app, [Path(name)], {'bin', 'lib', 'pyvenv.cfg'})


DEFAULTS = yaml.safe_load((PLUGIN.parents[2] / 'roles/flask-app/defaults/main.yml').read_text())['flask_app_exclude']
DEVELOPERS = [
    '.env', '.env.local', 'instance/x.db', 'app.db', 'app.db-wal', 'data.sqlite3', 'logs/today', 'error.log', 'error.log.1', 'tls.key',
    'tls.pem', 'venv/pyvenv.cfg', 'node_modules/x', 'id_rsa',
]  # fmt: skip


@pytest.mark.parametrize('name', DEVELOPERS)
def test_secrets_and_data_of_a_developer_are_left_out_and_named(plugin, app, name):
    path = app / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    packed, left_out = plugin.source_files(app, DEFAULTS, set())
    assert name not in map(str, packed)
    assert {name, name.partition('/')[0]} & set(map(str, left_out))


def test_code_is_not_left_out(plugin, app):
    for name in (
        'logs.py',
        'environment.py',
        '.flaskenv',
        'db.py',
        'keys.py',
        'dbase/app.py',
        'shop/logs/views.py',
        'shop/instance/views.py',
    ):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).touch()
    assert set(names(plugin, app, exclude=DEFAULTS)) >= {
        'logs.py',
        'environment.py',
        '.flaskenv',
        'db.py',
        'keys.py',
        'dbase/app.py',
        'shop/logs/views.py',
        'shop/instance/views.py',
    }


def test_caches_and_shared_folders_are_not_named(plugin, app):
    for name in ('__pycache__/app.pyc', '.git/config', 'a.pyc', '.DS_Store'):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).touch()
    assert plugin.source_files(app, DEFAULTS, {'instance'})[1] == []


def test_same_files_same_bytes(plugin, app):
    before = packed(plugin, app)
    os.utime(app / 'app.py', (1, 1))
    (app / 'app.py').chmod(0o600)
    assert packed(plugin, app) == before


@pytest.mark.parametrize('change', ['text', 'name', 'execute', 'content', 'link'])
def test_every_change_shows(plugin, app, change):
    before = packed(plugin, app, {'s': '1'}, {'bin': '/a'})
    if change == 'text':
        (app / 'app.py').write_text('apq')
    if change == 'name':
        (app / 'app.py').rename(app / 'app2.py')
    if change == 'execute':
        (app / 'app.py').chmod(0o755)
    after = packed(plugin, app, {'s': '2' if change == 'content' else '1'}, {'bin': '/b' if change == 'link' else '/a'})
    assert after != before


def test_members_belong_to_root_and_are_readable(plugin, app):
    (app / 'app.py').chmod(0o600)
    (app / 'run').write_text('#!/bin/sh\n')
    (app / 'run').chmod(0o700)
    with tarfile.open(fileobj=io.BytesIO(packed(plugin, app, {'app.py': 'other'}, {'bin': '/venv/bin'}))) as archive:
        members = {member.name: member for member in archive}
        assert archive.extractfile('app.py').read() == b'other'
    assert all((member.uid, member.gid, member.uname) == (0, 0, 'root') for member in members.values())
    assert (members['app.py'].mode, members['run'].mode, members['static'].mode) == (0o644, 0o755, 0o755)
    assert members['bin'].linkname == '/venv/bin'


def test_links_that_would_lead_nowhere_are_refused(plugin, app):
    for target in ('../elsewhere', str(app / 'app.py')):
        (app / 'link').symlink_to(target)
        with pytest.raises(AnsibleActionFail, match='link'):
            names(plugin, app)
        (app / 'link').unlink()
    (app / 'link').symlink_to('app.py')
    assert 'link' in names(plugin, app)


def test_an_unreadable_file_is_refused(plugin, app):
    (app / 'app.py').chmod(0)
    with pytest.raises(AnsibleActionFail, match='not readable'):
        names(plugin, app)


def test_a_socket_is_refused(plugin, app):
    os.mkfifo(app / 'pipe')
    with pytest.raises(AnsibleActionFail, match='neither'):
        names(plugin, app)
