"""Apps are removed in any order while the others serve; the last one takes the machine's part with it."""

import json
import subprocess

from conftest import CHECKOUT

STAY = ['two.test', 'four.test', 'my.test']


def drift(inventory):
    done = subprocess.run(['tools/drift', '-i', str(inventory), '--json'], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    return done.returncode, json.loads(done.stdout)


def inventory_of(neighbours, name, domain):
    return neighbours.inventory(f'remove-{name}', {name: neighbours.app(name, flask_app_domains=[domain])})


def test_drift_of_one_app_does_not_see_the_others(neighbours, root):
    inventory = inventory_of(neighbours, 'my_shop', 'my.test')
    root('echo "# by hand" >>/etc/nginx/sites-available/flask-two.conf')
    assert drift(inventory)[0] == 0, drift(inventory)
    root('sed -i "$ d" /etc/nginx/sites-available/flask-two.conf')


def test_removing_apps_costs_the_others_no_request(neighbours, root):
    with neighbours.load('removals', STAY):
        for name in ('three', 'one', 'five', 'shop', 'blog'):
            neighbours.play('remove.yml', inventory_of(neighbours, name, f'{name}.test'))
        neighbours.play('remove.yml', neighbours.inventory('article', {'article': {}}))
    assert root('ls /etc/flask-host/apps.d').split() == ['four.json', 'my_shop.json', 'two.json']
    assert neighbours.ask('shop.example.com').status == neighbours.ask('three.test').status == 404
    assert 'three' not in root('ls /srv /etc/nginx/sites-enabled /etc/supervisor/conf.d /run /usr/local/sbin; getent passwd')


def test_packages_go_with_the_last_app_that_needs_them_unless_the_host_had_them(root):
    assert root('for program in hello tree sudo; do command -v $program; done', fails=True).split() == ['/usr/bin/hello', '/usr/bin/sudo']
    assert root('apt-mark showmanual hello sudo').split() == ['hello', 'sudo']


def test_removing_one_again_changes_nothing(neighbours):
    changed, output = neighbours.play('remove.yml', inventory_of(neighbours, 'three', 'three.test'))
    assert not any(changed.values()), output


def test_the_last_app_takes_the_machines_part(neighbours, root):
    apps = {name: neighbours.app(name, flask_app_domains=[domain]) for name, domain in
            {'two': 'two.test', 'my_shop': 'my.test', 'four': 'four.test'}.items()}  # fmt: skip
    neighbours.play('remove.yml', neighbours.inventory('last', apps))
    gone = ['/etc/flask-host', '/var/lib/flask-host', '/etc/ssl/flask-host', '/etc/nginx', '/etc/supervisor']
    assert root(f'ls -d {" ".join(gone)} 2>/dev/null', fails=True) == ''
