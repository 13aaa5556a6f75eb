"""What must run before an app serves: migrations, tables, first data."""

from __future__ import annotations

import ast
import re

from .entry import Entry
from .hints import commands_of, processes, scripts
from .source import Source
from .tree import Module, constant, dotted

INIT = {'init-db', 'initdb', 'init_db', 'create-db', 'create_db', 'createdb', 'db-init', 'setup-db', 'create-tables', 'create_tables'}


def started(source: Source, modules: list[Module], entry: Entry) -> set[tuple[str, str]]:
    """Module and name of the functions that run when the app starts, as far as calls by name show it."""
    calls: dict[tuple[str, str], list[ast.AST]] = {}
    todo: list[tuple[Module, ast.AST]] = []
    for module in modules:
        for node in module.tree.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                calls[module.name, node.name] = [node]
            elif isinstance(node, ast.ClassDef):
                todo += [(module, inner) for inner in node.body if getattr(inner, 'name', '') in ('__init__', 'init_app')]
            elif not (isinstance(node, ast.If) and '__main__' in ast.dump(node.test)):
                todo.append((module, node))
    first = entry.wsgi.partition(':')[2].partition('(')
    owner, name = source.resolve(entry.module, first[0])
    seen = {(owner.name, name)} if owner and first[1] else set()
    todo += [(owner, node) for node in calls.get((owner.name, name), [])] if owner else []
    while todo:
        module, tree = todo.pop()
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (name := dotted(node.func)):
                owner, there = source.resolve(module, name)
                if owner and (owner.name, there) in calls and (owner.name, there) not in seen:
                    seen.add((owner.name, there))
                    todo += [(owner, inner) for inner in calls[owner.name, there]]
    return seen


class Calls(ast.NodeVisitor):
    """Finds calls that make tables or migrate, and the commands of click.

    Attributes:
        at_start: where the app does so when it starts, by what it does.
        later: where something else does so, which starts later or is typed.
        in_main: where only `python module.py` does so.
        commands: names of commands that make the tables, by where they are.
    """

    def __init__(self, source: Source, module: Module, started: set[tuple[str, str]]):
        self.source, self.module, self.started = source, module, started
        self.later: list[str] = []
        self.function = ''
        self.at_start: dict[str, str] = {}
        self.in_main: list[tuple[str, str]] = []
        self.commands: dict[str, str] = {}
        self.state = ''

    def _within(self, node: ast.AST, state: str) -> None:
        """Visits what is inside, in another state."""
        before, self.state = self.state, self.state or state
        self.generic_visit(node)
        self.state = before

    def visit_If(self, node: ast.If) -> None:
        """`if __name__ == '__main__'` runs for a script only."""
        self._within(node, 'main' if '__main__' in ast.dump(node.test) else '')

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """A command of click runs when somebody types it."""
        command = next((one for one in node.decorator_list if dotted(getattr(one, 'func', one)).endswith('.command')), None)
        if command is None:
            outer, self.function = self.function, self.function or node.name
            self._within(node, '')
            self.function = outer
            return
        name = constant(command.args[0]) if isinstance(command, ast.Call) and command.args else node.name.replace('_', '-')
        owner = dotted(getattr(command, 'func', command)).rpartition('.')[0]
        if name.lower() in INIT and (owner.endswith('cli') or owner == 'click'):
            self.commands[name] = self.module.where(node)
        self._within(node, 'command')

    def visit_Call(self, node: ast.Call) -> None:
        """The calls that make tables or migrate."""
        name = dotted(node.func)
        if name.endswith('.create_all') and self.state in ('', 'main'):
            if self.state:
                self.in_main.append((name.rpartition('.')[0], self.module.where(node)))
            elif not self.function or (self.module.name, self.function) in self.started or self.function in ('__init__', 'init_app'):
                self.at_start['makes its tables'] = self.module.where(node)
            else:
                self.later.append(self.module.where(node))
        elif self.state == '' and self.source.resolve(self.module, name or '-')[1] == 'flask_migrate.upgrade':
            self.at_start['migrates its database'] = self.module.where(node)
        self.generic_visit(node)


