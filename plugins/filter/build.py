"""Filter for the build commands of an app."""

from __future__ import annotations

from collections.abc import Mapping

# systemd-run's own lines, but for what ended the unit
NOISE = ('Running as unit:', 'Finished with result: exit-code', 'Main processes terminated', 'Service runtime:', 'CPU time consumed:')
NOISE += ('Memory peak:', 'Memory swap peak:', 'IO bytes', 'IP traffic')
LINES = 40


def build_error(result: Mapping, timeout: int) -> str:
    """Why a build failed, with the variable that helps.

    Args:
        result: of the task that ran the commands; `stdout` has the output of the commands and of systemd-run, each command
            in a line of its own that begins with `$ `.
        timeout: seconds that a build may take.
    """
    lines = [line.rstrip() for line in result['stdout'].splitlines() if not line.startswith(NOISE)]
    text = '\n'.join(lines)
    command = next((line[2:] for line in reversed(lines) if line.startswith('$ ')), '')
    if 'result: timeout' in text:
        what = f'did not end within flask_app_build_timeout, {timeout} s'
    elif 'result: oom-kill' in text:
        what = 'needed more memory than flask_app_build_memory allows'
    elif result['rc'] == 127:
        what = 'needs a program that the host does not have. Name its Debian package in flask_app_packages'
    else:
        what = f'failed with status {result["rc"]}'
    return '\n'.join([f"flask_app_build_commands: '{command}' {what}. Its output:", *lines[-LINES:]])


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict:
        """Its name."""
        return {'build_error': build_error}
