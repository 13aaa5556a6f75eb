"""flask_app_processes, the Procfile and flask_app_jobs: what is accepted, and what the release tool gets."""

import subprocess
import time
from pathlib import Path

import pytest
from load_plugin import load

processes = load('plugins/filter/processes.py')


@pytest.mark.parametrize(
    'options, problem',
    [
        ({}, "worker: needs a command, such as 'celery -A shop worker', got 'None'."),
        ({'command': ' '}, "worker: needs a command, such as 'celery -A shop worker', got ' '."),
        ({'command': 'x', 'copies': 2}, "worker: has no setting 'copies'; they are command, count,"),
        ({'command': 'x', 'count': 0}, "worker: count must be 1 to 256, got '0'."),
        ({'command': 'x', 'count': True}, "worker: count must be 1 to 256, got 'True'."),
        ({'command': 'x', 'stop_timeout': '10m'}, "worker: stop_timeout must be 1 to 86400, got '10m'."),
        ({'command': 'x', 'stop_signal': 'SIGTERM'}, 'worker: stop_signal must be one of TERM, HUP,'),
        ({'command': 'x', 'address_space': '2GB'}, "worker: address_space must be a size such as 512M or 2G, got '2GB'."),
        ({'command': 'x', 'single': 'yes'}, "worker: single must be true or false, got 'yes'."),
        ({'command': 'x', 'single': True, 'count': 2}, 'single means one process at a time, got it with count 2 and'),
        ({'command': 'x', 'single': True, 'overlap': True}, 'means one process at a time, got it with count 1 and overlap True.'),
        ({'command': 'x', 'environment': {'A-B': 'x'}}, "environment: names must be letters, digits and `_`, the first no digit, got"),
        ({'command': 'x', 'environment': {'A': [1]}}, 'got another type for'),
        ({'command': 'x', 'environment': 'A=1'}, "worker: environment must be names with values, got 'A=1'."),
        ({'command': 'wait-for-db && celery worker'}, "worker: command must put `exec` before its last command, got 'wait-for-db"),
        ({'command': 'cd src; celery worker'}, 'must put `exec` before its last command'),
        ('celery worker', "worker must have a command, got 'celery worker'."),
    ],
)
def test_a_mistake_is_named(options, problem):
    found = processes.process_errors({'worker': options})
    assert len(found) == 1 and found[0].startswith('flask_app_processes: worker') and problem in found[0], found


@pytest.mark.parametrize('name', ['my worker', 'a.b', 'a@b', '-a', 'a' * 33, ''])
def test_a_name_is_refused(name):
    assert 'names must be up to 32 letters, digits, `-` and `_`' in processes.process_errors({name: {'command': 'x'}})[0]


@pytest.mark.parametrize('name', ['web', 'release'])
def test_what_is_no_process(name):
    assert 'is no process beside gunicorn' in processes.process_errors({name: {'command': 'x'}})[0]


@pytest.mark.parametrize(
    'command, executed',
    [
        ('celery -A shop worker', 'exec celery -A shop worker'),
        ('Q=high  rq worker "$Q"', 'exec env Q=high  rq worker "$Q"'),
        ("python -c 'a; b && c'", "exec python -c 'a; b && c'"),
        ('worker 2>&1 >"a;b"', 'exec worker 2>&1 >"a;b"'),
        ('exec worker', 'exec worker'),
        ('cd src && exec celery worker', 'cd src && exec celery worker'),
        ('worker --name $(hostname)', 'exec worker --name $(hostname)'),
        (' worker\n', 'exec worker'),
    ],
)
def test_the_shell_gives_way_to_the_process(command, executed):
    options = {'worker': {'command': command}}
    assert processes.process_errors(options) == []
    assert processes.normalized(options, 1.5)['worker']['command'] == executed


@pytest.mark.parametrize('command', ['A=1 sleep 60', 'cd / && exec sleep 60', 'sleep 60'])
def test_a_signal_reaches_the_process(command):
    made = processes.normalized({'worker': {'command': command}}, 1)['worker']['command']
    process = subprocess.Popen(['/bin/sh', '-c', made])
    name = Path(f'/proc/{process.pid}/comm')
    deadline = time.monotonic() + 10
    while name.read_text() != 'sleep\n':
        assert time.monotonic() < deadline, name.read_text()
        time.sleep(0.02)
    process.terminate()
    assert process.wait(10) == -15


