"""Filters for the standalone builds of Python: which there are, and which of them a version means."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

KNOWN = Path(__file__).parents[2] / 'roles/python-venv/files/pythons.json'
UPSTREAM = 'https://github.com/astral-sh/python-build-standalone/releases/download'
VARIABLE = 'python_venv_standalone_list'


class Build(NamedTuple):
    """A build of Python.

    Attributes:
        version: all three numbers of it.
        machine: the architecture, as uname says it.
        url: of the archive.
        entry: what a list of the user's says of it, {} for one that uv knows.
    """

    version: tuple[int, int, int]
    machine: str
    url: str
    entry: dict

    @property
    def key(self) -> str:
        """uv's name for it, and that of its folder."""
        return f'cpython-{text(self.version)}-linux-{self.machine}-gnu'


def text(version: Iterable[int]) -> str:
    """A version as it is written."""
    return '.'.join(map(str, version))


@functools.lru_cache
def known() -> list[Build]:
    """The builds that uv knows."""
    paths = json.loads(KNOWN.read_text())
    found = {re.fullmatch(r'cpython-(\d+)\.(\d+)\.(\d+)-linux-(\w+)-gnu', key).groups(): path for key, path in paths.items()}
    return [Build(tuple(map(int, key[:3])), key[3], f'{UPSTREAM}/{path}', {}) for key, path in found.items()]


def builds(own: str) -> list[Build]:
    """The builds that there are: those of a list of the user's (a path), or those that uv knows.

    Raises:
        ValueError: the list cannot be used; the text says why.
    """
    if not own:
        return known()
    try:
        entries = json.loads(Path(own).expanduser().read_text(encoding='utf-8'))
        found = [
            Build((entry['major'], entry['minor'], entry['patch']), entry['arch']['family'], entry['url'], entry)
            for entry in entries.values()
            if (entry['name'], entry['os'], entry['libc'], entry['prerelease']) == ('cpython', 'linux', 'gnu', '')
            and not entry.get('variant') and not entry['arch'].get('variant')
        ]  # fmt: skip
    except (OSError, ValueError) as error:
        raise ValueError(f'cannot be read: {error}') from error
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f'is no list of uv: an entry is not like uv\'s, at {error}') from error
    for build in found:
        if not re.match('https?://', build.url) or not re.fullmatch('[0-9a-f]{64}', str(build.entry.get('sha256'))):
            raise ValueError(f'has no url (https:// or http://) and sha256 of {build.key}')
    return found


def matching(version: str, given: Iterable[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Those of some versions that a version with two or three numbers means, the newest first."""
    wanted = tuple(map(int, version.split('.')))
    return sorted((one for one in given if one[: len(wanted)] == wanted), reverse=True)


def build(version: str, machine: str, own: str = '', mirror: str = '') -> dict:
    """The newest build of a version for an architecture.

    Args:
        version: such as 3.12 or 3.12.4; '' for none.
        machine: the architecture.
        own: path of a list of the user's, '' for the builds that uv knows.
        mirror: URL that has the builds instead of UPSTREAM, '' for none.

    Returns:
        `key` (uv's name), `version`, `url`, `sha256` ('' where uv itself has it), `path` (of the archive in a bundle) and
        `entry` (of a list of the user's); {} where there is none.
    """
    found = {one.version: one for one in builds(own) if one.machine == machine} if version else {}
    for newest in matching(version, found)[:1] if found else []:
        one = found[newest]
        url = f'{mirror.rstrip("/")}{one.url[len(UPSTREAM) :]}' if mirror and one.url.startswith(f'{UPSTREAM}/') else one.url
        folder, name = unquote(one.url).split('?')[0].split('/')[-2:]
        digest = one.entry.get('sha256', '')
        return {
            'key': one.key,
            'version': text(one.version),
            'url': url,
            'sha256': digest,
            'path': f'{digest[:12] or folder}/' + re.sub('[^A-Za-z0-9._+-]', '_', name),
            'entry': one.entry,
        }
    return {}


def uv_list(found: dict, url: str) -> str:
    """A list for uv with a build of the user's, whose archive is at a URL."""
    return json.dumps({found['key']: {**found['entry'], 'url': url}})


def versions(machine: str, own: str = '') -> list[str]:
    """The versions that there are builds of for an architecture, the newest first."""
    return [text(one) for one in sorted({one.version for one in builds(own) if one.machine == machine}, reverse=True)]


def errors(version: str, own: str = '') -> list[str]:
    """Why a version or a list of builds is refused, a message for each reason.

    Args:
        version: of Python, '' for none.
        own: path of a list of the user's, '' for the builds that uv knows.
    """
    try:
        known_versions = {one.version for one in builds(own)}
    except ValueError as error:
        return [f"{VARIABLE} must be a file on this machine with a list of builds like uv's, got '{own}', which {error}."]
    if not version or not re.fullmatch(r'3\.\d+(\.\d+)?', version) or matching(version, known_versions):
        return []
    minors = sorted({one[:2] for one in known_versions})
    same = matching(text(version.split('.')[:2]), known_versions)
    there_are = [text(one) for one in same] or [text(one) for one in minors]
    return [
        f"flask_app_python must be a version that there is a standalone build of, got '{version}'. "
        f'Set it to one of {", ".join(there_are)}, or to an empty text for the host\'s own Python.'
    ]


class FilterModule:
    """Filters whose names begin with `standalone_`; see the functions."""

    def filters(self) -> dict:
        """The filters by name."""
        return {f'standalone_{function.__name__}': function for function in (build, uv_list, versions, errors)}
