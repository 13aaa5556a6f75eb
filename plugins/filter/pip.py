"""Filters for uv and pip: what their errors mean, their settings, and what a lock may not contain."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

GLIBC = 27  # 2.27 is Ubuntu 18.04's, the oldest
SHOWN_LINES = 40  # a compiler can print thousands
NOISE = (
    r'^Running as unit|^Main processes terminated|^Service runtime|^CPU time consumed|^(Memory|Network|IO|IP) '
    r'|^ *(\S*-)?(gcc|g\+\+|cc|clang) |^ *(creating|copying|running|writing|adding|reading) '
    r'|WARNING: (Location|Retrying)|Ignored the following versions|^ ?(Using Python|Resolved|Prepared|Installed|Downloading|Downloaded) '
)
# a broken network, which may work at the next attempt; the first lines are uv's, the others pip's
NETWORK = (
    r'(?m)error sending request for url|error reading a body from connection|due to network timeout'
    r'|HTTP status (?:server error \(5\d\d|client error \(429) '
    r"|connection broken by '(?!SSLError)|Max retries exceeded with url(?!.*SSLError)|HTTP error 5\d\d "
    r'|^error: incomplete-download'
)
# errors that the next attempt would have as well
FINAL = (
    r'invalid peer certificate|Hash mismatch for'
    r'|DO NOT MATCH THE HASHES|Hashes are required in|Failed building wheel|metadata-generation-failed|_in_process\.py'
    r'|Getting requirements to build wheel did not run'
)
NO_WHEEL = (
    r'(?:\b|`)([A-Za-z0-9][A-Za-z0-9._-]*)==\S+ has no (?:usable )?wheels'
    r'|No matching distribution found for ([A-Za-z0-9][A-Za-z0-9._-]*)'
)
# what to do, by what uv prints; the first that fits
HINTS = {
    r'provided package locations': 'The bundle does not have it. Run `make bundle` again, with the same lock.',
    r'\b(401 Unauthorized|403 Forbidden)\b': (
        'The index refuses access. Check its URL, and the user and password in it (python_venv_indexes).'
    ),
    r'not found in the package registry|there is no version of|404 Not Found': (
        'The index does not have it. Name one that has it (python_venv_indexes), or lock the packages again.'
    ),
    r'invalid peer certificate': (
        "Name the file with the index's certificate authority (python_venv_index_certificate), or trust its host without one "
        '(python_venv_trusted_hosts).'
    ),
    r'Hash mismatch for': (
        'What was fetched is another file than the one that was locked, or it was changed on its way. Nothing of it was installed.'
    ),
    r'does not satisfy Python': "The lock is for another Python. Lock the packages for the host's, or set flask_app_python.",
    r'network timeout|operation timed out': 'Check the network of the host; python_venv_timeout is the patience, in seconds.',
    # the last two are C code for an older Python
    r"cannot import name 'Feature'|use_2to3 is invalid|No module named '(distutils|pkg_resources|imp)'|longintrepr\.h|lvalue required": (
        'The locked version is too old to be built with the Python and the setuptools of today. Lock a newer version of it.'
    ),
    r'tunnel error|error sending request': 'Check the network of the host, python_venv_indexes and the proxy (mirrors_proxy).',
}
FILES = r'(?m)^[ \t]*(?:-r|-c|-e|--requirement|--constraint|--editable|\.{0,2}/).*'
OPTIONS = r'(?m)^[ \t]*-.*'
URLS = r'(?im)^(?![ \t]*[-#])[^#\n]*?((?:[a-z][a-z0-9+.]*://|file:)[^\s;#]*)'
NAMES = r'(?m)^[ \t]*([A-Za-z0-9][A-Za-z0-9._-]*)'
ELSEWHERE = 'Put the packages themselves into it (for instance with `uv pip compile --generate-hashes`).'


def hide_passwords(text: str) -> str:
    """A text with *** in place of the credentials in its URLs; what is between `//` and `@` of a line counts as such."""
    return re.sub(r'//[^/\n]*@', '//***@', text)


def names(packages: Iterable[str]) -> list[str]:
    """Names of packages as PEP 503 normalizes them, each once."""
    return list(dict.fromkeys(re.sub('[-_.]+', '-', package).lower() for package in packages))


def error(result: Mapping) -> str:
    """The end of what was printed, or the module's message where nothing ran, on one line and without passwords."""
    lines = [line for line in result.get('stderr_lines', [result.get('msg', '')]) if not re.search(NOISE, line)]
    return ' '.join(hide_passwords('\n'.join(lines[-SHOWN_LINES:])).split())


