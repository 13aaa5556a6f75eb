"""Exports other tools' lock files as requirements with hashes, by uv or by each tool's own exporter."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from . import uv
from .errors import LockError
from .inputs import Input, lines
from .job import Job

COMMANDS = {
    'poetry.lock': ('poetry', ['export', '--only=main', '--format=requirements.txt']),
    'pdm.lock': ('pdm', ['export', '--prod', '--format=requirements']),
    'Pipfile.lock': ('pipenv', ['requirements', '--hash']),
}


def export(job: Job, found: Input) -> list[str]:
    """The lines of a lock file as those of a requirements file; the app itself is left out.

    Raises:
        LockError: the tool refuses the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        # Some of the tools write beside the lock, and nothing is written into the app's folder.
        copy = Path(folder) / 'app'
        copy.mkdir()
        for path in found.path.parent.iterdir():
            if path.is_file() and path.suffix in ('.toml', '.lock', '.py', '.cfg', '.md', '.rst', '') and path.stat().st_size < 1 << 24:
                shutil.copy(path, copy)
        try:
            if found.kind == 'uv.lock':
                options = ['--quiet', '--frozen', '--no-dev', '--no-emit-project', '--no-annotate', '--no-header']
                text = uv.run(job, [uv.executable(), 'export', *options, '--python', sys.executable], cwd=found.path.parent)
            elif found.kind == 'pylock.toml':
                text = from_pylock(found.path)
            else:
                tool, arguments = COMMANDS[found.kind]
                private = {'HOME': folder, 'POETRY_VIRTUALENVS_CREATE': 'false', 'PIPENV_IGNORE_VIRTUALENVS': '1', 'PDM_CHECK_UPDATE': '0'}
                command = [str(uv.tool(job, tool)), *arguments]
                text = uv.run(job, command, cwd=copy, env={**uv.environment(job), **private})
        except LockError as error:
            raise LockError(f'{found.path} could not be read: {error}') from error
    return [line for line in lines(text) if not line.startswith(('-i ', '--index-url', '--extra-index-url', '--trusted-host'))]


def from_pylock(path: Path) -> str:
    """The lines of a pylock.toml, whose format is a standard (PEP 751): names, versions, markers and hashes."""
    from .inputs import tomllib

    found = []
    for package in tomllib.loads(path.read_text(encoding='utf-8'))['packages']:
        if package.get('directory', {}).get('path') in ('.', './'):
            continue
        marker = f" ; {package['marker']}" if 'marker' in package else ''
        if 'vcs' in package:
            vcs = package['vcs']
            source = f"{package['name']} @ {vcs['type']}+{vcs.get('url') or vcs.get('path')}@{vcs['commit-id']}"
            found.append(source + (f"#subdirectory={vcs['subdirectory']}" if 'subdirectory' in vcs else '') + marker)
            continue
        files = [*package.get('wheels', []), *filter(None, [package.get('sdist'), package.get('archive')])]
        hashes = ''.join(f" --hash={kind}:{value}" for file in files for kind, value in file['hashes'].items())
        where = f" @ {package['archive']['url']}" if 'archive' in package else f"=={package['version']}"
        found.append(f"{package['name']}{where}{marker}{hashes}")
    return '\n'.join(found)
