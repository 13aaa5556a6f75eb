"""Finds the object that gunicorn is to serve."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from .apps import FACTORIES, OBJECTS, Finder, arguments, required
from .hints import Start, flask_app, starts
from .source import Source
from .tree import Module


@dataclass
class Entry:
    """The entry point.

    Attributes:
        wsgi: in gunicorn's words.
        why: the file, or the file and line, that says so.
        module: the app's module with it.
        start: the command line in the app's files that it comes from, if any.
        unsure: what the user should look at.
    """

    wsgi: str
    why: str
    module: Module
    start: Start | None = None
    unsure: list[str] = field(default_factory=list)

    @property
    def flask_app(self) -> str:
        """FLASK_APP for the command `flask`, quoted for a shell."""
        module, _, name = self.wsgi.partition(':')
        if name in (*OBJECTS, *(f'{factory}()' for factory in FACTORIES)):
            return module
        return f"'{self.wsgi}'" if '(' in name else self.wsgi


def named(finder: Finder, wsgi: str) -> tuple[str, Module] | None:
    """The app that a text such as `pkg`, `pkg.py`, `pkg:app` or `pkg:create_app` names, in gunicorn's words."""
    path, _, name = wsgi.partition(':')
    path = path.removesuffix('.py').strip('./').replace('/', '.')
    module = finder.source.modules.get(path) or finder.source.modules.get(path.removeprefix(f'{finder.source.base}.'))
    if module is None:
        return None
    if not name:
        found = [other for other in module.values if finder.makes_app(module, module.values[other])]
        name = next((other for other in (*OBJECTS, *found) if other in (*found, *module.imports)), '')
        name = name or next((other for other in FACTORIES if finder.factory(module, ast.Name(other))), '')
    plain = name.partition('(')[0]
    owner, there = finder.source.resolve(module, plain)
    if not plain or owner is None or (there not in owner.values and there not in owner.functions):
        return None
    if there in owner.functions and '(' not in name and finder.factory(module, ast.Name(plain)):
        name += f'({arguments(finder.source, required(owner.functions[there]))})'
    return f'{module.name}:{name}', owner


def find(source: Source) -> Entry | None:
    """The entry point of an app, None where nothing looks like one."""
    finder = Finder(source)
    told = list(starts(source))
    objects = sorted(finder.objects(), key=lambda found: found[:2])
    for start in told[:1] if told and told[0].where == 'Procfile' else []:
        if found := named(finder, start.wsgi if ':' in start.wsgi else f'{start.wsgi}:application'):
            return Entry(found[0], start.where, found[1], start)
    for rank, wsgi, where, module in objects[:1]:
        if rank < 10 and module.name.rpartition('.')[2] in ('wsgi', 'autoapp'):
            return Entry(wsgi, where, module, next((start for start in told if start.wsgi == wsgi), None))
    for start in told:
        if found := named(finder, start.wsgi if ':' in start.wsgi else f'{start.wsgi}:application'):
            return Entry(found[0], start.where, found[1], start)
    value, where = flask_app(source)
    if value and (found := named(finder, value)):
        return Entry(found[0], where, found[1])
    ranked = sorted([*objects, *finder.callables()], key=lambda found: found[:2])
    if not ranked:
        return None
    rank, wsgi, where, module = ranked[0]
    entry = Entry(wsgi, where, module)
    others = sorted({found[1] for found in ranked[1:] if found[0] <= max(rank, 9) and found[3] is not module})
    if others:
        entry.unsure.append(f'flask_app_wsgi is {wsgi}; {" and ".join(others[:4])} would be possible too.')
    if "('" in wsgi:
        entry.unsure.append(f'flask_app_wsgi is {wsgi}: {where} needs an argument, and does not say which one is right.')
    return entry


def base(source: Source) -> str:
    """The folder in which Python has to look for the modules, as the app's own command line or the modules' imports say."""
    for start in starts(source):
        told = str(start.options.get('chdir') or start.options.get('pythonpath') or '').strip('./')
        if told and any(path.startswith(f'{told}/') for path in source.files):
            return told
    found = find(source)
    folder = found.module.path.rpartition('/')[0] if found else ''
    while folder and f'{folder}/__init__.py' in source.files:
        folder = folder.rpartition('/')[0]
    if folder and folder != source.base:
        roots = {origin.partition('.')[0] for origin, _ in found.module.imports.values()}
        here = {name for name in roots if {f'{folder}/{name}.py', f'{folder}/{name}/__init__.py'} & set(source.files)}
        if any(name not in source.modules for name in here):
            return folder
    return source.base
