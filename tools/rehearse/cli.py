"""The command line of `make rehearse`."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from . import inventory, report, settings, versions
from .errors import Stopped
from .findings import judge
from .machine import Machine, created
from .rehearsal import Rehearsal, folder_of

EPILOG = 'Exit status: 0 without findings, 1 with findings, 2 if the rehearsal could not be carried out.'


def arguments(given: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog='make rehearse', description='Rehearses the deploy of an app on a machine of its own, see docs/rehearse.md.', epilog=EPILOG
    )
    parser.add_argument('inventory', help='the inventory (make: INVENTORY=)')
    parser.add_argument('--limit', default='', help="host or group, if the inventory has several apps (make: ARGS=--limit=shop)")
    parser.add_argument('--vault-password-file', default='', help="instead of .vault-password beside the inventory; for the secrets' names")
    parser.add_argument('--json', action='store_true', help='print the report as JSON')
    parser.add_argument('--keep', action='store_true', help='keep the machine; the next rehearsal of the app uses it again')
    parser.add_argument('--machine', default='', help='name of a machine that several apps share')
    return parser.parse_args(given)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keeps other rehearsals on the same machine out."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with (folder / 'lock').open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Stopped(f'Another rehearsal uses {folder}. Wait for its end.') from None
        yield


def rehearse(options: argparse.Namespace) -> dict:
    """Carries the rehearsal out; returns the report."""
    path = Path(options.inventory).expanduser().absolute()
    if not path.exists():
        raise Stopped(f"INVENTORY must be the path of an inventory, got '{options.inventory}'.")
    folder = path if path.is_dir() else path.parent
    given = settings.read(folder)
    password = options.vault_password_file or str(folder / inventory.PASSWORD_FILE)
    password = os.path.abspath(os.path.expanduser(password)) if os.path.exists(os.path.expanduser(password)) else ''
    app = inventory.read(path, options.limit, given.variables, password)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with alone(folder_of(app.name)), alone(folder_of(options.machine or app.name)) if options.machine else contextlib.nullcontext():
        own = folder_of(app.name)
        production = versions.serving(path, app.host, password)
        both = versions.find(app, given.before, str(given.variables.get('flask_app_repo_token', '')), own, production)
        # what the user asks for, or else the like of production, or else the default of make up
        asked = given.like or os.environ.get('IMAGE', '')
        systems = [asked] if asked else list(dict.fromkeys([production.system, '']))
        machine = Machine(options.machine or app.name, folder_of(options.machine or app.name) / 'machine', systems)
        rehearsal = Rehearsal(app, given, both, machine, say)
        rehearsal.prepare(own / 'locks', folder)
        say(f'Rehearsing {app.name}. Before: {both[0].name}. New: {both[1].name}.')
        try:
            with created(machine, options.keep):
                if production.system not in ('', machine.environment['IMAGE']):
                    rehearsal.notes.append(f'Production runs {production.system}, the rehearsal {machine.system}.')
                rehearsal.run()
        finally:
            shutil.rmtree(own / 'locks', ignore_errors=True)
        found = report.build(rehearsal, judge(rehearsal.result.outcome))
        (own / 'report.json').write_text(json.dumps(found, indent=2) + '\n')
        return found


def interrupted(number: int, frame: object) -> None:
    """Ends a rehearsal as Ctrl-C does, so that the machine is removed."""
    raise KeyboardInterrupt


def main(given: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    options = arguments(given)
    signal.signal(signal.SIGTERM, interrupted)
    try:
        found = rehearse(options)
    except (Stopped, OSError) as error:
        print(f'Not rehearsed: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('Not rehearsed: interrupted.', file=sys.stderr)
        return 2
    print(json.dumps(found, indent=2) if options.json else '\n'.join(report.lines(found)))
    return 1 if found['findings'] else 0
