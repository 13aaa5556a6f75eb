"""What is shown of a log is the app's own error, as text, whatever the log holds."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from release import logs

TRACE = '''[2026-01-01 10:00:00 +0000] [71] [ERROR] Exception in worker process
Traceback (most recent call last):
  File "/srv/shop/venvs/e1/lib/python3.6/site-packages/gunicorn/arbiter.py", line 609, in spawn_worker
    worker.init_process()
  File "/usr/lib/python3.6/importlib/__init__.py", line 126, in import_module
    return _bootstrap._gcd_import(name[level:], package, level)
  File "<frozen importlib._bootstrap>", line 994, in _gcd_import
  File "/srv/shop/releases/a/app.py", line 3, in <module>
    raise ImportError('not today')
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
ImportError: not today
'''


@pytest.mark.parametrize(
    'raw, shown',
    [
        (b'\x1b[31mred\x1b[0m\n', 'red'),
        (b'\x1b[38;5;196mred\x1b[0m \x1b[1;1H\x1b[2Jtext\n', 'red text'),
        (b'\x1b]0;title\x07text\n', 'text'),
        (b'\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n', 'link'),
        (b'\x1bcreset\x1bM\n', 'creset'),
        ('数据库没有启动\n'.encode(), '数据库没有启动'),
        ('数据库'.encode()[1:-1] + b'\n', '\ufffd\ufffd据\ufffd'),
        (b'caf\xe9\n', 'caf\ufffd'),
        (b'a\x00b\x07c\x08d\x7fe\x9bf\n', 'abcde\ufffdf'),
        ('a\x9b31mb\u2028c\n'.encode(), 'a31mbc'),
        (b'10 %\r20 %\r\nend\r\n', '10 %\n20 %\nend'),
        (b'\n\n  \n', ''),
        (b'', ''),
        (b'\ttab\n', '\ttab'),
    ],
)
def test_a_log_becomes_plain_text(raw, shown):
    assert logs.condense(raw) == shown


def test_a_truncated_escape_hides_nothing():
    assert logs.condense(b'\x1b]0;title\nValueError: x\n') == 'ValueError: x'
    assert logs.condense(b'\x1b[\nValueError: x\n').endswith('\nValueError: x')
    assert logs.condense(b'\x1b') == ''


def test_long_lines_are_truncated():
    assert logs.condense(b'x' * 3000) == 'x' * 2000 + ' …'
    assert logs.condense(b'x' * 2000) == 'x' * 2000


def test_only_the_last_lines_are_shown():
    shown = logs.condense(''.join('line {} {}\n'.format(n, 'x' * n) for n in range(300)).encode()).splitlines()
    assert len(shown) == 120 and shown[-1].startswith('line 299 ')


def test_traces_start_in_the_app():
    shown = logs.condense(TRACE.encode())
    assert 'gunicorn/' not in shown and 'worker.init_process' not in shown and '_gcd_import' not in shown
    assert shown.splitlines()[1:] == [
        'Traceback (most recent call last):',
        '  File "/srv/shop/releases/a/app.py", line 3, in <module>',
        "    raise ImportError('not today')",
        '    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^',
        'ImportError: not today',
    ]


def test_repeated_traces_are_shown_once():
    other = TRACE.replace('[71]', '[72]').replace('10:00:00', '10:00:01')
    assert logs.condense((TRACE + other + TRACE).encode()) == logs.condense(TRACE.encode())
    flask = "[2026-01-01 10:00:00,123] ERROR in app: Exception on / [GET]\nTraceback (most recent call last):\nKeyError: 'a'\n"
    assert logs.condense((flask + flask.replace(',123', ',456')).encode()) == flask.strip()
    text = '[2026-01-01 10:00:00 +0000] [1] [INFO] Booting worker with pid: 12\n'
    assert logs.condense((text + text.replace('12', '13')).encode()).count('Booting') == 1


@pytest.mark.parametrize('piece', [b'\x1b[', b'\x1b]', b'\x1b[31', b' File "', b'[', b'\x1b', b'1;', b'\r', '…'.encode()])
def test_every_text_is_processed_quickly(piece):
    started = time.process_time()
    logs.condense(piece * (1 << 20))
    assert time.process_time() - started < 5


@pytest.fixture
def path(folder):
    return folder / 'shop.log'


def append(path, data):
    with open(str(path), 'ab') as file:
        file.write(data)


def test_only_new_lines_are_shown(path):
    append(path, b'old\n')
    log = logs.LogFile(str(path))
    assert log.new_text() == ''
    append(path, b'new\n')
    assert log.new_text() == 'new'


def test_a_log_that_is_created_later(path):
    log = logs.LogFile(str(path))
    assert log.new_text() == ''
    append(path, b'new\n')
    assert log.new_text() == 'new'


def test_a_rotated_log_is_followed(path):
    append(path, b'old\n')
    log = logs.LogFile(str(path))
    path.rename(str(path) + '.1')
    append(path, b'new\n')
    assert log.new_text() == 'new'


def test_a_truncated_log_is_read(path):
    append(path, b'old and longer than what comes\n')
    log = logs.LogFile(str(path))
    path.write_bytes(b'new\n')
    assert log.new_text() == 'new'


def test_a_line_of_100_megabytes_is_truncated(path):
    log = logs.LogFile(str(path))
    with open(str(path), 'wb') as file:
        file.truncate(100 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b'the end')
    assert log.new_text() == 'the end'


@pytest.mark.parametrize('kind', ['fifo', 'link', 'folder', 'device', 'unreadable'])
def test_other_files_are_not_read(folder, path, kind):
    log = logs.LogFile(str(path))
    if kind == 'fifo':
        os.mkfifo(str(path))
    elif kind == 'folder':
        path.mkdir()
    elif kind == 'unreadable':
        path = log.path = str(path) + '/not/there'
    else:
        (folder / 'secret').write_text('secret')
        path.symlink_to('/dev/zero' if kind == 'device' else folder / 'secret')
    assert log.new_text() == ''
    assert logs.LogFile(str(path)).new_text() == ''


def test_the_journal_is_read(services):
    (services.folder / 'x.service.log').write_bytes(b'\x1b[31mred\xff\n')
    assert logs.journal('x.service', 7) == 'red\ufffd'
    sync, read = services.calls()
    assert sync == 'journalctl --sync'
    assert read.startswith('journalctl _SYSTEMD_UNIT=x.service --since=@7 --output=cat')


def test_a_hanging_or_missing_journal(services, monkeypatch):
    real = subprocess.call

    def quick(*arguments, **options):
        return real(*arguments, **dict(options, timeout=0.1))

    services.set('slow-journal')
    monkeypatch.setattr(subprocess, 'call', quick)
    assert 'cannot read the journal' in logs.journal('x.service', 7)
    monkeypatch.setenv('PATH', '/nowhere')
    assert 'cannot read the journal' in logs.journal('x.service', 7)


@pytest.mark.parametrize(
    'said, shared',
    [
        ("PermissionError: [Errno 13] Permission denied: '/srv/shop/releases/0123456789ab/logs/app.log'", 'logs'),
        ("PermissionError: [Errno 13] Permission denied: '/srv/shop/releases/0123456789ab/static/uploads/a.png'", 'static/uploads'),
        ("PermissionError: [Errno 13] Permission denied: '/srv/shop/releases/0123456789ab/app.db'", 'app.db'),
        ("PermissionError: [Errno 13] Permission denied: '.data'", '.data'),
        ("OSError: [Errno 30] Read-only file system: '/usr/share/shop'", 'instance'),
        ('sqlite3.OperationalError: unable to open database file', 'instance'),
        ('sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) attempt to write a readonly database', 'instance'),
        ('/bin/sh: 1: cannot create out.txt: Permission denied', 'instance'),
        ("PermissionError: [Errno 13] Permission denied: '/var/log/shop.log'", 'instance'),
    ],
)
def test_an_app_that_may_not_write_is_told_what_to_share(said, shared):
    text = logs.advice('Traceback\n' + said + '\n', Path('/srv/shop/releases'))
    assert 'flask_app_shared: [{}]'.format(shared) in text
    assert shared != 'instance' or 'for instance' in text


@pytest.mark.parametrize(
    'said, advised',
    [
        (
            '  File "/usr/lib/python3.11/subprocess.py", line 1901, in _execute_child\n'
            "    raise child_exception_type(errno_num, err_msg, err_filename)\n"
            "FileNotFoundError: [Errno 2] No such file or directory: 'git'",
            'flask_app_packages: [git]. ',
        ),
        ("    NAME = os.environ['SERVER_NAME']\n           ^^^\nKeyError: 'SERVER_NAME'", 'environment variable SERVER_NAME: set'),
        ('sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: users', 'flask_app_release_commands'),
        ('cps.py: error: unrecognized arguments: -b unix:/run/shop/app/next.sock', "below if __name__ == '__main__'"),
        ('psycopg2.errors.UndefinedTable: relation "users" does not exist', 'flask_app_release_commands'),
        ('connection to server at "localhost", port 5432 failed: Connection refused', 'Give the app its address'),
        ('  File "/srv/a/venvs/b/lib/python3.11/site-packages/pymongo/synchronous/topology.py", line 383 in select', 'Give the app its'),
    ],
)
def test_an_app_that_lacks_something_is_told_what_to_set(said, advised):
    assert advised in logs.advice('Traceback\n' + said + '\n', Path('/srv/shop/releases'))


def test_another_answer_than_200_is_no_failure_of_the_app():
    text = 'status 302 instead of 200 within 30 s; the health path is /'
    assert 'flask_app_health_status: 302' in logs.advice(text, Path('/srv/shop/releases'))
    assert 'page that the app has' in logs.advice(text.replace('302', '404'), Path('/srv/shop/releases'))
    assert 'flask_app_shared' in logs.advice(text.replace('302', '404') + '\n[Errno 30]', Path('/srv/shop/releases'))
    assert logs.advice(text.replace('302', '500'), Path('/srv/shop/releases')) == ''


@pytest.mark.parametrize(
    'said',
    [
        'ImportError: not today',
        'Permission denied (publickey)',
        "KeyError: 'PermissionError'",
        "Traceback\nFileNotFoundError: [Errno 2] No such file or directory: 'shop'",
        '[Errno 111] Connection refused within 30 s\n\nIts log:\n',
        '',
    ],
)
def test_other_failures_are_not_explained_by_it(said):
    assert logs.advice(said, Path('/srv/shop/releases')) == ''
