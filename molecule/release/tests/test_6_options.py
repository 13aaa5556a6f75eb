"""Options that are off by default: nginx's cache, and a number of workers that fits the host."""

import json

import pytest

# Keeps the order: pytest runs the tests with the fixture `host` before the others.
pytestmark = pytest.mark.usefixtures('host')

CODE = """
@app.route('/moment', methods=['GET', 'POST'])
@app.route('/moment/<int:status>')
def moment(status=200):
    return str(time.time()), status, dict(flask.request.args)
"""


@pytest.fixture(scope='module')
def app(machine):
    return machine.app('moments', CODE)


@pytest.fixture(scope='module')
def tuned(machine, app):
    """Enables both options under load; returns the load's figures."""
    machine.deploy(app)
    with machine.load('a cache and more workers') as result:
        machine.deploy(app, nginx_cache_seconds=60, flask_app_workers='auto')
    return result


def same(machine, path, **request):
    """Whether two requests, one after the other, get the same answer; for the arguments see Machine.ask."""
    return machine.ask(path, **request).body == machine.ask(path, **request).body


def workers(root):
    """Returns the number of the program's workers."""
    return int(root('pgrep --count --parent $(supervisorctl pid flaskrandom)'))


def test_answers_to_get_are_cached(machine, tuned):
    assert same(machine, '/moment')


@pytest.mark.parametrize('headers', [{'Cookie': 'session=1'}, {'Authorization': 'Basic YTpi'}], ids=str)
def test_requests_with_credentials_bypass_the_cache(machine, tuned, headers):
    assert not same(machine, '/moment', headers=headers)
    assert same(machine, '/moment')


@pytest.mark.parametrize('header', ['Cache-Control=no-store', 'Cache-Control=private', 'Cache-Control=max-age%3D0', 'Set-Cookie=a%3Db'])
def test_the_apps_headers_prevent_caching(machine, tuned, header):
    assert not same(machine, f'/moment?{header}')


def test_posts_and_errors_are_not_cached(machine, tuned):
    assert not same(machine, '/moment', data=b'')
    assert not same(machine, '/moment/404')


def test_auto_workers_fit_processors_and_memory(root, tuned):
    cores, megabytes = int(root('nproc')), int(root("awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo"))
    assert workers(root) == max(2, min(2 * cores + 1, megabytes // 128, 64))


def test_a_second_run_with_the_options_changes_nothing(machine, app, tuned):
    assert machine.deploy(app, nginx_cache_seconds=60, flask_app_workers='auto').changed == {'app': 0}


def test_options_can_be_disabled(machine, app, root, tuned):
    with machine.load('no cache and three workers') as result:
        machine.deploy(app)
    assert tuned['failed'] == result['failed'] == 0
    assert not same(machine, '/moment')
    assert workers(root) == 3
    assert json.loads(root('cat /srv/flaskrandom/current/.release.json'))['workers'] == 3


@pytest.mark.parametrize(
    'variables',
    [{'flask_app_gunicorn': {'chdir': 'src'}, 'flask_app_wsgi': 'inner:app'}, {'flask_app_bind': '127.0.0.1:5003'}],
    ids=['chdir', 'tcp'],
)
def test_a_second_run_with_other_gunicorn_settings_changes_nothing(machine, root, variables):
    app = machine.app(next(iter(variables)).replace('_', '-'))
    (app / 'src').mkdir()
    (app / 'src/inner.py').write_text((app / 'app.py').read_text())
    machine.deploy(app, **variables)
    master = root('supervisorctl pid flaskrandom')
    assert machine.deploy(app, **variables).changed == {'app': 0}
    assert root('supervisorctl pid flaskrandom') == master
    assert machine.release() == app.name


def test_the_socket_is_used_again_after_tcp(machine, root):
    machine.deploy(machine.app('socket-again'))
    assert machine.release() == 'socket-again'
    assert root('readlink /run/flaskrandom/live.sock') == 'app/flaskrandom.sock'


def test_a_port_that_nginx_uses_fails_the_run(machine):
    run = machine.start_deploy(machine.app('port-of-nginx'), flask_app_bind='127.0.0.1:5000')
    assert run.wait() != 0
    assert 'port 5000 (flask_app_bind) is in use by nginx' in run.output
    assert machine.release() != 'port-of-nginx'
