"""The app's logs together: their order, what is left out, and what of them reaches a terminal."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from release import logoutput, logview
from release.deploy import Deployment
from release.errors import Failure
from standins import wait_for

PACKAGE = str(Path(logview.__file__).parents[1])


@pytest.fixture
def write(folder, config):
    """Writes logs as supervisor and nginx name them."""
    (folder / 'nginx').mkdir()

    def write(name, *lines, mode='w'):
        with open(str(folder / name), mode, encoding='utf-8', errors='surrogateescape') as file:
            file.writelines(line + '\n' for line in lines)

    return write


@pytest.fixture
def show(config, services, capfd):
    """What `logs` prints, as lines."""

    def show(**options):
        assert logoutput.show(Deployment(config), **options) == 0
        return capfd.readouterr().out.splitlines()

    return show


@pytest.fixture(autouse=True)
def signals():
    """Leaves the signals as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


# -- times


@pytest.mark.parametrize(
    'line, seconds',
    [
        ('[2026-01-01 10:00:00 +0000] [71] [INFO] Booting', 1767261600),
        ('[2026-01-01 10:00:00 +0800] [71] [INFO] Booting', 1767261600 - 8 * 3600),
        ('[2026-01-01 10:00:00 -0330] x', 1767261600 + 12600),
        ('{"time": "2026-01-01T10:00:00+00:00", "id": "x"}', 1767261600),
        ('2026-01-01T10:00:00Z x', 1767261600),
        ('2026-01-01T10:00:00+0000 web python[7]: x', 1767261600),
        ('2026-01-01T10:00:00.123456+00:00 x', 1767261600),
        ('2026-13-01T10:00:00Z x', None),
        ('99:00 x', None),
        ('at 2026-01-01 10:00:00', None),
        ('', None),
    ],
)
def test_times_are_read(line, seconds):
    assert logview.time_of(line) == seconds


def test_times_without_a_zone_are_the_hosts():
    local = int(time.mktime((2026, 1, 1, 10, 0, 0, 0, 0, -1)))
    for line in ('2026/01/01 10:00:00 [error] 5#5: x', '[2026-01-01 10:00:00,123: INFO/MainProcess] x', '2026-01-01 10:00:00'):
        assert logview.time_of(line) == local


@pytest.mark.parametrize('text, ago', [('45s', 45), ('30m', 1800), ('2h', 7200), ('3d', 259200)])
def test_since_as_a_duration(text, ago):
    assert abs(time.time() - ago - logview.parse_since(text)) <= 1


@pytest.mark.parametrize('text', ['2026-01-31', '2026-01-31 00:00', '2026-01-31 00:00:00', '2026-01-31T00:00:00'])
def test_since_as_a_time(text):
    assert logview.parse_since(text) == int(time.mktime((2026, 1, 31, 0, 0, 0, 0, 0, -1)))


@pytest.mark.parametrize('text', ['yesterday', '2', '2w', '-1h', '1h;x', '2026-01-31 00:00 x', '99999999d'])
def test_other_texts_are_refused(text):
    with pytest.raises(Failure, match='--since must be a time such as 30m'):
        logview.parse_since(text)


# -- what is shown


def test_all_logs_are_shown_in_the_order_of_their_times(write, show, services):
    write('shop.log', '[2026-01-01 10:00:01 +0000] [7] [INFO] one', 'Traceback', '[2026-01-01 10:00:07 +0000] [7] [INFO] seven')
    write('shop.worker.1.log', '2026-01-01T10:00:05Z five')
    write('nginx/shop.access.log', '{"time": "2026-01-01T10:00:03+00:00", "status": 200}')
    write('nginx/shop.error.log', '2020/01/01 10:00:00 [error] old')
    write('other.log', 'not ours')
    write('shop-2.worker.1.log', 'not ours')
    assert show() == [
        'nginx.error  | 2020/01/01 10:00:00 [error] old',
        'web          | [2026-01-01 10:00:01 +0000] [7] [INFO] one',
        'web          | Traceback',
        'nginx.access | {"time": "2026-01-01T10:00:03+00:00", "status": 200}',
        'worker.1     | 2026-01-01T10:00:05Z five',
        'web          | [2026-01-01 10:00:07 +0000] [7] [INFO] seven',
    ]
    (call,) = [line for line in services.calls() if line.startswith('journalctl')]
    assert '--unit=shop-next@*' in call and '--lines=' in call


