#!/usr/bin/python
"""Ansible module: copies the wheels that another account has built. Runs on Python 3.6.

That account may have put anything in their place, so no link is followed, and only its own regular files count.
"""

import hashlib
import os
import pwd
import re

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nofollow import FOLDER, NEW_FILE, chunks, open_file

DOCUMENTATION = """
module: built_wheels
short_description: Copies built wheels out of an account's folder and locks them
description: No process of the account may run any more. Fails if something is no wheel, or is too large.
author: flaskrandom
options:
  source: {type: path, required: true, description: The folder that the account has filled. Those above it must be root's.}
  owner: {type: str, required: true, description: The account.}
  dest: {type: path, required: true, description: The folder of root's to copy them into; it is created.}
  lock: {type: path, description: The lock that they were built by.}
  lock_dest: {type: path, description: Where to write the lock that has their hashes as well.}
  packages:
    type: list
    elements: str
    default: []
    description: The names of the packages that were built. The hashes of all others stay those of the lock.
  max_bytes: {type: int, default: 2147483648, description: The size that all wheels may have together.}
"""
RETURN = """
built: {type: list, returned: success, description: The file names of the wheels of those packages.}
"""

MOST_FILES = 2000
WHEEL = re.compile(r'(?P<name>[A-Za-z0-9][A-Za-z0-9._]*)-[A-Za-z0-9._+!-]+\.whl')


class Refused(Exception):
    """The account's folder holds something that root does not touch."""


def normalized(name):
    """A package's name as PEP 503 has it."""
    return re.sub(r'[-_.]+', '-', name).lower()


def copy(folder, name, uid, target, room):
    """Copies one file out of a folder.

    Args:
        folder: descriptor of the folder.
        name: the file's name in it.
        uid: number of the account that must own it.
        target: path of the copy, which must not exist.
        room: its largest size in bytes.

    Returns:
        Its sha256 and its size in bytes.

    Raises:
        Refused: it is no regular file of the account, or too large.
    """
    try:
        file = open_file(name, folder)
    except OSError as error:
        raise Refused('{!a} cannot be opened: {}'.format(name, error.strerror)) from error
    digest, size = hashlib.sha256(), 0
    with file:
        info = os.fstat(file.fileno())
        # a hard link can be to a file of somebody else's
        if info.st_uid != uid or info.st_nlink != 1:
            raise Refused('{!a} is no regular file of its own'.format(name))
        with os.fdopen(os.open(target, NEW_FILE, 0o644), 'wb') as copied:
            for chunk in chunks(file):
                size += len(chunk)
                if size > room:
                    raise Refused('the wheels are too large')
                digest.update(chunk)
                copied.write(chunk)
    return digest.hexdigest(), size


def collect(source, uid, dest, room):
    """Copies all wheels of a folder, `room` bytes at most; returns the sha256 of each by its file name."""
    folder = os.open(source, FOLDER)
    try:
        names = sorted(os.listdir(folder))
        if len(names) > MOST_FILES:
            raise Refused('it left {} files'.format(len(names)))
        for name in names:
            if not WHEEL.fullmatch(name):
                raise Refused('{!a} is no wheel'.format(name))
        os.mkdir(dest, 0o755)
        hashes = {}
        for name in names:
            hashes[name], size = copy(folder, name, uid, os.path.join(dest, name), room)
            room -= size
        return hashes
    finally:
        os.close(folder)


def lock_with(lock, hashes, packages):
    """The text of a lock that takes the built wheels of some packages, too.

    Args:
        lock: text of the lock.
        hashes: sha256 of each wheel, by its file name.
        packages: normalized names of the packages that were built.
    """
    own = {}
    for name, digest in sorted(hashes.items()):
        own.setdefault(normalized(WHEEL.fullmatch(name).group('name')), []).append(' --hash=sha256:' + digest)
    lines = []
    for line in re.sub(r'\\\r?\n', ' ', lock).splitlines():
        name = re.match(r'\s*([A-Za-z0-9][A-Za-z0-9._-]*)', line)
        if name and normalized(name.group(1)) in packages:
            line = re.sub(r'(^|\s)#.*', '', line) + ''.join(own.get(normalized(name.group(1)), []))
        lines.append(line)
    return '\n'.join(lines) + '\n'


def main():
    module = AnsibleModule(
        argument_spec={
            'source': {'type': 'path', 'required': True},
            'owner': {'type': 'str', 'required': True},
            'dest': {'type': 'path', 'required': True},
            'lock': {'type': 'path'},
            'lock_dest': {'type': 'path'},
            'packages': {'type': 'list', 'elements': 'str', 'default': []},
            'max_bytes': {'type': 'int', 'default': 2 << 30},
        },
        required_together=[('lock', 'lock_dest')],
    )
    options = module.params
    packages = {normalized(name) for name in options['packages']}
    try:
        hashes = collect(options['source'], pwd.getpwnam(options['owner']).pw_uid, options['dest'], options['max_bytes'])
        if options['lock']:
            with open(options['lock'], encoding='utf-8') as file:
                text = lock_with(file.read(), hashes, packages)
            with open(options['lock_dest'], 'x', encoding='utf-8') as file:
                file.write(text)
            os.chmod(options['lock_dest'], 0o644)
    except (Refused, KeyError, OSError) as error:
        module.fail_json(msg='What {} has built is not taken: {}.'.format(options['owner'], error))
    built = [name for name in sorted(hashes) if normalized(WHEEL.fullmatch(name).group('name')) in packages]
    module.exit_json(changed=True, built=built)


if __name__ == '__main__':
    main()
