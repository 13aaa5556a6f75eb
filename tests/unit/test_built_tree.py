"""Root unpacks files, folders and links of what the build account has packed, and nothing that leads out."""

import io
import os
import pwd
import sys
import tarfile

import pytest
import run_module

FILE, FOLDER, LINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE


@pytest.fixture
def dest(tmp_path):
    (tmp_path / 'new').mkdir(mode=0o700)
    (tmp_path / 'secret').write_text('secret')
    return tmp_path / 'new'


def run(dest, *members, python=sys.executable, environment=None, **options):
    """Packs members (path, type, text or goal) and runs the module; returns what it answers."""
    with tarfile.open(dest.parent / 'archive', 'w') as archive:
        for path, kind, text in members:
            entry = tarfile.TarInfo(path)
            entry.type, entry.mode, entry.uid = kind, 0o4777, 12345
            if kind == FILE:
                entry.size = len(text)
            else:
                entry.linkname = text
            archive.addfile(entry, io.BytesIO(text.encode()))
    values = {'archive': str(dest.parent / 'archive'), 'owner': pwd.getpwuid(os.getuid()).pw_name, 'dest': str(dest)}
    return run_module.run('built_tree', {**values, **options}, python, environment)[0]


def tree(dest):
    """All below a folder: path to contents, goal or ''."""
    paths = sorted(dest.rglob('*'))
    return {
        str(path.relative_to(dest)): os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else ''
        for path in paths
    }


MEMBERS = [
    ('.', FOLDER, ''),
    ('./static', FOLDER, ''),
    ('./static/app.js', FILE, 'made'),
    ('./static/latest.js', LINK, 'app.js'),
    ('./home', LINK, '.'),
    ('./later', LINK, 'static/../static/missing'),
]
UNPACKED = {'static': '', 'static/app.js': 'made', 'static/latest.js': 'app.js', 'home': '.', 'later': 'static/../static/missing'}


@pytest.mark.parametrize('python', [sys.executable, *map(str, run_module.OLD)])
def test_what_was_built_is_roots(dest, tmp_path, python):
    environment = None if python == sys.executable else run_module.for_old_python(tmp_path)
    assert run(dest, *MEMBERS, python=python, environment=environment)['entries'] == 5
    assert tree(dest) == UNPACKED
    files = [dest, dest / 'static', dest / 'static/app.js']
    assert [(path.stat().st_mode & 0o7777, path.stat().st_uid) for path in files] == [(0o755, os.getuid())] * 3


def test_what_the_release_has_from_root_is_left_out(dest):
    members = [
        ('./bin', FOLDER, ''),
        ('./bin/python', FILE, 'x'),
        ('./binary', FILE, 'y'),
        ('./data', FOLDER, ''),
        ('./data/up', LINK, '/etc'),
    ]
    assert 'failed' not in run(dest, *members, skip=['bin', 'data/up'])
    assert tree(dest) == {'binary': 'y', 'data': ''}


# each link stays inside by its text alone
CHAIN = [('./a', FOLDER, ''), ('./a/b', FOLDER, ''), ('./a/b/top', LINK, '../..'), ('./x', LINK, 'a/b/top/../secret')]


@pytest.mark.parametrize(
    'members, message',
    [
        ([('/etc/x', FILE, '')], "'/etc/x' leads out"),
        ([('./../secret', FILE, '')], "'./../secret' leads out"),
        ([('./a/../../secret', FILE, '')], 'leads out'),
        ([('./a', LINK, '/etc')], "the link 'a' leads out of the folder, to '/etc'"),
        ([('./a', LINK, '../secret')], "the link 'a' leads out"),
        (CHAIN, "the link 'x' leads out"),
        ([('./a', LINK, '..'), ('./a/secret', FILE, 'changed')], 'No such file'),
        ([('./a', FOLDER, ''), ('./a', LINK, '..')], 'File exists'),
        ([('./a', FILE, ''), ('./a', FILE, '')], 'File exists'),
        ([('./a', tarfile.FIFOTYPE, '')], "'a' is neither a file nor a folder nor a link"),
        ([('./a', tarfile.CHRTYPE, '')], "'a' is neither"),
        ([('./a', FILE, ''), ('./b', tarfile.LNKTYPE, './a')], "'b' is neither"),
    ],
)  # fmt: skip
def test_the_rest_is_refused(dest, members, message):
    assert message in run(dest, *members)['msg']
    assert dest.stat().st_mode & 0o7777 == 0o700
    assert (dest.parent / 'secret').read_text() == 'secret'


def test_limits(dest):
    assert 'too large' in run(dest, ('./a', FILE, 'four'), ('./b', FILE, 'four'), max_bytes=7)['msg']


def test_there_may_not_be_too_many(dest):
    assert 'more than 1 files' in run(dest, ('./a', FILE, ''), ('./b', FILE, ''), max_entries=1)['msg']


def test_an_archive_that_claims_a_huge_header_is_refused(dest):
    """It would otherwise be read into memory."""
    header = tarfile.TarInfo('./header')
    header.type, header.size = tarfile.XHDTYPE, 2 << 30
    with open(dest.parent / 'huge', 'wb') as file:
        file.write(header.tobuf())
        file.truncate(3 << 30)
    assert 'is not taken: it needs too much memory' in run(dest, archive=str(dest.parent / 'huge'))['msg']


def test_a_link_in_the_archives_place_is_not_followed(dest):
    (dest.parent / 'link').symlink_to(dest.parent / 'secret')
    assert 'is not taken' in run(dest, archive=str(dest.parent / 'link'))['msg']


def test_an_archive_of_somebody_else_is_refused(dest):
    assert 'the archive is no file of its own' in run(dest, owner='daemon')['msg']
