"""The app below a path of its site, with files that nginx serves; and for the whole site again."""

from pathlib import Path

import pytest
from machine import play

SETTINGS = {
    'flask_app_processes': {},
    'flask_app_static': {'/static': 'static'},
    'flask_app_shared': ['data', 'invoices'],
    'flask_app_internal': {'/protected': 'invoices'},
}


def version(shop):
    """Makes a version of the app with a static file."""
    folder = shop.version()
    Path(folder, 'static').mkdir()
    Path(folder, 'static/style.css').write_text('body { color: black; }\n')
    return folder


@pytest.fixture(scope='module')
def folder(shop):
    return version(shop)


@pytest.fixture(scope='module')
def below(shop, folder):
    shop.deploy(folder, nginx_path_prefix='/shop', **SETTINGS)
    again = shop.deploy(folder, nginx_path_prefix='/shop', **SETTINGS)
    assert set(again.changed.values()) == {0}, again.output
    return shop


def test_its_urls_and_cookies_have_the_path(below):
    answer = below.ask('/shop/where', headers={'X-Forwarded-Prefix': '/evil', 'X-Script-Name': '/evil', 'SCRIPT_NAME': '/evil'})
    assert answer.json() == {'root': '/shop', 'path': '/where', 'static': '/shop/static/style.css'}
    assert answer.headers['set-cookie'].endswith('; Path=/shop')


def test_the_path_alone_leads_to_it(below):
    answer = below.ask('/shop?a=b')
    assert (answer.status, answer.headers['location']) == (308, '/shop/?a=b')
    assert below.ask('/shop/').json()['release']


def test_what_is_not_below_the_path_is_not_there(below):
    for path in ('/', '/where', '/static/style.css', '/shopping/', '/shop/../where', '/x/../shop/where', '/protected/1.txt'):
        assert below.ask(path).status == 404, path


def test_nginx_serves_its_files(below, root):
    root("sudo -u shop sh -c 'echo paid >/srv/shop/shared/invoices/1.txt'")
    root('supervisorctl stop shop')
    try:
        assert below.ask('/shop/static/style.css').headers['cache-control'] == 'no-cache'
    finally:
        root('supervisorctl start shop')
    below.wait(path='/shop/')
    assert below.ask('/shop/static/extension.css').body == 'of an extension'
    assert below.ask('/shop/invoice/1.txt').body == 'paid\n'
    assert below.ask('/shop/protected/1.txt').status == 404


def test_a_rollback_stays_below_the_path(below):
    """The site is not the release's."""
    older = below.ask('/shop/').json()['release']
    below.deploy(version(below), nginx_path_prefix='/shop', **SETTINGS)
    play('rollback.yml', nginx_path_prefix='/shop')
    assert below.ask('/shop/').json()['release'] == older and below.ask('/').status == 404


def test_the_whole_site_is_its_again(below, folder):
    below.deploy(folder, **SETTINGS)
    assert below.ask('/where', headers={'X-Forwarded-Prefix': '/evil'}).json()['root'] == ''
    assert below.ask('/static/style.css').status == 200 and below.ask('/shop/').status == 404
