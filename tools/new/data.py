"""What an app writes, and what must be done before it serves: shared folders, databases, migrations."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator

from .entry import Entry
from .source import ROOT, Source
from .tree import Module, constant, dotted, top_level

UPLOADS = re.compile(
    r'(UPLOAD\w*|MEDIA\w*|ATTACHMENT\w*|LOGS?|CACHE)_(FOLDER|DIR|DIRECTORY|PATH|DEST|ROOT)$|^(DATA|STORAGE)_(DIR|DIRECTORY|FOLDER|PATH)$'
)
PLACEHOLDER = re.compile(r'(^|/)(\.git\w*|\.?keep|README\S*|\.placeholder)$', re.I)
# packages that write into a folder where the app starts, unless a setting names another; and what the code says where they do
WRITERS = {'flask-whooshee': ('whooshee', 'WHOOSHEE_DIR', ''), 'flask-session': ('flask_session', 'SESSION_FILE_DIR', 'filesystem')}
MAKES = ('os.mkdir', 'os.makedirs')
LOGGERS = ('FileHandler', 'RotatingFileHandler', 'TimedRotatingFileHandler', 'WatchedFileHandler')


class Paths:
    """Evaluates the expressions that make paths, as far as they are made of constants and of where a file is."""

    def __init__(self, source: Source, module: Module, local: dict[str, ast.expr] | None = None):
        self.source, self.module, self.local = source, module, local or {}

    def value(self, node: ast.AST | None, depth: int = 0) -> str:
        """The text of an expression, with ROOT for the app's folder; '' where it is not known."""
        if node is None or depth > 25:
            return ''
        again = depth + 1
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else ''
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self._name(node, again)
        if isinstance(node, ast.Subscript):
            return self.value(self.setting(node), again)
        if isinstance(node, ast.JoinedStr):
            parts = [self.value(part.value if isinstance(part, ast.FormattedValue) else part, again) for part in node.values]
            return ''.join(parts) if all(parts) else ''
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Div)):
            left, right = self.value(node.left, again), self.value(node.right, again)
            if not left or not right:
                return ''
            return left + right if isinstance(node.op, ast.Add) else posixpath.join(left, right)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return self.value(node.values[-1], again)
        if isinstance(node, ast.Call):
            return self._call(node, again)
        return ''

    def setting(self, node: ast.Subscript) -> ast.expr | None:
        """What the module sets `app.config['X']` to, if it does."""
        key, owner = constant(node.slice), dotted(node.value)
        if not key or not owner.endswith('config'):
            return None
        for other in ast.walk(self.module.tree):
            if isinstance(other, ast.Assign) and any(
                isinstance(target, ast.Subscript) and constant(target.slice) == key and dotted(target.value) == owner
                for target in other.targets
            ):
                return other.value
        return None

    def variable(self, node: ast.AST | None, depth: int = 0) -> str:
        """The environment variable that a whole value is taken from, such as X in `os.getenv('X', 'data')`; '' for none."""
        if isinstance(node, ast.Subscript):
            return self.variable(self.setting(node), depth + 1)
        if isinstance(node, ast.Name) and depth < 9:
            owner, there = self.source.resolve(self.module, node.id)
            if node.id in self.local:
                return self.variable(self.local[node.id], depth + 1)
            return Paths(self.source, owner).variable(owner.values[there], depth + 1) if owner and there in owner.values else ''
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return self.variable(node.values[0], depth + 1)
        if isinstance(node, ast.Call) and self.source.resolve(self.module, dotted(node.func) or '-')[1] in ('os.environ.get', 'os.getenv'):
            return constant(node.args[0]) if node.args else ''
        return ''

    def _attribute(self, owner: Module, name: str, depth: int) -> str:
        """The value of a class's attribute, or of a member of an enumeration that its text is the value of."""
        first, _, rest = name.partition('.')
        found = next((node for node in owner.tree.body if isinstance(node, ast.ClassDef) and node.name == first), None)
        if found is None:
            return ''
        bases = [dotted(base).rpartition('.')[2] for base in found.bases]
        if 'Enum' in bases and not any(getattr(node, 'name', '') == '__str__' for node in found.body):
            return ''
        values = {t.id: s.value for s in found.body if isinstance(s, ast.Assign) for t in s.targets if isinstance(t, ast.Name)}
        return Paths(self.source, owner, values).value(ast.Name(rest), depth) if rest in values else ''

    def _name(self, node: ast.expr, depth: int) -> str:
        """The value of a name."""
        name = dotted(node)
        if node_value := {'os.pardir': '..', 'os.curdir': '.', 'os.sep': '/'}.get(name, ''):
            return node_value
        if name == '__file__':
            return f'{ROOT}/{self.module.path}'
        if name in self.local:
            others = {key: value for key, value in self.local.items() if key != name}
            return Paths(self.source, self.module, others).value(self.local[name], depth)
        if name.endswith('.instance_path'):
            return f'{ROOT}/{posixpath.join(self.source.base, "instance")}'
        if name.endswith('.root_path'):
            return f'{ROOT}/{posixpath.dirname(self.module.path)}'
        if isinstance(node, ast.Attribute) and node.attr == 'parent':
            return posixpath.dirname(self.value(node.value, depth))
        owner, there = self.source.resolve(self.module, name or '-')
        if owner and there in owner.values:
            return Paths(self.source, owner).value(owner.values[there], depth)
        return self._attribute(owner, there, depth) if owner and '.' in there else ''

    def _call(self, node: ast.Call, depth: int) -> str:
        """The value of a call of os.path, pathlib or os.environ."""
        name = self.source.resolve(self.module, dotted(node.func) or '-')[1]
        arguments = [self.value(argument, depth) for argument in node.args]
        if name in ('os.path.join', 'posixpath.join', 'flask.safe_join') and all(arguments) and arguments:
            return posixpath.normpath(posixpath.join(*arguments)) if arguments[0].startswith('/') else posixpath.join(*arguments)
        if name == 'os.path.dirname':
            return posixpath.dirname(arguments[0])
        if name in ('os.path.abspath', 'os.path.realpath', 'os.path.normpath', 'pathlib.Path', 'str', 'os.fspath', 'os.path.expanduser'):
            return arguments[0] if arguments else ''
        if name in ('os.environ.get', 'os.getenv', 'decouple.config'):
            default = next((word.value for word in node.keywords if word.arg == 'default'), None)
            return arguments[1] if len(arguments) > 1 else self.value(default, depth)
        if name == 'os.getcwd':
            return ROOT
        if isinstance(node.func, ast.Attribute):
            inner = self.value(node.func.value, depth)
            if node.func.attr in ('resolve', 'absolute', 'as_posix', 'lower', 'strip'):
                return inner
            if node.func.attr == 'joinpath' and inner and all(arguments):
                return posixpath.join(inner, *arguments)
            if node.func.attr == 'format' and all(arguments):
                rest = iter(arguments)
                return re.sub(r'\{\d*\}', lambda _: next(rest, ''), inner)
        return ''