def should_retry(result: Mapping) -> bool:
    """Whether a command failed because of the network only."""
    text = result.get('stderr', '')
    return bool(result.get('rc', 0) and re.search(NETWORK, text) and not re.search(FINAL, text))


def hint(result: Mapping, bundle: bool = False, built: Iterable[str] = ()) -> str:
    """What to do about an error, with a space in front; '' where only the error itself tells.

    Args:
        result: what the command returned.
        bundle: whether the wheels are for a bundle.
        built: normalized names of packages that are built from source already.
    """
    text = result.get('stderr', '')
    found = re.search(NO_WHEEL, text)
    if not found or should_retry(result):
        return next((f' {advice}' for pattern, advice in HINTS.items() if re.search(pattern, text)), '')
    name = found.group(1) or found.group(2)
    if names([name])[0] in built:
        return ''
    if bundle:
        return (
            f' A bundle holds wheels only. If the index has {name} only as source, build its wheel on a machine like the host '
            '(`pip wheel`), name it in python_venv_wheels, and its hash in the lock.'
        )
    return (
        f' Only wheels are installed. If the index has {name} only as source, let the host build it with '
        f'python_venv_source_packages: [{name}]; or name a wheel of it in python_venv_wheels, and its hash in the lock.'
    )


def settings(values: Mapping[str, object]) -> str:
    """Assignments for sh of those variables that have a value."""
    return ''.join(f'{name}={shlex.quote(str(value))}\n' for name, value in values.items() if value)


def lines(lock: str) -> list[str]:
    """The lines of a lock, those that are continued as one, without comments."""
    return [re.sub(r'(^|\s)#.*', '', line).strip() for line in re.sub(r'\\\r?\n', ' ', lock).splitlines()]


def lines_for(lock: str, version: str, machine: str) -> str:
    """The packages of a lock that count for a Python, without their conditions.

    Args:
        lock: text of the lock.
        version: of that Python, in full.
        machine: its architecture, as uname says it.

    Returns:
        A lock for this Python only.
    """
    environment = {
        'implementation_name': 'cpython',
        'os_name': 'posix',
        'platform_machine': machine,
        'platform_python_implementation': 'CPython',
        'platform_system': 'Linux',
        'python_full_version': version,
        'python_version': '.'.join(version.split('.')[:2]),
        'sys_platform': 'linux',
    }
    chosen = []
    for line in lines(lock):
        text, *hashes = re.split(r'\s(?=--hash=)', line)
        if text and not text.startswith('-'):
            try:
                requirement = Requirement(text)
            except InvalidRequirement:  # a URL alone; or uv and pip say what is wrong
                chosen.append(line)
                continue
            if not requirement.marker or requirement.marker.evaluate(environment):
                requirement.marker = None
                chosen.append(' '.join([str(requirement), *map(str.strip, hashes)]))
    return '\n'.join(chosen) + '\n'


def only(lock: str, packages: Iterable[str], without: bool = False) -> str:
    """A lock of some of the packages of a lock, by normalized name, or of the others; its options stay."""
    wanted = set(packages)

    def chosen(line: str) -> bool:
        return line.startswith('-') or bool(wanted.intersection(names(re.findall(NAMES, line)))) != without

    kept = [line for line in lines(lock) if line and chosen(line)]
    return '\n'.join(kept) + '\n'


def seed(pip_lock: str, lock: str, version: str, machine: str) -> str:
    """The lock of pip for an environment: without what the app's own lock brings."""
    return only(pip_lock, names(re.findall(NAMES, lines_for(lock, version, machine))), without=True)


def hashes(lock: str) -> list[str]:
    """The sha256 hashes in a lock."""
    return re.findall('--hash=sha256:([0-9a-f]{64})', lock)


def platform(version: str, machine: str) -> list[str]:
    """pip's options that make it choose wheels for a Python on Linux."""
    major, minor = map(int, version.split('.')[:2])
    abi = f'cp{major}{minor}' + ('m' if (major, minor) < (3, 8) else '')
    platforms = [f'manylinux_2_{glibc}_{machine}' for glibc in range(GLIBC, 4, -1)]
    platforms += [f'manylinux{name}_{machine}' for name in ('2014', '2010', '1')] + [f'linux_{machine}']
    return [
        '--only-binary=:all:',
        '--implementation=cp',
        f'--python-version={version}',
        *(f'--abi={name}' for name in (abi, 'abi3', 'none')),
        *(f'--platform={name}' for name in platforms),
    ]