def test_a_log_without_times_is_at_the_time_of_its_last_change(write, folder, show):
    write('shop.log', '2026-01-01T10:00:00Z before', '2026-01-01T12:00:00Z after')
    write('shop.worker.1.log', 'working', 'still')
    os.utime(str(folder / 'shop.worker.1.log'), (0, 1767261600 + 3600))
    assert [line.partition(' | ')[2] for line in show(since='2026-01-01')] == [
        '2026-01-01T10:00:00Z before',
        'working',
        'still',
        '2026-01-01T12:00:00Z after',
    ]
    assert show(since='2026-02-01') == []


def test_since_leaves_older_lines_out(write, show):
    now = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())
    write('shop.log', 'no time', '2026-01-01T10:00:00Z old', 'of the old', now + ' new', 'of the new')
    assert [line.partition(' | ')[2] for line in show(since='1h')] == [now + ' new', 'of the new']


def test_a_time_that_an_app_invents_does_not_reorder_its_log(write, show):
    write('shop.log', '2026-01-01T10:00:00Z a', '2999-01-01T10:00:00Z b', '2025-01-01T10:00:00Z c', '2026-01-01T10:00:02Z d')
    write('shop.worker.1.log', '2026-01-01T10:00:01Z w')
    assert [line[-1] for line in show()] == ['a', 'b', 'c', 'w', 'd']


def test_the_last_lines_are_shown_and_a_rotation_hides_none(write, show):
    write('shop.log.1', *('line {}'.format(n) for n in range(200)))
    write('shop.log', 'line 200')
    assert [line.partition(' | ')[2] for line in show()] == ['line {}'.format(n) for n in range(101, 201)]


def test_only_the_end_of_a_large_log_is_read(write, show, monkeypatch):
    monkeypatch.setattr(logview, 'TOTAL_BYTES', 0)
    monkeypatch.setattr(logview, 'SOURCE_BYTES', 1000)
    write('shop.log', *('2026-01-01T10:00:00Z line {}'.format(n) for n in range(100)))
    lines = [line.partition(' | ')[2] for line in show(since='2026-01-01')]
    assert lines[0] == '(the lines before are left out: only the last 0 kB of a log are read)'
    assert lines[-1].endswith('line 99') and 30 < len(lines) < 40


def test_lines_are_chosen_by_a_text_and_a_process(write, show, config):
    write('shop.log', 'a.c', 'abc')
    write('shop.worker.1.log', 'abc 1')
    write('shop.worker.2.log', 'abc 2')
    write('nginx/shop.error.log', 'abc nginx')
    assert show(grep='a.c', process='web') == ['web | a.c']
    assert show(process='worker') == ['worker.1 | abc 1', 'worker.2 | abc 2']
    assert show(process='worker.2') == ['worker.2 | abc 2']
    assert show(process='nginx') == ['nginx.error  | abc nginx']
    with pytest.raises(Failure, match=r"no log of 'bear'\. There are: web, candidate, worker\.1, worker\.2, nginx\.access, nginx\.error\."):
        logoutput.show(Deployment(config), process='bear')


def test_a_log_cannot_write_to_the_terminal(write, show):
    write('shop.log', 'a\x1b[2J\x07b\x9b31m', 'forged\rnginx.error | x', 'caf\udce9')
    assert show(process='web') == ['web | ab31m', 'web | forged', 'web | nginx.error | x', 'web | caf\ufffd']


def test_links_and_pipes_are_not_read(folder, show):
    (folder / 'secret').write_text('secret')
    (folder / 'shop.log').symlink_to(folder / 'secret')
    os.mkfifo(str(folder / 'shop.worker.1.log'))
    assert show() == []


