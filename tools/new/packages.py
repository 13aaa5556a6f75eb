"""The packages and the Python that an app asks for. Only names are read: the locks are for the tools that made them."""

from __future__ import annotations

import ast
import configparser
import json
import re
import sys
from collections.abc import Iterator

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from .source import Source
from .tree import constant, dotted

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LOCKS = ('uv.lock', 'poetry.lock', 'pdm.lock', 'pylock.toml', 'Pipfile.lock', 'requirements.txt')
REQUIREMENT = re.compile(r'\s*([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(?:==\s*([\w.]+))?')
# what packages need of the system to run, by Debian's names
DEBIAN = {'psycopg2': 'libpq5', 'psycopg': 'libpq5', 'psycopg-c': 'libpq5', 'mysqlclient': 'libmariadb3', 'python-magic': 'libmagic1',
          'gitpython': 'git', 'weasyprint': 'libpango-1.0-0', 'cairosvg': 'libcairo2', 'pycairo': 'libcairo2', 'pdf2image': 'poppler-utils',
          'pytesseract': 'tesseract-ocr', 'pydub': 'ffmpeg', 'ffmpeg-python': 'ffmpeg', 'pypandoc': 'pandoc', 'pdfkit': 'wkhtmltopdf',
          'graphviz': 'graphviz', 'xmlsec': 'libxmlsec1-openssl', 'pyodbc': 'unixodbc', 'moviepy': 'ffmpeg'}  # fmt: skip
# packages of which no index has a wheel for Linux, with what their build needs beside a compiler
BUILT = {'psycopg2': 'libpq-dev', 'psycopg-c': 'libpq-dev', 'mysqlclient': 'default-libmysqlclient-dev pkg-config',
         'python-ldap': 'libldap2-dev libsasl2-dev', 'pycairo': 'libcairo2-dev pkg-config', 'pygraphviz': 'libgraphviz-dev pkg-config',
         'uwsgi': '', 'flask-mysqldb': 'default-libmysqlclient-dev pkg-config'}  # fmt: skip
# the first versions of others that have a wheel for Python 3.13, the newest of hosts, with what the build of an older one needs
WHEELS_SINCE = {'sqlalchemy': ((2,), ''), 'markupsafe': ((3,), ''), 'cffi': ((1, 17), 'libffi-dev'), 'greenlet': ((3, 1), ''),
                'gevent': ((24, 10), ''), 'pyyaml': ((6, 0, 2), ''), 'coverage': ((7, 6, 1), ''), 'brotli': ((1, 2), ''),
                'pillow': ((11,), 'libjpeg-dev zlib1g-dev'), 'lxml': ((5, 3), 'libxml2-dev libxslt1-dev'),
                'psycopg2-binary': ((2, 9, 10), 'libpq-dev')}  # fmt: skip


def canonical(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r'[-_.]+', '-', name).lower()


def toml(source: Source, path: str) -> dict:
    """A TOML file, {} where it is missing or broken."""
    try:
        return tomllib.loads(source.text(path))
    except tomllib.TOMLDecodeError:
        return {}


def required(lines: object) -> Iterator[tuple[str, str]]:
    """Names and exact versions of a list of requirements."""
    for line in lines if isinstance(lines, list) else []:
        if isinstance(line, str) and (found := REQUIREMENT.match(line)) and found[1]:
            # psycopg[binary] brings the library that psycopg alone needs of the system
            name = f'{found[1]}-binary' if re.match(r'\s*psycopg\s*\[[^\]]*binary', line) else found[1]
            yield canonical(name), found[2] or ''