def default_index(_: object = None) -> str:
    """The index that pip asks by itself; '' where there is no pip beside Ansible."""
    try:
        from pip._internal.models.index import PyPI
    except ImportError:
        return ''
    return PyPI.simple_url


def lock_errors(lock: str, path: str) -> list[str]:
    """Why a lock is refused, a message for each reason.

    Args:
        lock: its text.
        path: its path, for the messages.
    """
    found, where = [], f'python_venv_requirements: {path}'
    files = re.findall(FILES, lock)
    if files:
        found.append(f"{where} must not refer to files, which the host does not have, got '{files[0].strip()}'. {ELSEWHERE}")
    if '--hash=' not in lock:
        found.append(
            f'{where} must have hashes, which show that nobody has changed a package on its way, got none. Lock the packages '
            'with them, for instance with `uv pip compile --generate-hashes`.'
        )
    if any(re.search(r'(^|\s)--(no-b|on)', line) for line in re.findall(OPTIONS, lock)):
        found.append(
            f'{where} must not have an option --no-binary or --only-binary. Remove it; only python_venv_source_packages are '
            'built from source.'
        )
    urls = [url for url in re.findall(URLS, lock) if not re.fullmatch(r'https?://.*\.whl', url)]
    if urls:
        found.append(
            f"{where} must name only wheels by URL, because root would build anything else, got '{', '.join(urls)}'. Pin a version "
            'that an index has (`name==1.0`), or give the URL of a wheel.'
        )
    return [hide_passwords(text) for text in found]


def wheel_errors(paths: Iterable[str], lock: str) -> list[str]:
    """Why wheels of the controller are refused, a message for each reason.

    Args:
        paths: of the wheels.
        lock: text of the lock.
    """
    found, known = [], hashes(lock)
    for path in map(Path, paths):
        if path.suffix != '.whl' or not path.is_file():
            found.append(f"python_venv_wheels must be wheel files on this machine, got '{path}'.")
        elif (digest := hashlib.sha256(path.read_bytes()).hexdigest()) not in known:
            found.append(
                f"python_venv_wheels must be in the lock by hash, got '{path}'. Add --hash=sha256:{digest} to its package in "
                'python_venv_requirements, if it is what you have built.'
            )
    return found


def source_errors(packages: Iterable[str], lock: str, urls: Iterable[str], bundle: bool) -> list[str]:
    """Why packages cannot be built from source, a message for each reason.

    Args:
        packages: names of the packages.
        lock: text of the lock.
        urls: of the indexes and the proxy.
        bundle: whether the wheels come from a bundle.
    """
    packages, found, where = list(packages), [], 'python_venv_source_packages'
    wrong = [name for name in packages if not re.fullmatch('[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?', name)]
    if wrong:
        found.append(f"{where} must be names of packages, got '{', '.join(wrong)}'.")
    known = names(re.findall(NAMES, lock))
    unknown = [name for name in names(packages) if name not in known]
    if unknown:
        found.append(f"{where} must be in the lock, python_venv_requirements, got '{', '.join(unknown)}'. Give names that it has.")
    private = [url for url in [*urls, *lock.split()] if re.search('//[^/]*@', url)]
    if packages and private:
        found.append(
            f"{where}: what builds packages would see the password of {', '.join(private)}. Build the wheels elsewhere and put them "
            'into the index, or give an index and a proxy without a password.'
        )
    if packages and bundle:
        found.append(
            f"{where}: a bundle holds wheels only. Build those of {', '.join(packages)} on a machine like the host (`pip wheel`), "
            'name them in python_venv_wheels, their hashes in the lock, and `make bundle` again.'
        )
    return [hide_passwords(text) for text in found]


class FilterModule:
    """Filters whose names begin with `pip_`, and `hide_passwords`; see the functions."""

    def filters(self) -> dict:
        """The filters by name."""
        functions = (
            names, error, should_retry, hint, settings, lines_for, only, seed, hashes, platform, default_index,
            lock_errors, wheel_errors, source_errors,
        )  # fmt: skip
        return {f'pip_{function.__name__}': function for function in functions} | {'hide_passwords': hide_passwords}
