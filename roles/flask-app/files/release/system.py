"""Files, processes and sockets."""

import contextlib
import os
import shutil
import sys
import time
from datetime import datetime
from pathlib import Path

ABANDONED = 3600  # seconds until an unfinished file counts as abandoned
LISTENING = 0x10000  # __SO_ACCEPTCON in the flags of /proc/net/unix
CONNECTING = b'02'  # SS_CONNECTING in its states


def write_line(stream, text):
    """Writes a line as UTF-8 in any locale, and ignores a closed stream."""
    if stream:
        with contextlib.suppress(OSError):
            stream.buffer.write(text.encode('utf-8', 'replace') + b'\n')
            stream.flush()


def print_line(text):
    """Prints a line."""
    write_line(sys.stdout, text)


def now():
    """The host's time, as sortable text."""
    return datetime.now().strftime('%Y-%m-%d %H:%M:%S')


def operating_system(path='/etc/os-release'):
    """The system and its version, such as `ubuntu 18.04`; empty if the host does not say."""
    fields = {}
    with contextlib.suppress(OSError), open(path, encoding='utf-8', errors='replace') as file:
        fields = dict(line.strip().split('=', 1) for line in file if '=' in line)
    return ' '.join(fields.get(name, '').strip('\'"') for name in ('ID', 'VERSION_ID')).strip()


def sync_folder(folder):
    """Flushes a folder's entries to the disk."""
    descriptor = os.open(str(folder), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_symlink(link, target):
    """Creates or replaces a symbolic link atomically."""
    new = '{}.new'.format(link)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    os.symlink(str(target), new)
    os.replace(new, str(link))


def remove(path):
    """Removes a folder with its contents, a file, or a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path))
    else:
        path.unlink()


def abandoned(path):
    """Whether a path is too old for a run to be working on it; False if another run has just removed it."""
    with contextlib.suppress(FileNotFoundError):
        return path.lstat().st_mtime < time.time() - ABANDONED
    return False


def stat_fields(pid, proc=Path('/proc')):
    """The fields of /proc/PID/stat after the name, which may contain anything; none if the process has ended."""
    try:
        return (proc / str(pid) / 'stat').read_bytes().rpartition(b')')[2].split()
    except OSError:
        return []


def start_ticks(pid, proc=Path('/proc')):
    """When a process started, in clock ticks since the boot; 0 if it has ended."""
    fields = stat_fields(pid, proc)
    return int(fields[19]) if fields else 0


def children(pid, proc=Path('/proc')):
    """The process ids of a process's children."""
    found = set()
    for folder in proc.glob('[0-9]*'):
        fields = stat_fields(folder.name, proc)
        if fields and int(fields[1]) == pid:
            found.add(int(folder.name))
    return found


def working_folder(pid, proc=Path('/proc')):
    """The working folder of a process, links resolved; '' if it has ended or this account may not read it."""
    try:
        return os.readlink(str(proc / str(pid) / 'cwd'))
    except OSError:
        return ''


def unix_sockets(path, table=Path('/proc/net/unix')):
    """The unix sockets bound to a path.

    Returns:
        The number of listening sockets, and of connections that wait to be accepted.
    """
    listening = waiting = 0
    for line in table.read_bytes().split(b'\n'):
        # Num RefCount Protocol Flags Type St Inode Path; a path may contain spaces and line breaks
        fields = line.split(None, 7)
        if len(fields) == 8 and fields[7] == os.fsencode(str(path)):
            with contextlib.suppress(ValueError):
                listening += bool(int(fields[3], 16) & LISTENING)
            waiting += fields[5] == CONNECTING
    return listening, waiting
