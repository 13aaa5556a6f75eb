"""Puts together what is known of an app."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from . import apps, builds, commands, data, entry, environment, finished, packages, programs, routes, services, settings, statics, workers
from .source import Source

# the Python of Ubuntu 18.04 to 22.04, and of Debian 11 and 12
USUAL = ('3.6', '3.8', '3.9', '3.10', '3.11')


@dataclass
class App:
    """What is known of an app.

    Attributes:
        variables: of this project's, by name: value and why.
        settings: environment variables that the app reads.
        environment: those that get a value: value and why.
        provided: those that flask_app_services sets, which nobody has to give.
        python: what the app says of versions of Python, and one that fits; '' where it says nothing.
        packages: file with the app's packages.
        unsure: what the user should look at.
        missing: what this project does not run yet.
    """

    variables: dict[str, tuple[object, str]] = field(default_factory=dict)
    settings: dict[str, settings.Setting] = field(default_factory=dict)
    environment: dict[str, tuple[str, str]] = field(default_factory=dict)
    provided: dict[str, settings.Setting] = field(default_factory=dict)
    python: tuple[str, str] = '', ''
    packages: str = ''
    unsure: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def is_template(value: object) -> bool:
    """Whether Ansible would evaluate a value, and so run on this computer what an app's file says."""
    return any(mark in str(value) for mark in ('{{', '{%', '{#'))


def look(folder: Path) -> App:
    """Looks at an app's folder; runs nothing of it, and returns nothing that Ansible would evaluate."""
    app = found_in(folder)
    for values in (app.variables, app.environment):
        for name in [name for name, (value, _) in values.items() if is_template(value)]:
            app.unsure.append(f'{name} is left out: what {values.pop(name)[1]} has for it is a template of Ansible.')
    return app


def found_in(folder: Path) -> App:
    """What is known of the app in a folder."""
    source = Source(folder)
    base = entry.base(source)
    source = source if base == source.base else Source(folder, base)
    app = App()
    found = entry.find(source)
    app.packages, versions = packages.packages(source)
    named = set(packages.direct(source)) or set(versions)
    if not app.packages:
        app.unsure.append('No file names the packages: neither a lock, requirements.txt, pyproject.toml nor setup.py was found.')
    if source.unread:
        app.unsure.append(f'Not read, because they are no Python of this computer\'s version: {", ".join(source.unread[:5])}.')
    python(app, source)
    if found is None:
        app.unsure.append('flask_app_wsgi: no Flask object and no factory was found. Set it to module:object, such as shop.web:app.')
        return app
    app.variables['flask_app_wsgi'] = found.wsgi, found.why
    app.unsure += found.unsure
    finder = apps.Finder(source)
    views = routes.Routes(source, finder)
    streams = views.streams()
    gunicorn(app, source, found, named, bool(streams))
    if streams:
        app.variables['nginx_stream_paths'] = sorted(streams), ', '.join(streams[path] for path in sorted(streams))
    modules = list(environment.belongs(source, found.wsgi.partition(':')[0]))
    started = commands.started(source, modules, found)
    app.unsure += finished.find(source, finder, found, modules, started)
    path, status, why, unsure = views.health()
    app.variables['flask_app_health_path'] = path, why
    if status != 200:
        app.variables['flask_app_health_status'] = status, why
    app.unsure += unsure
    app.settings, app.environment, unsure = environment.find(source, modules, found)
    app.unsure += unsure
    shared, chosen, unsure = data.shared(source, modules, versions, found)
    app.environment |= chosen
    if shared:
        app.variables['flask_app_shared'] = sorted(shared), '; '.join(f'{path}: {why}' for path, why in sorted(shared.items()))
    app.unsure += unsure
    release, init, unsure = commands.before(source, modules, {**dict.fromkeys(named, ''), **versions}, found, started)
    for name, wanted in (('flask_app_init_commands', init), ('flask_app_release_commands', release)):
        if wanted:
            app.variables[name] = list(wanted), '; '.join(wanted.values())
    app.unsure += unsure + builds.node(source)
    translations = builds.translations(source, {*versions, *named})
    if translations:
        app.variables['flask_app_build_commands'] = list(translations), '; '.join(translations.values())
    run = programs.find(source, modules)
    debian = {packages.DEBIAN[name] for name in named if name in packages.DEBIAN}
    if debian or run:
        why = [*sorted(name for name in named if name in packages.DEBIAN), *(text for name, text in run.items() if name not in debian)]
        app.variables['flask_app_packages'] = sorted({*debian, *run}), f'for {", ".join(why)}'
    built = sorted(name for name in {*named, *versions} if packages.built(name, versions.get(name, '')))
    if built:
        headers = sorted({header for name in built for header in packages.headers(name)})
        app.variables['flask_app_build_packages'] = ['build-essential', 'python3-dev', *headers], f'for {", ".join(built)}'
    made, why, unsure = services.find({*named, *versions}, app.settings)
    if made:
        app.variables['flask_app_services'] = made, why
        for service in made:
            name = services.SERVICES[service][0]
            app.provided[name] = app.settings.pop(name)
    app.unsure += unsure
    beside(app, source, named, complete=found.start is not None)
    return app


