"""Writes an inventory: hosts.yml, group_vars/all/main.yml, the vault and its password."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import textwrap
from pathlib import Path

import yaml

from . import vault
from .detect import App, is_template
from .settings import Setting

PLACEHOLDER = 'address-of-the-machine.invalid'  # .invalid belongs to nobody; the checks refuse it
# the variables in the order of main.yml, with what is said before the reason
ORDER = {
    'flask_app_wsgi': 'the app, by ',
    'flask_app_python': "a standalone Python, unless the machine's own has that version: ",
    'flask_app_workers': "gunicorn's processes, by ",
    'flask_app_gunicorn': "gunicorn's settings: ",
    'nginx_stream_paths': 'answers that reach clients as they are made, server-sent events of ',
    'flask_app_packages': "Debian's packages ",
    'flask_app_services': 'made on the machine; for a server elsewhere, remove this and give its address in vault.yml: ',
    'flask_app_build_packages': "Debian's packages to build what has no wheel for the machine's Python, installed only then: ",
    'flask_app_build_commands': 'makes what the app needs: ',
    'flask_app_shared': 'stays when a new release comes: ',
    'flask_app_static': 'nginx serves these files without the app: ',
    'flask_app_init_commands': 'once on a machine: ',
    'flask_app_release_commands': 'for each release, before it serves: ',
    'flask_app_processes': "beside gunicorn, a worker's last job may take its stop_timeout: ",
    'flask_app_health_path': 'a release must answer here before it gets traffic, with 200 unless a status is set: ',
    'flask_app_health_status': 'instead of 200: ',
}


def inline(value: object) -> str:
    """A value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).removesuffix('\n...\n').strip()


def hosts(name: str, host: str, key: str) -> str:
    """hosts.yml.

    Args:
        name: of the app.
        host: [user@]address[:port], '' for a placeholder.
        key: private key of ssh, '' for ssh's own choice.
    """
    user, _, address = host.rpartition('@')
    port = ''
    if address.count(':') == 1 or address.startswith('['):
        address, _, port = address.rpartition(':') if not address.endswith(']') else (address, '', '')
    lines = [
        '---',
        '# One entry is the app on one machine; a second machine is a second entry.',
        'all:',
        '  hosts:',
        f'    {inline(name)}:',
        '      # the machine, as ssh reaches it' if host else '      # to fill in: the address of the machine',
        f'      ansible_host: {inline(address.strip("[]")) if host else PLACEHOLDER}',
        '      # logs in there and has sudo',
        f'      ansible_user: {inline(user or "ubuntu")}',
    ]
    if port:
        lines += ['      # of ssh', f'      ansible_port: {inline(int(port) if port.isdigit() else port)}']
    if key:
        lines += ['      # for ssh', f'      ansible_ssh_private_key_file: {inline(key)}']
    return '\n'.join(lines) + '\n'


def comment(text: str) -> str:
    """A text as one line of a comment, whatever an app's file names and values have in them."""
    return '# ' + ' '.join(''.join(letter if letter.isprintable() else ' ' for letter in text).split())


def meaning(setting: Setting) -> str:
    """What a comment says of a setting."""
    if setting.name == 'SERVER_NAME' and setting.need < 2:
        return f'{setting.where}; with it, the app answers to no other name, so it must be the first of flask_app_domains'
    if setting.need == 2:
        return f'{setting.where} reads it and fails without it'
    if setting.default:
        return f'{setting.where} reads it; default: {setting.default}'
    return f'{setting.where} reads it' + ('' if setting.need else ' and has a default')


def block(name: str, active: dict[str, tuple[str, str]], settings: list[Setting]) -> list[str]:
    """A dictionary of environment variables.

    Args:
        name: of this project's variable.
        active: values and reasons by name.
        settings: those that the user may fill in.
    """
    lines = []
    if active:
        lines.append(f'{name}:')
        for variable, (value, why) in active.items():
            lines += [f'  {comment(why)}', f'  {variable}: {inline(value)}']
    mark = '  # ' if active else '#   '
    if settings and not active:
        lines.append(f'# {name}:')
    for setting in sorted(settings, key=lambda setting: (-setting.need, setting.name)):
        value = '"{release}/settings.py"' if setting.use == 'file' else '""'
        lines.append(f'{mark}{setting.name}: {value} {comment(meaning(setting))}')
    return lines


