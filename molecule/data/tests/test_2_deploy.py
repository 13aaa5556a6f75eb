"""What a deploy, drift and a restart make of the database and Redis."""

import re
import subprocess

import pytest
from conftest import SHOP_SOCKET, drift, status
from machine import CHECKOUT, INVENTORY, play

SETTINGS = '/etc/postgresql/*/main/conf.d/flask-host.conf'
# manual change: pattern of what the command prints for it
CHANGES = {
    'cd /; runuser -u postgres -- psql -c "ALTER ROLE shop SUPERUSER"': 'postgresql: Create the role$',
    f'echo "# note" >>$(echo {SETTINGS})': '/conf.d/flask-host.conf$',
    'echo "# note" >>/etc/flask-host/redis/shop.conf': '/etc/flask-host/redis/shop.conf$',
    'cd /; runuser -u postgres -- psql -c "GRANT CONNECT ON DATABASE shop TO PUBLIC"': "other roles' rights to the database$",
}


def test_an_unchanged_host_has_no_drift(root):
    assert drift()[:2] == (0, [])


def test_changes_are_named_and_undone(root, sql):
    for change in CHANGES:
        root(change)
    code, found, answer = drift()
    assert code == 2 and answer['errors'] == {}
    for pattern in CHANGES.values():
        assert len([what for what in found if re.search(pattern, what)]) == 1, (pattern, found)
    assert len(found) == len(CHANGES), found
    play('playbook.yml')
    assert drift()[:2] == (0, [])
    assert sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'shop'") == 'f'


@pytest.mark.parametrize('service', ['postgresql', 'redis'])
def test_a_deploy_without_the_service_keeps_the_release_that_serves(apps, root, service):
    """It ends after the roles have seen it run, and before the release commands."""
    release = apps.release()
    unit = {'postgresql': 'postgresql', 'redis': 'shop-redis'}[service]
    stop = f'ansible all -i {INVENTORY} -b -m ansible.builtin.command -a "systemctl stop {unit}"'
    run = play(
        'playbook.yml', fails=True, flask_app_src=apps.version(f'without-{service}'), flask_app_before_deploy=[stop],
        flask_app_release_commands=['python migrate.py', f'redis-cli -e -s {SHOP_SOCKET} ping'],
    )  # fmt: skip
    assert f'The release {current(root)} still serves' in run.words
    root(f'systemctl start {unit}')
    assert apps.release() == release and apps.ask('/').json()['notes'] == ['one', 'two']


def current(root):
    """The id of the serving release."""
    return root('basename $(readlink /srv/shop/current)')


def test_a_later_deploy_succeeds(apps, root):
    play('playbook.yml', flask_app_src=apps.version('two'))
    assert apps.ask('/').json() == {'release': 'two', 'notes': ['one', 'two'], 'queued': ['one', 'two']}


def test_all_of_it_is_back_after_a_restart(apps, root):
    apps.restart()
    apps.wait()
    assert apps.ask('/').json() == {'release': 'two', 'notes': ['one', 'two'], 'queued': ['one', 'two']}
    assert root('systemctl show --property=After --value supervisor').split().count('postgresql.service') == 1
    assert status()['problems'] == []


def test_a_cache_forgets_what_was_not_used(apps, root):
    folder = apps.folder / 'two/shop'
    play('playbook.yml', flask_app_src=str(folder), redis_eviction='allkeys-lru', redis_memory=2)
    client = f'cd /; runuser -u shop -- redis-cli -s {SHOP_SOCKET}'
    assert root(f'{client} config get maxmemory').split()[1] == str(2 << 20)
    assert root(f'for i in $(seq 40); do {client} set key$i $(head -c 100000 /dev/zero | tr "\\0" x); done | sort -u') == 'OK'
    assert 0 < int(root(f'{client} dbsize').split()[-1]) < 40
    play('playbook.yml', flask_app_src=str(folder))


def test_check_mode_tells_what_a_bare_service_would_get(apps, root):
    """Of an app that is not there yet."""
    path = apps.inventory('fresh', flask_app_services=['postgresql', 'redis'])
    run = play('playbook.yml', '-i', str(path), '--limit=fresh', '--check', '--diff')
    assert 'postgresql : Create the database' in run.output and 'would start or restart fresh-redis.service' in run.words
    assert not root('ls -d /var/lib/fresh-redis /etc/systemd/system/fresh-redis.service 2>/dev/null || true')


def test_a_redis_that_is_taken_out_of_the_variable_stops_and_keeps_its_data(apps, root):
    folder = apps.folder / 'two/shop'
    play('playbook.yml', flask_app_src=str(folder), flask_app_services=['postgresql'])
    assert root('ls -d /etc/systemd/system/shop-redis.service /var/lib/shop-redis 2>/dev/null', fails=True) == '/var/lib/shop-redis'
    assert apps.ask('/').json()['queued'] is None
    play('playbook.yml', flask_app_src=str(folder))
    assert subprocess.run(['tools/drift', '-i', INVENTORY, '-e', f'flask_app_src={folder}'], cwd=CHECKOUT).returncode == 0


def test_an_app_with_the_package_gets_its_instance_beside_them(apps, root):
    assert root('systemctl is-active redis-server || true') == 'inactive'
    path = apps.inventory('old', flask_app_packages=['redis-server'])
    # the package stays as long as the first app's Redis needs it
    for playbook in ('playbook.yml', 'remove.yml'):
        done = subprocess.run(['ansible-playbook', '-i', path, playbook], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stdout
        assert root('redis-cli ping') == 'PONG'
