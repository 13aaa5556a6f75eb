"""What the checks of the article's steps share.

They type what the article types, over ssh, as the ordinary user `ubuntu`.
"""

import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

REQUEST = {'intlen': 12, 'intnum': 3, 'withnum': True, 'withlow': True, 'withup': True, 'withspecial': False}


class Expected(NamedTuple):
    """What differs between the hosts of the scenarios."""

    folder: str
    user: str
    command: str
    proxy_pass: str
    open_ports: set
    spare_port: int  # for servers that are started by hand


HOSTS = {
    'default': Expected(
        '/srv/flaskrandom/current',
        'flaskrandom',
        '/srv/flaskrandom/current/bin/gunicorn -c .gunicorn.py -b unix:/run/flaskrandom/app/flaskrandom.sock',
        'http://app',
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


class Machine:
    """The machine as the controller sees it."""

    def __init__(self):
        folder = Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY'])
        self.facts = yaml.safe_load((folder / 'instance_config.yml').read_text())[0]
        self.url = f'http://127.0.0.1:{self.facts["http_port"]}'

    def ask(self, path='/', data=None):
        """Sends a request to port 80 from outside.

        Args:
            path: of the request.
            data: the object to POST as JSON; None for a GET.

        Returns:
            Status and body.
        """
        request = urllib.request.Request(
            self.url + path,
            data=None if data is None else json.dumps(data).encode(),
            headers={'Content-Type': 'application/json'},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def wait(self, seconds=30):
        """Waits until the app answers; fails after some seconds."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if self.ask()[0] == 200:
                    return
            except OSError:
                pass
            assert time.monotonic() < deadline, f'no answer within {seconds} s'
            time.sleep(0.2)


@pytest.fixture(scope='session')
def expected():
    """What this scenario's host is expected to look like."""
    return HOSTS[os.environ['MOLECULE_SCENARIO_NAME']]


@pytest.fixture(scope='session')
def machine():
    """The machine as the controller sees it."""
    return Machine()


@pytest.fixture
def bash(host):
    """Types commands into the host's bash and returns what it printed, errors included; they must succeed."""

    def run(text, fails=False):
        result = host.run("bash -c %s", text)
        output = result.stdout + result.stderr
        assert fails or result.rc == 0, f'{text}\nended with {result.rc}:\n{output}'
        return output

    return run


def pytest_terminal_summary(terminalreporter, config):
    """Says what the checks ran on; S01 asks the host for it."""
    terminalreporter.write_line(getattr(config, 'machine_report', ''))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds the host's own words to a failed check."""
    report = yield
    if report.when == 'call' and report.failed and 'host' in item.funcargs:
        host = item.funcargs['host']
        log = host.run('sudo sh -c "supervisorctl status; tail -n 20 /var/log/supervisor/*.log /var/log/nginx/err*"')
        report.sections.append(('the host', log.stdout + log.stderr))
    return report
