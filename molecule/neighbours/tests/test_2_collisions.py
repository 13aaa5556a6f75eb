"""What another app has is refused before anything changes, and the message names that app."""

import pytest

COLLISIONS = {
    'domain': {'flask_app_domains': ['www.shop.example.com']},
    'default site': {'flask_app_domains': []},
    'name': {'flask_app_name': 'my-shop', 'flask_app_user': 'other'},
    'account': {'flask_app_user': 'shop'},
    'root': {'flask_app_root': '/srv/shop/other'},
    'link': {'flask_app_path': '/srv/my_shop/link'},
    'port': {'nginx_local_port': 5000},
    'TCP port': {'flask_app_bind': '127.0.0.1:5000'},
    'machine': {'nginx_listen_port': 8080},
}
OWNERS = {
    'machine': 'blog',
    'default site': 'flaskrandom',
    'name': 'my_shop',
    'link': 'my_shop',
    'port': 'flaskrandom',
    'TCP port': 'flaskrandom',
}


@pytest.fixture(scope='module', autouse=True)
def underscore(neighbours):
    """An app whose name has a `_`."""
    app = neighbours.app('my_shop', flask_app_domains=['my.test'])
    neighbours.play('playbook.yml', neighbours.inventory('underscore', {'my_shop': app}))


@pytest.mark.parametrize('what', COLLISIONS)
def test_a_collision_is_refused_and_names_the_other_app(neighbours, root, what):
    def state():
        return root('find /etc /srv /var/lib/flask-host /usr/local/sbin -newermt "1 hour ago" -type f -exec sha256sum {} + | sort')

    before = state()
    app = neighbours.app('new', **{'flask_app_domains': ['new.test'], **COLLISIONS[what]})
    _, output = neighbours.play('playbook.yml', neighbours.inventory('new', {'new': app}), fails=True)
    found = ' '.join(output.split()).partition('Nothing was changed.')[2]
    assert OWNERS.get(what, 'shop') in found[:400]
    assert state() == before


def test_two_apps_of_one_inventory_that_collide_are_both_refused(neighbours, root):
    apps = {name: neighbours.app(name, flask_app_domains=['twice.test']) for name in ('left', 'right')}
    _, output = neighbours.play('playbook.yml', neighbours.inventory('twice', apps), fails=True)
    assert 'twice.test' in output and 'left' in output and 'right' in output
    assert root('ls /etc/flask-host/apps.d').split() == ['blog.json', 'flaskrandom.json', 'my_shop.json', 'shop.json']


def test_tls_needs_a_domain(neighbours):
    app = neighbours.app('new', tls_mode='selfsigned')
    _, output = neighbours.play('playbook.yml', neighbours.inventory('new', {'new': app}), fails=True)
    assert 'flask_app_domains must have at least one name with tls_mode' in ' '.join(output.split())
