#!/usr/bin/python
"""Ansible module: creates a folder or a link where an app may write, without following a link. Runs on Python 3.6."""

import errno
import grp
import os
import pwd
import stat
import struct

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nofollow import Failure, open_parent

DOCUMENTATION = """
module: nofollow_path
short_description: Creates folders and links below folders that another account can write to
description:
  - C(ansible.builtin.file) resolves the path as root, so whoever can write to a folder above it chooses what is changed.
  - This module opens the path one component at a time and follows no link, except one that only root can have made.
  - In a folder that another account can write to, it works with the rights of that folder's owner, not with root's.
author: flaskrandom
options:
  path: {type: path, required: true, description: An absolute path.}
  state: {type: str, choices: [directory, link, absent], default: directory, description: C(absent) removes a link and nothing else.}
  owner: {type: str, default: root, description: "Account that owns the folder, as a name or a number; in check mode it may be missing."}
  group: {type: str, description: "Its group, as a name or a number. Default is the owner's first one."}
  mode: {type: str, default: "0755", description: Octal mode of the folder.}
  target: {type: str, description: What the link leads to.}
  sudo_user:
    type: bool
    default: false
    description: >-
      Whether the account that ran sudo may enter and list the folder as well, by an ACL that has no other account.
      A run without sudo leaves the ACL as it is.
"""
EXAMPLES = """
- nofollow_path:
    path: /srv/shop/shared/data/uploads
    owner: shop
    mode: "0750"
"""
RETURN = """
path: {type: str, returned: always, description: The path as given.}
"""

ACL = 'system.posix_acl_access'
# of linux/posix_acl_xattr.h: version, then tag, permissions and id of each entry
ACL_VERSION, ACL_ENTRY = struct.Struct('<I'), struct.Struct('<HHI')
USER_OBJ, USER, GROUP_OBJ, MASK, OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
NO_ID = 0xFFFFFFFF


def access_list(mode, uid):
    """The ACL that gives a mode, and one more account the right to enter and to list."""
    owner, group, other = mode >> 6 & 7, mode >> 3 & 7, mode & 7
    entries = [(USER_OBJ, owner, NO_ID), (USER, 5, uid), (GROUP_OBJ, group, NO_ID), (MASK, group | 5, NO_ID), (OTHER, other, NO_ID)]
    return ACL_VERSION.pack(2) + b''.join(ACL_ENTRY.pack(*entry) for entry in entries)


def access_list_of(folder):
    """An open folder's ACL as the kernel has it, b'' where there is none; None where the file system has no ACLs."""
    try:
        return os.getxattr(folder.fd, ACL)
    except OSError as error:
        return None if error.errno == errno.ENOTSUP else b''


def shown(uid, gid, mode):
    """A folder in a diff."""
    return {'state': 'directory', 'owner': uid, 'group': gid, 'mode': '{:04o}'.format(mode)}


