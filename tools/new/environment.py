"""Decides what becomes of the environment variables that an app reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .apps import configurations
from .entry import Entry
from .settings import NOT_THE_APPS, Reads, Setting
from .source import Source
from .tree import Module, constant, dotted

# a server on the machine itself, which this project does not set up
LOCAL = re.compile(r'(?!sqlite|file|memory)[a-z]\w+(\+\w+)?://(\S*@)?(localhost|127\.0\.0\.1)?(:\d+)?(/|$)')
CHOOSES = re.compile(r'(^|_)(CONFIG|SETTINGS|CONFIG_(NAME|MODE|TYPE|CLASS)|ENV|ENVIRONMENT)$')
NAMES_A_FILE = re.compile(r'(^|_)(SETTINGS|CONFIG|CONF)(_FILE|_PATH|_FILE_PATH|_FILENAME)?$')


def belongs(source: Source, entry: str) -> Iterator[Module]:
    """The modules that serve: those that the entry point imports, and the rest of their packages, which may be imported by name."""
    reached = source.reached(entry)
    packages = {name.partition('.')[0] for name in reached}
    for name, module in source.modules.items():
        if name in reached or ('.' in name and name.partition('.')[0] in packages):
            yield module


def read(source: Source, modules: list[Module]) -> tuple[dict[str, Setting], list[str]]:
    """The environment variables that modules read.

    Returns:
        The settings by name, and where variables are read whose names are computed.
    """
    found: dict[str, Setting] = {}
    computed = []
    for module in modules:
        reads = Reads(source, module)
        reads.visit(module.tree)
        computed += reads.computed
        for setting in reads.found:
            known = found.get(setting.name)
            if not NOT_THE_APPS.fullmatch(setting.name) and (known is None or setting.need > known.need):
                found[setting.name] = setting
    return found, computed


def prefixed(source: Source, modules: list[Module]) -> tuple[str, str]:
    """The prefix of the variables that the app makes settings of, and where: by `from_prefixed_env()`, or by a function of its own."""
    loops = {}
    for module in modules:
        reads = Reads(source, module)
        for name, function in module.functions.items():
            reads.computed.clear()
            reads.visit(function)
            if reads.computed and any(word.arg == 'prefix' for word in function.args.args):
                loops[module.name, name] = module
    for module in modules:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            given = constant(next((word.value for word in node.keywords if word.arg == 'prefix'), node.args[0] if node.args else None))
            if dotted(node.func).endswith('FlaskDynaconf'):
                return 'FLASK_', module.where(node)
            if dotted(node.func).endswith('.from_prefixed_env'):
                return f'{given or "FLASK"}_', module.where(node)
            owner, name = source.resolve(module, dotted(node.func) or '-')
            if owner and (owner.name, name) in loops and given:
                return given, module.where(node)
    return '', ''


def written(modules: list[Module]) -> tuple[str, str]:
    """How the code sets SECRET_KEY: 'text' for a constant, 'made' for anything else, and where; ('', '') where it does not."""
    made = ('', '')
    for module in modules:
        tests = {inner for node in module.tree.body if isinstance(node, ast.ClassDef) and 'Test' in node.name for inner in ast.walk(node)}
        for node in (node for node in ast.walk(module.tree) if node not in tests):
            pairs: list[tuple[str, ast.expr | None]] = []
            if isinstance(node, ast.keyword):
                pairs = [(node.arg or '', node.value)]
            elif isinstance(node, ast.Dict):
                pairs = [(constant(key), value) for key, value in zip(node.keys, node.values, strict=True)]
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    name = constant(target.slice) if isinstance(target, ast.Subscript) else dotted(target)
                    pairs.append(('SECRET_KEY' if name.endswith(('app.secret_key', '.SECRET_KEY')) else name, node.value))
            for name, value in pairs:
                if name == 'SECRET_KEY' and value is not None:
                    if isinstance(value, ast.Constant):
                        return 'text', module.where(value)
                    made = ('made', module.where(value))
    return made


def files(source: Source, modules: list[Module], entry: Entry) -> list[str]:
    """What to say of files with settings that the code names and the app's folder lacks."""
    said = []
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                texts = [constant(value) for value in [*node.args, *(word.value for word in node.keywords)]]
                silent = any(word.arg == 'silent' for word in node.keywords)
                makes_app = module is entry.module and any(node is value for value in module.values.values())
                if makes_app or dotted(node.func).endswith('.from_pyfile'):
                    for text in texts:
                        if re.fullmatch(r'[\w./-]+\.(cfg|conf|ini|toml|ya?ml|py|json)', text) and not any(
                            path == text or path.endswith(f'/{text}') for path in source.files
                        ):
                            said.append(
                                f"{module.where(node)} reads {text}, which is not in the app's folder{'; it does without' * silent}."
                            )
    return said


def find(source: Source, modules: list[Module], entry: Entry) -> tuple[dict[str, Setting], dict[str, tuple[str, str]], list[str]]:
    """The environment variables that an app reads.

    Returns:
        All of them by name, values with reasons for those that get one, and what the user should look at.
    """
    found, computed = read(source, modules)
    values: dict[str, tuple[str, str]] = {}
    unsure = files(source, modules, entry)
    production = next((name for name in configurations(source) if name.lower() in ('production', 'prod')), '')
    for setting in found.values():
        if LOCAL.match(setting.default):
            setting.need = max(setting.need, 1)
        if setting.use == 'from_envvar':
            setting.use = 'file'
        elif production and CHOOSES.search(setting.name) and not setting.private:
            values[setting.name] = production, f'{setting.where} chooses the configuration by it'
        elif NAMES_A_FILE.search(setting.name) and setting.need:
            setting.use = 'file'
    prefix, where = prefixed(source, modules)
    kind, place = written(modules)
    if prefix:
        found[f'{prefix}SECRET_KEY'] = Setting(f'{prefix}SECRET_KEY', where, 1)
        unsure.append(f'{where} makes settings of all environment variables that begin with {prefix}; more of them may be needed.')
    elif not any(setting.generated for setting in found.values()):
        if computed and kind:
            found['SECRET_KEY'] = Setting('SECRET_KEY', computed[0], 1)
            unsure.append(f'{computed[0]} reads variables by computed names. SECRET_KEY of {place} is taken for one; others may be needed.')
        elif kind == 'text':
            file = next((f'the file that {setting.name} names' for setting in found.values() if setting.use == 'file'), '')
            file = file or next((said.split(' reads ')[1].split(',')[0] + ' of the instance folder' for said in unsure), '')
            what = f'set it in {file}' if file else 'change the app to read it from one'
            unsure.append(
                f'SECRET_KEY is written in {place}, where no environment variable reaches it. Who knows it can forge sessions: {what}.'
            )
    return found, values, unsure
