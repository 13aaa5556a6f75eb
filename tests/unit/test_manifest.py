"""The module that notes what is in a folder finds each change to it."""

import json
import os
import socket
import subprocess
import sys

import pytest
import run_module


def run(path, python=sys.executable, environment=None, **options):
    """Runs the module; returns what it answers."""
    return run_module.run('manifest', {'path': str(path), **options}, python, environment)[0]


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


def disguise(path, kind):
    """Puts something else where a file is expected."""
    path.unlink()
    if kind == 'fifo':
        os.mkfifo(path)
    elif kind == 'folder':
        path.mkdir()
    elif kind == 'link':
        path.symlink_to('/dev/zero')
    else:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(os.path.relpath(path))


@pytest.mark.parametrize('kind', ['fifo', 'folder', 'link', 'socket'])
def test_what_is_no_file_is_neither_opened_nor_followed(tree, kind, monkeypatch):
    monkeypatch.chdir(tree)
    disguise(tree / 'package/module.py', kind)
    answer = run(tree)
    shown = {'fifo': 'other', 'socket': 'other'}.get(kind, kind)
    assert answer['differences'] == [f'package/module.py: its kind was changed from file to {shown}']


@pytest.mark.parametrize('kind', ['fifo', 'folder', 'link', 'socket'])
def test_a_manifest_that_is_no_file_counts_for_nothing(tree, kind, monkeypatch):
    monkeypatch.chdir(tree)
    disguise(tree / '.manifest.json', kind)
    assert run(tree)['differences'] == ['.manifest.json: cannot be read']


def test_a_manifest_is_not_written_through_a_link(tree, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp('elsewhere') / 'file'
    elsewhere.write_text('kept')
    for name in ('.manifest.json', '.manifest.json.new'):
        (tree / name).unlink(missing_ok=True)
        (tree / name).symlink_to(elsewhere)
    assert run(tree, write=True)['changed']
    assert elsewhere.read_text() == 'kept'
    assert run(tree)['complete']
    assert sorted(path.name for path in tree.iterdir()) == ['.manifest.json', 'link', 'package']


def test_links_in_a_folder_are_not_entered(tree, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp('elsewhere')
    (tree / 'outside').symlink_to(elsewhere)
    run(tree, write=True)
    (elsewhere / 'file').touch()
    assert run(tree)['complete']


def test_a_large_file_is_read_in_parts(tree):
    with open(tree / 'large', 'wb') as file:
        file.truncate(1 << 30)
    arguments = json.dumps({'ANSIBLE_MODULE_ARGS': {'path': str(tree), 'write': True}})
    limited = ['sh', '-c', 'ulimit -v 716800; exec "$@"', 'sh', *run_module.command('manifest')]
    done = subprocess.run(limited, input=arguments, stdout=subprocess.PIPE, text=True, check=True)
    assert json.loads(done.stdout)['changed']


@pytest.mark.skipif(not run_module.OLD, reason='no Python here that is old enough')
def test_it_runs_on_an_old_python(tree, tmp_path_factory):
    environment = run_module.for_old_python(tmp_path_factory.mktemp('library'))
    assert run(tree, python=run_module.OLD[0], environment=environment)['complete']
    edit(tree)
    assert run(tree, python=run_module.OLD[0], environment=environment)['differences'] == ['package/module.py: its content was changed']
