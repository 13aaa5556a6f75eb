"""What a run says of a long task: on a terminal that it goes on, in a log nothing."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Get ready
      ansible.builtin.command: 'true'
    - name: Wait for what takes long
      ansible.builtin.command: sleep {{ wait }}
"""


@pytest.fixture
def command(tmp_path):
    (tmp_path / 'play.yml').write_text(PLAY)
    (tmp_path / 'hosts').write_text('quick ansible_connection=local wait=0\nslow ansible_connection=local wait=13\n')
    return ['ansible-playbook', '-i', str(tmp_path / 'hosts'), str(tmp_path / 'play.yml')]


def read(terminal):
    """All that a terminal shows."""
    shown = b''
    while True:
        try:
            some = os.read(terminal, 65536)
        except OSError:  # its other end is closed
            return shown.decode()
        if not some:
            return shown.decode()
        shown += some


def test_a_terminal_shows_that_a_task_goes_on(command):
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=PROJECT, stdin=theirs, stdout=theirs, stderr=theirs) as run:
        os.close(theirs)
        shown = read(ours)
    os.close(ours)
    assert run.returncode == 0, shown
    lines = [line for line in shown.splitlines() if 'still on' in line]
    assert len(lines) == 1, shown
    assert lines[0].startswith('  Wait for what takes long: 1') and lines[0].endswith(' s, still on slow')


def test_a_log_does_not(command):
    run = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    assert 'still on' not in run.stdout and 'Wait for what takes long' in run.stdout
