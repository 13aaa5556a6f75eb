"""Finds apps that only their own server completes: gunicorn would get one without routes."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from .apps import Finder
from .entry import Entry
from .source import Source
from .tree import Module, dotted

REGISTERS = ('route', 'add_url_rule', 'register_blueprint')


def registers(trees: Iterable[ast.AST]) -> list[ast.Call]:
    """The calls in some trees that give an app routes."""
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return [
        call
        for call in calls
        if call.func.attr == 'register_blueprint' or (call.func.attr in REGISTERS and dotted(call.func.value).endswith('app'))
    ]


def completes(source: Source, finder: Finder, entry: Entry, module: Module, function: ast.FunctionDef) -> bool:
    """Whether a function gives routes to the very app that gunicorn is to serve."""
    name = entry.wsgi.partition(':')[2].partition('(')[0]
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and '(' in entry.wsgi and finder.factory(module, node.func) is entry.module.functions.get(name, node):
            return True
    if '(' in entry.wsgi or any(argument.arg == name for argument in function.args.args):
        return False
    owners = {dotted(call.func.value) for call in registers(function.body)}
    return any(source.resolve(module, owner) == (entry.module, name) for owner in owners if owner)


def find(source: Source, finder: Finder, entry: Entry, modules: list[Module], started: set[tuple[str, str]]) -> list[str]:
    """What to say of a function that gives the app its routes and does not run when the app starts.

    Args:
        modules: those that serve.
        started: module and name of the functions that run when the app starts.
    """
    said = []
    places = {
        (module.name, name): (module, function, len(registers(function.body)))
        for module in modules
        for name, function in module.functions.items()
    }
    running = sum(count for place, (_, _, count) in places.items() if place in started)
    for module in modules:
        for node in module.tree.body:
            # an import runs the decorators of functions, and not what is in them
            at_import = node.decorator_list if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else [node]
            running += len(registers(at_import))
    for place, (module, function, count) in places.items():
        if count > running and place not in started and completes(source, finder, entry, module, function):
            said.append(
                f'{module.where(function)}: {function.name}() gives the app its routes, but {entry.wsgi} does not run it: gunicorn would '
                f'answer 404. If {function.name}() starts a server of its own, the app needs a module that makes the finished app, '
                'for flask_app_wsgi.'
            )
    return said
