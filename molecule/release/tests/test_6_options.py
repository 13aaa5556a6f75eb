"""What is off by default because it is not for every app: nginx's cache, and as many workers as the host has room for."""

import json
import urllib.error
import urllib.request

import pytest

# pytest would put the tests that ask for the host before the others
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
    """The machine with both options; returns the figures of the load that went on while they came."""
    machine.deploy(app)
    with machine.load('a cache and more workers') as result:
        machine.deploy(app, nginx_cache_seconds=60, flask_app_workers='auto')
    return result


def same(machine, path, **request):
    """Whether two requests, one after the other, get the same answer."""
    answers = []
    for _ in range(2):
        try:
            with urllib.request.urlopen(urllib.request.Request(machine.url + path, **request), timeout=10) as answer:
                answers.append(answer.read())
        except urllib.error.HTTPError as error:
            answers.append(error.read())
    return answers[0] == answers[1]


def workers(root):
    """How many workers the program's gunicorn has."""
    return int(root('pgrep --count --parent $(supervisorctl pid flaskrandom)'))


def test_an_answer_to_get_is_for_others_too(machine, tuned):
    assert same(machine, '/moment')


@pytest.mark.parametrize('headers', [{'Cookie': 'session=1'}, {'Authorization': 'Basic YTpi'}], ids=str)
def test_whoever_the_app_may_know_gets_an_answer_of_their_own(machine, tuned, headers):
    assert not same(machine, '/moment', headers=headers)
    assert same(machine, '/moment')


@pytest.mark.parametrize('header', ['Cache-Control=no-store', 'Cache-Control=private', 'Cache-Control=max-age%3D0', 'Set-Cookie=a%3Db'])
def test_what_the_app_says_of_its_answer_counts(machine, tuned, header):
    assert not same(machine, f'/moment?{header}')


def test_neither_a_post_nor_an_error_is_kept(machine, tuned):
    assert not same(machine, '/moment', data=b'')
    assert not same(machine, '/moment/404')


def test_there_are_as_many_workers_as_the_host_has_room_for(root, tuned):
    cores, megabytes = int(root('nproc')), int(root("awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo"))
    assert workers(root) == max(2, min(2 * cores + 1, megabytes // 128, 64))


def test_a_second_run_changes_nothing(machine, app, tuned):
    assert machine.deploy(app, nginx_cache_seconds=60, flask_app_workers='auto').changed == 0


def test_they_go_as_they_came(machine, app, root, tuned):
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
def test_a_second_run_with_other_settings_of_gunicorn_changes_nothing(machine, root, variables):
    app = machine.app(next(iter(variables)).replace('_', '-'))
    (app / 'src').mkdir()
    (app / 'src/inner.py').write_text((app / 'app.py').read_text())
    machine.deploy(app, **variables)
    master = root('supervisorctl pid flaskrandom')
    assert machine.deploy(app, **variables).changed == 0
    assert root('supervisorctl pid flaskrandom') == master
    assert machine.release() == app.name


def test_the_socket_comes_back_after_tcp(machine, root):
    machine.deploy(machine.app('socket-again'))
    assert machine.release() == 'socket-again'
    assert root('readlink /run/flaskrandom/live.sock') == 'app/flaskrandom.sock'


def test_a_port_that_nginx_has_stops_the_run(machine):
    run = machine.start_deploy(machine.app('port-of-nginx'), flask_app_bind='127.0.0.1:5000')
    assert run.wait() != 0
    assert 'nginx has 5000 (flask_app_bind)' in run.output
    assert machine.release() != 'port-of-nginx'
