"""Reads from an inventory what a rehearsal may know: the app's plain variables and the names of its secrets."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from ansible.errors import AnsibleError

from .errors import Stopped
from .evaluate import CHECKOUT, Values, has_password, is_encrypted

PASSWORD_FILE = '.vault-password'
# of the project, but not for the rehearsal machine: it has no certificate, one published port, no production to lock against, and
# its deploys are nothing to tell a chat
DROPPED = re.compile(
    r'(tls_|preflight_|claims_|remove_|machine_)\w+|nginx_(trusted_proxies|listen_port|tls_\w+)'
    r'|flask_app_(repo_token|lock_\w+|before_deploy|after_deploy)'
)


@dataclass
class App:
    """An app of an inventory, as far as a rehearsal may know it.

    Attributes:
        host: its name in the inventory.
        variables: evaluated, without secrets, environment and what concerns the machine only.
        environment: its plain environment variables.
        secrets: names of its secrets.
        unknown: environment variables whose values cannot be read here.
        tls: whether production serves it over https.
        complete: whether the names of all secrets are known.
        notes: what the report says about it.
    """

    host: str
    variables: dict
    environment: dict = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    tls: bool = False
    complete: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The app's name: the given one, or that of its package, repository or folder, as in the role flask-app."""
        if name := self.variables.get('flask_app_name'):
            return str(name)
        package = re.match(r'[A-Za-z0-9_.-]+', str(self.variables.get('flask_app_requirement', '')))
        source = package.group() if package else self.variables.get('flask_app_repo') or self.variables.get('flask_app_src')
        return re.sub(r'[.]git$', '', Path(source or 'files/flaskrandom').name)


def without_encrypted(path: Path, folder: Path) -> tuple[Path, list[Path]]:
    """Copies an inventory with the variables beside it, but for encrypted files.

    Returns:
        The copy of the path, and the encrypted files.
    """
    encrypted: list[Path] = []

    def ignored(source: str, names: list[str]) -> set[str]:
        found = set()
        for name in names:
            file = Path(source) / name
            if file.is_file():
                with file.open('rb') as opened:
                    if opened.read(14) == b'$ANSIBLE_VAULT':
                        encrypted.append(file)
                        found.add(name)
            elif not file.is_dir():
                found.add(name)  # a socket or a link that leads nowhere
        return found | ({'.git', PASSWORD_FILE} & set(names))

    if path.is_dir():
        shutil.copytree(path, folder / 'inventory', ignore=ignored)
        return folder / 'inventory', encrypted
    (folder / 'inventory').mkdir()
    shutil.copy(path, folder / 'inventory')
    for beside in ('group_vars', 'host_vars'):
        if (path.parent / beside).is_dir():
            shutil.copytree(path.parent / beside, folder / 'inventory' / beside, ignore=ignored)
    return folder / 'inventory' / path.name, encrypted


def listing(path: Path, folder: Path) -> dict:
    """What ansible-inventory says of an inventory without encrypted files; the folder takes the place of this checkout's group_vars."""
    environment = {name: value for name, value in os.environ.items() if 'VAULT' not in name}
    command = ['ansible-inventory', '-i', str(path), '--list', '--playbook-dir', str(folder)]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Stopped(f'The inventory cannot be read: {done.stderr.strip()}')
    return json.loads(done.stdout)


def members(groups: dict, name: str) -> list[str]:
    """The hosts of a group and of the groups in it, in the inventory's order."""
    group = groups.get(name, {})
    found = [*group.get('hosts', []), *(host for child in group.get('children', []) for host in members(groups, child))]
    return list(dict.fromkeys(found))


def names_in(files: list[Path], password: str) -> dict[str, set[str]] | None:
    """The variables in encrypted files, each with the names in it if it is a mapping; None without the password. No value is kept."""
    found: dict[str, set[str]] = {}
    options = ['--vault-password-file', password] if password else []
    for file in files:
        command = ['ansible-vault', 'view', *options, str(file)]
        # not in production's folder, and never a question on the terminal
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, stdin=subprocess.DEVNULL, start_new_session=True)
        if done.returncode:
            return None
        for name, value in (yaml.load(done.stdout, Loader=yaml.BaseLoader) or {}).items():
            found.setdefault(name, set()).update(value if isinstance(value, dict) else ())
    return found


