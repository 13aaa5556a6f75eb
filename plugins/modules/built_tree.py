#!/usr/bin/python
"""Ansible module: unpacks what another account has built. Runs on Python 3.6.

That account has written the archive, so only files, folders and links that stay inside are taken, all of them root's.
"""

import os
import pwd
import resource
import shutil
import stat
import tarfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nofollow import NEW_FILE, open_file

DOCUMENTATION = """
module: built_tree
short_description: Unpacks an archive that an account without rights has made
description: No process of the account may run any more. Fails if something is neither file, folder nor link, or leads out of the folder.
author: flaskrandom
options:
  archive: {type: path, required: true, description: The archive, as tar makes it. The folder above the account's must be root's.}
  owner: {type: str, required: true, description: The account.}
  dest: {type: path, required: true, description: "The folder to unpack it in: empty, root's, closed to others until it is done."}
  skip:
    type: list
    elements: str
    default: []
    description: Paths that are left out, with all below them.
  max_bytes: {type: int, default: 2147483648, description: The size that all files may have together.}
  max_entries: {type: int, default: 500000, description: How many files, folders and links there may be.}
"""
RETURN = """
entries: {type: int, returned: success, description: How many were unpacked.}
"""

MEMORY = 1 << 30  # bytes; an archive's headers may claim to be larger


class Refused(Exception):
    """The archive holds something that root does not unpack."""


def below(name):
    """The path of a member below the folder, '' for the folder itself.

    Raises:
        Refused: it leads out.
    """
    if name.startswith('/') or '..' in name.split('/'):
        raise Refused('{!a} leads out of the folder'.format(name))
    path = os.path.normpath(name)
    return '' if path == '.' else path


def is_skipped(path, skip):
    """Whether a path, or a folder that it is in, is one of some."""
    return any(path == name or path.startswith(name + '/') for name in skip)


def unpack_file(archive, member, target, room):
    """Writes a file's contents, `room` bytes at most; it may be executed if its owner could."""
    if member.size > room:
        raise Refused('the files are too large')
    with archive.extractfile(member) as source, os.fdopen(os.open(target, NEW_FILE, 0o600), 'wb') as file:
        shutil.copyfileobj(source, file, 1 << 20)
        os.fchmod(file.fileno(), 0o755 if member.mode & stat.S_IXUSR else 0o644)


def unpack(file, dest, skip, max_bytes, max_entries):
    """Unpacks an archive. Links come last, so that nothing is written through one.

    Args:
        file: the archive, an open file.

    Returns:
        How many entries were unpacked.

    Raises:
        Refused: something is not to be unpacked, or too much.
        tarfile.TarError, OSError: it is no whole archive, or names a path twice.
    """
    links, count, room = {}, 0, max_bytes
    with tarfile.open(fileobj=file, mode='r|') as archive:
        for member in archive:
            path = below(member.name)
            if not path or is_skipped(path, skip):
                continue
            count += 1
            if count > max_entries:
                raise Refused('it has more than {} files'.format(max_entries))
            target = os.path.join(dest, path)
            if member.isdir():
                os.mkdir(target, 0o700)
                os.chmod(target, 0o755)
            elif member.issym():
                links[path] = member.linkname
            elif member.isreg():
                unpack_file(archive, member, target, room)
                room -= member.size
            else:
                raise Refused('{!a} is neither a file nor a folder nor a link'.format(path))
    for path, goal in links.items():
        os.symlink(goal, os.path.join(dest, path))
    root = os.path.realpath(dest)
    for path, goal in links.items():
        # all links are in place, and nobody else changes them, so what a chain of them leads to is known
        end = os.path.realpath(os.path.join(root, path))
        if os.path.isabs(goal) or not (end + os.sep).startswith(root + os.sep):
            raise Refused('the link {!a} leads out of the folder, to {!a}'.format(path, goal))
    os.chmod(dest, 0o755)
    return count


def main():
    module = AnsibleModule(
        argument_spec={
            'archive': {'type': 'path', 'required': True},
            'owner': {'type': 'str', 'required': True},
            'dest': {'type': 'path', 'required': True},
            'skip': {'type': 'list', 'elements': 'str', 'default': []},
            'max_bytes': {'type': 'int', 'default': 2 << 30},
            'max_entries': {'type': 'int', 'default': 500000},
        }
    )
    options = module.params
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    try:
        with open_file(options['archive']) as file:
            info = os.fstat(file.fileno())
            if info.st_uid != pwd.getpwnam(options['owner']).pw_uid or info.st_nlink != 1:
                raise Refused('the archive is no file of its own')
            count = unpack(file, options['dest'], options['skip'], options['max_bytes'], options['max_entries'])
    except (Refused, KeyError, OSError, MemoryError, tarfile.TarError) as error:
        module.fail_json(msg='What {} has built is not taken: {}.'.format(options['owner'], str(error) or 'it needs too much memory'))
    module.exit_json(changed=True, entries=count)


if __name__ == '__main__':
    main()
