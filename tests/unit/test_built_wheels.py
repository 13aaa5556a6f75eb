"""Root takes from the build account what is a wheel, and nothing through a link."""

import hashlib
import os
import pwd
import socket
import sys

import pytest
import run_module

LOCK = (
    '# a comment\n--index-url https://a.example/simple\n'
    'Some_Package==1.0 ; python_version < "3.7" \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via other\n'
    'other[extra]==2.0 --hash=sha256:cc  # built elsewhere\n'
)
HASH = hashlib.sha256(b'content').hexdigest()


@pytest.fixture
def folders(tmp_path):
    """The account's folder, with a wheel, in root's."""
    (tmp_path / 'work').mkdir()
    (tmp_path / 'work/some_package-1.0-py3-none-any.whl').write_bytes(b'content')
    (tmp_path / 'lock').write_text(LOCK)
    (tmp_path / 'secret').write_text('secret')
    return tmp_path


def run(folders, python=sys.executable, environment=None, **options):
    """Runs the module; returns what it answers."""
    values = {
        'source': str(folders / 'work'),
        'owner': pwd.getpwuid(os.getuid()).pw_name,
        'dest': str(folders / 'wheels'),
        'lock': str(folders / 'lock'),
        'lock_dest': str(folders / 'new_lock'),
        'packages': ['some-package'],
    }
    return run_module.run('built_wheels', {**values, **options}, python, environment)[0]


def test_a_wheel_is_copied_and_locked(folders):
    assert run(folders)['built'] == ['some_package-1.0-py3-none-any.whl']
    copied = folders / 'wheels/some_package-1.0-py3-none-any.whl'
    assert copied.read_bytes() == b'content' and copied.stat().st_mode & 0o7777 == 0o644
    lines = (folders / 'new_lock').read_text().splitlines()
    assert [line.split() for line in lines if line.startswith('Some')] == [
        ['Some_Package==1.0', ';', 'python_version', '<', '"3.7"', '--hash=sha256:aa', '--hash=sha256:bb', f'--hash=sha256:{HASH}']
    ]
    assert 'other[extra]==2.0 --hash=sha256:cc  # built elsewhere' in lines


def test_the_hashes_of_other_packages_stay(folders):
    (folders / 'work/other-2.0-py3-none-any.whl').write_bytes(b'something else')
    assert run(folders)['built'] == ['some_package-1.0-py3-none-any.whl']
    assert (folders / 'new_lock').read_text().count(HASH) == 1
    assert hashlib.sha256(b'something else').hexdigest() not in (folders / 'new_lock').read_text()


def link(path, folders):
    path.symlink_to(folders / 'secret')


def hard_link(path, folders):
    os.link(folders / 'secret', path)


def fifo(path, folders):
    os.mkfifo(path)


def folder(path, folders):
    path.mkdir()


def listen(path, folders):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(path))


@pytest.mark.parametrize('put', [link, hard_link, fifo, folder, listen])
def test_what_is_no_file_of_its_own_is_refused(folders, put, monkeypatch):
    monkeypatch.chdir(folders)
    put(folders / 'work/evil-1.0-py3-none-any.whl', folders)
    answer = run(folders)
    assert answer['failed'] and "'evil-1.0-py3-none-any.whl'" in answer['msg']
    assert not (folders / 'new_lock').exists()
    assert 'secret' not in ''.join(path.read_text() for path in folders.glob('wheels/*'))


def test_a_folder_that_is_a_link_is_refused(folders):
    (folders / 'work').rename(folders / 'elsewhere')
    (folders / 'work').symlink_to('elsewhere')
    assert run(folders)['failed']


@pytest.mark.parametrize('name', ['evil.sh', '.whl', '-r-1.0.whl', 'a-1\n.whl', 'a b-1.0-py3-none-any.whl', 'ä-1.0.whl', b'\xff-1.whl'])
def test_what_has_no_name_of_a_wheel_is_refused(folders, name):
    with open(os.path.join(os.fsencode(folders / 'work'), os.fsencode(name)), 'w'):
        pass
    assert 'is no wheel' in run(folders)['msg']


def test_files_of_others_are_refused(folders):
    other = next(entry.pw_name for entry in pwd.getpwall() if entry.pw_uid != os.getuid())
    assert 'no regular file of its own' in run(folders, owner=other)['msg']


def test_large_wheels_are_refused(folders):
    with open(folders / 'work/large-1.0-py3-none-any.whl', 'wb') as file:
        file.truncate(10 << 30)
    assert 'too large' in run(folders, max_bytes=1 << 20)['msg']
    assert sum(path.stat().st_size for path in folders.glob('wheels/*')) <= 2 << 20


def test_very_many_files_are_refused(folders):
    for number in range(2001):
        (folders / f'work/a{number}-1.0-py3-none-any.whl').touch()
    assert 'it left 2002 files' in run(folders)['msg']


@pytest.mark.skipif(not run_module.OLD, reason='no Python here that is old enough')
def test_it_runs_on_an_old_python(folders, tmp_path_factory):
    environment = run_module.for_old_python(tmp_path_factory.mktemp('library'))
    assert run(folders, python=run_module.OLD[0], environment=environment)['built'] == ['some_package-1.0-py3-none-any.whl']
