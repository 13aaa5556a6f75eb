"""Commands that run as the app: in the release's folder, with its environment and secrets."""

import contextlib
import json
import os
import re
import resource
import select
import signal
import subprocess
import time
from pathlib import Path

from .accounts import become
from .errors import Unhealthy
from .health import POLL_INTERVAL
from .logs import condense
from .system import print_line

OUTPUT_LIMIT = 1 << 18  # bytes of a command's output that are kept

# not ${release}, which is a variable of a shell
RELEASE = re.compile(r'(?<!\$)\{release\}')


def filled(text, folder):
    """A setting's text with the release's path in place of `{release}`, as .gunicorn.py does it."""
    return RELEASE.sub(lambda _: str(folder), text)


def environment(settings, folder):
    """The environment variables of the app, the same as in .gunicorn.py."""
    values = {
        'HOME': settings['home'],
        'LANG': 'C.UTF-8',
        'USER': settings['user'],
        'PATH': '{}/bin:/usr/local/bin:/usr/bin:/bin'.format(folder),
        'PYTHONPATH': '{}/.package'.format(folder),
    }
    values.update({name: filled(str(value), folder) for name, value in settings['environment'].items()})
    if settings['secrets']:
        values.update(json.loads(Path(settings['secrets']).read_text(encoding='utf-8')))
    return values


def encode(text):
    """Encodes an argument or variable; in the POSIX locale Python 3.6 would only accept ASCII."""
    return text.encode('utf-8', 'surrogateescape')


def start(settings, folder, command, more=None, **options):
    """Starts a command as the app's account.

    Args:
        more: environment variables beside the app's.
        options: those of subprocess.Popen.
    """
    variables = {encode(name): encode(value) for name, value in dict(environment(settings, folder), **(more or {})).items()}
    return subprocess.Popen(
        [encode(part) for part in command], cwd=str(folder), env=variables, preexec_fn=lambda: become(settings['user']), **options
    )


def read_output(process, timeout):
    """Reads the output of a process until it ends, without waiting for processes that it leaves behind.

    Args:
        process: leader of its own session, with a pipe as its output; killed after the timeout.
        timeout: seconds.

    Returns:
        The last OUTPUT_LIMIT bytes of its output, and whether it ended in time.
    """

    def available():
        return os.read(reader, OUTPUT_LIMIT) if select.select([reader], [], [], 0)[0] else b''

    reader = process.stdout.fileno()
    printed, deadline = b'', time.monotonic() + timeout
    while process.poll() is None and time.monotonic() < deadline:
        piece = available()
        printed = (printed + piece)[-OUTPUT_LIMIT:]
        if not piece:
            time.sleep(POLL_INTERVAL)
    in_time = process.poll() is not None
    if not in_time:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return (printed + available())[-OUTPUT_LIMIT:], in_time


def run_release_command(settings, folder, command, timeout, more=None):
    """Runs a shell command of a release.

    Args:
        timeout: seconds.
        more: environment variables beside the app's.

    Raises:
        Unhealthy: it failed or timed out.
    """
    process = start(
        settings,
        folder,
        ['/bin/sh', '-ec', filled(command, folder)],
        more,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with process.stdout:
        printed, in_time = read_output(process, timeout)
    if process.returncode or not in_time:
        how = 'exited with status {}'.format(process.returncode) if in_time else 'has not ended in {} s'.format(timeout)
        raise Unhealthy("the command '{}' {}\n\nIts output:\n{}".format(command, how, condense(printed)))


def prepare(releases, history, release, timeout):
    """Runs the init commands, once on a host, and the release commands, once for each release."""
    settings, folder = releases.settings(release), releases.folder(release)
    init = [c for c in settings['init_commands'] if c not in history.initialized]
    done = history.facts(release).get('prepared', False)
    for command in init + ([] if done else settings['commands']):
        print_line('{}$ {}'.format(release, command))
        run_release_command(settings, folder, command, timeout)
        if command in init:
            history.initialized.append(command)
            history.save()
    history.record(release, prepared=True)


def serve(config, releases, release):
    """Executes gunicorn as a candidate.

    Its service has no User=: in a container without CAP_SYS_ADMIN, systemd 257 cannot start a service with User= and
    system call filters.
    """
    folder = releases.folder(release)
    become(releases.settings(release)['user'])
    os.chdir(str(folder))
    gunicorn = str(folder / 'bin/gunicorn')
    os.execv(gunicorn, [gunicorn, '-c', '.gunicorn.py', '-b', 'unix:{}/app/next.sock'.format(config.run)])


def exec_shell(settings, folder, options, name):
    """Executes the command of a process or job of a release, in place of this tool.

    Args:
        options: its settings: `command`, `environment` and, if it has a limit, `address_space` in bytes.
        name: for the variable PROCESS_NAME.
    """
    limit = options.get('address_space')
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    values = environment(settings, folder)
    values.update({variable: filled(str(value), folder) for variable, value in options['environment'].items()})
    values['PROCESS_NAME'] = name
    become(settings['user'])
    os.chdir(str(folder))
    shell = [b'/bin/sh', b'-c', encode(filled(options['command'], folder))]
    os.execve(shell[0], shell, {encode(variable): encode(value) for variable, value in values.items()})
