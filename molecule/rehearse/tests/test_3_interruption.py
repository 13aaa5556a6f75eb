"""A rehearsal that is interrupted leaves no machine."""

import signal
import subprocess
import time

import pytest
from conftest import command
from machine import CHECKOUT, read_facts


def machines(engine):
    """The names of all machines."""
    done = subprocess.run([engine, 'ps', '--all', '--format', '{{.Names}}'], stdout=subprocess.PIPE, text=True, check=True)
    return [name for name in done.stdout.split() if '-rehearse-interrupted-' in name]


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_rehearsal_removes_its_machine(number, new_app):
    app = new_app(f'interrupted-{number.name.lower()}')
    app.write_inventory({'ansible_host': '127.0.0.1', 'ansible_port': 9, 'ansible_timeout': 2})
    engine = read_facts()['app']['engine']
    process = subprocess.Popen(command(app.inventory), cwd=CHECKOUT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not machines(engine):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.5)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2 and 'Not rehearsed: interrupted.' in said
    assert machines(engine) == []
