"""One run at a time works on a machine: the next one waits, says for whom, and gets the lock when the first has ended or died."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = ROOT / 'roles/claims/files'
RUN = {'who': 'shop', 'from': 'alice@laptop', 'wait': True}

SPEC = importlib.util.spec_from_file_location('machine_lock', ROOT / 'plugins/action/machine_lock.py')
machine_lock = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(machine_lock)


@pytest.fixture
def hold(tmp_path):
    """Starts holders of the lock in the test's folder."""
    started = []

    def start(source=None, **run):
        source = source or (FILES / 'hold_lock.py').read_text()
        command = [sys.executable, '-IS', '-c', source, json.dumps({**RUN, **run}), str(tmp_path / 'lock')]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()


def test_the_second_waits_for_the_first_and_knows_it(hold, tmp_path):
    first = hold()
    assert first.stdout.readline() == 'locked\n'
    assert (tmp_path / 'lock').stat().st_mode & 0o777 == 0o600
    second = hold(who='blog')
    word, _, holder = second.stdout.readline().partition(' ')
    assert word == 'waiting' and json.loads(holder).items() >= {'who': 'shop', 'from': 'alice@laptop'}.items()
    first.stdin.close()
    began = time.monotonic()
    assert second.stdout.readline() == 'locked\n' and time.monotonic() - began < 1
    assert json.loads((tmp_path / 'lock').read_text())['who'] == 'blog'
    assert first.wait(5) == 0


def test_a_killed_holder_frees_the_lock(hold):
    first = hold()
    assert first.stdout.readline() == 'locked\n'
    second = hold()
    first.kill()
    lines = [second.stdout.readline()]
    while lines[-1].startswith('waiting'):
        lines.append(second.stdout.readline())
    assert lines[-1] == 'locked\n'


@pytest.mark.parametrize('before', ['', 'waiting'])
def test_a_silent_run_loses_the_lock_or_its_place(hold, before):
    if before:
        assert hold().stdout.readline() == 'locked\n'
    source = (FILES / 'hold_lock.py').read_text().replace('SILENCE = 45', 'SILENCE = 2')
    assert 'SILENCE = 2' in source
    run = hold(source=source)
    assert run.stdout.readline().startswith(before or 'locked')
    for _ in range(4):
        time.sleep(0.8)
        run.stdin.write('\n')
        run.stdin.flush()
    assert run.poll() is None
    assert run.wait(5) == 0


def test_asking_changes_nothing(hold, tmp_path):
    assert hold(wait=False).stdout.read() == 'locked\n' and not (tmp_path / 'lock').exists()
    assert hold().stdout.readline() == 'locked\n'
    before = (tmp_path / 'lock').read_text()
    assert hold(wait=False).stdout.read().startswith('waiting {"who": "shop"')
    assert (tmp_path / 'lock').read_text() == before


def test_a_link_in_the_place_of_the_lock_is_not_followed(hold, tmp_path):
    (tmp_path / 'lock').symlink_to(tmp_path / 'other')
    run = hold()
    assert run.wait(5) == 1 and 'cannot be used' in run.stderr.read() and not (tmp_path / 'other').exists()


@pytest.fixture
def lived_for():
    """A process that a keeper watches."""
    with subprocess.Popen(['sleep', '60']) as process:
        yield process
        process.kill()


def keep(process, command, first=''):
    """Starts a keeper."""
    keeper = subprocess.Popen([sys.executable, '-IS', FILES / 'keep_lock.py'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    keeper.stdin.write(json.dumps({'command': command, 'first': first, 'process': process.pid}).encode())
    keeper.stdin.close()
    return keeper


def test_the_keeper_ends_with_the_process_even_if_nobody_asks_for_its_end(lived_for):
    with keep(lived_for, ['cat'], 'secret\n') as keeper:
        assert keeper.stdout.readline() == b'secret\n' and keeper.stdout.readline() == b'\n'
        time.sleep(1)
        assert keeper.poll() is None
        lived_for.send_signal(signal.SIGKILL)  # a zombie until the test's end
        assert keeper.wait(1.5) == 0


@pytest.mark.parametrize('command', ['true', 'exec <&-; exec sleep 12', 'trap "" TERM; while sleep 1; do :; done'])
def test_the_keeper_ends_with_its_command_and_ends_it(lived_for, command):
    with keep(lived_for, ['sh', '-c', command]) as keeper:
        if command != 'true':
            time.sleep(1)
            lived_for.kill()
        keeper.wait(3)
        assert keeper.stdout.read() == b''


@pytest.fixture
def play(tmp_path):
    """Starts runs that take a lock here, over the local connection."""
    task = {'machine_lock': {'who': '{{ who }}', 'path': str(tmp_path / 'lock'), 'python': sys.executable, 'timeout': '{{ limit }}'}}
    work = {'ansible.builtin.raw': 'echo working; sleep {{ seconds }}', 'check_mode': False}
    (tmp_path / 'play.yml').write_text(yaml.safe_dump([{'hosts': 'all', 'gather_facts': False, 'tasks': [task, work]}]))
    started = []

    def start(*options, who='shop', seconds=0, limit=60):
        variables = {'who': who, 'seconds': seconds, 'limit': limit, 'ansible_connection': 'local'}
        started.append(subprocess.Popen(
            ['ansible-playbook', '-i', 'm1,', tmp_path / 'play.yml', '-e', json.dumps(variables), *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env={**os.environ, 'ANSIBLE_ACTION_PLUGINS': str(ROOT / 'plugins/action'), 'COLUMNS': '200'},
        ))
        return started[-1]

    yield start
    for process in started:
        with process:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def locked(tmp_path, who):
    """Waits until a run has the lock."""
    until = time.monotonic() + 20
    while not ((tmp_path / 'lock').exists() and f'"{who}"' in (tmp_path / 'lock').read_text()):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_run_waits_says_for_whom_and_goes_on(play, tmp_path):
    first = play(seconds=6)
    locked(tmp_path, 'shop')
    checked, late, second = play('--check', who='check'), play(who='late', limit=3), play(who='blog')
    output = second.communicate()[0]
    assert second.returncode == 0 and first.wait(5) == 0
    assert output.count('m1: waiting for the run for shop (') == 1 and '), which began at ' in output, output
    output = checked.communicate()[0]
    assert checked.returncode == 0 and 'm1: the run for shop (' in output and 'goes on' in output, output
    output = late.communicate()[0]
    assert late.returncode == 2 and 'Nothing was changed. Waited 3 seconds for the run for shop (' in output, output
    assert 'preflight_lock_timeout' in output


def test_a_killed_run_frees_the_lock(play, tmp_path):
    first = play(seconds=60)
    locked(tmp_path, 'shop')
    os.killpg(first.pid, signal.SIGKILL)
    began = time.monotonic()
    second = play(who='blog')
    output = second.communicate()[0]
    assert second.returncode == 0 and time.monotonic() - began < 10 and 'waiting' not in output, output


def test_what_the_host_says_is_shown_where_there_is_no_lock(play, tmp_path):
    (tmp_path / 'lock').mkdir()
    output = play().communicate()[0]
    assert f'The lock {tmp_path}/lock cannot be used: Is a directory.' in ' '.join(output.split()), output


def test_the_password_is_typed_by_no_program():
    words = [b'ssh', b'-o', b'User=x', b'host', b'command']
    assert machine_lock.without_sshpass(words) == words
    assert machine_lock.without_sshpass([b'sshpass', b'-d7', *words]) == words
    assert machine_lock.without_sshpass([b'sshpass', b'-d7', b'-P', b'Enter', *words]) == words
