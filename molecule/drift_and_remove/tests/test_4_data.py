"""The app's data survives a removal and the next deploy, also when accounts change in between."""

import pytest
from machine import play

testinfra_hosts = ['ansible://app']

POSTS = '/srv/flaskrandom/shared/instance/posts'
KEEP = ('-e', '{"remove_packages": false}')


def test_check_mode_works_on_a_bare_host(host):
    """It has no account, no secrets and no folders, because test_2_remove removed everything."""
    assert not host.user('flaskrandom').exists
    run = play('playbook.yml', '--limit=app', '--check', '--diff')
    assert run.changed['app'] > 10 and 'would activate' in run.output
    assert not host.file('/srv/flaskrandom').exists and not host.user('flaskrandom').exists


@pytest.fixture(scope='module')
def account(host):
    """Deploys, writes three posts as the app and removes it; returns the account's numeric ids."""
    play('playbook.yml', '--limit=app')
    host.check_output('sudo runuser -u flaskrandom -- sh -c %s', f'printf "one\\ntwo\\nthree\\n" >{POSTS}')
    numbers = host.check_output('id flaskrandom')
    play('remove.yml', '--limit=app', *KEEP)
    return numbers


def posts_are_there(host, account):
    """Whether the posts and their owner are unchanged."""
    posts = host.check_output('sudo runuser -u flaskrandom -- cat %s', POSTS)
    return posts.split() == ['one', 'two', 'three'] and host.check_output('id flaskrandom') == account


def test_data_survives_another_account_created_in_between(host, account, root):
    root('useradd --system between')
    play('playbook.yml', '--limit=app')
    assert posts_are_there(host, account)


def test_data_of_a_deleted_account_is_not_given_to_another(host, account, root):
    play('remove.yml', '--limit=app', *KEEP)
    uid = root('id --user flaskrandom')
    root(f'userdel flaskrandom && useradd --system --uid {uid} stranger')
    run = play('playbook.yml', '--limit=app', fails=True)
    assert 'belongs to stranger' in run.words
    root('userdel stranger')
    play('playbook.yml', '--limit=app')
    assert posts_are_there(host, account)


def test_everything_is_removed_on_request(host, account):
    play('remove.yml', '--limit=app', '-e', '{"remove_data": true}')
    assert not host.user('flaskrandom').exists and not host.group('flaskrandom').exists
    for path in ('/srv/flaskrandom', '/var/lib/flask-host'):
        assert not host.file(path).exists
