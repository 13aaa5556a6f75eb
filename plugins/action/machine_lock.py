"""Takes the lock of a machine for the rest of the run."""

from __future__ import annotations

import getpass
import json
import os
import select
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

FILES = Path(__file__).parents[2] / 'roles/claims/files'
ANSWER = 60  # seconds in which the host answers
GRACE = 2  # seconds in which a run that has just ended lets go of the lock; nothing is shown of it
REPEAT = 60  # seconds until it is shown again whom the run waits for

display = Display()


def described(holder: dict) -> str:
    """A run as a message names it: `the run for shop (alice@laptop), which began at 12:03:05`, in this computer's time."""
    if not holder:
        return 'another run, which has just begun'
    began = datetime.fromisoformat(holder['since']).astimezone()
    today = began.date() == datetime.now().date()
    return f"the run for {holder['who']} ({holder['from']}), which began at {began:{'%H:%M:%S' if today else '%Y-%m-%d %H:%M:%S'}}"


def without_sshpass(command: list[bytes]) -> list[bytes]:
    """An ssh command without the program that types the password: the connection of the earlier tasks is used."""
    if command[0] != b'sshpass':
        return command
    return command[4 if command[2] == b'-P' else 2:]


class Lock:
    """The processes that hold a lock, seen from here.

    Args:
        command: the words of the command that holds it.
        first: what the command reads first, '' for nothing.
        process: the id of the process for whose life it is held.
    """

    def __init__(self, command: list[str], first: str, process: int):
        self.errors = tempfile.TemporaryFile('w+', errors='replace')  # noqa: SIM115
        # in a session of its own, so that what ends a run at the terminal leaves it the time to let go
        self.keeper = subprocess.Popen(
            [sys.executable, '-IS', str(FILES / 'keep_lock.py')],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, start_new_session=True,
        )
        self.keeper.stdin.write(json.dumps({'command': command, 'first': first, 'process': process}).encode())
        self.keeper.stdin.close()
        self.pending = b''

    def line(self, seconds: float) -> str | None:
        """The next line of the command, None if none comes in that many seconds.

        Raises:
            AnsibleError: the command has ended, which holds the reason.
        """
        until = time.monotonic() + seconds
        while b'\n' not in self.pending:
            if not select.select([self.keeper.stdout], [], [], max(until - time.monotonic(), 0))[0]:
                return None
            piece = os.read(self.keeper.stdout.fileno(), 65536)
            if not piece:
                self.errors.seek(0)
                raise AnsibleError(f'The lock of the machine cannot be taken: {self.errors.read().strip() or "the command has ended"}')
            self.pending += piece
        line, _, self.pending = self.pending.partition(b'\n')
        return line.decode(errors='replace')

    def release(self) -> None:
        """Lets go of the lock, or of the place in the queue for it."""
        self.keeper.terminate()
        self.keeper.wait()


class ActionModule(ActionBase):
    """Action `machine_lock`: waits until no other run works on the machine, and keeps others out until this run has ended.

    The lock belongs to a process on the host, which ends with the connection or 45 seconds after the network is gone. In check mode
    nothing is locked; there is a warning if another run goes on.

    Args:
        who: the run's apps on this machine, as others are told.
        timeout: seconds to wait for another run.
        python: the host's Python.
        path: the lock's file.
    """

    TRANSFERS_FILES = False

    def command(self, run: dict) -> tuple[list[str], str] | None:
        """The command that holds the lock and what it reads first, None where this connection has no way to run it."""
        source = (FILES / 'hold_lock.py').read_text(encoding='utf-8')
        python, path = (self._task.args.get(*option) for option in (('python', '/usr/bin/python3'), ('path', '/run/flask-host.lock')))
        command, first, become = shlex.join([python, '-IS', '-c', source, json.dumps(run), path]), '', self._connection.become
        if become:
            if password := become.get_option('become_pass', playcontext=self._play_context):
                if become.name != 'sudo':
                    return None
                first = f'{password}\n'
            command = become.build_become_command(command, self._connection._shell)
        if self._connection.transport == 'local':
            return ['/bin/sh', '-c', command], first
        if not hasattr(self._connection, '_build_command'):
            return None
        words = self._connection._build_command(
            self._connection.get_option('ssh_executable'), 'ssh', '-o', 'BatchMode=yes', self._connection.host, command
        )
        return [os.fsdecode(word) for word in without_sshpass(words)], first

    def wait(self, lock: Lock, host: str, timeout: float) -> str:
        """Waits until the lock is held.

        Returns:
            '', or what to do after the timeout.
        """
        began, show, holder = time.monotonic(), GRACE, None
        while True:
            line = lock.line(0.5)
            waited = time.monotonic() - began
            if line == 'locked':
                return ''
            if line and line.startswith('waiting '):
                holder = json.loads(line.partition(' ')[2])
            if holder is None and waited > ANSWER:
                return f'The host has not answered within {ANSWER} seconds. Check its load and the network, and run this again.'
            if holder is not None and waited > timeout:
                return (
                    f'Nothing was changed. Waited {timeout:g} seconds for {described(holder)}. '
                    'Run this again after its end, or set a larger preflight_lock_timeout.'
                )
            if holder is not None and waited > show:
                display.display(f'{host}: waiting for {described(holder)}')
                show = waited + REPEAT

    def run(self, tmp=None, task_vars=None):
        """Takes the lock of one machine; see the class."""
        result = super().run(tmp, task_vars)
        host, given, check = task_vars['inventory_hostname'], self._task.args, boolean(self._play_context.check_mode)
        found = self.command({'who': given['who'], 'from': f'{getpass.getuser()}@{socket.gethostname()}', 'wait': not check})
        if found is None:
            result['warnings'] = [f'{host}: other runs on this machine are not kept out, because of its kind of connection or become.']
            return result
        lock, reason = Lock(*found, os.getppid()), 'interrupted'
        try:
            if check:
                while (line := lock.line(ANSWER)) and not line.startswith(('waiting ', 'locked')):
                    pass
                reason = ''
                if line and line.startswith('waiting '):
                    result['warnings'] = [f'{host}: {described(json.loads(line[8:]))}, goes on; what is shown here may change with it.']
            else:
                reason = self.wait(lock, host, float(given.get('timeout', 1800)))
        except AnsibleError as error:
            reason = error.message
        finally:
            if reason or check:
                lock.release()
        if reason:
            result.update(failed=True, msg=reason)
        return result