def requirements(source: Source, path: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Names and exact versions in a file of requirements and those that it includes."""
    folder = path.rpartition('/')[0]
    for line in source.text(path).splitlines():
        line = line.split(' #')[0].strip()
        if included := re.match(r'(?:-r|--requirement)[ =]*(\S+)', line):
            there = f'{folder}/{included[1]}' if folder else included[1]
            if depth < 9 and '..' not in there:
                yield from requirements(source, there, depth + 1)
        elif egg := re.search(r'[#&]egg=([\w.-]+)', line):
            yield canonical(egg[1]), ''
        elif line and not line.startswith(('#', '-', '.', '/', 'http', 'git+')):
            yield from required([line])


def locked(source: Source, path: str) -> dict[str, str]:
    """Versions by package of one lock."""
    if path == 'Pipfile.lock':
        try:
            packages = json.loads(source.text(path)).get('default', {})
        except ValueError:
            return {}
        return {canonical(name): str(entry.get('version', '')).lstrip('=') for name, entry in packages.items() if isinstance(entry, dict)}
    if path == 'requirements.txt':
        return dict(requirements(source, path))
    file = toml(source, path)
    entries = file.get('package', file.get('packages', []))
    return {canonical(entry['name']): str(entry.get('version', '')) for entry in entries if isinstance(entry, dict) and 'name' in entry}


def setup_arguments(source: Source) -> dict[str, ast.expr]:
    """The arguments of `setup()` in setup.py."""
    try:
        tree = ast.parse(source.text('setup.py'))
    except (SyntaxError, ValueError):
        return {}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and dotted(node.func).rpartition('.')[2] == 'setup']
    return {word.arg: word.value for call in calls for word in call.keywords if word.arg}


def config(source: Source) -> configparser.RawConfigParser:
    """setup.cfg."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(source.text('setup.cfg'))
    except configparser.Error:
        return configparser.RawConfigParser()
    return parser


def direct(source: Source) -> dict[str, str]:
    """Versions by package that the app itself names, '' where any will do."""
    project = toml(source, 'pyproject.toml')
    names = dict(required(project.get('project', {}).get('dependencies')))
    poetry = project.get('tool', {}).get('poetry', {}).get('dependencies', {})
    names |= {canonical(name): '' for name in {**poetry, **toml(source, 'Pipfile').get('packages', {})} if name != 'python'}
    names |= dict(requirements(source, 'requirements.in')) | dict(requirements(source, 'requirements.txt'))
    names |= dict(required(config(source).get('options', 'install_requires', fallback='').splitlines()))
    listed = setup_arguments(source).get('install_requires')
    if isinstance(listed, (ast.List, ast.Tuple)):
        names |= dict(required([constant(element) for element in listed.elts]))
    return names


def packages(source: Source) -> tuple[str, dict[str, str]]:
    """Where the app's packages are named, and the versions by name."""
    names = direct(source)
    locks = [path for path in LOCKS if source.text(path)]
    for path in locks[:1]:
        found = locked(source, path)
        # a lock for development has more than what the app needs; the app's own names and what the lock says of them
        return path, {**names, **found}
    return next((path for path in ('pyproject.toml', 'setup.py', 'setup.cfg') if source.text(path)), ''), names


def python(source: Source) -> tuple[str, str, str]:
    """The Python that the app asks for.

    Returns:
        The version, '' for none; what else it says, such as '>=3.11'; the file.
    """
    for path, pattern in (('.python-version', r'(?m)^\s*(?:c?python)?[-@]?(3\.\d+)'), ('runtime.txt', r'\A\s*python-(3\.\d+)')):
        if found := re.search(pattern, source.text(path)):
            return found[1], '', path
    pipfile = toml(source, 'Pipfile').get('requires', {})
    if version := str(pipfile.get('python_version', '')):
        return version, '', 'Pipfile'
    project = toml(source, 'pyproject.toml')
    poetry = project.get('tool', {}).get('poetry', {}).get('dependencies', {})
    range_ = project.get('project', {}).get('requires-python') or poetry.get('python')
    if isinstance(range_, str):
        return '', range_, 'pyproject.toml'
    range_ = constant(setup_arguments(source).get('python_requires'))
    if range_:
        return '', range_, 'setup.py'
    range_ = config(source).get('options', 'python_requires', fallback='')
    return ('', range_, 'setup.cfg') if range_ else ('', '', '')


def built(name: str, version: str) -> bool:
    """Whether a package of a version, '' where none is named, has to be built on some hosts."""
    numbers = tuple(map(int, re.findall(r'\d+', version)[:3]))
    return name in BUILT or (bool(numbers) and numbers < WHEELS_SINCE.get(name, ((0,), ''))[0])


def headers(name: str) -> list[str]:
    """Debian's packages with what a package's build needs beside a compiler."""
    return (BUILT.get(name) or WHEELS_SINCE.get(name, ((), ''))[1]).split()


def fitting(range_: str, versions: tuple[str, ...] = ('3.12', '3.13', '3.11', '3.10', '3.14', '3.9', '3.8')) -> str:
    """The first of some versions of Python that fits a range, as the standard or poetry writes it; '' if none does."""
    standard = re.sub(r'\^\s*(3(?:\.\d+)*)', r'>=\1,<4', range_)
    standard = re.sub(r'(?<![~=])~\s*(3\.\d+)(?![.\d])', r'==\1.*', standard)
    for version in versions:
        try:
            # a late patch version, because ranges may begin within a minor one
            if SpecifierSet(standard).contains(f'{version}.99'):
                return version
        except InvalidSpecifier:
            break
    return ''
