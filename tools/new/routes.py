"""Finds the app's routes, and the one that shows that a release works."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .apps import Finder
from .data import Paths
from .source import ROOT, Source
from .tree import Module, constant, dotted

HEALTH = ('health', 'healthz', 'healthcheck', 'health-check', '_health', 'ping', 'livez', 'readyz', 'alive', 'heartbeat')
LOGIN = ('login', 'signin', 'sign-in', 'sign_in')
# decorators that let only some clients in, and handlers that do more than answer
GUARD = re.compile(r'login|auth|admin|require|permission|protect|jwt|token|role|member|user|api_key|sudo|fresh', re.I)
# the test of a view that sends clients away who are not logged in
GUARDED = re.compile(
    r'is_anonymous|^not .*(is_authenticated|g\.user\b|session\b|current_user|logged_in|is_admin)|not in (flask\.)?session\b'
    r'|(g\.user|session\S*|current_user) (is|==) None'
)
ACTS = re.compile(r'log-?_?out|sign-?_?out|delete|remove|export|download|callback|hook|confirm|reset|unsubscribe|oauth|sso|stream|metrics')


@dataclass
class Route:
    """A route that answers GET without arguments.

    Attributes:
        path: of its URL.
        where: file and line.
        guarded: whether it seems to be for some clients only.
        redirects: whether all that it returns is redirects.
        sure: whether the prefix of its blueprint is known.
    """

    path: str
    where: str
    guarded: bool
    redirects: bool
    sure: bool


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The value of a keyword of a call."""
    return next((word.value for word in call.keywords if word.arg == name), None)


def allows_get(call: ast.Call) -> bool:
    """Whether a call of `route` lets GET through."""
    methods = keyword(call, 'methods')
    if isinstance(methods, (ast.List, ast.Tuple, ast.Set)):
        return any(constant(method).upper() == 'GET' for method in methods.elts)
    return True


def redirects(function: ast.AST) -> tuple[bool, bool]:
    """Whether a view only redirects, and whether it does so for clients that are not logged in."""
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
    aways = [value for value in returned if isinstance(value, ast.Call) and dotted(value.func).endswith('redirect')]
    for node in ast.walk(function):
        if isinstance(node, ast.If) and GUARDED.search(ast.unparse(node.test)):
            first = node.body[0]
            if (isinstance(first, ast.Return) and first.value in aways) or 'abort(' in ast.unparse(first):
                return False, True
    return bool(aways) and len(aways) == len(returned), False