def migrations(source: Source, versions: dict[str, str], prefix: str) -> tuple[str, str]:
    """The command that migrates the database, and why; ('', '') where there is none."""
    folders = sorted((path.rpartition('/')[0] for path in source.files if re.search(r'(^|/)(migrations|alembic)/env\.py$', path)), key=len)
    if folders and 'flask-migrate' in versions:
        return f'{prefix}flask db upgrade' + ('' if folders[0] == 'migrations' else f' -d {folders[0]}'), f'{folders[0]}/ and Flask-Migrate'
    if folders and 'flask-alembic' in versions:
        return '', ''
    if 'alembic.ini' in source.files and 'alembic' in versions:
        return 'alembic upgrade head', 'alembic.ini'
    return '', ''


def before(
    source: Source, modules: list[Module], versions: dict[str, str], entry: Entry, starts: set[tuple[str, str]]
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """What runs before a release serves.

    Args:
        starts: module and name of the functions that run when the app starts.

    Returns:
        Release commands and init commands, each with why, and what the user should look at.
    """
    # before 1.0, Flask took a file and not a module
    old = versions.get('flask', '').startswith('0.') and f'{entry.flask_app}.py' in source.files
    prefix = f'FLASK_APP={entry.flask_app}{".py" if old else ""} '
    if source.base:
        prefix = f'PYTHONPATH={source.base} {prefix}'
    release: dict[str, str] = {}
    init: dict[str, str] = {}
    unsure: list[str] = []
    told = [(command, 'Procfile') for command in commands_of(processes(source).get('release', ''))]
    told += [(command, entry.start.where) for command in (entry.start.before if entry.start else [])]
    lines = [(command, path) for path, line in scripts(source) for command in commands_of(line)]
    told += [(command, path) for command, path in lines if re.match(r'(flask db|alembic) upgrade', command)][:1]
    for command, where in told:
        if re.search(r'\b(upgrade|migrate)\b', command) and '$' not in command:
            release[(prefix if command.startswith(('flask ', 'python ')) else '') + command] = where
        else:
            unsure.append(
                f'{where} also runs `{command}`, left out here: it belongs into flask_app_init_commands or, if it makes files, a build.'
            )
    command, why = migrations(source, versions, prefix)
    migrates = bool(command or release)
    at_start: dict[str, str] = {}
    later: list[str] = []
    for module in modules:
        calls = Calls(source, module, starts)
        calls.visit(module.tree)
        at_start |= calls.at_start
        later += calls.later
        if not migrates:
            init |= {f'{prefix}flask {name}': f'{where} makes the tables' for name, where in calls.commands.items()}
        for name, where in calls.in_main if module is entry.module and not (calls.commands or migrates) else []:
            owner, _, item = entry.wsgi.partition(':')
            text = f'from {owner} import {item.partition("(")[0]} as made, {name}; made.app_context().push(); {name}.create_all()'
            if '(' not in item and name.isidentifier():
                path = f'PYTHONPATH={source.base} ' if source.base else ''
                init[f"{path}python -c '{text}'"] = f'{where} makes the tables, but only for `python {module.path}`'
    if later and not (migrates or at_start or init):
        unsure.append(f'{later[0]} makes the tables, but not when the app starts: the command for it belongs into flask_app_init_commands.')
    if 'flask-migrate' in versions and not (command or release or at_start):
        unsure.append('Flask-Migrate is among the packages, but there is no migrations/. `flask db init` and `flask db migrate` make it.')
    if command and not release and 'migrates its database' not in at_start:
        release[command] = why
    elif at_start and not release:
        what, where = next(iter(at_start.items()))
        release[f'{prefix}flask routes'] = f'the app {what} when it starts ({where}); this does so before several workers do at once'
    return release, init, unsure
