"""Filters for the files of an app that nginx serves: flask_app_static and flask_app_internal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

URL = re.compile(r'(/[A-Za-z0-9_~+-][A-Za-z0-9._~+-]*)+/?')
FOLDER = re.compile(r'(?!\.)[A-Za-z0-9_.@+-]+(/(?!\.)[A-Za-z0-9_.@+-]+)*/?')


def shared_of(folder: str, shared: Iterable[str]) -> str:
    """The shared folder that a folder is, or is in; '' if it is part of the release."""
    path = folder.strip('/') + '/'
    return next((name.strip('/') for name in map(str, shared) if path.startswith(name.strip('/') + '/')), '')


def errors(static: Mapping, internal: Mapping, shared: Iterable[str]) -> list[str]:
    """What is wrong with flask_app_static and flask_app_internal."""
    found = []
    shared = list(shared)
    for variable, folders in (('flask_app_static', static), ('flask_app_internal', internal)):
        for url, folder in folders.items():
            if not URL.fullmatch(str(url)):
                found.append(f"{variable}: the key must be a path of URLs, such as /static, got '{url}'.")
            if not isinstance(folder, str) or not FOLDER.fullmatch(folder):
                found.append(f"{variable}: the value for {url} must be a folder of the app, such as app/static, got '{folder}'.")
            elif variable == 'flask_app_internal' and not shared_of(folder, shared):
                found.append(f"flask_app_internal: '{folder}' must be one of flask_app_shared, or below one. Add it there.")
    urls = [str(url).strip('/') for url in [*static, *internal]]
    inside = {url for url in urls if any(other != url and url.startswith(other + '/') for other in urls)}
    twice = sorted(inside | {url for url in urls if urls.count(url) > 1})
    if twice:
        found.append(f"flask_app_static and flask_app_internal: '/{twice[0]}' is there twice, or below another one. Remove one of them.")
    return found


def missing(static: Mapping, shared: Iterable[str], source: str) -> list[str]:
    """Folders of flask_app_static that the app does not have.

    Args:
        source: the app's folder on the controller.
    """
    names = [str(folder) for folder in static.values() if not shared_of(str(folder), shared) and not Path(source, str(folder)).is_dir()]
    return [f"flask_app_static must name folders of the app, got '{name}', which does not exist in {source}." for name in names]


def released(static: Mapping, shared: Iterable[str]) -> dict[str, str]:
    """What flask_app_static has of the release itself: URL to folder."""
    shared = list(shared)
    return {str(url): folder.strip('/') for url, folder in static.items() if not shared_of(folder, shared)}


def with_shared(static: Mapping, shared: Iterable[str]) -> dict[str, str]:
    """flask_app_static with the shared folders that are below its folders, such as static/uploads."""
    found = {str(url).rstrip('/'): folder.strip('/') for url, folder in static.items()}
    for url, folder in list(found.items()):
        for name in [str(name).strip('/') for name in shared]:
            if name.startswith(folder + '/'):
                found.setdefault(url + name[len(folder) :], name)
    return found


def served(static: Mapping, internal: Mapping, shared: Iterable[str]) -> list[str]:
    """The shared folders that nginx must be able to read."""
    shared = list(shared)
    return sorted({shared_of(folder, shared) for folder in [*with_shared(static, shared).values(), *internal.values()]} - {''})


def locations(static: Mapping, internal: Mapping, shared: Iterable[str], root: str) -> list[dict]:
    """nginx's locations.

    Args:
        root: the app's folder on the host.

    Returns:
        For each its `url` with a slash at the end; `folder`, '' where the files of releases are; whether it is `internal`.
    """
    shared = list(shared)
    found = []
    for folders in (with_shared(static, shared), internal):
        for url, folder in sorted(folders.items()):
            path = f'{root}/shared/{folder.strip("/")}/' if shared_of(folder, shared) else ''
            found.append({'url': str(url).rstrip('/') + '/', 'folder': path, 'internal': folders is internal})
    return found


class FilterModule:
    """The filters, for Ansible."""

    def filters(self) -> dict:
        """The filters by name."""
        return {
            'static_errors': errors,
            'static_missing': missing,
            'static_released': released,
            'static_served': served,
            'static_locations': locations,
        }
