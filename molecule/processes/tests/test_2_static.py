"""Files that nginx serves itself: of releases, of shared folders, and those that the app protects."""

import gzip
import http.client
from pathlib import Path

import pytest

SETTINGS = {
    'flask_app_processes': {},
    'flask_app_static': {'/static': 'static', '/media': 'media'},
    'flask_app_shared': ['data', 'media', 'invoices'],
    'flask_app_internal': {'/protected': 'invoices'},
}


def version(shop, script):
    """Makes a version of the app with static files; its script has a hash in its name."""
    folder = shop.version()
    static = Path(folder, 'static')
    static.mkdir()
    (static / f'app.{script}.js').write_text('console.log("one");\n' * 100)
    (static / 'style.css').write_text('body { color: black; }\n' * 100)
    return folder


@pytest.fixture(scope='module')
def serving(shop):
    folder = version(shop, 'aaaaaaaa1')
    shop.deploy(folder, **SETTINGS)
    again = shop.deploy(folder, **SETTINGS)
    assert set(again.changed.values()) == {0}, again.output
    return shop


def test_files_come_from_nginx_with_fitting_headers(serving, root):
    root('supervisorctl stop shop')
    try:
        script, style = serving.ask('/static/app.aaaaaaaa1.js'), serving.ask('/static/style.css')
    finally:
        root('supervisorctl start shop')
    serving.wait()
    assert script.status == style.status == 200
    assert script.headers['cache-control'] == 'public, max-age=31536000, immutable'
    assert style.headers['cache-control'] == 'no-cache' and style.headers['x-content-type-options'] == 'nosniff'
    assert serving.ask('/static/style.css', headers={'If-None-Match': style.headers['etag']}).status == 304
    assert serving.ask('/static/none.css').status == 404 and serving.ask('/static/').status == 404
    assert serving.ask('/static/.env').status == 404
    assert serving.ask('/static/extension.css').body == 'of an extension', 'what is no file goes to the app'


def test_text_is_compressed(serving):
    with serving.connect() as connection:
        connection.sendall(b'GET /static/style.css HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n')
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.getheader('Content-Encoding') == 'gzip' and answer.getheader('Vary') == 'Accept-Encoding'
        assert gzip.decompress(answer.read()).startswith(b'body {')


def test_a_page_finds_its_files_two_releases_later(serving):
    for script in ('bbbbbbbb2', 'cccccccc3'):
        serving.deploy(version(serving, script), **SETTINGS)
    for script in ('aaaaaaaa1', 'bbbbbbbb2', 'cccccccc3'):
        assert serving.ask(f'/static/app.{script}.js').status == 200, script


def test_uploads_are_served_and_lead_nowhere(serving, root):
    shared = '/srv/shop/shared'
    root(f"sudo -u shop sh -c 'mkdir -p {shared}/media/a && echo up >{shared}/media/a/x.txt && ln -sfn /etc/hostname {shared}/media/link'")
    root(f"sudo -u shop sh -c 'ln -sfn /etc {shared}/media/etc; ln -sfn {shared}/invoices {shared}/media/invoices'")
    root(f"sudo -u shop sh -c 'echo paid >{shared}/invoices/1.txt'")
    assert serving.ask('/media/a/x.txt').body == 'up\n'
    for path in ('/media/link', '/media/etc/hostname', '/media/invoices/1.txt'):
        assert serving.ask(path).status in (403, 404), path


def test_protected_files_need_the_app(serving):
    assert serving.ask('/invoice/1.txt').body == 'paid\n'
    assert serving.ask('/protected/1.txt').status == 404


def test_a_body_that_is_too_large_names_the_variable(serving):
    answer = serving.send(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nConnection: close\r\n\r\n')
    assert answer.status == 413 and 'nginx_client_max_body_size' in answer.body


def test_nginx_serves_files_ten_times_as_fast_as_the_app(serving, root, figures):
    def requests(path):
        text = root(f'ab -q -k -n 3000 -c 8 http://127.0.0.1{path}')
        assert 'Non-2xx' not in text and 'Failed requests:        0' in text, text
        return float(text.partition('Requests per second:')[2].split()[0])

    root('apt-get install -qq -y apache2-utils >/dev/null')
    # in pairs, because others use the processors too
    pairs = [(requests('/own/style.css'), requests('/static/style.css')) for _ in range(3)]
    app, static = max(pairs, key=lambda pair: pair[1] / pair[0])
    figures.append(f'static files: {static:.0f}/s, the app: {app:.0f}/s, {static / app:.1f} times')
    assert static > 10 * app
