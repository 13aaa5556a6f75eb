'The module that creates folders and links where an app can write follows no link of the app\'s.'

import os
import pwd
import stat
import struct
import tempfile
from pathlib import Path

import pytest
import run_module

APP = 4242  # an account without a name: a number is as good

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='only root can give folders to accounts')


def run(path, login='', check=False, fails=False, **options):
    'Runs the module; returns what it answers.'
    environment = {**os.environ, 'SUDO_USER': login}
    answer, _ = run_module.run('nofollow_path', {'path': str(path), '_ansible_check_mode': check, **options}, environment=environment)
    assert bool(answer.get('failed')) == fails, answer
    return answer


def shared(path, **options):
    'A folder as the role asks for it.'
    return run(path, owner='nobody', group='nogroup', mode='0750', **options)


NOBODY = pwd.getpwnam('nobody')


def facts(path):
    'Owner and mode of a path itself.'
    info = os.lstat(path)
    return info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)


@pytest.fixture
def root():
    'A folder that only root can write to, with all those above it: not in /tmp.'
    with tempfile.TemporaryDirectory(dir='/srv' if os.path.isdir('/srv') else '/opt') as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def app(root):
    'A folder of the app\'s account in it.'
    folder = root / 'data'
    folder.mkdir()
    os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    return folder


@pytest.fixture
def victim(root):
    'A folder of root\'s that the app wants.'
    folder = root / 'victim'
    folder.mkdir(mode=0o700)
    return folder


def test_what_is_missing_is_created_for_the_account(root):
    assert shared(root / 'data/up/loads')['changed']
    for path in ('data', 'data/up', 'data/up/loads'):
        assert facts(root / path) == (NOBODY.pw_uid, NOBODY.pw_gid, 0o750)
    assert not shared(root / 'data/up/loads')['changed']


@pytest.mark.parametrize('check', [True, False])
def test_a_folder_of_roots_is_given_to_the_account(root, check):
    (root / 'data').mkdir()
    before = facts(root / 'data')
    answer = shared(root / 'data', check=check)
    assert answer['changed'] and answer['diff']['before']['owner'] == 0 and answer['diff']['after']['owner'] == NOBODY.pw_uid
    assert facts(root / 'data') == (before if check else (NOBODY.pw_uid, NOBODY.pw_gid, 0o750))


def test_check_mode_creates_nothing(root):
    assert shared(root / 'data/uploads', check=True)['changed']
    assert list(root.iterdir()) == []


def test_an_account_that_is_still_missing_is_a_change_in_check_mode_only(root):
    assert run(root, check=True, owner='no-such-account')['changed']
    assert run(root / 'new', check=True, owner='no-such-account')['changed']
    assert 'no-such-account' in run(root / 'new', fails=True, owner='no-such-account')['msg']


@pytest.mark.parametrize('place', ['data', 'data/uploads', 'data/uploads/deep'])
@pytest.mark.parametrize('wanted', ['data/uploads/deep'])
def test_a_link_of_the_app_is_not_followed(root, app, victim, place, wanted):
    link = root / place
    if place == 'data':
        app.rmdir()
    else:
        link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(victim)
    os.lchown(link, NOBODY.pw_uid, NOBODY.pw_gid)
    answer = shared(root / wanted, fails=True)
    assert str(link) in answer['msg'] and f'sudo mv -T {link}' in answer['msg']
    assert facts(victim) == (0, 0, 0o700) and list(victim.iterdir()) == []


@pytest.mark.parametrize('kind', ['file', 'fifo'])
def test_what_is_no_folder_is_named(root, app, kind):
    path = app / 'uploads'
    path.touch() if kind == 'file' else os.mkfifo(path)
    assert f'{path} is no folder' in shared(path, fails=True)['msg']
    assert f'{path} is no folder' in shared(path / 'deep', fails=True)['msg']


def test_a_folder_that_the_app_moved_there_is_not_given_to_it(app):
    (app / 'uploads').mkdir(mode=0o755)
    assert 'sudo chown -h nobody:' in shared(app / 'uploads', fails=True)['msg']
    assert facts(app / 'uploads') == (0, 0, 0o755)


def test_a_folder_of_root_that_others_can_write_to_is_refused(root):
    (root / 'data').mkdir()
    os.chmod(root / 'data', 0o1777)
    assert f'sudo chmod go-w {root}/data' in run(root / 'data/link', state='link', target='x', fails=True)['msg']
    assert 'root creates nothing' in shared(root / 'data/uploads', fails=True)['msg']


def test_a_link_that_only_root_can_have_made_is_followed(root):
    (root / 'disk').mkdir()
    (root / 'home').symlink_to('disk/../disk')
    shared(root / 'home/app')
    assert facts(root / 'disk/app')[0] == NOBODY.pw_uid


def test_a_link_to_itself_ends(root):
    (root / 'home').symlink_to('home')
    assert 'leads to itself' in shared(root / 'home/app', fails=True)['msg']


@pytest.mark.parametrize('check', [True, False])
def test_a_link_is_created_and_moved_with_the_rights_of_its_folders_owner(app, check):
    link = app / 'site'
    assert run(link, state='link', target='/srv/one', check=check)['changed']
    assert link.is_symlink() != check
    if not check:
        assert facts(link)[0] == NOBODY.pw_uid
        assert not run(link, state='link', target='/srv/one')['changed']
        answer = run(link, state='link', target='/srv/two')
        assert (answer['diff']['before']['target'], answer['diff']['after']['target']) == ('/srv/one', '/srv/two')
        assert os.readlink(link) == '/srv/two' and len(list(app.iterdir())) == 1


def test_a_link_takes_the_place_of_nothing_else(app):
    (app / 'site').mkdir()
    assert 'is no link' in run(app / 'site', state='link', target='/srv/one', fails=True)['msg']
    assert (app / 'site').is_dir()


def test_a_link_below_a_link_of_the_app_is_not_created(app, victim):
    (app / 'sub').symlink_to(victim)
    assert 'is a link' in run(app / 'sub/site', state='link', target='/srv/one', fails=True)['msg']
    assert list(victim.iterdir()) == []


def test_only_a_link_is_removed(app, victim):
    (app / 'site').symlink_to('/srv/one')
    assert run(app / 'site', state='absent', check=True)['changed'] and (app / 'site').is_symlink()
    assert run(app / 'site', state='absent')['changed'] and not (app / 'site').is_symlink()
    for path in (app / 'site', app / 'missing/site', victim):
        assert not run(path, state='absent')['changed']
    (app / 'sub').symlink_to(victim)
    (victim / 'site').symlink_to('/srv/one')
    run(app / 'sub/site', state='absent', fails=True)
    assert (victim / 'site').is_symlink()


def test_whoever_ran_sudo_may_enter(root):
    folder = root / 'releases'
    options = {'group': 'nogroup', 'mode': '0750', 'sudo_user': True}
    run(folder, **options)
    assert 'system.posix_acl_access' not in os.listxattr(folder)
    assert run(folder, login='nobody', **options)['changed']
    acl = os.getxattr(folder, 'system.posix_acl_access')
    assert list(struct.iter_unpack('<HHI', acl[4:]))[1] == (0x02, 5, NOBODY.pw_uid)
    assert facts(folder) == (0, NOBODY.pw_gid, 0o750)
    assert not run(folder, login='nobody', **options)['changed']
    # a run of root's own leaves it
    for login in ('', 'root'):
        assert not run(folder, login=login, **options)['changed']
