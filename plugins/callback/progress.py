"""Callback that says on a terminal that a long task goes on. Logs, which have no terminal, stay as they are."""

from __future__ import annotations

import os
import sys
import threading
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: progress
type: aggregate
short_description: says on a terminal that a long task goes on
description: Every ten seconds of a task, a line names the hosts that it still runs on, and for how long it has run.
"""

INTERVAL = 10  # seconds


def line(task: str, hosts: list[str], seconds: float) -> str:
    """What is said of a task that goes on.

    Args:
        task: its name.
        hosts: those that it still runs on.
        seconds: since it began.
    """
    names = ', '.join(hosts[:3]) + (f' and {len(hosts) - 3} more' if len(hosts) > 3 else '')
    return f'  {task}: {seconds:.0f} s, still on {names}\n'


class CallbackModule(CallbackBase):
    """Follows which hosts a task runs on, and lets a thread tell of it."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'aggregate'
    CALLBACK_NAME = 'progress'

    def __init__(self):
        super().__init__()
        self.task, self.begun, self.hosts = '', 0.0, {}
        if sys.stdout.isatty():
            threading.Thread(target=self.tell, daemon=True).start()

    def tell(self) -> None:
        """Tells, without end."""
        told = time.monotonic()
        while True:
            time.sleep(1)
            now, hosts = time.monotonic(), list(self.hosts)
            if hosts and now - max(told, self.begun) >= INTERVAL:
                told = now
                # not by a buffer, whose lock a fork of Ansible's could copy while it is held
                os.write(sys.stdout.fileno(), line(self.task, hosts, now - self.begun).encode())

    def v2_playbook_on_task_start(self, task, is_conditional):
        """A task begins."""
        self.task, self.begun, self.hosts = task.get_name().rpartition(' : ')[2], time.monotonic(), {}

    def v2_playbook_on_handler_task_start(self, task):
        """A handler begins."""
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_start(self, host, task):
        """A task begins on a host."""
        self.hosts[host.get_name()] = True

    def ended(self, result, **options):
        """A task has ended on a host."""
        self.hosts.pop(result._host.get_name(), None)

    v2_runner_on_ok = v2_runner_on_failed = v2_runner_on_skipped = v2_runner_on_unreachable = ended
