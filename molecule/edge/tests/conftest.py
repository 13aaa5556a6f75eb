"""What the checks of the edge share: the machine from outside, raw sockets, a second machine."""

import http.client
import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

FACTS = yaml.safe_load((Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY']) / 'instance_config.yml').read_text())[0]
CHECKOUT = Path(os.environ['MOLECULE_PROJECT_DIRECTORY'])


@pytest.fixture(scope='session')
def ask():
    """Sends bytes to port 80 and returns status, headers (lower-case names) and body of the answer."""

    def send(data):
        with socket.create_connection(('127.0.0.1', int(FACTS['http_port'])), timeout=5) as connection:
            connection.sendall(data)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()

    return send


@pytest.fixture(scope='session')
def neighbour():
    """Runs Python on a second machine of the same network and returns what it prints."""

    def run(code, *arguments):
        answer = subprocess.run(
            [CHECKOUT / 'molecule/shared/engine', 'image'],
            env={**os.environ, 'CACHE': str(CHECKOUT / '.cache/machines')},
            stdout=subprocess.PIPE,
            check=True,
        )
        engine = json.loads(answer.stdout)
        network = subprocess.run(
            [
                engine['engine'],
                'inspect',
                '--format',
                '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}',
                FACTS['container'],
            ],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout.strip()
        return subprocess.run(
            [*engine['run'].split(), '--rm', '--interactive', f'--network={network}', engine['image'], 'python3', '-', *arguments],
            input=code,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout

    return run
