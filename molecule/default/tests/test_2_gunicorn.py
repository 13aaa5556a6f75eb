"""The article's chapter 2: gunicorn."""

from test_1_flask import HELLO, SERVE


def test_s13_gunicorn_is_installed(bash, expected):
    assert 'Requirement already satisfied: gunicorn' in bash(
        f'cd {expected.folder} && source ./bin/activate && pip3 install gunicorn'
    )


def test_s14_three_workers_serve(bash, expected):
    master = bash('sudo supervisorctl pid flaskrandom').strip()
    assert len(bash(f'ps --no-headers --ppid {master}').splitlines()) == 3


def test_s14_gunicorn_answers_when_started_by_hand(bash, expected):
    port = expected.spare_port
    if port == 5000:
        bash('sudo supervisorctl stop flaskrandom')
    served = bash(
        f'cd {expected.folder} && source ./bin/activate;'
        + SERVE % (f'gunicorn -w 3 -b 0.0.0.0:{port} app:app', port)
    )
    if port == 5000:
        bash('sudo supervisorctl start flaskrandom')
    assert HELLO in served
    assert served.count('Booting worker') == 3
