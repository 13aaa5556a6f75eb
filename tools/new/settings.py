"""The environment variables that an app reads, and what becomes of each."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from .source import Source
from .tree import Module, constant, dotted

# the system's, flask's and the developer's own
NOT_THE_APPS = re.compile(
    r'(PATH|HOME|USER|USERNAME|LOGNAME|LANG|LC_\w+|TZ|TERM|SHELL|EDITOR|PWD|TMPDIR|HOSTNAME|HOST|PORT|CI|DISPLAY|PYTHON\w*|VIRTUAL_ENV|'
    r'FLASK_(APP|ENV|DEBUG|RUN_\w+|SKIP_DOTENV|COVERAGE)|WERKZEUG_\w+|GUNICORN_\w+|(TEST|TESTING|DEV|DEVELOPMENT)_\w+|SERVER_SOFTWARE|DYNO|'
    r'HEROKU_\w+|VERCEL\w*|'
    r'GITHUB_(ACTIONS|REF\w*|SHA|REPOSITORY)|GIT_\w+|SSH_\w+|XDG_\w+|COLUMNS|NO_COLOR|COVERAGE\w*|PYTEST\w*|DEBUG|WEB_CONCURRENCY|'
    r'DOCKER\w*|KUBERNETES\w*)'
)
SECRET = re.compile(r'(^|_)(SECRET|SALT|SIGNING|FERNET|ENCRYPTION|PEPPER)(_|$)|(^|_)(APP|SESSION|CSRF|COOKIE|HASH|JWT)_KEY$')
# given by somebody else: a program of another company, a mail server, a person
GIVEN = re.compile(
    r'(^|_)(API|ACCESS|CLIENT|CONSUMER|PUBLIC|AWS|S3|AZURE|GCP|GOOGLE|GITHUB|GITLAB|FACEBOOK|TWITTER|DISCORD|SLACK|STRIPE|PAYPAL|'
    r'TWILIO|SENDGRID|MAILGUN|RECAPTCHA|HCAPTCHA|TURNSTILE|OAUTH\w*|OIDC|OPENAI|SENTRY|LDAP|SAML|MS|TELEGRAM|SPOTIFY)(_|$)'
)
PRIVATE = re.compile(
    r'(^|_)(PASSWORD|PASSWD|PASS|TOKEN|KEY|SECRET|DSN|CREDENTIALS|SALT)(_|$)|(DATABASE|DB|REDIS|BROKER|MONGO\w*)_?(URL|URI)$'
)
ENVIRONMENTS = {'os.environ', 'os.getenv', 'os.environ.get', 'os.environ.setdefault', 'os.environ.pop', 'decouple.config'}
TYPES = {'str', 'int', 'bool', 'float', 'list', 'url', 'json', 'decimal', 'path', 'log_level', 'dj_db_url', 'timedelta', 'enum'}


@dataclass
class Setting:
    """An environment variable that the app reads.

    Attributes:
        name: of the variable.
        where: file and line of the read that needs it most.
        need: 2 the app fails without it, 1 it has no value without it, 0 the app has one of its own.
        default: that one, '' where it is no plain text.
        use: the call that gets the value, such as `create_app` or `from_object`.
    """

    name: str
    where: str
    need: int
    default: str = ''
    use: str = ''

    @property
    def generated(self) -> bool:
        """Whether any random value will do."""
        return bool(SECRET.search(self.name)) and not GIVEN.search(self.name) and not self.name.endswith(('_FILE', '_PATH', '_LENGTH'))

    @property
    def private(self) -> bool:
        """Whether its value belongs into the vault."""
        return self.generated or bool(PRIVATE.search(self.name))


class Reads(ast.NodeVisitor):
    """Collects the reads of a module."""

    def __init__(self, source: Source, module: Module):
        self.source, self.module = source, module
        self.found: list[Setting] = []
        self.computed: list[str] = []
        self.optional = 0
        self.uses: list[str] = []

    def _name(self, node: ast.AST) -> str:
        """What a dotted expression is, by the imports: `os.environ.get` whatever it is called here."""
        name = dotted(node)
        return self.source.resolve(self.module, name)[1] if name else ''

    def _note(self, node: ast.AST, name_node: ast.expr | None, need: int, default: ast.expr | None = None) -> None:
        """Notes one read."""
        name = constant(name_node)
        if re.fullmatch(r'[A-Za-z_]\w*', name):
            text = str(default.value) if isinstance(default, ast.Constant) and default.value is not None else ''
            self.found.append(
                Setting(name, self.module.where(node), 0 if self.optional else need, text, self.uses[-1] if self.uses else '')
            )
        elif name_node is not None:
            self.computed.append(self.module.where(node))

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """`get(x) or default` has a default."""
        spare = isinstance(node.op, ast.Or) and not (isinstance(node.values[-1], ast.Constant) and not node.values[-1].value)
        self.optional += spare
        for value in node.values:
            self.visit(value)
        self.optional -= spare

    def visit_If(self, node: ast.If) -> None:
        """`if os.environ.get('X'):` lets the app do without."""
        names = {constant(part) for part in ast.walk(node.test)} - {''}
        before = len(self.found)
        self.generic_visit(node)
        for setting in self.found[before:]:
            setting.need = min(setting.need, 1) if setting.name in names else setting.need

    def visit_Try(self, node: ast.Try) -> None:
        """What fails in a `try` is expected to."""
        self.optional += 1
        for statement in node.body:
            self.visit(statement)
        self.optional -= 1
        for statement in [*node.handlers, *node.orelse, *node.finalbody]:
            self.visit(statement)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """`os.environ['X']`."""
        if isinstance(node.ctx, ast.Load) and self._name(node.value) == 'os.environ':
            self._note(node, node.slice, 2)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """`'X' in os.environ`."""
        if isinstance(node.ops[0], ast.In) and self._name(node.comparators[0]) == 'os.environ':
            self._note(node, node.left, 0)
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        """A loop over the whole environment."""
        if isinstance(node.iter, ast.Call) and self._name(node.iter.func) == 'os.environ.items':
            self.computed.append(self.module.where(node))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """`os.environ.get('X')`, `os.getenv('X')`, `config('X')` of decouple, `env.str('X')` of environs, and keywords like `envvar=`."""
        name = self._name(node.func)
        words = {word.arg: word.value for word in node.keywords if word.arg}
        first = node.args[0] if node.args else words.get('key')
        default = node.args[1] if len(node.args) > 1 else words.get('default')
        none = isinstance(default, ast.Constant) and default.value in (None, '')
        if name in ENVIRONMENTS:
            strict = name == 'decouple.config'
            self._note(node, first, 2 if strict and default is None else 1 if default is None or none else 0, default)
        elif self._is_env(node.func):
            self._note(node, first, 2 if default is None else 1 if none else 0, default)
        elif dotted(node.func).endswith('.config.from_envvar'):
            silent = words.get('silent')
            self._note(node, first, 1 if isinstance(silent, ast.Constant) and silent.value else 2)
            self.found[-1:] = [Setting(one.name, one.where, one.need, '', 'from_envvar') for one in self.found[-1:]]
        elif re.search(r'config\.(from_mapping|update)$', dotted(node.func)) and first is not None and self._name(first) == 'os.environ':
            self.computed.append(self.module.where(node))
        for word, value in words.items():
            if word in ('envvar', 'env_var', 'environ_name', 'env_name') and constant(value):
                self._note(node, value, 0)
        self.uses.append(dotted(node.func).rpartition('.')[2])
        self.generic_visit(node)
        self.uses.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """The fields of pydantic's settings."""
        if any(self._name(base) in ('pydantic_settings.BaseSettings', 'pydantic.BaseSettings') for base in node.bases):
            words = {word.arg: word.value for call in ast.walk(node) if isinstance(call, ast.Call) for word in call.keywords}
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.target.id != 'model_config':
                    name = ast.Constant((constant(words.get('env_prefix')) + field.target.id).upper())
                    self._note(field, name, 2 if field.value is None else 0, field.value)
        self.generic_visit(node)

    def _is_env(self, function: ast.expr) -> bool:
        """Whether a call is that of an `environs.Env()`."""
        name = dotted(function)
        front, _, last = name.rpartition('.')
        for variable in (name, front if last in TYPES else ''):
            owner, there = self.source.resolve(self.module, variable) if variable else (None, '')
            value = owner.values.get(there) if owner else None
            if isinstance(value, ast.Call) and self.source.resolve(owner, dotted(value.func) or '-')[1] in ('environs.Env', 'environ.Env'):
                return True
        return False
