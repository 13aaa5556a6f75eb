"""Who reads a release and its secrets, and what the app cannot make root do at the next run."""

import pytest
from conftest import play

testinfra_hosts = ['ansible://app']

UPLOADS = '/srv/flaskrandom/shared/data/uploads'


def can(host, account, command):
    """Whether an account can run a shell command."""
    return host.run('sudo runuser -u %s -- sh -c %s', account, command).rc == 0


@pytest.mark.parametrize('account, may', [('flaskrandom', True), ('ubuntu', True), ('nobody', False), ('www-data', False)])
def test_a_release_is_for_the_app_and_whoever_ran_sudo(host, account, may):
    assert can(host, account, 'cat /srv/flaskrandom/current/app.py') == may
    assert can(host, account, 'ls /srv/flaskrandom/releases') == may
    assert not can(host, account, 'touch /srv/flaskrandom/current/new')


def test_the_secrets_are_for_the_app_to_read_only(host, bash):
    secrets = bash('ls /srv/flaskrandom/secrets/*.json')
    assert can(host, 'flaskrandom', f'cat {secrets}')
    assert not can(host, 'flaskrandom', f'echo {{}} >{secrets}')
    assert not can(host, 'flaskrandom', 'cat /srv/flaskrandom/secrets/key')
    for account in ('ubuntu', 'nobody', 'www-data'):
        assert not can(host, account, f'cat {secrets}')


def test_the_app_cannot_replace_its_shared_folders(host):
    assert not can(host, 'flaskrandom', 'mv /srv/flaskrandom/shared/instance /srv/flaskrandom/shared/other')
    assert not can(host, 'flaskrandom', 'ln -s /etc /srv/flaskrandom/shared/link')


def test_root_follows_no_link_of_the_app(host, bash):
    before = bash('stat -c "%U %a" /run/systemd/system')
    assert can(host, 'flaskrandom', f'rmdir {UPLOADS} && ln -s /run/systemd/system {UPLOADS}')
    _, output = play('playbook.yml', '--limit=app', fails=True)
    assert f'{UPLOADS} is a link' in ' '.join(output.split())
    assert bash('stat -c "%U %a" /run/systemd/system') == before
    bash(f'rm {UPLOADS}')
    play('playbook.yml', '--limit=app')
    assert bash(f'stat -c "%F %U" {UPLOADS}') == 'directory flaskrandom'


@pytest.mark.parametrize('folder', ['/srv', '/srv/flaskrandom/venvs'])
@pytest.mark.parametrize('change, undo', [('chown flaskrandom', 'chown root'), ('chmod g+w', 'chmod g-w')])
def test_a_folder_that_others_can_change_stops_a_run_before_anything_changes(bash, folder, change, undo):
    bash(f'{change} {folder}')
    for playbook in ('playbook.yml', 'remove.yml'):
        _, output = play(playbook, '--limit=app', fails=True)
        assert f'sudo chown -h root: {folder}; sudo chmod go-w {folder}' in ' '.join(output.split())
        assert 'changed=0' in output
    bash(f'{undo} {folder}')
