"""The lock of an app for a host."""

from __future__ import annotations

import json
import re
from pathlib import Path

from . import inputs, python
from .errors import LockError
from .export import export
from .inputs import LOCKS, Input, is_locked, name_of
from .job import Job
from .resolve import resolve, with_gunicorn
from .wheels import build, build_folder, is_pure, locked_line, needed, pythons, without_wheel

HEADER = """\
# The packages of the app {name} for Python {python}, locked for a host by `make deploy`. Commit this file.
# It is used while the app's own files stay as they are; `make lock-app` makes it anew, with newer versions.
# digest: {digest}
"""


def lock(job: Job) -> dict:
    """Locks an app's packages for a host.

    Returns:
        `lock` (the path of a lock with hashes for all packages, gunicorn among them), `wheels` (paths of wheels that were
        built here), `source_packages` (names that the host has to build), `package` (the wheel of the app itself, or ''),
        `messages` (for the user).

    Raises:
        LockError: the packages cannot be locked; the text says why and what to do.
    """
    messages: list[str] = []
    if not job.python:
        found = requested(job)
        return {'lock': '', 'wheels': [], 'source_packages': [], 'package': '', 'messages': [f"The app's packages: {found.path}"]}
    requirement_lines = locked_lines(job, messages)
    package = app_package(job, requirement_lines, messages)
    requirement_lines = [line for line in requirement_lines if not is_app(line)]
    digest = job.digest(*requirement_lines, str(job.build_on_host))
    known = job.scratch / f'{digest}.json'
    if known.is_file():
        result = json.loads(known.read_text(encoding='utf-8'))
        if all(Path(path).is_file() for path in [result['lock'], *result['wheels']]):
            return {**result, 'package': package, 'messages': messages}
    requirement_lines, wheels, sources = built(job, requirement_lines)
    path = job.scratch / f'requirements-{job.python}-{digest}.txt'
    path.write_text('\n'.join(sorted(requirement_lines)).replace(' --hash', ' \\\n    --hash') + '\n', encoding='utf-8')
    result = {'lock': str(path), 'wheels': [str(wheel) for wheel in wheels], 'source_packages': sources}
    known.write_text(json.dumps(result), encoding='utf-8')
    return {**result, 'package': package, 'messages': messages}


def requested(job: Job) -> Input:
    """The file that names the app's packages."""
    if not job.requirement:
        return inputs.find(job.source, job.requirements)
    path = job.scratch / 'requirement.txt'
    path.write_text(job.requirement + '\n', encoding='utf-8')
    return Input(path, 'requirements.txt')


def locked_lines(job: Job, messages: list[str]) -> list[str]:
    """The lines of the app's lock with gunicorn: its own lock, or one that was resolved for this host."""
    python.check(job, messages)
    found = requested(job)
    own = None
    if found.kind in LOCKS:
        own = export(job, found)
    elif found.kind == 'requirements.txt':
        own = inputs.requirements(found.path, found.path.parent if job.requirement else job.source)
    complete = own is not None and (found.kind in LOCKS or is_locked(own))
    if complete and any(name_of(line) == 'gunicorn' for line in own):
        return own
    return kept_lines(job, found, own if complete else None, messages)


def kept_lines(job: Job, found: Input, own: list[str] | None, messages: list[str]) -> list[str]:
    """The lines that were resolved for an app: those of the file that keeps them, where the app's files are unchanged."""
    digest = job.digest(inputs.deciding(job.source) if not job.requirement else job.requirement)
    files = [keeper(job, Path(folder)) for folder in (job.folder, job.cache) if folder]
    for path in files:
        if path.is_file() and f'# digest: {digest}\n' in path.read_text(encoding='utf-8') and not job.upgrade:
            return inputs.lines(path.read_text(encoding='utf-8'))
    previous = next((path.read_text(encoding='utf-8') for path in files if path.is_file()), '')
    result = with_gunicorn(job, own) if own is not None else resolve(job, found, previous)
    path = files[0] if job.write else files[-1]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = '\n'.join(line.replace(' --hash', ' \\\n    --hash') for line in result)
    path.write_text(HEADER.format(name=job.name, python=job.python, digest=digest) + text + '\n', encoding='utf-8')
    if path.parent == Path(job.folder):
        messages.append(f'Locked {len(result)} packages for Python {job.python} in {path}. Commit it with your inventory.')
    else:
        messages.append(
            f'Locked {len(result)} packages for Python {job.python} in {path}. Another computer would resolve them anew: with an '
            'inventory (make new) the lock is kept beside it.'
        )
    return result


