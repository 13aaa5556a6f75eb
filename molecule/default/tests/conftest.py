"""What the tests of the article's steps share. They run the article's commands over ssh as the unprivileged user `ubuntu`."""

import os
from typing import NamedTuple

import pytest

pytest_plugins = ['machine']

REQUEST = {'intlen': 12, 'intnum': 3, 'withnum': True, 'withlow': True, 'withup': True, 'withspecial': False}


class Expected(NamedTuple):
    """What differs between the hosts of the scenarios `default` and `article`."""

    folder: str
    user: str
    command: str
    proxy_pass: str
    open_ports: set
    spare_port: int  # for servers that the tests start


HOSTS = {
    'default': Expected(
        '/srv/flaskrandom/current',
        'flaskrandom',
        '/srv/flaskrandom/current/bin/gunicorn -c .gunicorn.py -b unix:/run/flaskrandom/app/flaskrandom.sock',
        'http://flask-flaskrandom',
        {22, 80},
        5001,
    ),
    'article': Expected(
        '/home/tfzhang/myflask',
        'tfzhang',
        '/home/tfzhang/myflask/bin/gunicorn -w 3 -b 0.0.0.0:5000 app:app',
        'http://127.0.0.1:5000/',
        {22, 80, 5000},
        5000,
    ),
}


@pytest.fixture(scope='session')
def expected():
    """What this scenario's host is expected to look like."""
    return HOSTS[os.environ['MOLECULE_SCENARIO_NAME']]


def pytest_terminal_summary(terminalreporter, config):
    """Reports the versions that the tests ran with, which test S01 reads."""
    terminalreporter.write_line(getattr(config, 'machine_report', ''))
