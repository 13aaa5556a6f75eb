"""Who can read a release and its secrets, and that the app cannot misuse the next run, which is root's."""

import pytest
from machine import play

testinfra_hosts = ['ansible://app']

UPLOADS = '/srv/flaskrandom/shared/data/uploads'


def can(host, account, command):
    """Whether a shell command succeeds as an account."""
    return host.run('sudo runuser -u %s -- sh -c %s', account, command).rc == 0


@pytest.mark.parametrize('account, allowed', [('flaskrandom', True), ('ubuntu', True), ('nobody', False), ('www-data', False)])
def test_only_the_app_and_the_login_user_read_a_release(host, account, allowed):
    assert can(host, account, 'cat /srv/flaskrandom/current/app.py') == allowed
    assert can(host, account, 'ls /srv/flaskrandom/releases') == allowed
    assert not can(host, account, 'touch /srv/flaskrandom/current/new')


def test_only_the_app_reads_the_secrets(host, root):
    secrets = root('ls /srv/flaskrandom/secrets/*.json')
    assert can(host, 'flaskrandom', f'cat {secrets}')
    assert not can(host, 'flaskrandom', f'echo {{}} >{secrets}')
    assert not can(host, 'flaskrandom', 'cat /srv/flaskrandom/secrets/key')
    for account in ('ubuntu', 'nobody', 'www-data'):
        assert not can(host, account, f'cat {secrets}')


def test_the_app_cannot_replace_its_shared_folders(host):
    assert not can(host, 'flaskrandom', 'mv /srv/flaskrandom/shared/instance /srv/flaskrandom/shared/other')
    assert not can(host, 'flaskrandom', 'ln -s /etc /srv/flaskrandom/shared/link')


def test_a_run_follows_no_link_of_the_app(host, root):
    before = root('stat -c "%U %a" /run/systemd/system')
    assert can(host, 'flaskrandom', f'rmdir {UPLOADS} && ln -s /run/systemd/system {UPLOADS}')
    run = play('playbook.yml', '--limit=app', fails=True)
    assert f'{UPLOADS} is a link' in run.words
    assert root('stat -c "%U %a" /run/systemd/system') == before
    root(f'rm {UPLOADS}')
    play('playbook.yml', '--limit=app')
    assert root(f'stat -c "%F %U" {UPLOADS}') == 'directory flaskrandom'


@pytest.mark.parametrize('folder', ['/srv', '/srv/flaskrandom/venvs'])
@pytest.mark.parametrize('change, undo', [('chown flaskrandom', 'chown root'), ('chmod g+w', 'chmod g-w')])
def test_a_folder_that_others_can_change_fails_a_run_before_it_changes_anything(root, folder, change, undo):
    root(f'{change} {folder}')
    for playbook in ('playbook.yml', 'remove.yml'):
        run = play(playbook, '--limit=app', fails=True)
        assert f'sudo chown -h root: {folder}; sudo chmod go-w {folder}' in run.words
        assert run.changed == {'app': 0}
    root(f'{undo} {folder}')
