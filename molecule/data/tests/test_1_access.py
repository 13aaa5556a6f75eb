"""Who gets into the database and Redis of an app, and how the app itself is led there."""

import pytest
from conftest import SHOP_SOCKET, drift, remote, status
from machine import play

DATABASE_URL = 'postgresql://shop@/shop?host=/var/run/postgresql'
REDIS_URL = f'unix://{SHOP_SOCKET}'
# who tries to get in
OTHERS = ['blog', 'ubuntu', 'nobody', 'www-data', 'flask-build']


@pytest.fixture(scope='module', autouse=True)
def others(blog, apps):
    """The other app is there, and the account that builds releases."""
    return blog


def attempt(host, account, *command):
    """Runs a command as an account; returns its exit status and what it printed."""
    done = host.run('sudo runuser -u %s -- sh -c %s', account, f'cd /; {" ".join(command)} 2>&1')
    return done.rc, done.stdout.strip()


def test_the_app_keeps_what_it_is_given(apps, root):
    for text in ('one', 'two'):
        assert apps.ask('/', data=text.encode()).status == 200
    assert apps.ask('/').json() == {'release': 'one', 'notes': ['one', 'two'], 'queued': ['one', 'two']}
    assert apps.ask('/', host='blog.example').json() == {'release': 'one', 'notes': [], 'queued': None}


def test_all_that_runs_as_the_app_is_led_there(host, root):
    assert remote('sh', '-c', 'echo "$DATABASE_URL $REDIS_URL"') == f'{DATABASE_URL} {REDIS_URL}'
    root('systemctl start shop-job@show')
    printed = root('journalctl --unit shop-job@show --output cat').splitlines()
    assert {f'DATABASE_URL={DATABASE_URL}', f'REDIS_URL={REDIS_URL}'} <= set(printed)
    worker = root('pgrep --uid shop sleep').split()[0]
    environment = root(f'runuser -u shop -- cat /proc/{worker}/environ').split('\0')
    assert {f'DATABASE_URL={DATABASE_URL}', f'REDIS_URL={REDIS_URL}'} <= set(environment)


@pytest.mark.parametrize('account', OTHERS)
def test_nobody_else_gets_into_the_database(host, root, account):
    if account == 'flask-build':
        root('id flask-build >/dev/null 2>&1 || useradd --system flask-build')
    for user in ('shop', account, 'postgres'):
        status, said = attempt(host, account, f'psql -w -h /var/run/postgresql -U {user} -d shop -c "SELECT * FROM notes"')
        assert status != 0, (user, said)
        assert 'authentication failed' in said or 'does not exist' in said or 'permission denied for database' in said, said
    # no other database leads there either
    for database in ('postgres', 'template1'):
        assert attempt(host, account, f'psql -w -h /var/run/postgresql -d {database} -c "SELECT 1"')[0] != 0


def test_the_app_gets_into_no_other_database(host):
    for database in ('blog', 'postgres', 'template1'):
        status, said = attempt(host, 'shop', f'psql -w -h /var/run/postgresql -d {database} -c "SELECT 1"')
        assert status != 0 and 'permission denied for database' in said


@pytest.mark.parametrize('account', OTHERS)
def test_nobody_else_reaches_redis(host, account):
    status, said = attempt(host, account, f'redis-cli -s {SHOP_SOCKET} ping')
    assert 'PONG' not in said and ('Permission denied' in said or status != 0)
    assert attempt(host, account, 'ls /var/lib/shop-redis')[0] != 0


def test_the_role_has_no_more_rights_than_it_needs(sql):
    rights = 'rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls'
    assert sql(f"SELECT {rights} FROM pg_roles WHERE rolname = 'shop'") == 'f|f|f|f|f'
    assert sql("SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = 'shop'") in (
        'shop|UTF8|C.UTF-8',
        'shop|UTF8|C.utf8',
    )
    assert sql("SELECT has_schema_privilege('blog', 'public', 'CREATE, USAGE')", 'shop') == 'f'


def test_neither_listens_on_tcp_nor_do_their_packages_instances(host, root, sql):
    assert sql('SHOW listen_addresses') == ''
    assert not [line for line in root('ss -Hltnp').splitlines() if 'postgres' in line or 'redis' in line]
    assert root('systemctl is-active redis-server; systemctl is-enabled redis-server', fails=True).split() == ['inactive', 'masked']


def test_the_app_cannot_change_the_settings_of_redis_on_the_disk(host):
    for command in ('CONFIG SET dir /etc', 'CONFIG SET dir /srv/shop', 'CONFIG REWRITE'):
        attempt(host, 'shop', f'redis-cli -s {SHOP_SOCKET} {command}')
    attempt(host, 'shop', f'redis-cli -s {SHOP_SOCKET} CONFIG SET dir /var/lib/shop-redis')
    assert attempt(host, 'shop', 'echo x >>/etc/flask-host/redis/shop.conf')[0] != 0
    assert attempt(host, 'shop', f'redis-cli -s {SHOP_SOCKET} CONFIG GET maxmemory')[1].split() == ['maxmemory', str(64 << 20)]


def test_status_shows_them(root):
    facts = status()
    assert [(one['name'], one['state']) for one in facts['services']] == [('postgresql', 'active'), ('redis', 'active')]
    assert facts['problems'] == []
    root('systemctl stop shop-redis')
    problems, found = status()['problems'], drift()[1]
    root('systemctl start shop-redis')
    assert found == ['service shop-redis.service: inactive, enabled']
    assert problems == ['redis does not run (shop-redis.service: inactive)']


def test_an_app_that_would_get_another_ones_folder_is_refused(apps, root):
    run = play('playbook.yml', fails=True, flask_app_name='shop-redis', flask_app_domains=['a.example'])
    assert '/run/shop-redis belongs to the app shop on this machine' in run.words


def test_a_database_of_somebody_else_is_left_alone(apps, root, sql):
    sql('CREATE ROLE stranger')
    sql('CREATE DATABASE other OWNER stranger')
    path = apps.inventory('other', flask_app_services=['postgresql'], flask_app_domains=['other.example'])
    run = play('playbook.yml', '-i', str(path), '--limit=other', fails=True)
    assert 'the database other belongs to the role stranger, not to other' in run.words
    assert sql("SELECT count(*) FROM pg_roles WHERE rolname = 'other'") == '0'
    sql('DROP DATABASE other')
    sql('DROP ROLE stranger')
    play('remove.yml', '-i', str(path), '--limit=other')