def keeper(job: Job, folder: Path) -> Path:
    """The file that keeps an app's resolved lock; where an inventory has several apps, the others' bear their names."""
    path = folder / f'requirements-{job.python}.lock'
    if path.is_file() and f' app {job.name} for ' not in path.read_text(encoding='utf-8').split('\n')[0]:
        return folder / f'requirements-{job.python}-{job.name}.lock'
    return path


def is_app(line: str) -> bool:
    """Whether a line stands for the app itself."""
    return re.fullmatch(r'(-e\s+|--editable[\s=]+)?(file:)?\.?/?(\[[^]]*\])?', line.split(' ; ')[0]) is not None


def app_package(job: Job, requirement_lines: list[str], messages: list[str]) -> str:
    """The wheel of the app itself, where its folder is a package."""
    if job.requirement or not inputs.is_package(job.source):
        return ''
    try:
        wheel = build_folder(job, job.source)
    except LockError as error:
        if any(is_app(line) for line in requirement_lines) or (job.source / 'src').is_dir():
            raise LockError(f'{job.source} cannot be built as a package, as its files say: {error}') from error
        messages.append(f'The app runs from its folder: as a package it cannot be built: {str(error)[-300:]}')
        return ''
    if not is_pure(wheel):
        raise LockError(f'{job.source} has compiled parts ({wheel.name}): build its wheel elsewhere, and name it in a requirements.txt.')
    return str(wheel)


def built(job: Job, requirement_lines: list[str]) -> tuple[list[str], list[Path], list[str]]:
    """A lock's lines in which wheels stand for packages that the index has as source only.

    Returns:
        The lines, the wheels that were built here, and the names of packages that the host builds, where it may.

    Raises:
        LockError: a package has to be built on the host, which may not.
    """
    result, wheels, sources, failed = list(requirement_lines), [], [], []
    for package in without_wheel(job, '\n'.join(requirement_lines)):
        named = [line for line in result if name_of(line) == package['name'] or same_source(line, package)]
        # a lock may have several versions of a package, for different Pythons
        line = next((line for line in named if f"=={package.get('version')}" in line.split(';')[0].split()[0]), named[0])
        hashed = '--hash=' in line
        if hashed and job.build_on_host:
            sources.append(package['name'])
            continue
        try:
            wheel = local_wheel(job, package) or build(job, unconditional(line), hashed)
            if not is_pure(wheel) and 'archive' not in package:
                raise LockError('its wheel fits some computers only')
        except LockError as error:
            failed.append(refusal(job, package['name'], str(error), hashed, pythons(job, package)))
            continue
        wheels.append(wheel)
        result[result.index(line)] = locked_line(wheel, condition(line))
    if failed:
        raise LockError('\n'.join(failed))
    return result, wheels, sources


def local_wheel(job: Job, package: dict) -> Path | None:
    """The wheel of a package that lies in a folder, as a wheel or as sources, None for another.

    Raises:
        LockError: the sources cannot be built.
    """
    if 'directory' in package:
        return build_folder(job, job.source / package['directory']['path'])
    path = package.get('archive', {}).get('path', '')
    return job.source / path if path.endswith('.whl') else None


def same_source(line: str, package: dict) -> bool:
    """Whether a line names a folder or repository as a package of the pylock does."""
    where = package.get('directory', package.get('archive', {})).get('path') or package.get('vcs', {}).get('url')
    return bool(where and where in line)


def condition(line: str) -> str:
    """A line's condition with its semicolon, '' if it has none."""
    found = re.search(r'\s*;.*?(?=\s--hash|$)', line)
    return found.group() if found else ''


def unconditional(line: str) -> str:
    """A line without its condition, which pip would judge by the controller's Python."""
    return line.replace(condition(line), '', 1)


def refusal(job: Job, name: str, reason: str, hashed: bool, pythons: list[str]) -> str:
    """Why a package cannot be installed, and what to do."""
    apt = ', '.join(['build-essential', *(needed(f'{name} {reason}') or 'python3-dev').split()])
    if not hashed:
        return f'{name} comes from a repository or folder and has to be compiled: build its wheel elsewhere. {reason}'
    other = f'There are wheels for Python {", ".join(pythons)}, which flask_app_python could name. ' if pythons else ''
    return (
        f'{name} has no wheel for Python {job.python} on {job.machine}, so the host has to build it. Set flask_app_build_packages to the '
        f'Debian packages that this needs, probably [{apt}]. {other}Built here: {reason}.'
    )
