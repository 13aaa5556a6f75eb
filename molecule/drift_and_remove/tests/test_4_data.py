"""What users wrote survives a removal and the next deploy, whatever accounts come and go in between."""

import pytest
from conftest import play

testinfra_hosts = ['ansible://app']

POSTS = '/srv/flaskrandom/shared/instance/posts'
KEEP = ('-e', '{"remove_packages": false}')


def test_a_new_host_can_be_checked(host):
    """It has no account, no secrets and no folders yet; test_2_remove has taken all away."""
    assert not host.user('flaskrandom').exists
    changed, output = play('playbook.yml', '--limit=app', '--check', '--diff')
    assert changed['app'] > 10 and 'would hand over to' in output
    assert not host.file('/srv/flaskrandom').exists and not host.user('flaskrandom').exists


@pytest.fixture(scope='module')
def account(host):
    """The numbers of the account that wrote three posts, before a removal."""
    play('playbook.yml', '--limit=app')
    host.check_output('sudo runuser -u flaskrandom -- sh -c %s', f'printf "one\\ntwo\\nthree\\n" >{POSTS}')
    numbers = host.check_output('id flaskrandom')
    play('remove.yml', '--limit=app', *KEEP)
    return numbers


def posts_are_there(host, account):
    """Whether the posts and their owner are as they were."""
    posts = host.check_output('sudo runuser -u flaskrandom -- cat %s', POSTS)
    return posts.split() == ['one', 'two', 'three'] and host.check_output('id flaskrandom') == account


def test_posts_survive_with_another_account_in_between(host, account, bash):
    bash('useradd --system between')
    play('playbook.yml', '--limit=app')
    assert posts_are_there(host, account)


def test_data_of_a_lost_account_is_given_to_nobody_else(host, account, bash):
    play('remove.yml', '--limit=app', *KEEP)
    uid = bash('id --user flaskrandom')
    bash(f'userdel flaskrandom; useradd --system --uid {uid} stranger')
    _, output = play('playbook.yml', '--limit=app', fails=True)
    assert 'belongs to stranger' in ' '.join(output.split())
    bash('userdel stranger')
    play('playbook.yml', '--limit=app')
    assert posts_are_there(host, account)


def test_all_goes_when_asked(host, account, bash):
    play('remove.yml', '--limit=app', '-e', '{"remove_data": true}')
    assert not host.user('flaskrandom').exists and not host.group('flaskrandom').exists
    for path in ('/srv/flaskrandom', '/var/lib/flask-host'):
        assert not host.file(path).exists