class Routes:
    """The routes of an app."""

    def __init__(self, source: Source, finder: Finder):
        self.source = source
        self.finder = finder
        self.blueprints: dict[tuple[str, str], str] = {}
        self.registered: dict[tuple[str, str], tuple[str, tuple[str, str] | None]] = {}
        for module in source.modules.values():
            for name, value in module.values.items():
                if isinstance(value, ast.Call) and dotted(value.func).rpartition('.')[2] in ('Blueprint', 'APIBlueprint'):
                    self.blueprints[module.name, name] = constant(keyword(value, 'url_prefix'))
        for module in source.modules.values():
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == 'register_blueprint':
                    self._register(module, node)

    def _key(self, module: Module, node: ast.expr | None) -> tuple[str, str] | None:
        """The blueprint that an expression names."""
        owner, name = self.source.resolve(module, dotted(node) or '-') if node is not None else (None, '')
        return (owner.name, name) if owner and (owner.name, name) in self.blueprints else None

    def _register(self, module: Module, call: ast.Call) -> None:
        """Notes with which prefix a blueprint is registered, and on which other one."""
        if call.args and (key := self._key(module, call.args[0])):
            prefix = keyword(call, 'url_prefix')
            text = self.blueprints[key] if prefix is None else constant(prefix) or ('' if isinstance(prefix, ast.Constant) else '<')
            self.registered[key] = (text, self._key(module, call.func.value))

    def prefix(self, key: tuple[str, str], depth: int = 0) -> tuple[str, bool]:
        """The prefix of a blueprint's URLs, and whether it is known."""
        if key not in self.registered:
            return self.blueprints[key], False
        text, parent = self.registered[key]
        if parent and depth < 9:
            front, sure = self.prefix(parent, depth + 1)
            return front.rstrip('/') + text, sure
        return text, True

    def all(self) -> Iterator[Route]:
        """Routes for GET whose path has no arguments."""
        for module in self.source.modules.values():
            views = {node.name: node for node in ast.walk(module.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
            for view in views.values():
                for decorator in view.decorator_list:
                    if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute):
                        name = decorator.func.attr
                        if name == 'get' or (name == 'route' and allows_get(decorator)):
                            yield from self._route(module, decorator.func.value, decorator, 0, view)
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and allows_get(node):
                    if node.func.attr == 'add_url_rule':
                        given = keyword(node, 'view_func') or (node.args[2] if len(node.args) > 2 else None)
                        view = views.get(dotted(given), given) if given is not None else None
                        yield from self._route(module, node.func.value, node, 0, view)
                    elif node.func.attr == 'add_resource' and len(node.args) > 1:
                        yield from self._route(module, node.func.value, node, 1, None)

    def _route(self, module: Module, owner: ast.expr, call: ast.Call, place: int, view: ast.AST | None) -> Iterator[Route]:
        """The route of one call, none where its path is not known or has arguments."""
        rule = call.args[place] if len(call.args) > place else keyword(call, 'rule')
        path, sure = Paths(self.source, module).value(rule), True
        if key := self._key(module, owner):
            front, sure = self.prefix(key)
            path = front.rstrip('/') + path
        if not re.fullmatch(r'/[!-~]*', path) or '<' in path or ROOT in path:
            return
        decorators = [ast.unparse(one) for one in getattr(view, 'decorator_list', []) if one is not call]
        others = [text for text in decorators if not re.search(r'\.(route|get|post)\(', text)]
        away, guarded = redirects(view) if view else (False, False)
        guarded = guarded or any(GUARD.search(text) for text in others)
        yield Route(path, module.where(call), guarded, away, sure and (view is not None or place == 1))

    def streams(self) -> dict[str, str]:
        """Paths of views that answer with server-sent events, as far as they have no arguments, each with its place."""
        found: dict[str, str] = {}
        for module in self.source.modules.values():
            for view in ast.walk(module.tree):
                if not isinstance(view, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    continue
                if not any(constant(node).startswith('text/event-stream') for node in ast.walk(view)):
                    continue
                for decorator in view.decorator_list:
                    if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute) and decorator.args:
                        key = self._key(module, decorator.func.value)
                        path = (self.prefix(key)[0].rstrip('/') if key else '') + constant(decorator.args[0]).partition('<')[0]
                        if decorator.func.attr in ('route', 'get', 'post') and re.fullmatch(r'/[\w.~%@+/-]+', path):
                            found.setdefault(path, module.where(view))
        return found

    def health(self) -> tuple[str, int, str, list[str]]:
        """The path that shows that a release works.

        Returns:
            The path, its status, why, and what the user should look at.
        """
        found = [route for route in self.all() if route.path]
        guarded = {route.path for route in found if route.guarded}

        def rank(route: Route) -> tuple[int, int, int, str]:
            last = route.path.rstrip('/').rpartition('/')[2].lower()
            if last in HEALTH:
                kind = 0
            elif route.path == '/':
                kind = 1
            elif last in LOGIN:
                kind = 2
            else:
                kind = 4 if ACTS.search(route.path) or '.' in last else 3
            return kind, HEALTH.index(last) if kind == 0 else int(not route.sure), route.path.count('/') + len(route.path), route.path

        usable = sorted((route for route in found if route.path not in guarded and not route.redirects), key=rank)
        if usable and rank(usable[0])[0] < 4:
            best = usable[0]
            unsure = []
            if rank(best)[0] > 1:
                home = next((route for route in found if route.path == '/'), None)
                why = 'is for clients that are logged in' if home and home.path in guarded else 'redirects' if home else 'was not found'
                unsure.append(f'flask_app_health_path is {best.path}, because / {why}; it must answer 200 to anybody.')
            elif not best.sure:
                unsure.append(f'flask_app_health_path is {best.path}, by {best.where}; it must answer 200.')
            return best.path, 200, best.where, unsure
        if away := next((route for route in found if route.path == '/' and route.redirects and route.path not in guarded), None):
            return '/', 302, f'{away.where}, which redirects', [f'flask_app_health_status is 302, because {away.where} only redirects.']
        return '/', 200, 'no route is known', ['flask_app_health_path is /; no route was found that answers GET without arguments.']
