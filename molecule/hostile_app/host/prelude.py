# The start of every act: paths of the host, and helpers. Runs on Python 3.6 as the app's account.
import contextlib
import ctypes
import glob
import os
import shutil
import signal
import socket
import threading
import time

ROOT = '/srv/flaskrandom'
RELEASES = ROOT + '/releases'
SHARED = ROOT + '/shared'
RUN = '/run/flaskrandom/app' if os.path.isdir('/run/flaskrandom/app') else '/run/flaskrandom'
SECRET = '/root/secret'
GUARD = '/run/guard.sock'  # root's, mode 0600; see guard.py
WITNESS = '/var/tmp/witness'
SUPERVISED = 'SUPERVISOR_ENABLED' in os.environ


def put(path, make):
    """Removes what is at a path and calls make(path)."""
    with contextlib.suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    with contextlib.suppress(OSError):
        make(path)


def link(target):
    return lambda path: os.symlink(target, path)


def file(text):
    def write(path):
        with open(path, 'w') as opened:
            opened.write(text)

    return write


def own_pids(name=b''):
    """Returns the process ids of the app's account whose command line contains `name`."""
    found = []
    for folder in glob.glob('/proc/[0-9]*'):
        with contextlib.suppress(OSError), open(folder + '/cmdline', 'rb') as command:
            if os.stat(folder).st_uid == os.getuid() and name in command.read():
                found.append(int(os.path.basename(folder)))
    return found


def gunicorns():
    """Returns the process ids of the gunicorn masters, whose parent is no gunicorn, and of the workers."""
    pids = set(own_pids(b'gunicorn'))
    parents = {}
    for pid in pids:
        with contextlib.suppress(OSError), open('/proc/{}/stat'.format(pid), errors='replace') as stat:
            parents[pid] = int(stat.read().rpartition(')')[2].split()[1])
    return [pid for pid in parents if parents[pid] not in pids], [pid for pid in parents if parents[pid] in pids]


def rename(name):
    """Changes the name of this process in /proc, at most 15 bytes."""
    ctypes.CDLL(None).prctl(15, ctypes.c_char_p(name), 0, 0, 0)


def once(name):
    """Returns True in the first process that calls it."""
    try:
        os.close(os.open('{}/instance/once-{}'.format(SHARED, name), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def orphan(work):
    """Calls work() in a new process that ignores TERM and outlives its parent."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(Exception):
        work()
    os._exit(0)


def listening(path):
    """Returns a listening unix socket."""
    with contextlib.suppress(OSError, ValueError):
        os.unlink(path)
    new = socket.socket(socket.AF_UNIX)
    new.bind(path)
    new.listen(8)
    return new
