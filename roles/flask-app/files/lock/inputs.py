"""Which of an app's files name its packages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .errors import LockError

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

LOCKS = ('uv.lock', 'pdm.lock', 'poetry.lock', 'Pipfile.lock', 'pylock.toml')
RESOLVED = ('requirements.txt', 'pyproject.toml', 'setup.py')
# what may decide a resolution, wherever in the app it is
DECIDING = ('pyproject.toml', 'setup.py', 'setup.cfg', '*.lock', 'Pipfile', 'pylock*.toml', '*requirements*', '*constraints*')


@dataclass
class Input:
    """A file that names the app's packages.

    Attributes:
        path: the file.
        kind: its name without what varies: one of LOCKS and RESOLVED.
    """

    path: Path
    kind: str


def find(app: Path, requirements: str = '') -> Input:
    """The file that names an app's packages: a lock, before what would have to be resolved.

    Args:
        app: the app's folder.
        requirements: the file's path below it, where the user names one.

    Raises:
        LockError: there is none, or it belongs to conda.
    """
    if requirements:
        path = app / requirements
        if not path.is_file():
            raise LockError(f"flask_app_requirements must be a file in the app, got '{requirements}', which {app} does not have.")
        return Input(path, path.name if path.name in (*LOCKS, *RESOLVED) else 'requirements.txt')
    for name in (*LOCKS, *RESOLVED):
        path = app / name
        if path.is_file() and not (name == 'pyproject.toml' and 'dependencies' not in named_by(path)):
            return Input(path, name)
    for name in ('environment.yml', 'environment.yaml', 'conda-lock.yml'):
        if (app / name).is_file():
            raise LockError(
                f'{app}/{name} is for conda, whose packages are built for its own Python, not for the host\'s. Name the app\'s '
                'packages in a requirements.txt or pyproject.toml.'
            )
    raise LockError(
        f'{app} names no packages: there is no {", ".join(LOCKS + RESOLVED[:2])} or setup.py with them. Put the app\'s packages '
        'into a requirements.txt, or set flask_app_requirements to the file that has them.'
    )


def named_by(pyproject: Path) -> dict:
    """What a pyproject.toml says of the package: the table [project], with Poetry's own as well."""
    data = tomllib.loads(pyproject.read_text(encoding='utf-8'))
    poetry = data.get('tool', {}).get('poetry', {})
    return {**poetry, **data.get('project', {})} | ({'dependencies': True} if 'dynamic' in data.get('project', {}) else {})


def is_package(app: Path) -> bool:
    """Whether the app's folder can be built as a package."""
    if (app / 'setup.py').is_file():
        return True
    if not (app / 'pyproject.toml').is_file():
        return False
    data = tomllib.loads((app / 'pyproject.toml').read_text(encoding='utf-8'))
    tool = data.get('tool', {})
    wanted = tool.get('uv', {}).get('package', True) and tool.get('poetry', {}).get('package-mode', True)
    return bool('build-system' in data and wanted and ('project' in data or 'poetry' in tool))


def deciding(app: Path) -> str:
    """The texts of all files that may decide a resolution, one after the other."""
    found = {path for pattern in DECIDING for folder in ('', '*/') for path in app.glob(folder + pattern) if path.is_file()}
    return '\0'.join(f'{path.relative_to(app)}\n{path.read_text("utf-8", "replace")}' for path in sorted(found))


def lines(text: str) -> list[str]:
    """The lines of a requirements file without comments, continued lines joined."""
    joined = re.sub(r'\\\n', ' ', text)
    plain = (' '.join(re.sub(r'(^|\s)#.*', '', line).split()) for line in joined.splitlines())
    return [line for line in plain if line]


def requirements(path: Path, app: Path) -> list[str]:
    """The lines of a requirements file and of those that it includes by -r, options about indexes left out.

    Raises:
        LockError: a file that it includes is missing or lies outside the app.
    """
    found = []
    for line in lines(path.read_text(encoding='utf-8-sig')):
        include = re.fullmatch(r'(?:-r|--requirement)[\s=]*(\S+)', line)
        if include:
            other = path.parent / include.group(1)
            if not other.is_file() or app.resolve() not in other.resolve().parents:
                raise LockError(f"{path} includes '{include.group(1)}', which is no file in {app}.")
            found += requirements(other, app)
        elif not re.match(r'-i\b|--(index-url|extra-index-url|trusted-host|find-links|no-index|prefer-binary)\b', line):
            found.append(line)
    return found


def is_locked(requirement_lines: list[str]) -> bool:
    """Whether every line names a package with a hash."""
    return bool(requirement_lines) and all('--hash=' in line for line in requirement_lines)


def name_of(line: str) -> str:
    """The normalized name of the package in a line, '' for an option."""
    found = re.match(r'[A-Za-z0-9][A-Za-z0-9._-]*', line)
    return re.sub('[-_.]+', '-', found.group()).lower() if found else ''
