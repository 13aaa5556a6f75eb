"""Filters for pip: what its errors mean, its settings, and what a lock may not contain."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

SHOWN_LINES = 40  # a compiler can print thousands
NOISE = (
    r'^Running as unit|^Main processes terminated|^Service runtime|^CPU time consumed|^(Memory|Network|IO|IP) '
    r'|WARNING: (Location|Retrying)|Ignored the following versions'
)
# a broken network, which may work at the next attempt
NETWORK = (
    r"(?m)connection broken by '(?!SSLError)|Max retries exceeded with url(?!.*SSLError)|HTTP error 5\d\d "
    r'|^error: incomplete-download'
)
# errors that the next attempt would have as well
FINAL = (
    r'DO NOT MATCH THE HASHES|Hashes are required in|Failed building wheel|metadata-generation-failed|_in_process\.py'
    r'|Getting requirements to build wheel did not run'
)
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
    """The end of what pip printed, or the module's message where it did not run, on one line and without passwords."""
    lines = [line for line in result.get('stderr_lines', [result.get('msg', '')]) if not re.search(NOISE, line)]
    return ' '.join(map(hide_passwords, lines[-SHOWN_LINES:]))


def should_retry(result: Mapping) -> bool:
    """Whether pip failed because of the network only."""
    text = result.get('stderr', '')
    return bool(result.get('rc', 0) and re.search(NETWORK, text) and not re.search(FINAL, text))


def hint(result: Mapping, bundle: bool = False, built: Iterable[str] = ()) -> str:
    """What to do about a package without a wheel, with a space in front; '' for other errors.

    Args:
        result: what pip's command returned.
        bundle: whether the wheels are for a bundle.
        built: normalized names of packages that are built from source already.
    """
    found = re.search('No matching distribution found for ([A-Za-z0-9._-]+)', result.get('stderr', ''))
    if not found or should_retry(result) or names([found.group(1)])[0] in built:
        return ''
    name = found.group(1)
    if bundle:
        return (
            f' A bundle holds wheels only. If the index has {name} only as source, build its wheel on a machine like the host '
            '(`pip wheel`), put it into an index, and its hash into the lock.'
        )
    return (
        f' Only wheels are installed. If the index has {name} only as source, let the host build it with '
        f'python_venv_source_packages: [{name}]; or put a wheel of it into an index, and its hash into the lock.'
    )


def settings(values: Mapping[str, object]) -> str:
    """Assignments for sh of those variables that have a value."""
    return ''.join(f'{name}={shlex.quote(str(value))}\n' for name, value in values.items() if value)


def wheels(lock: str) -> list[str]:
    """File names of the wheels of a lock of pure Python packages."""
    return [f'{name}-{version}-py3-none-any.whl' for name, version in re.findall(r'(?m)^([a-z]+)==([0-9.]+)', lock)]


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
            'put them into an index, their hashes into the lock, and `make bundle` again.'
        )
    return [hide_passwords(text) for text in found]


class FilterModule:
    """Filters whose names begin with `pip_`, and `hide_passwords`; see the functions."""

    def filters(self) -> dict:
        """The filters by name."""
        functions = (names, error, should_retry, hint, settings, wheels, lock_errors, source_errors)
        return {f'pip_{function.__name__}': function for function in functions} | {'hide_passwords': hide_passwords}
