#!/usr/bin/python3
"""judge.py snapshot | harm TOKEN | restore: finds what an act did to the host. Runs on Python 3.6.

`snapshot` records owner, mode and content of all that no app may change; `harm` prints what differs from it, and
other things that no app may do; `restore` restores owners and modes.
"""

import contextlib
import hashlib
import json
import os
import pwd
import re
import stat
import subprocess
import sys
import time

BEFORE = '/opt/hostile/before.json'
TREES = ['/etc', '/usr/local', '/root', '/run', '/var/lib', '/srv', '/opt/hostile']
# the app's own files, and the records of an act
LEFT_OUT = {
    '/srv/flaskrandom/shared', '/run/flaskrandom', '/opt/hostile', '/root/.bash_history', '/root/.cache',
}  # fmt: skip
# Paths that change while a host runs: only owner and mode are compared, and only of paths that existed before.
LOOSE = (
    '/run/systemd', '/run/log', '/run/user', '/run/utmp', '/run/sudo', '/run/lock', '/run/guard.sock', '/run/nginx.pid',
    '/run/flaskrandom-release.lock', '/run/flask-host.lock', '/run/supervisor.sock', '/run/supervisord.pid', '/run/dmeventd-client',
    '/var/lib/systemd', '/var/lib/nginx', '/var/lib/dbus', '/var/lib/apt', '/var/lib/sudo', '/var/lib/private',
    '/srv/flaskrandom/history.json', '/srv/flaskrandom/current',
)  # fmt: skip
# Paths may be added and removed here, but not changed.
GROWING = ('/srv/flaskrandom/releases', '/srv/flaskrandom/venvs', '/srv/flaskrandom/secrets')


def below(path, folders):
    """Returns whether a path is one of these folders or below one."""
    return any(path == folder or path.startswith(folder + '/') for folder in folders)


def facts(path):
    """Returns owner, mode and content of a path."""
    info = os.lstat(path)
    content = ''
    if below(path, LOOSE) or path in GROWING:
        pass
    elif stat.S_ISREG(info.st_mode):
        # O_NOATIME keeps the access time
        with open(os.open(path, os.O_RDONLY | os.O_NOATIME), 'rb') as file:
            content = hashlib.sha256(file.read()).hexdigest()
    elif stat.S_ISLNK(info.st_mode):
        content = os.readlink(path)
    return [info.st_uid, info.st_gid, info.st_mode, content]


def found():
    """Returns the facts of all compared paths."""
    paths = {}
    for tree in TREES:
        for folder, folders, files in os.walk(tree):
            names = folders + files
            folders[:] = [name for name in folders if os.path.join(folder, name) not in LEFT_OUT]
            if folder in LEFT_OUT:
                folders[:] = []
                continue
            for path in [folder] + [os.path.join(folder, name) for name in names]:
                if path not in LEFT_OUT:
                    with contextlib.suppress(FileNotFoundError):
                        paths[path] = facts(path)
    return paths


def differences():
    """Yields the paths that differ from the snapshot, each with its facts before and now."""
    with open(BEFORE) as file:
        before = json.load(file)
    now = found()
    for path in sorted(set(before) | set(now), key=os.fsencode):
        one, other = before.get(path), now.get(path)
        if one != other and ((one and other) or not below(path, LOOSE + GROWING)):
            yield path, one, other


def leaks(token):
    """Yields the files with the token that the app's account or nobody can read."""
    for user in ('flaskrandom', 'nobody'):
        account = pwd.getpwnam(user)

        def become(account=account):
            os.initgroups(account.pw_name, account.pw_gid)
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)

        done = subprocess.run(
            ['timeout', '30', 'grep', '--recursive', '--devices=skip', '--files-with-matches', '--text', '--no-messages',
             '--fixed-strings', '--exclude-dir=venvs', '--exclude-dir=journal', token,
             '/srv', '/run', '/var/log', '/var/tmp', '/tmp', '/etc', '/dev/shm'],
            stdout=subprocess.PIPE, preexec_fn=become,
        )  # fmt: skip
        for name in done.stdout.splitlines():
            yield '{} can read the secret in {!r}'.format(user, name)


def witnesses():
    """Yields what code of the acts was able to do: run as root, or something that no app may do."""
    folder = '/var/tmp/witness'
    for name in os.listdir(folder):
        with open(os.path.join(folder, name)) as file:
            yield from (line.strip() for line in file if re.match('0 as|allowed:', line))


def traps():
    """Yields what root did with paths that the app chose."""
    with open('/opt/hostile/guard.log') as log:
        if '0' in log.read().split():
            yield 'root connected to a socket that the app chose'
    # set to days ago before the act, so that any read changes it, whatever the mount options
    if os.stat('/root/secret').st_atime > time.time() - 86400:
        yield 'root read a file that the app chose'


def main(verb, *arguments):
    if verb == 'snapshot':
        with open(BEFORE, 'w') as file:
            json.dump(found(), file)
    elif verb == 'harm':
        for path, before, now in differences():
            print('{!r}: {} -> {}'.format(path, before, now))
        for text in list(leaks(*arguments)) + list(witnesses()) + list(traps()):
            print(text)
    elif verb == 'restore':
        for path, before, now in differences():
            if before and now:
                os.lchown(path, before[0], before[1])
                if not stat.S_ISLNK(now[2]):
                    os.chmod(path, stat.S_IMODE(before[2]))


if __name__ == '__main__':
    main(*sys.argv[1:])