@pytest.mark.parametrize('command, busy', [('rq worker jobs', True), ('exec rqworker', True), ('rq info', False), ('celery worker', False)])
def test_a_worker_of_rq_is_stopped_while_it_has_a_job(command, busy):
    assert processes.normalized({'worker': {'command': command}}, 1)['worker']['stop_while_busy'] == busy


@pytest.mark.parametrize(
    'options, problem',
    [
        ({'command': 'x'}, "cleanup: needs a schedule of systemd's calendar, such as '*-*-* 03:00:00' or 'hourly', got 'None'."),
        ({'command': 'x', 'schedule': '0 3 * * *'}, "got the line of cron '0 3 * * *'."),
        ({'command': 'x', 'schedule': '@daily'}, "needs a schedule of systemd's calendar"),
        ({'command': 'x', 'schedule': 'daily\nOnBootSec=1'}, "needs a schedule of systemd's calendar"),
        ({'command': '', 'schedule': 'daily'}, "cleanup: needs a command, such as 'flask cleanup', got ''."),
        ({'command': 'x', 'schedule': 'daily', 'timeout': '1h'}, "cleanup: timeout must be 1 to 604800 seconds, got '1h'."),
        ({'command': 'x', 'schedule': 'daily', 'catch_up': 1}, "cleanup: catch_up must be true or false, got '1'."),
        ({'command': 'x', 'schedule': 'daily', 'count': 2}, "cleanup: has no setting 'count'; they are command, schedule, timeout,"),
        ({'command': 'x', 'schedule': 'daily', 'environment': {'1': 'x'}}, 'cleanup: environment: names must be letters'),
        ('flask cleanup', "cleanup must have a command and a schedule, got 'flask cleanup'."),
    ],
)
def test_a_mistake_of_a_job_is_named(options, problem):
    found = processes.job_errors({'cleanup': options})
    assert len(found) == 1 and found[0].startswith('flask_app_jobs: cleanup') and problem in found[0], found
    assert 'names must be up to 32 letters' in processes.job_errors({'a@b': options})[0]


@pytest.mark.parametrize('schedule', ['*-*-* 03:00:00', 'hourly', 'Mon..Fri *-*-* 06:30:00 Asia/Shanghai', '*:0/15', 'Sat,Sun 12:00'])
def test_the_settings_of_a_job(schedule):
    options = {'cleanup': {'command': 'x', 'schedule': schedule, 'timeout': '60'}}
    assert processes.job_errors(options) == []
    assert processes.normalized_jobs(options)['cleanup'] == {
        'command': 'x', 'schedule': schedule, 'timeout': 60, 'catch_up': False, 'environment': {},
    }  # fmt: skip


def test_defaults():
    made = processes.normalized({'worker': {'command': 'x', 'count': '2', 'address_space': '2G', 'environment': {'N': 1}}}, 1.5)
    assert made['worker'] == {
        'command': 'exec x', 'count': 2, 'stop_signal': 'TERM', 'stop_timeout': 30, 'settle_time': 5, 'start_retries': 10,
        'address_space': 2 << 30, 'environment': {'N': '1'}, 'single': False, 'overlap': False,
        'stop_while_busy': False,
    }  # fmt: skip


@pytest.mark.parametrize('own, of_app, found', [(None, 1.5, 5), (None, 7.5, 8), (2, 7.5, 2)])
def test_the_settle_time(own, of_app, found):
    options = {'command': 'x', **({'settle_time': own} if own else {})}
    assert processes.normalized({'worker': options}, of_app)['worker']['settle_time'] == found


PROCFILE = 'web: gunicorn app:app\n# a remark: x\nrelease: flask db upgrade\nworker:  celery worker \r\nmail_2: rq worker\nbad line\n'


def test_a_procfile(tmp_path):
    (tmp_path / 'Procfile').write_text(PROCFILE)
    assert processes.procfile_processes(str(tmp_path)) == {'worker': {'command': 'celery worker'}, 'mail_2': {'command': 'rq worker'}}
    assert processes.procfile_release(str(tmp_path)) == ['flask db upgrade']


def test_no_procfile(tmp_path):
    assert processes.procfile_processes(str(tmp_path)) == {} and processes.procfile_release(str(tmp_path / 'none')) == []
