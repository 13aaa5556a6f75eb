"""Commands that run as the app: in the release's folder, with its environment and secrets."""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path

from .accounts import become
from .errors import Unhealthy
from .health import PAUSE
from .logs import condensed
from .system import say

OUTPUT_LIMIT = 1 << 18  # bytes of a command's output that are kept


def environment(settings, folder):
    """The same environment that .gunicorn.py gives the app."""
    values = {
        'HOME': settings['home'],
        'LANG': 'C.UTF-8',
        'USER': settings['user'],
        'PATH': '{}/bin:/usr/local/bin:/usr/bin:/bin'.format(folder),
    }
    values.update({name: str(value) for name, value in settings['environment'].items()})
    if settings['secrets']:
        values.update(json.loads(Path(settings['secrets']).read_text(encoding='utf-8')))
    return values


def utf_8(text):
    """A text for the kernel: Python 3.6 in the POSIX locale would only take ASCII."""
    return text.encode('utf-8', 'surrogateescape')


def start(settings, folder, command, **options):
    """Starts a command as the app's account.

    Args:
        options: those of subprocess.Popen.
    """
    variables = {utf_8(name): utf_8(value) for name, value in environment(settings, folder).items()}
    return subprocess.Popen(
        [utf_8(part) for part in command], cwd=str(folder), env=variables, preexec_fn=lambda: become(settings['user']), **options
    )


def output_of(process, timeout):
    """Reads what a process prints until it ends, whatever becomes of processes that it leaves behind.

    Args:
        process: with a pipe as its output, the leader of a session of its own; it is killed after the timeout.
        timeout: seconds.

    Returns:
        The end of its output, and whether it ended in time.
    """

    def available():
        return os.read(reader, OUTPUT_LIMIT) if select.select([reader], [], [], 0)[0] else b''

    reader = process.stdout.fileno()
    printed, deadline = b'', time.monotonic() + timeout
    while process.poll() is None and time.monotonic() < deadline:
        piece = available()
        printed = (printed + piece)[-OUTPUT_LIMIT:]
        if not piece:
            time.sleep(PAUSE)
    in_time = process.poll() is not None
    if not in_time:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return (printed + available())[-OUTPUT_LIMIT:], in_time


def run_release_command(settings, folder, command, timeout):
    """Runs a shell command of a release.

    Args:
        timeout: seconds.

    Raises:
        Unhealthy: it failed, or has not ended in time.
    """
    process = start(
        settings,
        folder,
        ['/bin/sh', '-ec', command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with process.stdout:
        printed, in_time = output_of(process, timeout)
    if process.returncode or not in_time:
        how = 'ended with {}'.format(process.returncode) if in_time else 'has not ended in {} s'.format(timeout)
        raise Unhealthy("the command '{}' {}\n\nIt printed:\n{}".format(command, how, condensed(printed)))


def prepare(releases, history, release, timeout):
    """Runs the release's commands: some once on a host, the others once for a release."""
    settings, folder = releases.settings(release), releases.folder(release)
    init = [c for c in settings['init_commands'] if c not in history.initialized]
    done = history.facts(release).get('prepared', False)
    for command in init + ([] if done else settings['commands']):
        say('{}$ {}'.format(release, command))
        run_release_command(settings, folder, command, timeout)
        if command in init:
            history.initialized.append(command)
            history.save()
    history.remember(release, prepared=True)


def serve(config, releases, release):
    """Becomes the gunicorn of a candidate.

    Its service has no User=, with which systemd 257 starts nothing that has filters of system calls, in a container
    without CAP_SYS_ADMIN.
    """
    folder = releases.folder(release)
    become(releases.settings(release)['user'])
    os.chdir(str(folder))
    gunicorn = str(folder / 'bin/gunicorn')
    os.execv(gunicorn, [gunicorn, '-c', '.gunicorn.py', '-b', 'unix:{}/app/next.sock'.format(config.run)])
