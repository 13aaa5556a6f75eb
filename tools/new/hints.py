"""What an app's own files say about how it is started: Procfile, Dockerfile, scripts, uwsgi.ini, .flaskenv."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from .source import Source

WSGI = re.compile(r'[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*(\([^()]*\))?)?')
FLAGS = {'--preload', '--reload', '--log-syslog', '--daemon', '-D', '--capture-output', '-R', '--check-config', '--spew'}
# options of gunicorn that say something about the app, by their short forms
MEANT = {'-k': 'worker_class', '--worker-class': 'worker_class', '-w': 'workers', '--workers': 'workers', '--threads': 'threads',
         '-t': 'timeout', '--timeout': 'timeout', '--chdir': 'chdir', '--pythonpath': 'pythonpath'}  # fmt: skip


@dataclass
class Start:
    """A command line that starts the app.

    Attributes:
        wsgi: the app as gunicorn is given it.
        where: the file that says so.
        options: gunicorn's options, by the names that they have in its configuration file.
        before: commands that the same line runs first.
    """

    wsgi: str
    where: str
    options: dict[str, str | int] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)


def words(command: str) -> list[str]:
    """The words of a shell command, [] for what is none."""
    try:
        return shlex.split(command, comments=True)
    except ValueError:
        return []


def gunicorn(command: str, where: str) -> Start | None:
    """What a command line of gunicorn, or of waitress, says; None for another command."""
    parts = words(command)
    programs = [place for place, word in enumerate(parts) if word.rpartition('/')[2] in ('gunicorn', 'waitress-serve')]
    if not programs:
        return None
    options: dict[str, str | int] = {}
    wsgi = ''
    rest = iter(parts[programs[0] + 1 :])
    call = False
    for word in rest:
        if not word.startswith('-'):
            if WSGI.fullmatch(word) and not wsgi:
                wsgi = word
            continue
        name, _, value = word.partition('=')
        call = call or name == '--call'
        if re.fullmatch('-[a-zA-Z].+', name) and not value:
            name, value = name[:2], name[2:]
        if not value and name not in FLAGS and name != '--call':
            value = next(rest, '')
        if name in MEANT and value and '$' not in value:
            options[MEANT[name]] = int(value) if value.isdigit() else value
    if not wsgi:
        return None
    if call and ':' in wsgi and '(' not in wsgi:
        wsgi += '()'
    return Start(wsgi, where, options)


def processes(source: Source) -> dict[str, str]:
    """The Procfile's commands by the names of their processes."""
    lines = (line.partition(':') for line in source.text('Procfile').splitlines() if not line.lstrip().startswith('#'))
    return {name.strip(): command.strip() for name, separator, command in lines if separator and name.strip()}


def commands_of(line: str) -> list[str]:
    """The commands of a shell line one by one, without the `exec` in front."""
    return [
        re.sub(r'^(exec|eval|cmd=)\s*["\']?', '', part.strip())
        for part in re.split(r'&&|\|\||;', re.sub(r'\s#.*', '', line))
        if part.strip()
    ]


def start_of(line: str, where: str) -> Start | None:
    """The start of the app in a line of shell, with the commands and the folder before it."""
    parts = commands_of(line)
    for place, command in enumerate(parts):
        if found := gunicorn(command, where):
            for earlier in parts[:place]:
                if earlier.startswith('cd '):
                    found.options.setdefault('chdir', earlier[3:].strip())
                else:
                    found.before.append(earlier)
            return found
    return None


def scripts(source: Source) -> Iterator[tuple[str, str]]:
    """File and line of the Dockerfile and of shell scripts, continued lines joined, a Dockerfile's lists as commands."""
    for path in source.files:
        name = path.rpartition('/')[2]
        if path.count('/') > 2 or not (name.startswith('Dockerfile') or name.endswith(('.sh', '.service')) or name == 'entrypoint'):
            continue
        for line in re.sub(r'\\\n', ' ', source.text(path)).splitlines():
            line = re.sub(r'^(CMD|ENTRYPOINT|ExecStart\s*=)\s*', '', line.strip())
            if line.startswith('['):
                try:
                    line = shlex.join(map(str, json.loads(line)))
                except (ValueError, TypeError):
                    continue
            yield path, line


def starts(source: Source) -> Iterator[Start]:
    """How the app's own files start it, the most telling first."""
    if found := start_of(processes(source).get('web', ''), 'Procfile'):
        yield found
    for path, line in scripts(source):
        if ('gunicorn' in line or 'waitress-serve' in line) and not line.startswith('#') and (found := start_of(line, path)):
            yield found
    for path in source.files:
        if path.rpartition('/')[2] in ('uwsgi.ini', 'app.ini') and path.count('/') < 3:
            parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
            try:
                parser.read_string(source.text(path))
            except configparser.Error:
                continue
            module = parser.get('uwsgi', 'module', fallback='') or parser.get('uwsgi', 'wsgi', fallback='')
            if module:
                name = parser.get('uwsgi', 'callable', fallback='application')
                yield Start(module if ':' in module else f'{module}:{name}', path)


def flask_app(source: Source) -> tuple[str, str]:
    """FLASK_APP as the app's files set it, and the file; ('', '') where none does."""
    for path in ('.flaskenv', *(path for path in source.files if path.rpartition('/')[2].startswith('Dockerfile'))):
        found = re.search(r'^\s*(?:export\s+|ENV\s+)?FLASK_APP[ =]["\']?([^\s"\']+)', source.text(path), re.M)
        if found:
            return found[1], path
    return '', ''