def inside(path: str, relative_to: str = '') -> str:
    """The part of a path below the app's folder, '' for one outside; a relative one is taken from a folder of the app."""
    if path.startswith(('~', ':')):
        return ''
    if not path.startswith('/'):
        path = posixpath.join(ROOT, relative_to, path)
    path = posixpath.normpath(re.sub('^/+', '/', path))
    return path[len(ROOT) + 1 :] if path.startswith(f'{ROOT}/') else ''


def pairs(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names and values of assignments, dictionaries and keywords."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield constant(target.slice) if isinstance(target, ast.Subscript) else dotted(target).rpartition('.')[2], node.value
        elif isinstance(node, ast.AnnAssign) and node.value:
            yield dotted(node.target), node.value
        elif isinstance(node, ast.Dict):
            yield from ((constant(key), value) for key, value in zip(node.keys, node.values, strict=True))
        elif isinstance(node, ast.keyword):
            yield node.arg or '', node.value


def shared(
    source: Source, modules: list[Module], versions: dict[str, str], entry: Entry
) -> tuple[dict[str, str], dict[str, tuple[str, str]], list[str]]:
    """What of the app's folder it writes to.

    Returns:
        Why by path, environment variables that choose another folder, each with its value and why, and what the user should look at.
    """
    found: dict[str, str] = {}
    chosen: dict[str, str] = {}
    environment: dict[str, tuple[str, str]] = {}
    unsure: list[str] = []
    instance = posixpath.join(source.base, 'instance')
    old = versions.get('flask-sqlalchemy', '').startswith(('1.', '2.'))
    package = posixpath.dirname(entry.module.path)
    for module in modules:
        classes = [node.name for node in module.tree.body if isinstance(node, ast.ClassDef)]
        others = re.compile('Test|Dev' if any('Prod' in name for name in classes) else 'Test')
        for node in ast.walk(module.tree):
            local = {}
            if isinstance(node, ast.ClassDef) and others.search(node.name):
                continue  # a configuration for developers
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                local = {t.id: s.value for s in ast.walk(node) if isinstance(s, ast.Assign) for t in s.targets if isinstance(t, ast.Name)}
            elif node is not module.tree:
                continue
            paths = Paths(source, module, local)
            for part in node.body if node is not module.tree else top_level(module.tree.body):
                if node is module.tree and isinstance(part, (ast.FunctionDef, ast.ClassDef)):
                    continue
                look(part, paths, found, chosen, unsure, instance, package if old else instance)
        text = ast.unparse(module.tree)
        if '.instance_path' in text and ' instance_path=' not in text:
            found.setdefault(instance, f'{module.path} uses the instance folder')
    code = '\n'.join(ast.unparse(module.tree) for module in modules)
    for name, (folder, setting, says) in WRITERS.items():
        if name in versions and setting not in code and says in code:
            found.setdefault(folder, f'{name} writes there')
    found = {path: why for path, why in found.items() if not any(path.startswith(f'{other}/') for other in found)}
    for path, why in sorted(found.items()):
        if path == instance or not any(file.startswith(f'{path}/') and not PLACEHOLDER.search(file) for file in source.files):
            continue
        # shared, it would hide the files that come with the app
        found.pop(path, None)
        if variable := chosen.get(path):
            folder = variable.lower()
            found = {other: why for other, why in found.items() if chosen.get(other) != variable}
            found[folder] = f'{variable}, because {path} has files of the app'
            environment[variable] = f'{{release}}/{folder}', f'instead of {path} ({why}), which has files of the app'
        else:
            unsure.append(f'{path} ({why}) has files of the app. If the app writes there, share a folder of its own (flask_app_shared).')
    return found, environment, unsure


def look(
    tree: ast.AST, paths: Paths, found: dict[str, str], chosen: dict[str, str], unsure: list[str], instance: str, databases: str
) -> None:
    """Notes what a part of a module writes to, and which environment variables choose it."""
    for name, value in pairs(tree):
        where = paths.module.where(value)
        if name == 'instance_relative_config' and isinstance(value, ast.Constant) and value.value is True:
            found.setdefault(instance, f'the instance folder of {where}')
            continue
        text = paths.value(value)
        if database := re.fullmatch(r'sqlite(?:\+\w+)?:///(.+?)(\?.*)?', text):
            if not re.search(r'[A-Za-z]', database[1]) or database[1].startswith(':memory:'):
                continue
            path = inside(database[1], databases)
            if path:
                folder = instance if path.startswith(f'{instance}/') else path
                found.setdefault(folder, f'the database of {where}')
            else:
                unsure.append(f'{where} has its database in {database[1]}, outside the app; flask_app_shared cannot keep it.')
        elif UPLOADS.search(name) and text and (path := inside(text)) and '://' not in text:
            found.setdefault(path, f'{name} of {where}')
            chosen.setdefault(path, paths.variable(value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            text = paths.value(node.args[0]) if node.args else ''
            if name in MAKES and (path := inside(text)) and text:
                found.setdefault(path, f'{paths.module.where(node)} makes it')
                chosen.setdefault(path, paths.variable(node.args[0]))
            elif name.rpartition('.')[2] in LOGGERS and text and (path := inside(text)):
                if posixpath.dirname(path):
                    found.setdefault(posixpath.dirname(path), f'the log of {paths.module.where(node)}')
                else:
                    unsure.append(
                        f'{paths.module.where(node)} may write the log {path} into the release, where it may not. Standard error is logged.'
                    )
            elif name == 'sqlite3.connect' and text and (path := inside(text)):
                found.setdefault(instance if path.startswith(f'{instance}/') else path, f'the database of {paths.module.where(node)}')