def test_the_candidates_journal_is_read(show, services):
    (services.folder / 'journalctl').write_text('#!/bin/sh\necho "2026-01-01T10:00:00+0000 web python[7]: x"\n')
    assert show(process='candidate') == ['candidate | 2026-01-01T10:00:00+0000 web python[7]: x']
    (services.folder / 'journalctl').unlink()


def test_the_jobs_journals_are_read(show, services, config, make_release):
    make_release('a', jobs={'cleanup': {}, 'mail': {}})
    config.current.symlink_to(config.releases / 'a')
    (services.folder / 'journalctl').write_text('#!/bin/sh\necho "$2"\n')
    assert show(process='cleanup') == ['job.cleanup | --unit=shop-job@cleanup.service']
    assert show(process='job')[1] == 'job.mail    | --unit=shop-job@mail.service'


def test_a_missing_command_has_no_lines():
    assert logview.read_command(['/no/such/command'], 10) == b''


# -- following

FOLLOWER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from release import config, logoutput
from release.deploy import Deployment
made = Deployment(config.load('shop', Path(sys.argv[2])))
sys.exit(logoutput.show(made, grep=sys.argv[3], process=sys.argv[4], follow=True))
"""


@pytest.fixture
def follow(folder, values, services, write):
    """Starts `logs --follow`; returns its process and a function that reads its lines so far."""
    (folder / 'shop.json').write_text(json.dumps(values))
    (services.folder / 'journalctl').write_text('#!/bin/sh\ncase "$*" in *--follow*) exec sleep 60;; esac\n')
    started = []

    def start(grep='', process=''):
        command = [sys.executable, '-c', FOLLOWER, PACKAGE, str(folder), grep, process]
        with open(str(folder / 'shown'), 'w') as shown:
            started.append(subprocess.Popen(command, stdout=shown, start_new_session=True))
        return started[-1], lambda: (folder / 'shown').read_text().splitlines()

    yield start
    for process in started:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)
        process.wait()


def test_following_shows_new_lines_also_after_a_rotation(folder, follow, write):
    write('shop.log', 'old')
    _, shown = follow()
    wait_for(lambda: shown() == ['web          | old'])
    write('shop.log', 'new', mode='a')
    wait_for(lambda: 'web          | new' in shown())
    os.replace(str(folder / 'shop.log'), str(folder / 'shop.log.1'))
    write('shop.log', 'rotated')
    write('nginx/shop.error.log', '\x1b[31mborn later')
    wait_for(lambda: {'web          | rotated', 'nginx.error  | born later'} <= set(shown()), 10)
    assert shown().count('web          | new') == 1


def test_following_chooses_lines(follow, write):
    write('shop.log', 'old')
    _, shown = follow('x', 'web')
    time.sleep(0.5)
    write('shop.log', 'without', 'with x', mode='a')
    wait_for(shown)
    assert shown() == ['web | with x']


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_follows_ends_with_it(follow, write, number):
    write('shop.log', 'old')
    process, shown = follow()
    wait_for(shown)
    time.sleep(0.3)
    children = Path('/proc/{0}/task/{0}/children'.format(process.pid)).read_text().split()
    os.kill(process.pid, number)
    assert process.wait(10) == 0 and children
    assert not [pid for pid in children if Path('/proc/' + pid).exists()]


def test_a_reader_that_goes_ends_it(folder, follow, write):
    write('shop.log', 'old')
    command = [sys.executable, '-c', FOLLOWER, PACKAGE, str(folder), '', '']
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b'web          | old\n'
        process.stdout.close()
        assert process.wait(10) == 0


def test_a_reader_that_goes_early_is_no_error(folder, values, write):
    write('shop.log', *('line {} '.format(n) + 'x' * 1900 for n in range(100)))
    (folder / 'shop.json').write_text(json.dumps(values))
    command = [sys.executable, '-c', FOLLOWER.replace('follow=True', ''), PACKAGE, str(folder), '', 'web']
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b'' and process.wait(10) == 0
