"""The host of an inventory's app, and the ssh command that reaches it as Ansible would."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.loader import become_loader, connection_loader

from tools.rehearse.evaluate import CHECKOUT, Values, is_encrypted

ROLE = CHECKOUT / 'roles/flask-app'
# options of Ansible's ssh connection that ssh itself has no safe place for
NOT_CARRIED = ('password', 'private_key', 'private_key_passphrase', 'pkcs11_provider')
ADVICE = {
    'password': 'Use a key: a password would be in a process list.',
    'private_key': 'Write the key into a file and set ansible_ssh_private_key_file.',
    'private_key_passphrase': 'Load the key into an ssh agent.',
    'pkcs11_provider': 'Set PKCS11Provider in ~/.ssh/config.',
}


class Stopped(Exception):
    """The command cannot be run; the message says why and what to do."""


@dataclass
class Options:
    """What make passes on to Ansible.

    Attributes:
        inventories, limit, extra, vault: those options of Ansible, with their values.
        variables: connection variables that the command line gives, where the inventory does not: `-u` and `--private-key`.
    """

    inventories: list[str]
    limit: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    vault: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)


def ansible(*command: str) -> str:
    """What a command of Ansible prints.

    Raises:
        Stopped: it failed.
    """
    # it takes nothing of what the remote command shall read
    done = subprocess.run(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise Stopped(f'The inventory cannot be used: {(done.stderr or done.stdout).strip()}')
    return done.stdout


def sources(inventories: list[str]) -> list[str]:
    """Ansible's options for inventories, which are relative to the present folder."""
    return [f'-i{one if "," in one else os.path.abspath(os.path.expanduser(one))}' for one in inventories]


def hosts(options: Options) -> list[str]:
    """The app hosts of an inventory, in its order."""
    listed = ansible('ansible', 'all:!balancers:!databases', *sources(options.inventories), *options.limit, '--list-hosts')
    found = [line.strip() for line in listed.splitlines() if not re.match(r'\s*hosts \(\d+\):', line)]
    if not found:
        raise Stopped('No host matches. Give HOST=[user@]address[:port] or INVENTORY=path, and look at --limit.')
    return found


def role_variables() -> dict:
    """The defaults and variables of the role flask-app, of which the app's name is made."""
    found: dict = {}
    for path in (ROLE / 'defaults/main.yml', *sorted((ROLE / 'vars/main').glob('*.yml'))):
        found |= yaml.safe_load(path.read_text())
    return found


class Target:
    """A host of an inventory.

    Attributes:
        host: its name in the inventory.
        app: the app's name.
    """

    def __init__(self, host: str, options: Options):
        self.host = host
        described = ansible('ansible-inventory', *sources(options.inventories), *options.extra, *options.vault, '--host', host)
        self.raw = {'inventory_hostname': host, **json.loads(described)}
        first = Path(options.inventories[0]).expanduser().absolute()
        self.values = Values({**role_variables(), **self.raw}, first if first.is_dir() else first.parent)
        self.given = options.variables
        self.app = str(self.get('flask_app_name', '{{ flask_app_name }}'))

    def get(self, name: str, value: object) -> object:
        """The evaluated value of a variable."""
        if is_encrypted(value):
            raise Stopped(f'{name} of {self.host} is encrypted by itself. Put it into an encrypted file beside the inventory.')
        try:
            return self.values.get(value)
        except AnsibleError as error:
            raise Stopped(f'{name} of {self.host} cannot be evaluated: {error}') from error

    def settings(self, kind: str, name: str) -> dict:
        """The options of a connection or become plugin, each from where Ansible takes it.

        Raises:
            Stopped: one has no place in ssh's command.
        """
        loader = {'connection': connection_loader, 'become': become_loader}[kind]
        loader.get(name, class_only=True)
        known = constants.config.get_configuration_definitions(kind, name)
        variables = {}
        for option, definition in known.items():
            names = [variable['name'] for variable in definition.get('vars') or ()]
            present = {variable: self.raw[variable] for variable in names if variable in self.raw}
            if option in NOT_CARRIED and any(present.values()):
                given = next(variable for variable, value in present.items() if value)
                raise Stopped(f'{given} of {self.host} cannot be carried over to ssh. {ADVICE[option]}')
            if option == 'become_pass':
                continue  # sudo asks on the terminal
            variables |= {variable: self.get(variable, value) for variable, value in present.items()}
            if not present:
                variables |= {variable: self.given[variable] for variable in names if variable in self.given}
        return constants.config.get_plugin_options(kind, name, variables=variables)

    def become(self) -> list[str]:
        """The command before one that root runs.

        Raises:
            Stopped: Ansible would not become root by sudo.
        """
        method = self.get('ansible_become_method', self.raw.get('ansible_become_method') or constants.DEFAULT_BECOME_METHOD)
        if method not in ('sudo', 'ansible.builtin.sudo'):
            raise Stopped(f"ansible_become_method of {self.host} must be sudo, got '{method}'. No other is carried over to ssh.")
        options = self.settings('become', 'sudo')
        if options['become_user'] not in (None, '', 'root'):
            raise Stopped(f"ansible_become_user of {self.host} must be root, got '{options['become_user']}'.")
        flags = constants.config.get_configuration_definitions('become', 'sudo')['become_flags']['default']
        if options['become_flags'] != flags:
            given = options['become_flags']
            raise Stopped(f"ansible_become_flags of {self.host} cannot be carried over to ssh, got '{given}'. Unset them.")
        return shlex.split(options['become_exe'])

    def command(self, remote: list[str], terminal: bool) -> list[str]:
        """ssh's command that runs another one as root on the host.

        Args:
            remote: the program and its arguments; they arrive as they are.
            terminal: whether it gets one.
        """
        connection = self.get('ansible_connection', self.raw.get('ansible_connection') or 'ssh')
        if connection not in ('ssh', 'smart', 'ansible.builtin.ssh'):
            raise Stopped(f"ansible_connection of {self.host} must be ssh, got '{connection}'.")
        options = self.settings('connection', 'ssh')
        command = [options['ssh_executable'], *shlex.split(options['ssh_args'])]
        if not options['host_key_checking']:
            command += ['-o', 'StrictHostKeyChecking=no']
        if options['port'] is not None:
            command += ['-p', str(options['port'])]
        if options['private_key_file']:
            command += ['-i', os.path.expanduser(options['private_key_file'])]
        user = options['remote_user']
        if user:
            command += ['-l', user]
        command += ['-o', f'ConnectTimeout={options["timeout"]}']
        command += shlex.split(options['ssh_common_args']) + shlex.split(options['ssh_extra_args'])
        # the first of several values counts: these are for where the user gives none
        command += ['-o', 'ControlPath=none', '-o', 'LogLevel=ERROR', '-tt' if terminal else '-T']
        become = [] if user == 'root' else self.become()
        return [*command, '--', options['host'], shlex.join(become + remote)]
