"""Runs uv and other tools, with as little of the user's environment as they need."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .errors import LockError
from .job import Job

# glibc versions that uv knows as platforms
PLATFORMS = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)
KEPT = ('PATH', 'HOME', 'LANG', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'SSH_AUTH_SOCK', 'UV_CACHE_DIR', 'XDG_CACHE_HOME', 'TMPDIR')


def executable() -> str:
    """uv's path: beside the Python that runs this, else from PATH.

    Raises:
        LockError: there is none.
    """
    beside = Path(sys.executable).parent / 'uv'
    found = str(beside) if beside.exists() else shutil.which('uv')
    if not found:
        raise LockError('uv is needed on this computer to lock the app\'s packages: `pipx install uv`, or use make, which has it.')
    return found


def environment(job: Job) -> dict[str, str]:
    """Variables for tools: no secrets of the user's, but the settings of pip, uv and proxies."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT or re.match(r'(?i)(UV|PIP)_|(https?|no)_proxy$', name)}
    return {**kept, 'NO_COLOR': '1', **job.settings}


def passwords(values: dict[str, str]) -> list[str]:
    """The variables whose URLs have a password, such as an index or a proxy; what builds packages would see them."""
    return [name for name, value in values.items() if re.search(r'//[^/\s@]+@', value)]


def run(job: Job, command: list[str], cwd: Path | None = None, stdin: str = '', env: dict[str, str] | None = None) -> str:
    """The output of a command.

    Raises:
        LockError: it failed; the text is what it printed, without passwords.
    """
    done = subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, text=True, env=env or environment(job), check=False)
    if done.returncode:
        raise LockError(re.sub(r'//[^/\s@]*@', '//***@', (done.stderr or done.stdout).strip()))
    return done.stdout


def target(job: Job) -> list[str]:
    """uv's options for the host's Python and platform."""
    major, minor = map(int, job.glibc.split('.')[:2])
    newest = max((number for number in PLATFORMS if (2, number) <= (major, minor)), default=17)
    return ['--python-version', job.python, '--python-platform', f'{job.machine}-manylinux_2_{newest}']


def compile_lock(job: Job, *arguments: str, stdin: str = '', previous: str = '') -> str:
    """The lock that `uv pip compile` makes for the host, with hashes and without comments.

    Args:
        arguments: further options, and the files to resolve.
        stdin: text of the file `-`.
        previous: a lock whose versions are kept where they fit.
    """
    common = ['--quiet', '--no-header', '--no-annotate', '--no-strip-extras', '--generate-hashes', '--no-emit-index-url']
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'lock'
        path.write_text(previous, encoding='utf-8')
        # Metadata of a source package may have to be built.
        common += ['--no-build'] if passwords(environment(job)) else []
        command = [executable(), 'pip', 'compile', *common, '--python', sys.executable, *target(job), f'--output-file={path}']
        run(job, [*command, *arguments], cwd=job.source, stdin=stdin)
        return path.read_text(encoding='utf-8')


def tool(job: Job, name: str) -> Path:
    """The command of a tool in an environment of its own, installed from the tool's lock if it is not yet."""
    lock = Path(job.tools) / f'{name}.txt'
    folder = job.scratch.parent / f'.{name}-{hashlib.sha256((lock.read_text() + sys.version).encode()).hexdigest()[:12]}'
    if not (folder / 'complete').exists():
        shutil.rmtree(folder, ignore_errors=True)
        run(job, [executable(), 'venv', '--quiet', '--python', sys.executable, str(folder)])
        run(job, [executable(), 'pip', 'sync', '--quiet', '--python', str(folder), '--require-hashes', str(lock)])
        (folder / 'complete').touch()
    return folder / 'bin' / name
