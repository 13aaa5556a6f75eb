"""The module that notes what is in a folder finds each change to it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = Path(__file__).parents[2] / 'library/manifest.py'


def run(path, **options):
    """Runs the module; returns what it answers."""
    arguments = json.dumps({'ANSIBLE_MODULE_ARGS': {'path': str(path), **options}})
    done = subprocess.run([sys.executable, MODULE], input=arguments, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture
def tree(tmp_path):
    """A folder with a manifest."""
    (tmp_path / 'package').mkdir()
    (tmp_path / 'package/module.py').write_text('one = 1\n')
    (tmp_path / 'package/other.py').write_text('two = 2\n')
    (tmp_path / 'link').symlink_to('package')
    assert run(tmp_path, write=True)['changed']
    return tmp_path


def edit(tree):
    (tree / 'package/module.py').write_text('one = 2\n')


def loosen(tree):
    (tree / 'package/module.py').chmod(0o666)


def add(tree):
    (tree / 'new').mkdir()
    (tree / 'new/file').touch()


def remove(tree):
    os.remove(tree / 'package/module.py')
    os.remove(tree / 'package/other.py')
    (tree / 'package').rmdir()


def turn(tree):
    (tree / 'link').unlink()
    (tree / 'link').symlink_to('elsewhere')


def replace(tree):
    (tree / 'link').unlink()
    (tree / 'link').write_text('package')


def test_an_unchanged_folder_is_complete(tree):
    answer = run(tree)
    assert answer['exists'] and answer['complete'] and answer['differences'] == [] and not answer['changed']


@pytest.mark.parametrize(
    'change, differences',
    [
        (edit, ['package/module.py: its content was changed']),
        (loosen, ['package/module.py: its mode was changed from 0644 to 0666']),
        (add, ['new: was added']),
        (remove, ['package: was removed']),
        (turn, ['link: its content was changed']),
        (replace, ['link: its kind was changed from link to file']),
    ],
)
def test_a_change_is_named(tree, change, differences):
    change(tree)
    answer = run(tree)
    assert not answer['complete']
    assert answer['differences'] == differences


def test_what_python_compiles_is_no_change(tree):
    subprocess.run([sys.executable, '-m', 'compileall', '-q', tree], check=True)
    assert run(tree)['complete']


def test_a_run_that_will_use_the_folder_gives_its_manifest_a_new_time(tree):
    manifest, link = tree / '.manifest.json', tree.parent / 'current'
    link.unlink(missing_ok=True)
    for target, options, new in [(tree, {}, False), ('elsewhere', {'_ansible_check_mode': True}, False), ('elsewhere', {}, True)]:
        os.utime(manifest, (1, 1))
        link.symlink_to(target)
        answer = run(tree, unless_current=str(link), **options)
        assert answer['complete'] and not answer['changed']
        assert (manifest.stat().st_mtime != 1) == new
        link.unlink()


def test_a_folder_without_a_manifest_is_not_complete(tree):
    os.remove(tree / '.manifest.json')
    answer = run(tree)
    assert answer['exists'] and not answer['complete']


def test_a_folder_that_is_not_there_is_not_complete(tmp_path):
    answer = run(tmp_path / 'missing')
    assert not answer['exists'] and not answer['complete']