def variables(app: App, folder: Path, name: str, repository: list[str]) -> str:
    """group_vars/all/main.yml."""
    lines = ['---', '# docs/variables.md has all variables and what they mean.', '']
    lines += ['# names the account, the folders and the service on the machine', f'flask_app_name: {inline(name)}']
    lines += ['# deployed as it is at that moment', f'flask_app_src: {inline(str(folder))}', *repository]
    for variable in ORDER:
        if variable in app.variables:
            value, why = app.variables[variable]
            lines += [comment(ORDER[variable] + why), f'{variable}: {inline(value)}']
        elif variable == 'flask_app_wsgi':
            lines += ['# to fill in: module:object, or module:factory()', '# flask_app_wsgi: ""']
        elif variable == 'flask_app_python' and app.python[0]:
            wanted = comment(f'{app.python[0]}; to be set where the machine has another one')
            lines += [wanted, f'# flask_app_python: {inline(app.python[1])}']
    lines += ['', "# host names of the site, needed where the machine has other apps too; with them, a certificate of Let's Encrypt"]
    lines += ['# flask_app_domains: [www.example.com]', '# tls_mode: acme']
    plain = [setting for setting in app.settings.values() if not setting.private and setting.name not in app.environment]
    secrets = [setting.name for setting in app.settings.values() if setting.private]
    if app.environment or plain:
        lines += ['', '# Environment variables that the app reads; those with a # in front are for you to decide.']
        own = [setting.name for setting in plain if setting.need == 0]
        long = len(own) > 12
        lines += block('flask_app_environment', app.environment, [setting for setting in plain if setting.need or not long])
        if long:
            lines += textwrap.wrap(f'With a default: {", ".join(own)}.', 118, initial_indent='# ', subsequent_indent='# ')
    lines += ['', f'# Secret ones are in vault.yml, which `make secrets` opens: {", ".join(secrets) or "none so far"}.']
    return '\n'.join(lines) + '\n'


def secrets(app: App) -> str:
    """What vault.yml says before it is encrypted."""
    generated = {s.name: (vault.random_secret(), f'{s.where} reads it; generated') for s in app.settings.values() if s.generated}
    given = [setting for setting in app.settings.values() if setting.private and not setting.generated]
    lines = ['---', '# Environment variables that only root and the app may read on the machine.']
    if not generated:
        lines += ['flask_app_secrets: {}', *(['# instead of {}, as far as the app needs them:'] if given else [])]
    return '\n'.join([*lines, *block('flask_app_secrets', generated, given)]) + '\n'


def repository(folder: Path, checkout: Path) -> list[str]:
    """Lines that deploy what is in git instead of the folder, to be uncommented; [] for a folder that is in no repository."""
    git = ['git', '-C', str(folder)]
    # a repository's own settings can name programs that git runs
    safe = [*git, '-c', 'core.fsmonitor=false']
    if not shutil.which('git'):
        return []
    top = subprocess.run([*safe, 'rev-parse', '--show-toplevel'], capture_output=True, text=True, check=False)
    if top.returncode or Path(top.stdout.strip()).resolve() == checkout.resolve():
        return []
    url = subprocess.run([*safe, 'config', '--get', 'remote.origin.url'], capture_output=True, text=True, check=False).stdout.strip()
    if not url or url.startswith(('/', '.')) or is_template(url):
        return []
    if '://' in url and '@' in url.partition('://')[2].partition('/')[0]:
        scheme, _, rest = url.partition('://')
        # no password of somebody's checkout
        url = url if scheme == 'ssh' else f'{scheme}://{rest.partition("@")[2]}'
    below = folder.resolve().relative_to(Path(top.stdout.strip()).resolve()).as_posix()
    lines = ['# instead of the folder, what has been pushed:', f'# flask_app_repo: {inline(url)}']
    return lines + ([f'# flask_app_repo_path: {inline(below)}'] if below != '.' else [])


def write(target: Path, texts: dict[str, str], secret: str) -> None:
    """Writes an inventory in one step, so that there is never half of one.

    Args:
        target: its folder, which must not be there.
        texts: of the files, by path.
        secret: what the vault has.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f'.{target.name}.', dir=target.parent))
    try:
        for path, text in texts.items():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            (made / path).write_text(text, encoding='utf-8')
        (made / '.gitignore').write_text(f'{vault.PASSWORD_FILE}\n')
        (made / 'group_vars/all/vault.yml').write_bytes(vault.encrypt(secret, vault.write_password(made)))
        made.chmod(0o755)
        os.rename(made, target)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
