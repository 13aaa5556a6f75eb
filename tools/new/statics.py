"""The static folder of an app, as Flask serves it."""

from __future__ import annotations

import ast

from .apps import Finder
from .source import Source
from .tree import constant


def static(source: Source, finder: Finder) -> tuple[dict[str, str], str]:
    """flask_app_static, and why; ({}, '') where it is not certain.

    It is certain if one Flask object with a folder of static files is made, with arguments that are constants.
    """
    found: set[tuple[str, str]] = set()
    where = ''
    for module in source.modules.values():
        for node in ast.walk(module.tree):
            if not (isinstance(node, ast.Call) and finder.is_flask(module, node.func)):
                continue
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            values = {name: constant(given[name]) for name in ('static_folder', 'static_url_path') if name in given}
            if not all(isinstance(value, str) and value for value in values.values()) or 'root_path' in given:
                continue
            # Flask's own: the folder `static` beside the module whose __name__ it gets
            here = module.path.rpartition('/')[0]
            name = values.get('static_folder', 'static')
            parts = [part for part in f'{here}/{name}'.split('/') if part not in ('', '.')]
            url = values.get('static_url_path') or '/' + parts[-1]
            folder = '/'.join(parts)
            if '..' in parts or name.startswith('/') or not url.startswith('/') or url == '/':
                continue
            if any(path.startswith(folder + '/') for path in source.files):
                found.add((url.rstrip('/'), folder))
                where = module.path
    return (dict(found), f'{where} makes the app with this folder') if len(found) == 1 else ({}, '')
