"""The command line of `make new`."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from pathlib import Path

import yaml

from . import detect, inventory, vault

CHECKOUT = Path(__file__).resolve().parents[2]
NAME = re.compile(r'(?=.{1,32}\Z)[a-z][a-z0-9]*([-_][a-z0-9]+)*')


class Wrong(Exception):
    """What the user gave cannot be used; the text says why and what to do."""


def taken() -> set[str]:
    """Names that hosts use already."""
    checks = yaml.safe_load((CHECKOUT / 'roles/flask-app/vars/main/checks.yml').read_text())
    return set(re.findall(r'[a-z0-9-]+', str(checks.get('__flask_app_taken', ''))))


def name_of(folder: Path, given: str) -> str:
    """The app's name: the given one, or made from its folder's."""
    if given:
        if not NAME.fullmatch(given) or given in taken():
            raise Wrong(
                f"NAME must be up to 32 lower-case letters, digits and single - or _ between them, and no account of hosts, got '{given}'."
            )
        return given
    name = re.sub(r'[^a-z0-9]+', '-', folder.name.lower()).strip('-')[:28].strip('-')
    name = name if NAME.fullmatch(name) else f'app-{name}'.strip('-')
    return f'{name}-app' if name in taken() else name


def arguments(given: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog='make new', description='Looks at a Flask app and writes its inventory. Runs no code of the app.')
    parser.add_argument('--app', required=True, help='folder of the app')
    parser.add_argument('--host', default='', help='[user@]address[:port] of the machine')
    parser.add_argument('--key', default='', help='private key of ssh')
    parser.add_argument('--dir', default='', help='folder in which the inventory is made, instead of inventory/')
    parser.add_argument('--name', default='', help="name of the app, instead of its folder's")
    return parser.parse_args(given)


def place(options: argparse.Namespace) -> tuple[Path, str, Path]:
    """The app's folder, its name, and where the inventory is to be; fails where one of them cannot be used."""
    folder = Path(options.app).expanduser().absolute()
    if not folder.is_dir():
        raise Wrong(f'APP must be the folder of a Flask app on this computer, got {options.app!r}.')
    if detect.is_template(folder):
        raise Wrong(f'APP must be a folder whose path is no template of Ansible, got {options.app!r}.')
    name = name_of(folder.resolve(), options.name)
    parent = Path(options.dir).expanduser() if options.dir else Path('inventory')
    target = (parent if parent.is_absolute() or options.dir else CHECKOUT / parent) / name
    if folder.resolve() in target.absolute().resolve().parents:
        raise Wrong(f'DIR must not be in the folder of the app, or each release would have the inventory in it, got {str(parent)!r}.')
    if target.exists() or target.is_symlink():
        raise Wrong(f'{shown(target)} is there already and stays as it is. Remove it, or give another name: NAME=...')
    if re.search(r'[\s\'"]', options.host) or options.host.startswith('-'):
        raise Wrong(f'HOST must be [user@]address[:port], got {options.host!r}.')
    return folder, name, target


def shown(path: Path) -> str:
    """A path as the user would type it."""
    path = path.absolute()
    return str(path.relative_to(CHECKOUT)) if CHECKOUT in path.parents else str(path)


def report(app: detect.App, target: Path, host: str) -> str:
    """What the user reads at the end."""
    lines = [f'{shown(target)} is written.', '']
    found = {name.removeprefix('flask_app_'): (inventory.inline(value), why) for name, (value, why) in app.variables.items()}
    if app.packages:
        found['packages of'] = (app.packages, '')
    width = max(map(len, found), default=0)
    lines += [f'  {name.ljust(width)}  {value}' + (f'  ({why})' if why and len(why) < 60 else '') for name, (value, why) in found.items()]
    generated = [setting.name for setting in app.settings.values() if setting.generated]
    others = [setting for setting in app.settings.values() if not setting.generated and setting.name not in app.environment]
    needed, maybe, own = ([setting for setting in others if setting.need == need] for need in (2, 1, 0))
    unsure = list(app.unsure)
    if app.python[0]:
        unsure.append(f'{app.python[0]}. Set flask_app_python where the machine has another one: it is a comment.')
    unsure += [f'{setting.name}: {setting.where} reads it and fails without it.' for setting in needed]
    for settings, what in ((maybe, 'without a default'), (own, 'with a default')):
        if settings:
            more = f' and {len(settings) - 8} more' if len(settings) > 8 else ''
            unsure.append(f'The app reads {", ".join(setting.name for setting in settings[:8])}{more} from the environment, {what}.')
    if unsure:
        lines += ['', 'Not sure:', *(f'  - {text}' for text in unsure)]
    if app.missing:
        lines += ['', f'Not run by this project: {"; ".join(app.missing)}.']
    path = shlex.quote(shown(target))
    lines += ['', f'Generated into the vault: {", ".join(generated)}.' if generated else 'No secret was generated.']
    lines += [f'Keep a copy of {shown(target / vault.PASSWORD_FILE)}: without it, the secrets are lost.', '']
    steps = []
    if not host:
        steps.append(f'write the address of the machine into {shown(target / "hosts.yml")}')
    if 'flask_app_wsgi' not in app.variables:
        steps.append(f'set flask_app_wsgi in {shown(target / "group_vars/all/main.yml")}')
    if any(not setting.private for setting in needed):
        steps.append(f'fill in {", ".join(s.name for s in needed if not s.private)} in {shown(target / "group_vars/all/main.yml")}')
    if any(setting.private for setting in needed):
        steps.append(f'fill in {", ".join(s.name for s in needed if s.private)}: make secrets INVENTORY={path}')
    first = f'First {", then ".join(steps)}. ' if steps else ''
    return '\n'.join([*lines, f'{first}Next: make deploy INVENTORY={path}'])


def main(given: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    options = arguments(given)
    try:
        folder, name, target = place(options)
        app = detect.look(folder)
        key = str(Path(options.key).expanduser().absolute()) if options.key else ''
        texts = {
            'hosts.yml': inventory.hosts(name, options.host, key),
            'group_vars/all/main.yml': inventory.variables(app, folder, name, inventory.repository(folder, CHECKOUT)),
        }
        inventory.write(target, texts, inventory.secrets(app))
    except (Wrong, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    text = report(app, target, options.host)
    print(''.join(letter if letter.isprintable() or letter == '\n' else '?' for letter in text))
    return 0
