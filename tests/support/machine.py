"""A pytest plugin for the scenarios: the machines under test, playbooks that run against them, and commands as root."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
# Molecule removes it with the machines.
FOLDER = Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY'])
INVENTORY = os.environ['MOLECULE_INVENTORY_FILE']
TIMEOUT = 600  # seconds that a playbook may take

pytest_plugins = ['pytest_load']


class Answer(NamedTuple):
    """An HTTP answer.

    Attributes:
        status: such as 200.
        headers: values by lower-case name.
        body: its text.
    """

    status: int
    headers: dict
    body: str

    def json(self):
        """Returns the object in the body; raises ValueError if it is not JSON."""
        return json.loads(self.body)


class Run:
    """A playbook at work.

    Attributes:
        process: ansible-playbook itself.
        seconds: how long it took; set by wait().
    """

    def __init__(self, playbook, *options, **variables):
        """Starts a playbook.

        Args:
            playbook: its file name, relative to the checkout.
            options: further arguments of ansible-playbook.
            variables: extra variables of the run.
        """
        descriptor, log = tempfile.mkstemp(prefix='run-', dir=FOLDER)
        self.log = Path(log)
        self.started = time.monotonic()
        with open(descriptor, 'w') as file:
            self.process = subprocess.Popen(
                ['ansible-playbook', '-i', INVENTORY, playbook, '-e', json.dumps(variables), *options],
                cwd=CHECKOUT,
                env={**os.environ, 'ANSIBLE_FORCE_COLOR': '0', 'ANSIBLE_NOCOLOR': '1'},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that kill() reaches all its processes
            )

    @property
    def status(self):
        """The exit status; None while the playbook runs."""
        return self.process.poll()

    @property
    def output(self):
        """What the playbook has printed so far."""
        return self.log.read_text(errors='backslashreplace')

    @property
    def words(self):
        """The output with every run of white space replaced by one space: Ansible wraps long messages."""
        return ' '.join(self.output.split())

    @property
    def changed(self):
        """The number of changes by host, from the recap at the end."""
        return {host: int(number) for host, number in re.findall(r'(?m)^(\S+) .*changed=(\d+)', self.output)}

    def wait(self, timeout=TIMEOUT):
        """Waits for the end, at most `timeout` seconds, or kills the playbook and fails. Returns the exit status."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f'the playbook did not end within {timeout} s:\n{self.output}')
        self.seconds = time.monotonic() - self.started
        return status

    def wait_for(self, text):
        """Waits until the output contains a text; fails if the playbook ends without it."""
        while text not in self.output:
            assert self.status is None, self.output
            time.sleep(0.05)

    def kill(self):
        """Kills the playbook with all its processes, as a crash of the controller would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def play(playbook, *options, fails=False, **variables):
    """Runs a playbook to its end.

    Args:
        playbook, options, variables: see Run.
        fails: whether it must fail instead of succeed.

    Returns:
        The Run that has ended.
    """
    run = Run(playbook, *options, **variables)
    run.wait()
    assert (run.status != 0) == fails, run.output
    return run


class Machine:
    """A machine as the controller sees it.

    Attributes:
        facts: what tools/machines/create.yml wrote about it: engine, container, ports and others.
        url: of its port 80, without a slash at the end.
    """

    def __init__(self, facts):
        self.facts = facts
        self.url = f'http://127.0.0.1:{facts["http_port"]}'

    def connect(self, port=None):
        """Opens a connection with a timeout of 10 s to a published port, by default to that of the machine's port 80."""
        return socket.create_connection(('127.0.0.1', int(port or self.facts['http_port'])), timeout=10)

    def send(self, request, connection=None):
        """Sends a request byte by byte as it is given.

        Args:
            request: the bytes.
            connection: where they go instead of to port 80.

        Returns:
            The Answer.

        Raises:
            OSError: there was no connection, or it broke.
            http.client.HTTPException: the answer is not HTTP.
        """
        with connection or self.connect() as opened:
            opened.sendall(request)
            answer = http.client.HTTPResponse(opened)
            answer.begin()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode())

    def ask(self, path='/', data=None, host=None, headers=None, connection=None):
        """Sends a request to port 80 from outside.

        Args:
            path: of the request.
            data: what to POST: bytes as they are, another object as JSON; None for a GET.
            host: the Host header; the address by default.
            headers: further headers.
            connection: see send().

        Returns:
            The Answer; redirects are not followed.
        """
        fields = {'Host': host or self.url.partition('//')[2], 'Connection': 'close', 'Content-Type': 'application/json', **(headers or {})}
        body = b''
        if data is not None:
            body = data if isinstance(data, bytes) else json.dumps(data).encode()
            fields['Content-Length'] = len(body)
        head = ''.join(f'{name}: {value}\r\n' for name, value in fields.items())
        return self.send(f'{"GET" if data is None else "POST"} {path} HTTP/1.1\r\n{head}\r\n'.encode() + body, connection)

    def wait(self, seconds=30, path='/'):
        """Waits until GET of a path answers 200; fails after some seconds."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask(path).status == 200:
                    return
            assert time.monotonic() < deadline, f'no answer within {seconds} s'
            time.sleep(0.2)

    def inside(self, *command):
        """Runs a command as root through the container's engine, so also without ssh; returns what it printed."""
        command = [self.facts['engine'], 'exec', self.facts['container'], *command]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout

    def restart(self):
        """Restarts the machine; returns when its first process runs again."""
        command = [self.facts['engine'], 'restart', '--time=5', self.facts['container']]
        subprocess.run(command, check=True, capture_output=True)


def read_facts():
    """Returns the facts of the scenario's machines, see Machine, by the names that they have in the inventory."""
    return {facts['instance']: facts for facts in yaml.safe_load((FOLDER / 'instance_config.yml').read_text())}


@pytest.fixture(scope='session')
def machines():
    """The scenario's machines by name."""
    return {name: Machine(facts) for name, facts in read_facts().items()}


@pytest.fixture(scope='session')
def machine(machines):
    """The scenario's first machine."""
    return next(iter(machines.values()))


def shell(host, prefix=''):
    """A function that runs a command in the host's bash, as `ubuntu` or with a prefix such as `sudo`.

    It returns what the command printed, errors included. The command must succeed, unless it `fails`.
    """

    def run(command, fails=False):
        result = host.run(f'{prefix} bash -c %s'.strip(), command)
        output = result.stdout + result.stderr
        assert fails or result.rc == 0, f'{command}\nended with {result.rc}:\n{output}'
        return output

    return run


@pytest.fixture
def bash(host):
    """Runs a command in bash as `ubuntu`; see shell."""
    return shell(host)


@pytest.fixture
def root(host):
    """Runs a command as root over ssh; see shell. What it printed comes without white space around it."""
    run = shell(host, 'sudo')
    return lambda command, fails=False: run(command, fails).strip()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds the machine's own logs to a failed test."""
    report = yield
    if report.when == 'call' and report.failed and 'host' in item.funcargs:
        log = item.funcargs['host'].run('sudo sh -c "supervisorctl status; tail -n 20 /var/log/supervisor/*.log /var/log/nginx/*error.log"')
        report.sections.append(('logs of the machine', log.stdout + log.stderr))
    return report
