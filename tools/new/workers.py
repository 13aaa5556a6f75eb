"""The processes of an app beside the web process: workers and schedulers, as its own files start them."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator

import yaml

from . import hints
from .source import Source

# packages of queues, and the command that starts their workers
QUEUES = {
    'celery': 'celery -A module:object worker',
    'rq': 'rq worker',
    'flask-rq2': 'flask rq worker',
    'huey': 'huey_consumer module.huey',
    'dramatiq': 'dramatiq module',
}
WORKER = re.compile(r'\b(celery\b.*\b(worker|beat)\b|rq worker|rqworker|rqscheduler|huey_consumer|dramatiq)\b')
SCHEDULER = re.compile(r'\bcelery\b.*\bbeat\b|\brqscheduler\b')
SCHEDULE_FOLDER = '.celery'


def told(source: Source) -> Iterator[tuple[str, str, str]]:
    """Commands of workers in the app's files: a name, the command, and the file."""
    for name, command in hints.processes(source).items():
        if name not in ('web', 'release') and command:
            yield name, command, 'Procfile'
    for path in source.files:
        if re.fullmatch(r'(docker-)?compose[\w.-]*\.ya?ml', path):
            try:
                services = yaml.safe_load(source.text(path))['services'].items()
                commands = {str(name): service.get('command') or '' for name, service in services}
            except (yaml.YAMLError, AttributeError, KeyError, TypeError):
                continue
            for name, command in commands.items():
                yield name, shlex.join(map(str, command)) if isinstance(command, list) else str(command), path
    for path, line in hints.scripts(source):
        for command in hints.commands_of(line):
            yield path.rpartition('/')[2].partition('.')[0], command, path


def celery_objects(source: Source) -> Iterator[tuple[str, str]]:
    """The Celery objects of the app's modules as `celery -A` names them, each with its file."""
    for module in source.modules.values():
        for name, value in module.values.items():
            made = isinstance(value, ast.Call) and source.resolve(module, ast.unparse(value.func)) == (None, 'celery.Celery')
            if made or (isinstance(value, ast.Subscript) and ast.unparse(value).endswith(".extensions['celery']")):
                yield f'{module.name}:{name}', module.path


def settings(command: str) -> dict:
    """A process's settings, by what its command is."""
    found: dict = {'command': command}
    if SCHEDULER.search(command):
        found['single'] = True
        if 'beat' in command and not re.search(r'\s(-s|--schedule|-S|--scheduler)\b', command):
            found['command'] += f' --schedule {SCHEDULE_FOLDER}/beat'
    elif WORKER.search(command):
        found['stop_timeout'] = 600
    if 'huey_consumer' in command:
        found['stop_signal'] = 'INT'
    return found


def find(source: Source, named: set[str], complete: bool) -> tuple[dict[str, dict], str, list[str]]:
    """The processes beside the web process.

    Args:
        named: the app's packages.
        complete: whether the app's files say how the web process starts; then a worker that they do not start is only proposed.

    Returns:
        flask_app_processes, why, and what the user should look at.
    """
    found: dict[str, dict] = {}
    why: list[str] = []
    unsure: list[str] = []
    for name, command, where in told(source):
        is_worker = WORKER.search(command) and not re.search(r'\b(flower|status|inspect|purge)\b', command)
        name = re.sub('[^A-Za-z0-9_-]', '-', name).strip('-_')[:32].strip('-_')
        # a Procfile names processes and nothing else; other files count where there is none
        if not name or name in found or not (where == 'Procfile' or (is_worker and 'Procfile' not in why)):
            continue
        if '$' in command and where != 'Procfile':
            unsure.append(f'{where} starts {name} by `{command}`, whose variables are not known here: see flask_app_processes.')
            continue
        found[name] = settings(command)
        why += [where] if where not in why else []
    for queue, command in QUEUES.items() if not found and not unsure else ():
        objects = dict(celery_objects(source)) if queue == 'celery' else {}
        if queue in named and len(objects) == 1:
            (name, path) = next(iter(objects.items()))
            command = f'celery -A {name} worker'
        if queue in named and len(objects) == 1 and not complete:
            found['worker'] = settings(command)
            why.append(f'{path} has the Celery object')
        elif queue in named:
            example = f'{{worker: {{command: {command}}}}}'
            unsure.append(f'{queue} is among the packages, but no file starts a worker. If one is needed, flask_app_processes: {example}.')
    return found, ', '.join(why), unsure
