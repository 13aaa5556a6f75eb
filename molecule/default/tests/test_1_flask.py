"""The article's chapter 1: the Flask app."""

import os
from importlib import metadata

from conftest import REQUEST

# Starts a server in the background, prints its answer and its output, and stops it.
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


def test_s01_python3_prints_its_version(bash, request, expected):
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


def test_s03_an_environment_can_be_created_and_activated(bash, expected):
    bash('cd "$(mktemp -d)" && python3 -m venv myflask && cd myflask && source ./bin/activate && pip3 --version')
    activated = bash(f'cd {expected.folder} && source ./bin/activate && command -v python3 flask gunicorn')
    assert len(activated.split()) == 3
    assert all(path.startswith('/srv/flaskrandom/venvs/') for path in activated.split())


def test_s04_flask_is_installed(bash, expected):
    assert 'Requirement already satisfied: Flask' in bash(
        f'cd {expected.folder} && source ./bin/activate && pip3 install Flask'
    )


def test_s05_the_index_page_greets(machine):
    answer = machine.ask()
    assert (answer.status, answer.body) == (200, HELLO)


def test_s06_flask_run_serves_the_app(bash, expected):
    # port 5000 is in use, as in the article once gunicorn runs
    assert HELLO in bash(
        f'cd {expected.folder} && source ./bin/activate && export FLASK_RUN_PORT=5002;'
        + SERVE % ('flask run', 5002)
    )


def test_s07_flask_run_reads_flaskenv(bash, expected):
    # in production: port 5000, which is in use
    taken = bash(f'cd {expected.folder} && source ./bin/activate && timeout 20 flask run', fails=True)
    assert 'Address already in use' in taken
    # in development, with the file as the article prints it
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


def test_s09_random_strings_have_the_requested_number_and_length(machine):
    answer = machine.ask('/getrandomstr', REQUEST)
    strings = answer.json()
    assert (answer.status, strings['msg'], strings['datalen']) == (200, 'success', 3)
    assert [len(string) for string in strings['data']] == [12, 12, 12]


def test_s09_requests_above_the_limits_fail(machine):
    for excess in ({'intlen': 31}, {'intnum': 1001}):
        answer = machine.ask('/getrandomstr', {**REQUEST, **excess})
        assert (answer.status, answer.json()) == (200, {'data': [], 'datalen': 0, 'msg': 'fail'})


def test_s09_incomplete_requests_get_400_where_the_article_gives_500(machine):
    answer = machine.ask('/getrandomstr', {})
    assert answer.status == 400
    assert answer.json()['msg'] == 'fail'


def test_s10_each_flag_selects_its_class_of_characters(machine):
    classes = {
        'withnum': set('0123456789'),
        'withlow': set('abcdefghijklmnopqrstuvwxyz'),
        'withup': set('ABCDEFGHIJKLMNOPQRSTUVWXYZ'),
        'withspecial': set('!@#$'),
    }
    for flag, characters in classes.items():
        data = {'intlen': 30, 'intnum': 100, **dict.fromkeys(classes, False), flag: True}
        # 3000 characters: the chance that one of 26 is missing is below 1e-48
        assert set(''.join(machine.ask('/getrandomstr', data).json()['data'])) == characters


def test_s12_flaskenv_sets_production(bash, expected):
    lines = bash(f'cat {expected.folder}/.flaskenv').splitlines()
    assert {'FLASK_ENV=production', 'FLASK_APP=app.py', 'FLASK_RUN_PORT=5000'} <= set(lines)