def chosen_host(groups: dict, limit: str) -> str:
    """The host whose app is rehearsed; Stopped if the inventory has several apps and none is chosen."""
    others = {*members(groups, 'balancers'), *members(groups, 'databases')}
    hosts = [host for host in members(groups, 'all') if host not in others]
    if limit:
        hosts = [host for host in hosts if host == limit or host in members(groups, limit)]
    if not hosts:
        raise Stopped(f"--limit must be a host or group of the inventory's apps, got '{limit}'." if limit else 'The inventory has no app.')
    variables = [groups['_meta']['hostvars'].get(host, {}) for host in hosts]
    keys = ('flask_app_name', 'flask_app_repo', 'flask_app_src', 'flask_app_requirement')
    if len({json.dumps([values.get(key) for key in keys]) for values in variables}) > 1:
        raise Stopped(f'The inventory has several apps: {", ".join(hosts)}. Choose one, for instance with ARGS=--limit={hosts[0]}.')
    return hosts[0]


def read(path: Path, limit: str, given: dict, password: str) -> App:
    """The app of an inventory.

    Args:
        path: the inventory.
        limit: the host or group, '' if there is one app only.
        given: variables of rehearse.yml, which take the place of the inventory's.
        password: the file with the vault's password, ''.

    Raises:
        Stopped: it cannot be read, or a variable needs a value in rehearse.yml.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / 'none').mkdir()
        copy, encrypted = without_encrypted(path, Path(folder))
        groups = listing(copy, Path(folder) / 'none')
    host = chosen_host(groups, limit)
    raw = {'inventory_hostname': host, **groups['_meta']['hostvars'].get(host, {}), **given}
    names = names_in(encrypted, password)
    app = App(host, {}, complete=names is not None)
    if names is None:
        files = ', '.join(file.name for file in encrypted)
        app.notes.append(f'Encrypted, and read without the password: {files}. The names of the secrets in it are unknown.')
    values = Values(raw, path if path.is_dir() else path.parent)
    app.tls = raw.get('tls_mode', 'none') != 'none'
    read_environment(app, raw, names or {}, values)
    prefixes = tuple(role.name.replace('-', '_') + '_' for role in (CHECKOUT / 'roles').iterdir())
    wrong = []
    for name in sorted({*raw, *(names or {})}):
        if not name.startswith(prefixes) or name in ('flask_app_environment', 'flask_app_secrets') or DROPPED.fullmatch(name):
            continue
        try:
            value = values.get(raw[name]) if name in raw and not is_encrypted(raw[name]) else None
        except AnsibleError:
            value = None
        if value is None or (has_password(value) and name not in given):
            wrong.append(name)
        else:
            app.variables[name] = value
    if wrong:
        lines = '\n'.join(f'  {name}: ' for name in wrong)
        raise Stopped(
            f'{", ".join(wrong)}: is encrypted, has a password or cannot be evaluated, so the rehearsal does not use it. '
            f'Write a value for the rehearsal into rehearse.yml beside the inventory:\n\nvariables:\n{lines}'
        )
    return app


def read_environment(app: App, raw: dict, names: dict[str, set[str]], values: Values) -> None:
    """Sets the app's environment and the names of its secrets."""
    secrets = raw.get('flask_app_secrets', {})
    app.secrets = set(names.get('flask_app_secrets', ()))
    if isinstance(secrets, dict) and '__ansible_vault' not in secrets:
        app.secrets |= set(secrets)
    else:
        # such as "{{ vault_secrets }}", whose names are in the encrypted file
        other = re.fullmatch(r'\{\{ *(\w+) *\}\}', str(secrets))
        inner = raw.get(other.group(1)) if other else None
        found = set(inner) if isinstance(inner, dict) else names.get(other.group(1)) if other else None
        app.secrets |= found or set()
        app.complete = app.complete and found is not None
    app.unknown = set(names.get('flask_app_environment', ()))
    environment = raw.get('flask_app_environment', {})
    try:
        environment = environment if isinstance(environment, dict) else values.get(environment)
    except AnsibleError as error:
        raise Stopped(f'flask_app_environment cannot be evaluated: {error}. Write it into rehearse.yml under variables.') from error
    for name, value in environment.items():
        try:
            if is_encrypted(value):
                app.unknown.add(name)
            else:
                app.environment[name] = values.get(value)
        except AnsibleError:
            app.unknown.add(name)
