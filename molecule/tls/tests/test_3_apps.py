"""Apps that set SERVER_NAME or redirect to https by themselves can be deployed with and without TLS, as examples/ says."""

import shutil

import pytest
from conftest import example
from machine import CHECKOUT, play
from test_2_change import pair

# Keeps the order: pytest runs the tests with the fixture `host` before the others.
pytestmark = pytest.mark.usefixtures('host')

DOMAIN = 'www.example.com'
CODE = {
    'server name': f"app.config['SERVER_NAME'] = '{DOMAIN}'\n",
    # like Flask-Talisman
    'https': """
@app.before_request
def to_https():
    if flask.request.headers.get('X-Forwarded-Proto') != 'https':
        return flask.redirect(flask.request.url.replace('http://', 'https://', 1), code=%d)
""",
}
MODES = {'plain': {'tls_mode': 'none'}, 'files': example('own-tls'), 'balancer': example('behind-a-balancer')}
# of the release tool and of the role site
WARNINGS = [f'warning: {DOMAIN} redirects to https://{DOMAIN}', f'WARNING: the app redirects http://{DOMAIN}/health to https']


def deploy(folder, code, **variables):
    """Deploys the scenario's app with further code, for DOMAIN unless the variables say otherwise; returns the Run."""
    shutil.copytree(CHECKOUT / 'molecule/release/app', folder / 'app')
    with (folder / 'app/app.py').open('a') as file:
        file.write(code)
    variables = {'flask_app_domains': [DOMAIN], **variables, 'flask_app_src': str(folder / 'app')}
    if variables['tls_mode'] == 'files':
        variables |= pair(folder, variables['flask_app_domains'])
    return play('playbook.yml', **variables)


@pytest.mark.parametrize('mode', MODES)
def test_an_app_with_a_server_name_is_deployed(machine, tmp_path, mode):
    run = deploy(tmp_path, CODE['server name'], **MODES[mode])
    assert not any(warning in run.words for warning in WARNINGS), run.output
    answer = machine.ask_tls(DOMAIN, '/health') if mode == 'files' else machine.ask('/health', host=DOMAIN)
    assert (answer.status, answer.body) == (200, 'well')


@pytest.mark.parametrize('mode, code', [('plain', 301), ('balancer', 302), ('files', 308)])
def test_an_app_that_redirects_to_https_is_deployed_with_a_warning_without_tls(machine, tmp_path, mode, code):
    run = deploy(tmp_path, CODE['https'] % code, **MODES[mode])
    assert [warning in run.words for warning in WARNINGS] == [mode == 'plain'] * 2, run.output
    if mode == 'files':
        assert machine.ask_tls(DOMAIN, '/health')[::2] == (200, 'well')
    else:
        status, headers, _ = machine.ask('/health', host=DOMAIN)
        assert (status, headers['location']) == (code, f'https://{DOMAIN}/health')


def test_an_app_that_redirects_elsewhere_is_not_healthy(root, tmp_path):
    before = root('readlink /srv/flaskrandom/current')
    code = CODE['https'].replace('flask.request.url.replace(', "'http://other.test/'.replace(") % 301
    run = deploy(tmp_path, code, tls_mode='none', fails=True)
    assert run.status == 2 and '301' in run.words, run.output
    assert root('readlink /srv/flaskrandom/current') == before
