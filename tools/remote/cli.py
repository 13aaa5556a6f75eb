"""The command line of `make run` and `make logs`."""

from __future__ import annotations

import argparse
import os
import sys

from .target import Options, Stopped, Target, hosts

EPILOG = 'The exit status is that of the command; 255 if ssh failed, 1 if it was not called.'


def parse(given: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options, and those that are unknown."""
    parser = argparse.ArgumentParser(prog='python -m tools.remote', description='Runs a command on the host of an app.', epilog=EPILOG)
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument('-i', '--inventory', action='append', required=True)
    common.add_argument('-l', '--limit', default='')
    common.add_argument('-u', '--user', default='')
    common.add_argument('--private-key', '--key-file', default='')
    common.add_argument('-e', '--extra-vars', action='append', default=[])
    common.add_argument('--vault-password-file', '--vault-pass-file', action='append', default=[])
    common.add_argument('--vault-id', action='append', default=[])
    common.add_argument('-K', '--ask-become-pass', action='store_true', help='sudo asks by itself, on a terminal')
    verbs = parser.add_subparsers(dest='verb', required=True)
    run = verbs.add_parser('run', parents=[common], allow_abbrev=False, help='a command as the app, in its serving release')
    run.add_argument('command', nargs='+', metavar='-- COMMAND')
    logs = verbs.add_parser('logs', parents=[common], allow_abbrev=False, help='the logs of the app, nginx included')
    for name in ('since', 'grep', 'process'):
        logs.add_argument(f'--{name}', default='')
    logs.add_argument('--follow', action='store_true')
    # what comes after `--` is the command's
    place = given.index('--') if '--' in given else len(given)
    options, unknown = parser.parse_known_args([*given[:place], *(['command'] if place < len(given) else [])])
    options.command = given[place + 1 :]
    return options, unknown


def carried(options: argparse.Namespace) -> Options:
    """The options as Target takes them."""
    vault = [f'--vault-password-file={os.path.abspath(os.path.expanduser(one))}' for one in options.vault_password_file]
    variables = {'ansible_user': options.user, 'ansible_private_key_file': options.private_key}
    return Options(
        options.inventory,
        [f'--limit={options.limit}'] if options.limit else [],
        [f'--extra-vars={one}' for one in options.extra_vars],
        vault + [f'--vault-id={one}' for one in options.vault_id],
        {name: value for name, value in variables.items() if value},
    )


def remote_command(options: argparse.Namespace, app: str) -> list[str]:
    """What runs on the host."""
    tool = f'/usr/local/sbin/{app}-release'
    if options.verb == 'run':
        return [tool, 'run', *options.command]
    chosen = [f'--{name}={value}' for name in ('since', 'grep', 'process') if (value := getattr(options, name))]
    return [tool, 'logs', *chosen, *(['--follow'] if options.follow else [])]


def main(given: list[str] | None = None) -> int:
    """Runs the command in place of this one; returns the exit status if it cannot."""
    options, unknown = parse(sys.argv[1:] if given is None else given)
    try:
        if unknown:
            raise Stopped(f'{unknown[0]} cannot be carried over to ssh. Leave it out, or set it in the inventory or ~/.ssh/config.')
        settings = carried(options)
        found = hosts(settings)
        target = Target(found[0], settings)
        if len(found) > 1:
            print(f'The inventory has {len(found)} hosts; this is {found[0]}. ARGS=--limit=HOST chooses another.', file=sys.stderr)
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        command = target.command(remote_command(options, target.app), terminal)
    except Stopped as error:
        print(error, file=sys.stderr)
        return 1
    sys.stdout.flush()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f'{command[0]} cannot be run: {error}', file=sys.stderr)
        return 1

