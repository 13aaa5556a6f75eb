"""Finds Flask apps and their factories in the modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .source import Source
from .tree import Module, constant, dotted, top_level

FLASK = {'flask.Flask', 'flask.app.Flask', 'apiflask.APIFlask', 'flask_openapi3.OpenAPI'}
FACTORIES = ('create_app', 'make_app')
OBJECTS = ('application', 'app')
# modules that start something else: a worker, a shell, a developer's server
OTHER_USE = {'manage', 'cli', 'serve', 'worker', 'celery', 'tasks', 'dev', 'debug', 'populate', 'seed', 'shell', 'import', 'export'}
USUAL = {'wsgi', 'autoapp', 'app', 'application', 'main', 'server', 'run', 'web', 'webapp'}


class Finder:
    """Finds apps and their factories in the modules."""

    def __init__(self, source: Source):
        self.source = source
        self.classes: set[tuple[str, str]] = set()
        self.factories: dict[tuple[str, str], ast.FunctionDef] = {}
        self.finished: set[str] = set()  # modules whose app is complete only when their factory was called
        before = -1
        while before != len(self.classes) + len(self.factories):  # one may be made by another
            before = len(self.classes) + len(self.factories)
            for module in source.modules.values():
                self._look(module)

    def _look(self, module: Module) -> None:
        """Notes subclasses of Flask and factories of a module."""
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and any(self.is_flask(module, base) for base in node.bases):
                self.classes.add((module.name, node.name))
        for name, function in module.functions.items():
            body = list(ast.walk(function))
            returned = [node.value for node in body if isinstance(node, ast.Return) and node.value is not None]
            makes = any(isinstance(node, ast.Call) and self.makes_app(module, node) for node in body)
            finishes = name in FACTORIES and any(isinstance(value, ast.Name) and self.makes_app(module, value) for value in returned)
            if returned and (makes or finishes):
                self.factories.setdefault((module.name, name), function)
            if finishes and not makes:
                self.finished.add(module.name)

    def is_flask(self, module: Module, node: ast.expr) -> bool:
        """Whether an expression is the class Flask, or one made from it."""
        owner, name = self.source.resolve(module, dotted(node) or '-')
        return name in FLASK if owner is None else (owner.name, name) in self.classes

    def factory(self, module: Module, node: ast.expr) -> ast.FunctionDef | None:
        """The factory that an expression names."""
        owner, name = self.source.resolve(module, dotted(node) or '-')
        return self.factories.get((owner.name, name)) if owner else None

    def makes_app(self, module: Module, node: ast.expr, depth: int = 0) -> bool:
        """Whether an expression is an app: made here, by a factory, or another one wrapped."""
        if depth > 8:
            return False
        if isinstance(node, ast.Call):
            wraps = dotted(node.func).endswith(('Fix', 'Middleware', 'WSGIApp', 'WhiteNoise', 'FixedApp', 'wrap_app'))
            return (
                self.is_flask(module, node.func)
                or self.factory(module, node.func) is not None
                or (wraps and any(self.makes_app(module, argument, depth + 1) for argument in node.args))
            )
        if name := dotted(node):
            owner, there = self.source.resolve(module, name)
            return owner is not None and there in owner.values and self.makes_app(owner, owner.values[there], depth + 1)
        return False

    def objects(self) -> Iterator[tuple[int, str, str, Module]]:
        """Apps of modules' top levels: rank, wsgi, where, module."""
        for module in self.source.modules.values():
            last = module.name.rpartition('.')[2]
            rank = (0 if last == 'wsgi' else 1 if last in USUAL else 2) + 2 * module.name.count('.')
            if last in OTHER_USE or any(word in last for word in ('celery', 'worker', 'test', 'migrat')):
                rank += 10
            for statement in top_level(module.tree.body):
                called = statement.value if isinstance(statement, ast.Expr) else None
                if isinstance(called, ast.Call) and dotted(called.func).endswith(('.run', '.parse_args', '.serve_forever')):
                    rank += 20  # importing it would start a server
            for name, value in module.values.items():
                if self.makes_app(module, value):
                    yield rank + (0 if name in OBJECTS else 1), f'{module.name}:{name}', module.where(value), module

    def callables(self) -> Iterator[tuple[int, str, str, Module]]:
        """Factories, as objects(); the shortest name that a package gives them."""
        for (owner, name), function in self.factories.items():
            module = self.source.modules[owner]
            package = self.source.modules.get(module.package)
            if package and package.imports.get(name, ('', ''))[0] == owner:
                owner = package.name
            needed = required(function)
            rank = (
                (-1 if module.name in self.finished else 3 if name in FACTORIES else 6)
                + (4 if needed else 0)
                + owner.count('.')
                + (10 if 'test' in name else 0)
            )
            yield rank, f'{owner}:{name}({arguments(self.source, needed)})', module.where(function), module


def required(function: ast.FunctionDef) -> list[str]:
    """Names of the arguments that a function cannot be called without."""
    named = [*function.args.posonlyargs, *function.args.args]
    needed = named[: len(named) - len(function.args.defaults)]
    needed += [name for name, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True) if value is None]
    return [name.arg for name in needed]


def configurations(source: Source) -> list[str]:
    """Names of the app's configurations, as in `config = {'production': ProductionConfig}`."""
    for module in source.modules.values():
        for name, value in module.values.items():
            if isinstance(value, ast.Dict) and 'config' in name.lower() and value.keys:
                keys = [constant(key) for key in value.keys]
                if any(key.lower() in ('production', 'prod', 'default') for key in keys):
                    return keys
    return []


def arguments(source: Source, needed: list[str]) -> str:
    """What a factory is called with, as text: its configuration for production where it needs a name."""
    names = configurations(source)
    name = next((name for wanted in ('production', 'prod', 'default') for name in names if name.lower() == wanted), 'production')
    return ', '.join(repr(name) for _ in needed)
