"""What an app's files lack until a command makes it: compiled translations, what node builds."""

from __future__ import annotations

import json
import re

from .source import Source

CATALOGUE = re.compile(r'(?P<folder>(.+/)?[^/]+)/[^/]+/LC_MESSAGES/(?P<domain>[^/]+)\.po')


def translations(source: Source, named: set[str]) -> dict[str, str]:
    """The commands that compile catalogues of Babel, each with why."""
    wanted: dict[str, str] = {}
    found = [match for path in source.files if (match := CATALOGUE.fullmatch(path)) and path[:-2] + 'mo' not in source.files]
    for match in found if {'babel', 'flask-babel', 'flask-babelex', 'flask-babelplus'} & named else []:
        domain = '' if match['domain'] == 'messages' else f' -D {match["domain"]}'
        wanted.setdefault(f'pybabel compile -d {match["folder"]}{domain}', f'{match[0]} is not compiled')
    return wanted


def node(source: Source) -> list[str]:
    """What is to be known of packages of node that have something to build."""
    unsure = []
    for path in source.files:
        if path.rpartition('/')[2] != 'package.json' or path.count('/') > 3 or 'node_modules/' in path:
            continue
        try:
            scripts = json.loads(source.text(path)).get('scripts', {})
        except (ValueError, AttributeError):
            continue
        folder = path.rpartition('/')[0]
        if isinstance(scripts, dict) and 'build' in scripts:
            enter = f'cd {folder} && ' if folder else ''
            unsure.append(
                f'{path} has a script `build`. If the repository does not have what it makes, set flask_app_packages: [npm] and '
                f'flask_app_build_commands: ["{enter}npm ci && npm run build && rm -r node_modules"], or build it before the deploy.'
            )
    return unsure
