"""What one app is given, its neighbours do not feel: limits, body sizes, headers, caches, error pages, logs and includes."""

import concurrent.futures
import json

import pytest


@pytest.fixture(scope='module', autouse=True)
def settings(neighbours, tmp_path_factory):
    """Gives the app shop what no other has."""
    includes = tmp_path_factory.mktemp('includes')
    (includes / 'hello.conf').write_text('location = /hello { default_type text/plain; return 200 "hello"; }\n')
    shop = neighbours.app(
        'shop',
        flask_app_domains=['shop.example.com', 'www.shop.example.com'],
        nginx_client_max_body_size='1k',
        nginx_address_requests=1,
        nginx_cache_seconds=60,
        nginx_headers={'X-Shop': 'open'},
        nginx_includes=str(includes),
    )
    pages = neighbours.folder / 'apps/shop/error_pages'
    pages.mkdir(exist_ok=True)
    (pages / 'error.html').write_text('shop: <!--# echo var="status" -->\n')
    neighbours.play('playbook.yml', neighbours.inventory('shop', {'shop': shop}))
    return neighbours


def test_body_sizes(neighbours):
    body = b'x' * 5000
    assert neighbours.ask('shop.example.com', method='POST', body=body).status == 413
    assert neighbours.ask('my.test', method='POST', body=body).status == 200


def test_error_pages(neighbours):
    assert neighbours.ask('shop.example.com', '/missing/.git', Accept='text/html').text == 'shop: 404\n'
    assert 'shop:' not in neighbours.ask('my.test', '/missing/.git', Accept='text/html').text
    assert json.loads(neighbours.ask('other.test', '/missing/.git').text) == {
        'data': [], 'datalen': 0, 'error': 'Not Found', 'msg': 'fail'}  # fmt: skip


def test_headers(neighbours):
    assert neighbours.ask('shop.example.com').headers['X-Shop'] == 'open'
    assert neighbours.ask('my.test').headers['X-Shop'] is None
    assert neighbours.ask('my.test').headers['X-Frame-Options'] == 'SAMEORIGIN'


def test_limits_of_requests(neighbours):
    def statuses(name):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda _: neighbours.ask(name, '/slow').status, range(16)))

    assert 429 in statuses('shop.example.com')
    assert set(statuses('my.test')) == {200}


def test_caches(neighbours, root):
    assert root('ls -d /var/lib/nginx/flask-*') == '/var/lib/nginx/flask-shop'


def test_includes(neighbours):
    assert neighbours.ask('shop.example.com', '/hello').text == 'hello'
    assert neighbours.ask('my.test', '/hello').status == 404


def test_a_bad_include_is_refused_and_everything_serves_on(neighbours, tmp_path, root):
    (tmp_path / 'bad.conf').write_text('no_such_directive on;\n')
    before = root('sha256sum /etc/nginx/sites-enabled/* /etc/nginx/flask-host/*/* 2>/dev/null', fails=True)
    shop = neighbours.app('shop', flask_app_domains=['shop.example.com', 'www.shop.example.com'], nginx_includes=str(tmp_path))
    _, output = neighbours.play('playbook.yml', neighbours.inventory('bad', {'shop': shop}), fails=True)
    assert 'no_such_directive' in output
    assert root('sha256sum /etc/nginx/sites-enabled/* /etc/nginx/flask-host/*/* 2>/dev/null', fails=True) == before
    assert neighbours.ask('shop.example.com', '/hello').text == 'hello' and neighbours.ask('my.test').app == 'my_shop'


def test_logs(neighbours, root):
    neighbours.ask('my.test', '/?only=mine')
    neighbours.ask('shop.example.com', '/?only=shops')
    mine = root('sleep 1.5; cat /var/log/nginx/my_shop.access.log')
    assert '/?only=mine' in mine and '/?only=shops' not in mine
    assert '/?only=' not in root('cat /var/log/nginx/access.log')
