"""Apps that know their own name, or that lead to https by themselves, deploy with and without TLS."""

import shutil

import pytest
from conftest import CHECKOUT

# pytest would put the tests that ask for the host before the others
pytestmark = pytest.mark.usefixtures('host')

CODE = {
    'server name': "app.config['SERVER_NAME'] = 'shop.test'\n",
    # as Flask-Talisman and the like do
    'https': """
@app.before_request
def to_https():
    if flask.request.headers.get('X-Forwarded-Proto') != 'https':
        return flask.redirect(flask.request.url.replace('http://', 'https://', 1), code=%d)
""",
}
MODES = {'plain': {'tls_mode': 'none'}, 'selfsigned': {'tls_mode': 'selfsigned'},
         'balancer': {'tls_mode': 'none', 'nginx_trusted_proxies': ['192.0.2.0/24']}}  # fmt: skip
# of the hand-over, and of nginx's role
WARNINGS = ['warning: shop.test answers with a redirect to https', 'WARNING: the app leads http://shop.test/health to https']


def deploy(machine, folder, code, **variables):
    """Deploys the scenario's app with further code, as the site shop.test."""
    shutil.copytree(CHECKOUT / 'molecule/release/app', folder / 'app')
    with (folder / 'app/app.py').open('a') as file:
        file.write(code)
    return machine.run(flask_app_src=str(folder / 'app'), flask_app_domains=['shop.test'], **variables)


@pytest.mark.parametrize('mode', MODES)
def test_an_app_with_a_server_name(machine, tmp_path, mode):
    status, output = deploy(machine, tmp_path, CODE['server name'], **MODES[mode])
    assert status == 0 and not any(warning in output for warning in WARNINGS), output
    assert machine.ask('shop.test', '/health', tls=mode == 'selfsigned')[::2] == (200, 'well')


@pytest.mark.parametrize('mode, code', [('plain', 301), ('balancer', 302), ('selfsigned', 308)])
def test_an_app_that_forces_https(machine, tmp_path, mode, code):
    status, output = deploy(machine, tmp_path, CODE['https'] % code, **MODES[mode])
    assert status == 0, output
    assert [warning in output for warning in WARNINGS] == [mode == 'plain'] * 2, output
    if mode == 'selfsigned':
        assert machine.ask('shop.test', '/health')[::2] == (200, 'well')
    else:
        status, headers, _ = machine.ask('shop.test', '/health', tls=False)
        assert (status, headers['location']) == (code, 'https://shop.test/health')


def test_an_app_that_leads_elsewhere_is_not_healthy(machine, root, tmp_path):
    before = root('readlink /srv/flaskrandom/current')
    code = CODE['https'].replace('flask.request.url.replace(', "'http://other.test/'.replace(") % 301
    status, output = deploy(machine, tmp_path, code, tls_mode='none')
    assert status == 2 and '301' in output, output
    assert root('readlink /srv/flaskrandom/current') == before
