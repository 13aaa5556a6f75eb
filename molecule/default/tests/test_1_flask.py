"""The article's chapter 1: the Flask app."""

import json
import os
from importlib import metadata

from conftest import REQUEST

# A server in the background, asked once it answers, and ended.
SERVE = """
%s > /tmp/served 2>&1 & server=$!
trap 'kill $server' EXIT
for _ in {1..100}; do
  python3 -c 'import urllib.request as u; print(u.urlopen("http://127.0.0.1:%d/").read().decode())' 2>/dev/null && break
  sleep 0.1
done
sleep 1
cat /tmp/served
"""
HELLO = '<h1>Hello World! From Flask!</h1>'


def test_s01_python3_says_its_version(bash, request, expected):
    version = bash('python3 --version')
    assert version.startswith('Python 3.')
    own = bash(f'{expected.folder}/bin/python --version').strip()
    assert own.lower().replace(' ', '').startswith(os.environ.get('APP_PYTHON') or 'python3.')
    request.config.machine_report = bash(
        '. /etc/os-release; echo "Ran on $PRETTY_NAME: $(python3 --version), $(sudo nginx -v 2>&1),'
        ' supervisor $(supervisord --version)"'
    ).strip() + f', the app on {own}, from ansible-core {metadata.version("ansible-core")}'


def test_s02_python3_venv_is_installed(host):
    assert host.package('python3-venv').is_installed


def test_s03_an_environment_can_be_made_and_activated(bash, expected):
    bash('cd "$(mktemp -d)" && python3 -m venv myflask && cd myflask && source ./bin/activate && pip3 --version')
    activated = bash(f'cd {expected.folder} && source ./bin/activate && command -v python3 flask gunicorn')
    assert len(activated.split()) == 3
    assert all(path.startswith('/srv/flaskrandom/venvs/') for path in activated.split())


def test_s04_flask_is_installed(bash, expected):
    assert 'Requirement already satisfied: Flask' in bash(
        f'cd {expected.folder} && source ./bin/activate && pip3 install Flask'
    )


def test_s05_the_first_page_greets(machine):
    assert machine.ask() == (200, HELLO)


def test_s06_flask_run_serves_the_app(bash, expected):
    # on the default host port 5000 is taken, as it is in the article once gunicorn runs
    assert HELLO in bash(
        f'cd {expected.folder} && source ./bin/activate && export FLASK_RUN_PORT=5002;'
        + SERVE % ('flask run', 5002)
    )


def test_s07_flaskenv_decides(bash, expected):
    # in production: port 5000, which is taken
    taken = bash(f'cd {expected.folder} && source ./bin/activate && timeout 20 flask run', fails=True)
    assert 'Address already in use' in taken
    # in development, with the article's own file
    served = bash(
        f'source {expected.folder}/bin/activate && cd "$(mktemp -d)" && cp {expected.folder}/app.py . &&'
        r' printf "FLASK_ENV=development\nFLASK_APP=app.py\nFLASK_RUN_PORT=8000\n" > .flaskenv;'
        + SERVE % ('flask run', 8000)
    )
    assert HELLO in served
    assert '127.0.0.1:8000' in served


def test_s08_python_dotenv_is_installed(bash, expected):
    assert 'Requirement already satisfied: python-dotenv' in bash(
        f'cd {expected.folder} && source ./bin/activate && pip3 install python-dotenv'
    )


def test_s09_random_strings_come_as_asked(machine):
    status, body = machine.ask('/getrandomstr', REQUEST)
    answer = json.loads(body)
    assert (status, answer['msg'], answer['datalen']) == (200, 'success', 3)
    assert [len(string) for string in answer['data']] == [12, 12, 12]


def test_s09_too_much_is_a_fail(machine):
    for excess in ({'intlen': 31}, {'intnum': 1001}):
        status, body = machine.ask('/getrandomstr', {**REQUEST, **excess})
        assert (status, json.loads(body)) == (200, {'data': [], 'datalen': 0, 'msg': 'fail'})


def test_s09_what_the_article_answers_with_500_is_a_400_of_the_app(machine):
    status, body = machine.ask('/getrandomstr', {})
    assert status == 400
    assert json.loads(body)['msg'] == 'fail'


def test_s10_every_class_has_its_characters(machine):
    classes = {
        'withnum': set('0123456789'),
        'withlow': set('abcdefghijklmnopqrstuvwxyz'),
        'withup': set('ABCDEFGHIJKLMNOPQRSTUVWXYZ'),
        'withspecial': set('!@#$'),
    }
    for flag, characters in classes.items():
        data = {'intlen': 30, 'intnum': 100, **dict.fromkeys(classes, False), flag: True}
        # 3000 characters: the chance that one of 26 is missing is below 1e-48
        assert set(''.join(json.loads(machine.ask('/getrandomstr', data)[1])['data'])) == characters


def test_s12_flaskenv_says_production(bash, expected):
    lines = bash(f'cat {expected.folder}/.flaskenv').splitlines()
    assert {'FLASK_ENV=production', 'FLASK_APP=app.py', 'FLASK_RUN_PORT=5000'} <= set(lines)
