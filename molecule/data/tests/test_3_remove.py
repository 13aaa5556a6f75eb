"""A removal keeps the data, the next deploy finds it, and remove_data leaves nothing."""

import subprocess

from machine import CHECKOUT, play

DATA = '-e', '{"remove_data": true}'


def test_a_removal_keeps_the_data_and_a_deploy_finds_it(apps, blog, root, sql):
    apps.ask('/', data=b'three')
    run = play('remove.yml')
    assert 'Kept: the database shop with its role, and PostgreSQL.' in run.words and 'Kept: /var/lib/shop-redis' in run.words
    assert root('ls /etc/systemd/system | grep shop || true') == '' and root('id -un shop') == 'shop'
    assert sql('SELECT count(*) FROM notes', 'shop') == '3'
    # the packages of Redis were this app's only
    assert root('command -v redis-server; ls /etc/systemd/system/redis-server.service 2>&1 || true').endswith('No such file or directory')
    assert play('remove.yml').changed == {'app': 0}
    play('playbook.yml')
    assert apps.ask('/').json()['notes'] == ['one', 'two', 'three']
    assert apps.ask('/').json()['queued'][-1:] == ['three']


def test_the_last_app_leaves_postgresql_where_data_is(apps, blog, root, sql):
    play('remove.yml')
    done = subprocess.run(['ansible-playbook', '-i', blog, 'remove.yml', *DATA], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    assert sql("SELECT string_agg(datname, ',') FROM pg_database WHERE datname IN ('shop', 'blog')") == 'shop'
    assert root('id blog || true').endswith('no such user')
    assert sorted(root('cat /var/lib/flask-host/packages-installed').split()) == ['postgresql', 'python3-psycopg2']


def test_nothing_is_left_on_request(apps, root):
    play('remove.yml', *DATA)
    assert root('id shop || true').endswith('no such user')
    left = 'ls -d /var/lib/shop-redis /var/lib/flask-host /etc/flask-host /etc/postgresql /var/lib/postgresql /etc/systemd/system/*redis*'
    assert root(f'{left} /etc/systemd/system/supervisor.service.d 2>/dev/null || true') == ''
    assert root('command -v psql redis-server || true') == ''


def test_check_mode_works_on_a_bare_host(apps, root):
    run = play('playbook.yml', '--check', '--diff')
    assert 'would install: postgresql' in run.output and 'would create or check the database shop' in run.words
    assert 'would start or restart shop-redis.service' in run.words
    assert root('ls -d /srv/shop /etc/flask-host 2>/dev/null || true') == ''
