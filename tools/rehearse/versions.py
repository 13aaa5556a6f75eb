"""Finds the new version of an app and the one before it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ansible.errors import AnsibleError

from .errors import Stopped
from .evaluate import CHECKOUT
from .inventory import App


@dataclass(frozen=True)
class Version:
    """A version of the app: its folder on the controller, '' for a package, and what the report calls it."""

    folder: str
    name: str


@dataclass(frozen=True)
class Serving:
    """What production's list of releases says: the serving release's commit, the system, and why a commit is missing."""

    commit: str = ''
    system: str = ''
    reason: str = ''


def serving(inventory: Path, host: str, password: str) -> Serving:
    """What serves in production, by its list of releases; nothing else is read there."""
    command = ['ansible-playbook', '-i', str(inventory), '--limit', host, *(['--vault-password-file', password] if password else [])]
    # ssh's own words where it fails, which mitogen has not
    environment = {**os.environ, 'ANSIBLE_STDOUT_CALLBACK': 'ansible.posix.json', 'ANSIBLE_STRATEGY': 'linear'}
    # never a question on the terminal
    done = subprocess.run(
        [*command, 'releases.yml'], cwd=CHECKOUT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    start = done.stdout.find('{')
    plays = json.loads(done.stdout[start:])['plays'] if start >= 0 else []
    results = [(task['task']['name'], task['hosts'].get(host, {})) for play in plays for task in play['tasks']]
    lines = next((result.get('msg', []) for name, result in results if name.endswith('Report the releases')), None)
    if lines is None:
        failed = next((str(result.get('msg', '')) for _, result in results if result.get('failed') or result.get('unreachable')), '')
        said = ' '.join((failed or done.stderr or 'no answer').removeprefix('Nothing was changed.').split())
        return Serving(reason=f'production did not tell: {said.partition(". ")[0][:120]}')
    return parse(lines)


def parse(lines: list[str]) -> Serving:
    """What a list of releases says."""
    text = '\n'.join(lines)
    # release, time, revision, state
    commit = re.search(r'(?m)^\* \S+ +\S+(?: [\d:]+)? +([0-9a-f]{7,40})(?:-dirty)? ', text)
    system = re.search(r'(?m)^This host runs (\S+) ([\d.]+)[.]$', text)
    return Serving(
        commit.group(1) if commit else '',
        ':'.join(system.groups()) if system else '',
        '' if commit else 'the release that serves in production was deployed from no commit',
    )


def git(folder: Path, *command: str) -> str:
    """What git prints about a folder; '' if it fails."""
    done = subprocess.run(['git', '-C', str(folder), *command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return '' if done.returncode else done.stdout.strip()


def before(folder: Path, wanted: str, production: Serving) -> tuple[str, str]:
    """The commit of the version before that of a folder.

    Args:
        folder: the app's, in a checkout.
        wanted: what rehearse.yml names, or ''.
        production: what serves there.

    Returns:
        The commit, '' if there is none, and why this one.
    """
    reason = production.reason
    if wanted:
        if commit := git(folder, 'rev-parse', '--verify', '--quiet', f'{wanted}^{{commit}}'):
            return commit, 'named by rehearse.yml'
        raise Stopped(f"rehearse.yml: before must be a commit, branch or tag of the app's repository, got '{wanted}'.")
    if production.commit:
        if commit := git(folder, 'rev-parse', '--verify', '--quiet', f'{production.commit}^{{commit}}'):
            return commit, 'serves in production'
        reason = f'production serves {production.commit}, which is not in the repository here'
    changed = git(folder, 'log', '-2', '--format=%H', '--', '.').split()
    dirty = bool(git(folder, 'status', '--porcelain', '--', '.'))
    earlier = changed[:1] if dirty else changed[1:2]
    return (earlier[0], f'the commit before; {reason}') if earlier else ('', reason)


def extract(folder: Path, commit: str, target: Path) -> None:
    """Writes a folder as it was at a commit to a target."""
    prefix = git(folder, 'rev-parse', '--show-prefix')
    top = git(folder, 'rev-parse', '--show-toplevel')
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with subprocess.Popen(['git', '-C', top, 'archive', f'{commit}:{prefix}'], stdout=subprocess.PIPE) as archive:
        unpacked = subprocess.run(['tar', '-x', '-C', str(target)], stdin=archive.stdout).returncode
    if archive.returncode or unpacked:
        raise Stopped(f'The version before cannot be taken from {top}: git archive {commit[:12]}:{prefix} failed.')


def checkout(app: App, version: str, folder: Path, token: str) -> None:
    """Checks the app's repository out, as a deploy does."""
    spec = importlib.util.spec_from_file_location('git_checkout', CHECKOUT / 'plugins/action/git_checkout.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        module.checkout(app.variables['flask_app_repo'], version, folder, app.variables.get('flask_app_repo_key', ''), token)
    except AnsibleError as error:
        raise Stopped(f'{error} A token for the rehearsal can be in rehearse.yml: variables, flask_app_repo_token.') from error


def find(app: App, wanted: str, token: str, folder: Path, production: Serving) -> tuple[Version, Version]:
    """The version before and the new one.

    Args:
        app: the inventory's.
        wanted: the commit before, of rehearse.yml, or ''.
        token: of the repository, or ''.
        folder: where checkouts are made.
        production: what serves there.

    Returns:
        Both; the same twice if there is no earlier one.
    """
    variables = app.variables
    if variables.get('flask_app_requirement'):
        version = Version('', str(variables['flask_app_requirement']))
        return Version('', f'{version.name} too, because a package has no version before'), version
    below = str(variables.get('flask_app_repo_path', '')).strip('/')
    if variables.get('flask_app_repo'):
        checkout(app, str(variables.get('flask_app_version', 'HEAD')), folder / 'new', token)
        source = folder / 'new' / below
    else:
        source = Path(variables.get('flask_app_src') or CHECKOUT / 'files/flaskrandom')
    if not source.is_dir():
        raise Stopped(f"The app's folder is missing: {source}.")
    head = git(source, 'describe', '--always', '--dirty', '--abbrev=12', '--exclude=*')
    new = Version(str(source), head or f'{source.name}, in no repository')
    commit, why = before(source, wanted, production) if head else ('', 'it is in no repository')
    if not commit:
        return Version(new.folder, f'the same as the new one: {why}, and there is no earlier commit'), new
    name = f'{commit[:12]} ({why})'
    if variables.get('flask_app_repo'):
        checkout(app, commit, folder / 'before', token)
        return Version(str(folder / 'before' / below), name), new
    extract(source, commit, folder / 'before')
    return Version(str(folder / 'before'), name), new
