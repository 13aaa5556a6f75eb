"""One run at a time works on a machine, and a run that was killed holds nobody up for long."""

import os
import re
import signal
import time


def one(neighbours, name, **variables):
    return neighbours.inventory(f'lock-{name}', {name: neighbours.app(name, 'locked', flask_app_domains=[f'{name}.test'], **variables)})


def wait_for(process, text, seconds=60):
    """Reads what a run prints until a text is there."""
    deadline, lines = time.monotonic() + seconds, []
    while text not in ''.join(lines):
        assert time.monotonic() < deadline, ''.join(lines)
        line = process.stdout.readline()
        assert line, ''.join(lines)
        lines.append(line)


def test_a_second_run_waits_and_says_for_whom(neighbours):
    first = neighbours.start('playbook.yml', one(neighbours, 'one', flask_app_release_commands=['sleep 8']))
    wait_for(first, 'Set up the machines')
    _, output = neighbours.play('playbook.yml', one(neighbours, 'two'))
    first.communicate(timeout=300)
    assert first.returncode == 0
    assert re.search(r'waiting for the run for one .* which began at \d\d:\d\d', ' '.join(output.split())), output


def test_a_second_run_gives_up_in_time_and_changes_nothing(neighbours):
    first = neighbours.start('playbook.yml', one(neighbours, 'one', flask_app_release_commands=['sleep 12; true']))
    wait_for(first, 'Set up the machines')
    _, output = neighbours.play('playbook.yml', one(neighbours, 'two'), '-e', 'preflight_lock_timeout=2', fails=True)
    assert 'Nothing was changed' in output
    first.communicate(timeout=300)
    assert first.returncode == 0


def test_a_killed_run_frees_the_machine_within_a_minute(neighbours):
    first = neighbours.start('playbook.yml', one(neighbours, 'one', flask_app_release_commands=['sleep 20; :']))
    wait_for(first, 'Set up the machines')
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    began = time.monotonic()
    neighbours.play('playbook.yml', one(neighbours, 'two'), '-e', 'preflight_lock_timeout=60')
    assert time.monotonic() - began < 180
    neighbours.play('playbook.yml', one(neighbours, 'one'))
