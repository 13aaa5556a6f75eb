"""Whether the Python that the app gets is one that its files ask for."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from .errors import LockError
from .inputs import tomllib
from .job import Job

PREFERRED = '3.12'  # most packages have wheels for it
OTHERS = r'(?i)(pypy|graalpy|jython|ironpython|stackless|micropython|rustpython)'


def numbers(version: str) -> list[str]:
    """The parts of a version."""
    return version.split('.')


def same(wanted: str, version: str, patch: bool) -> bool:
    """Whether a version is the wanted one.

    Args:
        wanted: with one to three numbers, such as 3.12.
        version: with two or three.
        patch: whether the third counts.
    """
    count = min(len(numbers(wanted)), len(numbers(version)), 3 if patch else 2)
    return numbers(wanted)[:count] == numbers(version)[:count]


def inside(specifier: str, version: str) -> bool:
    """Whether a version, or any patch version of one with two numbers, is in a range."""
    versions = [version] if len(numbers(version)) > 2 else [f'{version}.{patch}' for patch in range(100)]
    return any(SpecifierSet(specifier).contains(one, prereleases=True) for one in versions)


def requests(path: Path) -> tuple[list[str], list[str]]:
    """What a .python-version asks for, a line each.

    Returns:
        Versions (`3.12`, `3.12.4`) and ranges (`>=3.11`), then names that are no version of CPython.
    """
    versions, names = [], []
    for line in path.read_text('utf-8', 'replace').splitlines() if path.is_file() else []:
        # pyenv and uv write 3.12, 3.12.4, 3.13-dev, cpython-3.12 and cpython@3.12
        found = re.fullmatch(r'(?:(?:cpython|python)[-@]?)?(\d+(?:\.\d+){0,2})(?![\d.]).*', line := line.partition('#')[0].strip())
        if found or re.match('[<>=~!]', line):
            versions.append(found[1] if found else line)
        elif line and line != 'system':
            names.append(line)
    return versions, names


def suggestion(job: Job, fits) -> str:
    """What to do, where a build of Python fits.

    Args:
        fits: whether a version does.
    """
    fitting = [version for version in job.builds if fits(version)]
    minors = list(dict.fromkeys('.'.join(numbers(version)[:2]) for version in fitting))
    if not fitting:
        return 'no standalone build fits either, so change the file'
    best = PREFERRED if PREFERRED in minors else minors[0]
    # the newest patch version of it is what two numbers mean
    newest = next(version for version in job.builds if same(best, version, patch=False))
    return f'set flask_app_python: "{best if fits(newest) else fitting[0]}"'


def check(job: Job, messages: list[str]) -> None:
    """Compares the Python that the app gets with the app's .python-version and pyproject.toml.

    Args:
        messages: gets what the user should know of names that are no version.

    Raises:
        LockError: it does not fit, or there is no build of it for the host.
    """
    version, has = job.python, f'the host has Python {job.python}'
    if job.chosen:
        version = next((one for one in job.builds if same(job.chosen, one, patch=True)), '')
        has = f'flask_app_python is {job.chosen}'
    if not version:
        raise LockError(
            f"flask_app_python must be a version that there is a standalone build of for {job.machine}, got '{job.chosen}'. "
            f'For {job.machine} there are {", ".join(job.builds) or "none"}.'
        )

    def fits(wanted: str, one: str, patch: bool) -> bool:
        return same(wanted, one, patch) if wanted[0].isdigit() else inside(wanted, one)

    path = job.source / '.python-version'
    try:
        versions, names = requests(path)
        if versions and not any(fits(wanted, version, patch=job.chosen.count('.') > 1) for wanted in versions):
            mend = suggestion(job, lambda one: fits(versions[0], one, patch=job.chosen.count('.') > 1))
            raise LockError(f'{path} says {" and ".join(versions)}, but {has}: {mend}.')
        if not versions and not job.chosen and any(re.match(OTHERS, name) for name in names):
            raise LockError(f'{path} says {names[0]}, which is no CPython: set flask_app_python to one that runs the app, such as "3.12".')
        if names and not versions:
            messages.append(f'{path} says {" and ".join(names)}, which is no version of Python: the app gets {version}.')
        path = job.source / 'pyproject.toml'
        data = tomllib.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
        required = data.get('project', {}).get('requires-python')
        if required and not inside(required, version):
            raise LockError(f"{path} has requires-python = '{required}', but {has}: {suggestion(job, lambda one: inside(required, one))}.")
    except InvalidSpecifier as error:
        raise LockError(f'{path} has a range of versions that cannot be read: {error}.') from error