def python(app: App, source: Source) -> None:
    """Which Python the app asks for."""
    version, range_, where = packages.python(source)
    wanted = f'{where} asks for Python {version or range_}'
    build = packages.fitting(range_ or f'=={version}.*') if version or range_ else ''
    # what a deploy compares with the machine's Python, and refuses
    strict = where in ('.python-version', 'pyproject.toml', 'setup.py', 'setup.cfg')
    if not version and not range_:
        return
    if not build:
        kept = 'a machine with another one is refused' if strict else 'the Python of the machine is taken'
        app.unsure.append(f'{wanted}, which there is no standalone build of; {kept}.')
    elif strict and (version or not packages.fitting(range_, USUAL)):
        app.variables['flask_app_python'] = build, wanted
    else:
        app.python = wanted, build


def gunicorn(app: App, source: Source, found: entry.Entry, named: set[str], streams: bool) -> None:
    """gunicorn's settings: those of the app's own command line, and what its packages need."""
    told = found.start.options if found.start else {}
    where = found.start.where if found.start else ''
    wanted = {name: told[name] for name in ('worker_class', 'threads', 'timeout') if name in told}
    why = [f'{where} starts it so'] if wanted else []
    if source.base:
        wanted['chdir' if told.get('chdir') else 'pythonpath'] = source.base
        why.append(f'the modules are in {source.base}/')
    if isinstance(told.get('workers'), int) and told['workers'] > 0:
        app.variables['flask_app_workers'] = told['workers'], where
    if 'flask-socketio' in named:
        app.variables['flask_app_workers'] = 1, 'Flask-SocketIO: the requests of a client must reach the same process'
    long = [name for name in ('flask-socketio', 'flask-sock', 'simple-websocket') if name in named] + ['server-sent events'] * streams
    if long and ('flask-socketio' in named or not {'worker_class', 'threads'} & set(told)):
        # Flask-SocketIO chooses by the packages
        kind = next((kind for kind in ('gevent', 'eventlet') if kind in named), 'gthread')
        if kind == 'gevent' and 'flask-socketio' in named and 'gevent-websocket' in named:
            kind = 'geventwebsocket.gunicorn.workers.GeventWebSocketWorker'
        wanted = {name: value for name, value in wanted.items() if name != 'threads'} | {'worker_class': kind}
        wanted |= {'threads': 500} if kind == 'gthread' else {}
        why.append(f'{services.listed(long)}: each client holds a connection')
    kind = str(wanted.get('worker_class', ''))
    if kind in ('gevent', 'eventlet') and kind not in named:
        app.unsure.append(f'flask_app_gunicorn: {where} asks for {kind} workers, but no package {kind} is named.')
    if wanted:
        app.variables['flask_app_gunicorn'] = wanted, '; '.join(why)


def beside(app: App, source: Source, named: set[str], complete: bool) -> None:
    """The app's other processes, and what nginx serves without it."""
    processes, why, unsure = workers.find(source, named, complete)
    if processes:
        app.variables['flask_app_processes'] = processes, why
    app.unsure += unsure
    if any(workers.SCHEDULE_FOLDER in options['command'] for options in processes.values()):
        shared, reasons = app.variables.get('flask_app_shared', ([], ''))
        reason = f"{workers.SCHEDULE_FOLDER}: beat's schedule"
        app.variables['flask_app_shared'] = sorted([*shared, workers.SCHEDULE_FOLDER]), '; '.join(filter(None, [reasons, reason]))
    folders, why = statics.static(source, apps.Finder(source))
    if folders:
        app.variables['flask_app_static'] = folders, why
    if named & {'apscheduler', 'flask-apscheduler'}:
        app.unsure.append('APScheduler: if the app runs it, each worker runs all jobs. Then set flask_app_workers to 1.')
