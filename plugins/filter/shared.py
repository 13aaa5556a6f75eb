"""Filters for what the releases of an app share: which are folders, which are files, and where they are on the host."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

PART = r'(?!\.{1,2}(/|\Z))[A-Za-z0-9_.@+-]+'
NAME = re.compile(rf'{PART}(/{PART})*/?')
FILE = re.compile(r'[^/].*\.[A-Za-z][A-Za-z0-9]*')
# what a release has of its own, and the folder that holds the files
TAKEN = {'bin', 'lib', 'pyvenv.cfg', '.connections.py', '.flaskenv', '.gunicorn.py', '.release.json', '.manifest.json', '.package',
         '.git', '.files'}  # fmt: skip


def is_file(name: str) -> bool:
    """Whether a name means a file: its last part ends in a suffix, such as app.db; a `/` at the end makes any name a folder."""
    return bool(FILE.fullmatch(name.rpartition('/')[2]))


def paths(names: Iterable[str]) -> list[dict]:
    """Where shared folders and files are, below the app's folder `shared`.

    Args:
        names: flask_app_shared.

    Returns:
        For each `name` in the release, `path` (what the release links to) and `folder` (what the app owns). A file has a folder
        of its own, in which the app can create others beside it, as sqlite does.
    """
    found = []
    for given in names:
        name = given.rstrip('/')
        folder = f".files/{name.replace('/', ':')}" if is_file(given) else name
        found.append({'name': name, 'folder': folder, 'path': f"{folder}/{name.rpartition('/')[2]}" if is_file(given) else name})
    return found


def errors(names: Iterable[str]) -> list[str]:
    """What is wrong with the names themselves."""
    found, known = [], [str(name).rstrip('/') for name in names]
    wrong = [str(name) for name in names if not NAME.fullmatch(str(name))]
    if wrong:
        found.append(f"flask_app_shared must be paths below the app's folder, such as instance, without `..`, got '{', '.join(wrong)}'.")
    taken = [name for name in known if name.partition('/')[0] in TAKEN]
    if taken:
        found.append(f"flask_app_shared: '{', '.join(taken)}' has a meaning of its own in a release. Use another name.")
    inside = [name for name in known if any(name.startswith(f'{other}/') for other in known)]
    if inside or len(set(known)) < len(known):
        twice = sorted(inside or {name for name in known if known.count(name) > 1})
        found.append(f"flask_app_shared: '{', '.join(twice)}' is in another of its folders, or there twice. Remove one of them.")
    return found


def mismatches(names: Iterable[str], source: str) -> list[str]:
    """Names that mean a file where the app has a folder, or the other way round.

    Args:
        names: flask_app_shared, without errors.
        source: the app's folder on the controller.
    """
    found = []
    for name in names:
        path = Path(source, name.rstrip('/'))
        if is_file(name) and path.is_dir():
            found.append(f"flask_app_shared: '{name}' means a file because of its suffix, but the app has a folder there. Write '{name}/'.")
        if not is_file(name) and path.is_file():
            found.append(f"flask_app_shared: '{name}' means a folder, but the app has a file there. Share its folder instead.")
    return found


class FilterModule:
    """Filters `shared_paths`, `shared_errors` and `shared_mismatches`; see the functions."""

    def filters(self) -> dict:
        """The filters by name."""
        return {'shared_paths': paths, 'shared_errors': errors, 'shared_mismatches': mismatches}
