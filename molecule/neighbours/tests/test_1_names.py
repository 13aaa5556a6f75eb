"""Two inventories that know nothing of each other put three apps on one machine; each answers for its own names only."""

import pytest
import yaml
from conftest import CHECKOUT, MACHINE


@pytest.fixture(scope='module')
def inventories(neighbours):
    """The article's app, which has the default site; and those of examples/two-apps, one of them with TLS."""
    first = neighbours.inventory('first', {'article': {'flask_app_workers': 2}})
    apps = yaml.safe_load((CHECKOUT / 'examples/two-apps/hosts.yml').read_text())['all']['hosts']
    apps['blog']['tls_mode'] = 'selfsigned'  # here is no ACME server
    apps = {name: {**variables, **neighbours.app(name, ansible_host=MACHINE['address'])} for name, variables in apps.items()}
    return first, neighbours.inventory('second', apps)


def test_check_mode_tells_what_a_bare_machine_would_get(neighbours, inventories, root):
    changed, output = neighbours.play('playbook.yml', inventories[1], '--check', '--diff')
    assert all(changed.values()), output
    assert 'cannot access' in root('ls /etc/flask-host /srv/shop', fails=True)


def test_two_apps_on_one_bare_machine_in_one_run(neighbours, inventories):
    neighbours.play('playbook.yml', inventories[1])
    assert neighbours.ask('shop.example.com').app == neighbours.ask('www.shop.example.com').app == 'shop'
    assert neighbours.ask('blog.example.com').status == 301
    blog = neighbours.ask('blog.example.com', tls=True)
    assert blog.app == 'blog' and blog.certificate == ['blog.example.com']


@pytest.mark.parametrize('accept, text', [('text/html', '<title>404 Not Found</title>'), ('*/*', '"error":"Not Found"')])
def test_other_names_get_the_machines_404(neighbours, accept, text):
    for name in ('other.test', '127.0.0.1', 'test'):
        answer = neighbours.ask(name, Accept=accept)
        assert answer.status == 404 and text in answer.text


@pytest.mark.parametrize('name', ['other.test', 'shop.example.com'])
def test_other_names_get_no_content_over_tls(neighbours, name):
    answer = neighbours.ask(name, tls=True)
    assert answer.certificate == ['invalid'] and not answer.status


def test_the_default_site_takes_the_other_names(neighbours, inventories):
    neighbours.play('playbook.yml', inventories[0])
    assert 'From Flask' in neighbours.ask('other.test').text
    assert neighbours.ask('shop.example.com').app == 'shop'
    assert neighbours.ask('blog.example.com', tls=True).app == 'blog'


def test_a_run_that_changes_nothing_changes_nothing(neighbours, inventories):
    for inventory in inventories:
        changed, output = neighbours.play('playbook.yml', inventory)
        assert not any(changed.values()), output


def test_the_machine_has_what_all_apps_claim(root):
    assert root('ls /etc/flask-host/apps.d').split() == ['blog.json', 'flaskrandom.json', 'shop.json']
    assert root('stat -c "%a %U" /etc/flask-host/apps.d /etc/flask-host/apps.d/shop.json') == '700 root\n600 root'
    ports = root('ss -Hltn | sed -E "s/.*:([0-9]+) .*:.*/\\1/" | sort -nu').split()
    assert {'80', '443', '5000'} <= set(ports)
