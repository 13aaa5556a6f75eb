"""An app's files: its modules as syntax trees, and what their names mean. Nothing is imported or run."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from .tree import Module, refers_to, top_level

# neither code of the app nor of what serves it
LEFT_OUT = {
    'tests', 'test', 'testing', 'docs', 'doc', 'examples', 'node_modules', 'venv', 'env', 'build', 'dist', 'site-packages',
    '__pycache__', 'bower_components', 'ansible', 'helm',
}  # fmt: skip
LARGEST = 1 << 20  # bytes of a file that is read
MOST = 4000  # modules that are read
ROOT = '/@app@'  # stands for the app's folder in the values of expressions


class Source:
    """The folder of an app.

    Attributes:
        folder: where it is.
        base: folder below it in which Python looks for the modules, '' or such as 'src'.
        modules: by name.
        unread: files of Python that could not be parsed.
    """

    def __init__(self, folder: Path, base: str | None = None):
        """Reads the folder; without a base, it is src/ where that is no package."""
        self.folder = folder
        self.files = sorted(self._walk())
        self.modules: dict[str, Module] = {}
        self.unread: list[str] = []
        top = {path.split('/')[0] for path in self.files if path.endswith('.py')}
        self.base = base if base is not None else 'src' if 'src' in top and 'src/__init__.py' not in self.files else ''
        for path in [path for path in self.files if path.endswith('.py')][:MOST]:
            self._read(path)

    def _walk(self) -> Iterator[str]:
        """Paths of the app's files from its folder, without links and without what is no code of it."""
        for root, folders, files in os.walk(self.folder):
            here = Path(root)
            folders[:] = [
                name for name in folders if name not in LEFT_OUT and not name.startswith('.') and not (here / name / 'pyvenv.cfg').exists()
            ]
            for name in files:
                if not (here / name).is_symlink():
                    yield (here / name).relative_to(self.folder).as_posix()

    def text(self, path: str) -> str:
        """What a file says, '' where it is missing, large or a link."""
        file = self.folder / path
        if file.is_symlink() or not file.is_file() or file.stat().st_size > LARGEST:
            return ''
        return file.read_text(encoding='utf-8-sig', errors='replace')

    def _read(self, path: str) -> None:
        """Parses one module."""
        parts = path[: -len('.py')].removeprefix(f'{self.base}/' if self.base else '').split('/')
        if parts[-1] in ('conftest', 'setup', 'noxfile', 'fabfile') or parts[-1].startswith('test_') or parts == ['tests']:
            return
        is_package = parts[-1] == '__init__'
        name = '.'.join(parts[:-1] if is_package else parts)
        if not all(part.isidentifier() for part in name.split('.')):
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                tree = ast.parse(self.text(path), path)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self.unread.append(path)
            return
        module = Module(name, path, tree, name if is_package else name.rpartition('.')[0])
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    local = alias.asname or alias.name.split('.')[0]
                    module.imports[local] = (alias.name if alias.asname else local, '')
            elif isinstance(node, ast.ImportFrom):
                self._import_from(module, node)
        for statement in top_level(tree.body):
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                module.functions[statement.name] = statement
            elif isinstance(statement, ast.Assign):
                for target in statement.targets:
                    # `app = Wrapper(app)` says nothing of what app is
                    if isinstance(target, ast.Name) and not (target.id in module.values and refers_to(statement.value, target.id)):
                        module.values[target.id] = statement.value
            elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
                module.values[statement.target.id] = statement.value
        self.modules[name] = module

    @staticmethod
    def _import_from(module: Module, node: ast.ImportFrom) -> None:
        """Notes what `from x import y` binds."""
        origin = node.module or ''
        if node.level:
            parts = module.package.split('.') if module.package else []
            origin = '.'.join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])
        for alias in node.names:
            if alias.name == '*':
                module.stars.append(origin)
            else:
                module.imports[alias.asname or alias.name] = (origin, alias.name)

    def resolve(self, module: Module, name: str, depth: int = 0) -> tuple[Module | None, str]:
        """Where a name of a module comes from.

        Args:
            module: in which it is used.
            name: such as `bp`, `auth.bp` or `flask.Flask`.

        Returns:
            The app's module that defines it and its name there; (None, `package.name`) for what is not the app's.
        """
        first, _, rest = name.partition('.')
        if depth > 20:
            return None, name
        if first not in module.values and first not in module.functions:
            if first in module.imports:
                origin, there = module.imports[first]
                if f'{origin}.{there}' in self.modules and (origin not in self.modules or there not in self._names(origin)):
                    origin, there = f'{origin}.{there}', ''
                inner = '.'.join(filter(None, [there, rest]))
                while inner and f'{origin}.{inner.split(".")[0]}' in self.modules and origin:
                    origin, inner = f'{origin}.{inner.split(".")[0]}', inner.partition('.')[2]
                if origin in self.modules and inner and self.modules[origin] is not module:
                    return self.resolve(self.modules[origin], inner, depth + 1)
                return None, '.'.join(filter(None, [origin, inner]))
            for star in module.stars:
                if star in self.modules and self.modules[star] is not module:
                    found = self.resolve(self.modules[star], name, depth + 1)
                    if found[0] and found[1].split('.')[0] in self._names(found[0].name):
                        return found
        return module, name

    def _names(self, module: str) -> set[str]:
        """The names that a module itself defines or imports."""
        there = self.modules[module]
        return {*there.values, *there.functions, *there.imports}

    def reached(self, start: str) -> set[str]:
        """Names of the modules that importing a module imports, as far as its imports say."""
        seen: set[str] = set()
        todo = [start]
        while todo:
            name = todo.pop()
            if name in seen or name not in self.modules:
                continue
            seen.add(name)
            module = self.modules[name]
            for origin, there in [*module.imports.values(), *((star, '') for star in module.stars)]:
                parts = origin.split('.')
                todo += ['.'.join(parts[:end]) for end in range(1, len(parts) + 1)] + [f'{origin}.{there}']
            todo.append(name.rpartition('.')[0])
        return seen
