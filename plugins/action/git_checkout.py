"""Checks a git repository out on the controller."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# What git was told of another repository, for instance by a hook that started this run.
FOREIGN = ('GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE', 'GIT_OBJECT_DIRECTORY', 'GIT_COMMON_DIR', 'GIT_PREFIX', 'GIT_CONFIG_PARAMETERS')
SLOW = ['-c', 'http.lowSpeedLimit=1', '-c', 'http.lowSpeedTime=60']  # a server that sends nothing for a minute
# git asks it for the server's user and password; the values are in the environment, where other accounts cannot read them
HELPER = '!f() { if [ "$1" = get ]; then echo "username=$FLASK_APP_REPO_USER"; echo "password=$FLASK_APP_REPO_TOKEN"; fi; }; f'
HINTS = {
    'Host key verification failed': 'Connect to the server once by ssh, and compare its key with the one that its owner publishes.',
    'Permission denied|Authentication failed|could not read (Username|Password)|terminal prompts disabled|not found|403': (
        'If the repository is private, give access by the ssh agent (ssh-add), flask_app_repo_key or flask_app_repo_token.'
    ),
}


def settings(repo: str, key: str, token: str) -> tuple[list[str], dict[str, str]]:
    """How git gets at a repository.

    Args:
        repo: its URL.
        key: file of a private ssh key, or ''.
        token: password of an https URL, or ''. It is only given to the URL's own server, and to no credential store.

    Returns:
        Options of git, and its environment.
    """
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment.update(GIT_TERMINAL_PROMPT='0', LC_ALL='C')
    options = list(SLOW)
    own = environment.get('GIT_SSH_COMMAND') or git([], ['config', '--get', 'core.sshCommand'], environment, check=False).strip()
    if key:
        environment['GIT_SSH_COMMAND'] = f'{own or "ssh"} -i {shlex.quote(os.path.expanduser(key))} -o IdentitiesOnly=yes -o BatchMode=yes'
    elif not own and 'GIT_SSH' not in environment:
        environment['GIT_SSH_COMMAND'] = 'ssh -o BatchMode=yes -o ConnectTimeout=20'
    if token:
        url = urlsplit(repo)
        server = f'{url.scheme}://{url.netloc.rpartition("@")[2]}'
        options += ['-c', 'credential.helper=', '-c', f'credential.{server}.helper={HELPER}', '-c', 'core.askPass=']
        environment.update(FLASK_APP_REPO_USER=url.username or 'oauth2', FLASK_APP_REPO_TOKEN=token)
        environment.pop('GIT_ASKPASS', None)
        environment.pop('SSH_ASKPASS', None)
    return options, environment


def git(options: list[str], command: list[str], environment: dict[str, str], check: bool = True) -> str:
    """Runs git.

    Returns:
        What it printed; '' where it failed and `check` is false.

    Raises:
        AnsibleActionFail: it failed; the message has its error without credentials, and what to do.
    """
    try:
        done = subprocess.run(
            ['git', *options, *command], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace'
        )
    except OSError as error:
        raise AnsibleActionFail(f'flask_app_repo needs git on this machine, got: {error}. Install git.') from error
    if not done.returncode:
        return done.stdout
    if not check:
        return ''
    said = re.sub(r'//[^/\s@]*@', '//***@', ' '.join(done.stderr.split()))
    if token := environment.get('FLASK_APP_REPO_TOKEN'):
        said = said.replace(token, '***')
    hint = next((text for pattern, text in HINTS.items() if re.search(pattern, said)), '')
    raise AnsibleActionFail(f'flask_app_repo: `git {command[0]}` failed: {said or done.returncode} {hint}'.strip())


def checkout(repo: str, version: str, folder: Path, key: str = '', token: str = '') -> None:
    """Makes a folder the given version of a repository, with its submodules and nothing else.

    Args:
        repo: URL or path; it stays in the folder's .git/config, the token does not.
        version: HEAD, or a branch, tag or commit.
        folder: of an earlier checkout, or none.
        key, token: see settings.

    Raises:
        AnsibleActionFail: it cannot be fetched, or there is no such version.
    """
    options, environment = settings(repo, key, token)

    def run(*command: str, check: bool = True) -> str:
        return git([*options, '-C', str(folder)], list(command), environment, check)

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(folder.name + '.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run('init', '--quiet')
        run('config', 'remote.origin.url', repo)
        wanted = ['+refs/heads/*:refs/remotes/origin/*', '+refs/tags/*:refs/tags/*', *['+HEAD:refs/flask/HEAD'] * (version == 'HEAD')]
        run('fetch', '--quiet', '--force', '--prune', '--no-recurse-submodules', 'origin', *wanted)
        if re.fullmatch('[0-9a-f]{40}', version):
            # one that no branch and no tag leads to, such as a pull request's
            run('fetch', '--quiet', '--no-recurse-submodules', 'origin', version, check=False)
        names = ['refs/flask/HEAD'] if version == 'HEAD' else [f'refs/remotes/origin/{version}', f'refs/tags/{version}', version]
        commits = (run('rev-parse', '--verify', '--quiet', f'{name}^{{commit}}', check=False).strip() for name in names)
        commit = next(filter(None, commits), '')
        if not commit:
            raise AnsibleActionFail(f"flask_app_version must be a branch, tag or commit of flask_app_repo, got '{version}'.")
        run('checkout', '--quiet', '--force', '--detach', commit)
        # twice -f: folders of submodules that this version does not have
        run('clean', '--quiet', '-ffdx')
        run('submodule', '--quiet', 'sync', '--recursive')
        run('submodule', '--quiet', 'update', '--init', '--recursive', '--force')


class ActionModule(ActionBase):
    """Action `git_checkout`: checks a repository out into a folder of the controller; the host is not contacted.

    Args:
        repo, version, dest: see checkout.
        key: file of a private ssh key, or ''.
        token: name of the variable with the token, because callbacks may show arguments.
    """

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Checks the repository out; see the class."""
        result = super().run(tmp, task_vars)
        given = self._task.args
        token = self._templar.template(task_vars[given['token']])
        checkout(given['repo'], given['version'], Path(given['dest']), given['key'], token)
        result['changed'] = False
        return result