class Path:
    """The path that the module is about.

    Attributes:
        wanted: the module's arguments, with `uid` and `gid` of the owner (None where there is no such account yet) and
            `reader`, the account of the ACL (None without).
        check: whether to change nothing.
        changed, before, after: what the module answers.
    """

    def __init__(self, wanted, check):
        self.wanted, self.check = wanted, check
        self.path = wanted['path']
        self.changed, self.before, self.after = False, {'state': 'absent'}, {'state': 'absent'}

    def change(self, folder, path, function, *arguments, **options):
        """Calls a function with the rights to change `path` in an open folder, unless in check mode."""
        self.changed = True
        if not self.check:
            with folder.rights(path):
                function(*arguments, **options)

    def make(self, above, name):
        """Creates a folder in an open one, and opens it."""
        path, owner = above.full(name), above.status().st_uid
        if not above.trusted and owner != self.wanted['uid']:
            raise Failure(
                '{0} is missing, and root creates nothing in {1}, which belongs to the account {2}. Create it as that account.'.format(
                    path, above.path, owner
                )
            )
        # nobody else gets in until it has its owner
        self.change(above, path, os.mkdir, name, 0o700, dir_fd=above.fd)
        folder = above.enter(name)
        self.own(above, folder)
        return folder

    def own(self, above, folder):
        """Gives an open folder its owner, mode and ACL; `above` is the folder that it is in."""
        owner, now = (self.wanted['uid'], self.wanted['gid']), folder.status()
        if (now.st_uid, now.st_gid) != owner:
            if not above.trusted and now.st_uid != owner[0]:
                raise Failure(
                    '{0} belongs to the account {1} and not to {2}, which may have moved it there. '
                    'Fix it: `sudo chown -h {2}: {0}`.'.format(folder.path, now.st_uid, self.wanted['owner'])
                )
            self.change(above, folder.path, os.fchown, folder.fd, *owner)
        mode, acl = self.wanted['mode'], access_list_of(folder)
        wanted_acl = acl
        if self.wanted['reader'] is not None and acl is not None:
            wanted_acl = access_list(mode, self.wanted['reader'])
            mode |= 0o050  # with an ACL, the group's bits show what it gives at most
        if stat.S_IMODE(folder.status().st_mode) != mode:
            self.change(above, folder.path, os.fchmod, folder.fd, mode)
        if acl != wanted_acl:
            self.change(above, folder.path, os.setxattr, folder.fd, ACL, wanted_acl)

    def directory(self):
        """Makes it a folder."""
        uid, gid, mode = self.wanted['uid'], self.wanted['gid'], self.wanted['mode']
        above, name = open_parent(self.path, None if self.check else self.make)
        self.after = shown(uid, gid, mode)
        if above is None or above.find(name) is None:
            self.changed = True
            if not self.check:
                self.make(above, name)
            return
        folder = above.enter(name)
        now = folder.status()
        self.before = shown(now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode))
        if self.wanted['reader'] is not None:
            self.after = shown(uid, gid, mode | 0o050)
        if uid is None:
            self.changed = True
        else:
            self.own(above, folder)

    def link(self):
        """Makes it a link to the target."""
        target = self.wanted['target']
        self.after = {'state': 'link', 'target': target}
        above, name = open_parent(self.path, None if self.check else self.make)
        now = above and above.readlink(name)
        if now is not None:
            self.before = {'state': 'link', 'target': now}
        elif above and above.find(name):
            raise Failure(
                '{0} is no link, and a link to {1} is needed there. Move it away: `sudo mv -T {0} {0}.old`.'.format(self.path, target)
            )
        if now != target:
            self.change(above, self.path, self.replace_link, above, name, target)

    @staticmethod
    def replace_link(folder, name, target):
        """Makes `name` in an open folder a link, in one step."""
        new = '.{}.{}'.format(name, os.getpid())
        os.symlink(target, new, dir_fd=folder.fd)
        os.rename(new, name, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)

    def absent(self):
        """Removes it where it is a link."""
        above, name = open_parent(self.path)
        target = above and above.readlink(name)
        if target is not None:
            self.before = {'state': 'link', 'target': target}
            self.change(above, self.path, os.unlink, name, dir_fd=above.fd)


def numbers(owner, group=None):
    """The numbers of an account and a group (names or numbers); None and None where one does not exist.

    Without a group, it is the account's first one.
    """
    try:
        found = pwd.getpwuid(int(owner)) if owner.isdigit() else pwd.getpwnam(owner)
        if not group:
            return found.pw_uid, found.pw_gid
        return found.pw_uid, (grp.getgrgid(int(group)) if group.isdigit() else grp.getgrnam(group)).gr_gid
    except KeyError:
        return None, None


def main():
    module = AnsibleModule(
        argument_spec={
            'path': {'type': 'str', 'required': True},
            'state': {'type': 'str', 'choices': ['directory', 'link', 'absent'], 'default': 'directory'},
            'owner': {'type': 'str', 'default': 'root'},
            'group': {'type': 'str'},
            'mode': {'type': 'str', 'default': '0755'},
            'target': {'type': 'str'},
            'sudo_user': {'type': 'bool', 'default': False},
        },
        required_if=[('state', 'link', ['target'])],
        supports_check_mode=True,
    )
    wanted = dict(module.params)
    uid, gid = numbers(wanted['owner'], wanted['group'])
    if uid is None and not module.check_mode:
        module.fail_json(msg='{path}: there is no account {owner}, or no group {group}. Create it first.'.format(**wanted))
    login = os.environ.get('SUDO_USER', '') if wanted['sudo_user'] else ''
    wanted.update(uid=uid, gid=gid, mode=int(wanted['mode'], 8), reader=numbers(login)[0] or None)
    path = Path(wanted, module.check_mode)
    try:
        getattr(path, wanted['state'])()
    except (Failure, OSError) as error:
        module.fail_json(msg='{}: {}'.format(wanted['path'], error), path=wanted['path'])
    diff = {'before_header': wanted['path'], 'after_header': wanted['path'], 'before': path.before, 'after': path.after}
    module.exit_json(changed=path.changed, path=wanted['path'], diff=diff)


if __name__ == '__main__':
    main()
