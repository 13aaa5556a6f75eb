"""Runs code as another account than root."""

import os
import pwd
import select
import signal
import time

RESULT_LIMIT = 1 << 16  # bytes


def become(user):
    """Drops root's privileges for those of an account."""
    account = pwd.getpwnam(user)
    os.initgroups(user, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.umask(0o022)


def call_as(user, function, timeout):
    """Calls a function in a child process of another account.

    Args:
        user: the account, or '' for the current one.
        function: returns a short text.
        timeout: seconds until the process is killed.

    Returns:
        The text, or '' after a timeout or an error.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            if user:
                become(user)
            os.write(writer, function().encode('utf-8', 'replace')[:RESULT_LIMIT])
        finally:
            os._exit(0)
    os.close(writer)
    result, deadline = b'', time.monotonic() + timeout
    try:
        while select.select([reader], [], [], max(deadline - time.monotonic(), 0))[0]:
            piece = os.read(reader, RESULT_LIMIT)
            if not piece:
                break
            result += piece
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return result.decode('utf-8', 'replace')
