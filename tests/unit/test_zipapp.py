"""The release tool's archive depends on nothing but the package, and starts without what others could have put in its way."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible import constants

ROLE = Path(__file__).parents[2] / 'roles/flask-app'


@pytest.fixture(scope='module')
def plugin():
    spec = importlib.util.spec_from_file_location('zipapp_action', ROLE.parents[1] / 'plugins/action/zipapp.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def package(tmp_path):
    return Path(shutil.copytree(ROLE / 'files/release', tmp_path / 'release', ignore=shutil.ignore_patterns('__pycache__')))


def test_same_files_same_bytes(plugin, package):
    before = plugin.pack(package, 'cli:main')
    (package / '__pycache__').mkdir()
    (package / '__pycache__/cli.pyc').write_bytes(b'x')
    (package / 'notes.txt').write_text('x')
    for path in package.iterdir():
        os.utime(path, (1, 1))
    (package / 'cli.py').chmod(0o600)
    assert plugin.pack(package, 'cli:main') == before == plugin.pack(ROLE / 'files/release', 'cli:main')


def test_every_change_shows(plugin, package):
    before = plugin.pack(package, 'cli:main')
    assert plugin.pack(package, 'cli:other') != before
    (package / 'errors.py').write_text('x = 1\n')
    assert plugin.pack(package, 'cli:main') != before


def test_nothing_is_imported_from_elsewhere(plugin, package, tmp_path):
    archive = tmp_path / 'shop-release'
    archive.write_bytes(plugin.pack(package, 'cli:main'))
    assert archive.read_bytes().startswith(b'#!/usr/bin/python3 -IS\n')
    folder = tmp_path / 'elsewhere'
    folder.mkdir()
    for name in ['argparse', 'release', 'json', 'sitecustomize']:
        (folder / f'{name}.py').write_text('raise SystemExit(99)\n')
    command = [sys.executable, '-IS', str(archive), '--help']
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env={'PYTHONPATH': str(folder)})
    assert done.returncode == 0, done.stderr
    assert 'shop-release activate ID' in done.stdout


def test_the_action_writes_it_on_the_controller(plugin, package, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, 'DEFAULT_LOCAL_TMP', str(tmp_path))
    task = SimpleNamespace(args={'package': str(package), 'main': 'cli:main'}, async_val=0, check_mode=False)
    action = plugin.ActionModule(task, None, SimpleNamespace(check_mode=False), None, None, None)
    action._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    result = action.run()
    assert result['changed'] is False and Path(result['path']).read_bytes() == plugin.pack(package, 'cli:main')
