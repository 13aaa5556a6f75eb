"""What the tool reads from the kernel holds for processes and sockets of any name."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from release import system
from standins import wait_for

SLEEPER = """
import ctypes, os, sys, time
ctypes.CDLL(None).prctl(15, {!r})
os.write(1, b'.')
time.sleep(60)
"""


@pytest.mark.parametrize('text, name', [
    ('NAME="Ubuntu"\nID=ubuntu\nVERSION_ID="18.04"\n', 'ubuntu 18.04'), ('ID=debian\n\n# x\n', 'debian'), ('', ''), (None, ''),
])  # fmt: skip
def test_the_operating_system_is_read(tmp_path, text, name):
    if text is not None:
        (tmp_path / 'os-release').write_text(text)
    assert system.operating_system(str(tmp_path / 'os-release')) == name


def test_printing_without_a_reader_is_no_error(monkeypatch, capfd):
    system.print_line('好 \udcff…')
    assert capfd.readouterr().out == '好 ?…\n'
    with open('/dev/full', 'w') as full:
        monkeypatch.setattr(sys, 'stdout', full)
        for size in (1, 100000):
            system.print_line('x' * size)
        # else the end of the file would fail as well
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, full.fileno())
        os.close(null)
    monkeypatch.setattr(sys, 'stdout', None)
    system.print_line('x')


@pytest.mark.parametrize('locale', ['C', 'C.UTF-8'])
def test_lines_are_utf_8_in_every_locale(locale):
    code = "import sys; sys.path.insert(0, {!r}); from release.system import print_line; print_line('\\u597d \\u2026')"
    # as Python 3.6 is in the POSIX locale
    command = [sys.executable, '-X', 'utf8=0', '-c', code.format(str(Path(system.__file__).parents[1]))]
    environment = {'LC_ALL': locale, 'PYTHONCOERCECLOCALE': '0'}
    assert subprocess.check_output(command, env=environment) == '好 …\n'.encode()


def test_times_sort_as_text():
    assert time.strftime('%Y-%m-%d ') in system.now() and len(system.now()) == 19


def test_replace_symlink_works_after_an_interruption(folder):
    link = folder / 'link'
    (folder / 'link.new').symlink_to('/nowhere')
    system.replace_symlink(link, 'a')
    system.replace_symlink(link, folder / 'b')
    assert os.readlink(str(link)) == str(folder / 'b')
    assert os.listdir(str(folder)) == ['link']


def test_sync_folder_syncs_all_files(folder):
    system.sync_folder(folder)
    with pytest.raises(OSError):
        system.sync_folder(folder / 'nothing')


def test_remove_follows_no_links(folder):
    kept = folder / 'kept'
    (kept / 'deep').mkdir(parents=True)
    for name in ['tree/in', 'tree/on']:
        (folder / name).mkdir(parents=True)
    (folder / 'tree/link').symlink_to(kept)
    (folder / 'link').symlink_to(kept)
    (folder / 'file').write_text('x')
    (folder / 'dangling').symlink_to('/nowhere')
    for name in ['tree', 'link', 'file', 'dangling']:
        system.remove(folder / name)
    assert os.listdir(str(folder)) == ['kept'] and (kept / 'deep').is_dir()


def test_abandoned_files_are_recognized(folder):
    assert not system.abandoned(folder)
    os.utime(str(folder), (1, 1))
    assert system.abandoned(folder)


@pytest.mark.parametrize('name', [b'\xff)', b') R 1 1', b'a\nb', b'(', b'\xe4\xb8', b'', b'x' * 15])
def test_processes_with_any_name(name, folder):
    before = system.start_ticks(os.getpid())
    command = [sys.executable, '-S', '-E', '-c', SLEEPER.format(name)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=str(folder), start_new_session=True)
    try:
        assert process.stdout.read(1) == b'.'
        assert process.pid in system.children(os.getpid())
        assert before <= system.start_ticks(process.pid) < before + 1000000
        assert system.working_folder(process.pid) == str(folder)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert process.pid not in system.children(os.getpid())
    assert system.start_ticks(process.pid) == 0
    assert system.working_folder(process.pid) == ''


def test_a_process_in_a_removed_folder(folder):
    gone = folder / 'gone'
    gone.mkdir()
    with subprocess.Popen(['sleep', '60'], cwd=str(gone)) as process:
        gone.rmdir()
        assert system.working_folder(process.pid) == str(gone) + ' (deleted)'
        process.kill()


def test_a_process_that_exits_while_it_is_read(folder):
    for name in ['1', '22', '3x', 'self']:
        (folder / name).mkdir()
    (folder / '22/stat').write_bytes(b'22 (a) b) S 7 22 ' + b'0 ' * 20)
    assert system.children(7, folder) == {22}
    assert system.stat_fields(1, folder) == []


@pytest.fixture
def listener(folder):
    """Makes listening sockets of any name in a folder."""
    made = []

    def listen(name, backlog=5):
        made.append(socket.socket(socket.AF_UNIX))
        path = os.fsencode(str(folder)) + b'/' + name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        made[-1].bind(path)
        made[-1].listen(backlog)
        return made[-1]

    yield listen
    for one in made:
        one.close()


def test_sockets_with_any_name(folder, listener):
    for name in [b'a\nb', b'\xff', b'a b', b'a ', b'x\n0: 00000002 00000000 0001 ', b'x\n1 2 3 zz 5 02 7 /else', b' ']:
        listener(name)
    listener(b'app.sock')
    assert system.unix_sockets(folder / 'app.sock') == (1, 0)
    assert system.unix_sockets(os.fsdecode(os.fsencode(str(folder)) + b'/\xff')) == (1, 0)
    assert system.unix_sockets(str(folder) + '/a ') == (1, 0)
    assert system.unix_sockets(folder / 'b') == (0, 0)


def test_a_socket_name_that_forges_another(folder, listener):
    # at worst somebody makes a drain wait as long as it may
    listener(b'\n0: 00000002 00000000 zz 0001 02 1 /run/s')
    assert system.unix_sockets('/run/s') == (0, 1)


def test_waiting_connections_are_counted(folder, listener):
    server = listener(b's', 1)
    clients = []
    for _ in range(4):
        clients.append(socket.socket(socket.AF_UNIX))
        clients[-1].setblocking(False)
        with contextlib.suppress(BlockingIOError):
            clients[-1].connect(str(folder / 's'))
    listening, waiting = system.unix_sockets(folder / 's')
    assert listening == 1 and waiting
    server.settimeout(5)
    for _ in range(waiting):
        server.accept()[0].close()
    assert wait_for(lambda: system.unix_sockets(folder / 's') == (1, 0))
    server.close()
    assert wait_for(lambda: system.unix_sockets(folder / 's')[0] == 0)
    for client in clients:
        client.close()
