"""Packages of a lock that have no wheel for the host: they are built here where that gives a wheel for every computer."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from . import uv
from .errors import LockError
from .inputs import tomllib
from .job import Job
from .uv import tool

NOT_COPIED = {'.git', '.venv', 'venv', 'node_modules', '__pycache__', '.tox', '.nox', '.mypy_cache', '.pytest_cache', 'build', 'dist'}

# Debian packages that are needed to build or run a package, by what its name or its error mentions
NEEDED = {
    'psycopg': 'libpq-dev',
    'pg_config': 'libpq-dev',
    'mysqlclient': 'default-libmysqlclient-dev pkg-config',
    'mysql_config': 'default-libmysqlclient-dev',
    'ffi.h': 'libffi-dev',
    'openssl/': 'libssl-dev',
    'xmlsec': 'libxmlsec1-dev',
    'libxml': 'libxml2-dev libxslt1-dev',
    'jpeg': 'libjpeg-dev',
    'ldap': 'libldap2-dev libsasl2-dev',
    'sasl': 'libsasl2-dev',
    'cairo': 'libcairo2-dev',
    'magic.h': 'libmagic-dev',
}


def tags(job: Job) -> set[Tag]:
    """The tags of wheels that the host can install."""
    major, minor = map(int, job.python.split('.')[:2])
    glibc = int(job.glibc.split('.')[1])
    platforms = [f'manylinux_2_{number}_{job.machine}' for number in range(glibc, 4, -1)]
    platforms += [f'manylinux{name}_{job.machine}' for name in ('2014', '2010', '1')] + [f'linux_{job.machine}']
    abis = [f'cp{major}{minor}' + ('m' if (major, minor) < (3, 8) else '')]
    every = cpython_tags((major, minor), abis, platforms), compatible_tags((major, minor), f'cp{major}{minor}', platforms)
    return {tag for group in every for tag in group}


def file_name(file: dict) -> str:
    """The name of a file in a pylock.toml."""
    return file.get('name') or (file.get('url') or file['path']).split('?')[0].rpartition('/')[2]


def without_wheel(job: Job, lock: str) -> list[dict]:
    """The packages of a lock, as in a pylock.toml, of which the index has no wheel that fits the host.

    Args:
        lock: text of the lock.

    Raises:
        LockError: the index did not answer, or does not have a package.
    """
    with tempfile.NamedTemporaryFile('w', suffix='.txt', dir=job.scratch) as file:
        file.write(lock)
        file.flush()
        command = [uv.executable(), 'pip', 'compile', '--quiet', '--format=pylock.toml', '--no-deps', '--python', sys.executable]
        pylock = uv.run(job, [*command, *uv.target(job), file.name], cwd=job.source)
    fitting = tags(job)
    return [
        package
        for package in tomllib.loads(pylock).get('packages', [])
        if not any(parse_wheel_filename(file_name(wheel))[3] & fitting for wheel in package.get('wheels', []))
        and not package.get('archive', {}).get('url', '').endswith('.whl')
    ]


def pythons(job: Job, package: dict) -> list[str]:
    """The versions of CPython, such as 3.8, for which the index has a wheel of a package that fits the host otherwise."""
    found = {
        tag.interpreter[2:]
        for wheel in package.get('wheels', [])
        for tag in parse_wheel_filename(file_name(wheel))[3]
        if re.fullmatch(r'cp3\d+', tag.interpreter) and re.fullmatch(f'(many)?linux.*_{job.machine}', tag.platform)
    }
    return [f'3.{minor}' for minor in sorted(int(text[1:]) for text in found)]


def build(job: Job, requirement: str, hashed: bool = True, own: bool = False) -> Path:
    """Builds a package on the controller, without the user's variables; a wheel that was built before is used again.

    Args:
        requirement: a line for pip: a package with its hash, a repository with its commit, or a folder.
        hashed: whether it must have the hash that the line gives.
        own: whether it is the user's own code, which may see the passwords of the index and the proxy.

    Returns:
        The wheel.

    Raises:
        LockError: it cannot be built here; the text is what the build printed at the end.
    """
    key = requirement.partition(' # ')[2] or requirement
    kept = job.scratch.parent / '.wheels' / hashlib.sha256(key.encode()).hexdigest()[:16]
    found = sorted(kept.glob('*.whl'))
    if found:
        return found[0]
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / 'requirement.txt'
        listed.write_text(requirement + '\n', encoding='utf-8')
        out = Path(folder) / 'wheels'
        checks = ['--require-hashes', '--no-binary=:all:'] if hashed else []
        # Building runs the package's code, so it sees an empty home and no variables but those of pip.
        env = {name: value for name, value in uv.environment(job).items() if name == 'PATH' or name.upper().startswith(('PIP_', 'HTTP'))}
        env.update(HOME=folder, LANG='C.UTF-8', TMPDIR=folder)
        if not own and uv.passwords(env):
            raise LockError(
                f"What builds it would see the password of {', '.join(uv.passwords(env))}: build its wheel elsewhere, and name the file "
                'in requirements.txt'
            )
        source = job.source.resolve()
        if not any((parent / '.git').exists() for parent in [source, *source.parents]):
            env['SETUPTOOLS_SCM_PRETEND_VERSION'] = '0'  # setuptools-scm fails outside a repository
        if not hashed and 'SSH_AUTH_SOCK' in os.environ:
            env['SSH_AUTH_SOCK'] = os.environ['SSH_AUTH_SOCK']  # a private repository
        pip = [str(tool(job, 'pip')), 'wheel', '--quiet', '--no-input', '--no-deps', '--disable-pip-version-check', *checks]
        try:
            uv.run(job, [*pip, f'--wheel-dir={out}', f'--requirement={listed}'], cwd=Path(folder), env=env)
        except LockError as error:
            raise LockError(' '.join(str(error).splitlines()[-12:])) from error
        wheel = next(out.glob('*.whl'))
        kept.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(wheel, kept))


def build_folder(job: Job, folder: Path) -> Path:
    """Builds a copy of a folder, because a build writes beside its sources.

    Args:
        folder: a package, such as the app.

    Raises:
        LockError: it cannot be built here.
    """
    files = [path for path in sorted(folder.rglob('*')) if path.is_file() and not NOT_COPIED & set(path.relative_to(folder).parts)]
    state = job.digest(*(f'{path} {path.stat().st_size} {path.stat().st_mtime_ns}' for path in files))
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / folder.name
        for path in files:
            target = copy / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        if (folder / '.git').exists():
            (copy / '.git').symlink_to(folder.resolve() / '.git')  # versions may come from it
        return build(job, f'{copy} # {folder.resolve()} {state}', hashed=False, own=True)


def is_pure(wheel: Path) -> bool:
    """Whether a wheel fits every computer with Python 3."""
    return {(tag.interpreter[:3], tag.abi, tag.platform) for tag in parse_wheel_filename(wheel.name)[3]} >= {('py3', 'none', 'any')}


def locked_line(wheel: Path, condition: str) -> str:
    """The line of a lock that names a wheel by its hash.

    Args:
        condition: of the line that it stands for, with its semicolon; '' for none.
    """
    name, version, *_ = parse_wheel_filename(wheel.name)
    return f'{canonicalize_name(name)}=={version}{condition} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}'


def needed(text: str) -> str:
    """The Debian packages that a package or the error of its build asks for, '' where none is known."""
    return next((packages for word, packages in NEEDED.items() if word in text), '')
