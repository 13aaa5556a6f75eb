#!/usr/bin/python
"""Ansible module: a folder or a link where an app may write, made without following a link. Runs on Python 3.6."""

import contextlib
import errno
import grp
import os
import pwd
import stat
import struct

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: nofollow_path
short_description: Creates folders and links below folders that another account can write to
description:
  - C(ansible.builtin.file) resolves the path as root, so whoever can write to a folder above it chooses what is changed.
  - This module opens the path one component at a time and follows no link, except one that only root can have made.
  - In a folder that another account can write to, it works with the rights of that folder's owner, not with root's.
author: flaskrandom
options:
  path:
    type: path
    required: true
    description: An absolute path.
  state:
    type: str
    choices: [directory, link, absent]
    default: directory
    description: C(absent) removes a link and nothing else.
  owner:
    type: str
    default: root
    description: Account that owns the folder, as a name or a number. In check mode, one that does not exist is a change.
  group:
    type: str
    description: Its group, as a name or a number. Default is the owner's first one.
  mode:
    type: str
    default: "0755"
    description: Octal mode of the folder.
  target:
    type: str
    description: What the link leads to.
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
path:
  description: The path as given.
  type: str
  returned: always
"""

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_LINKS = 40
ACL = 'system.posix_acl_access'
# of linux/posix_acl_xattr.h: version, then tag, permissions and id of each entry
ACL_VERSION, ACL_ENTRY = struct.Struct('<I'), struct.Struct('<HHI')
USER_OBJ, USER, GROUP_OBJ, MASK, OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
NO_ID = 0xFFFFFFFF


class Failure(Exception):
    """What is wrong with a path, and how to fix it."""


def only_root_writes(info):
    """Whether nobody but root can create, rename or remove what is in a folder."""
    return info.st_uid == 0 and not info.st_mode & 0o022


@contextlib.contextmanager
def rights_of(uid, gid):
    """Gives up root's rights for those of an account, and takes them back."""
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([gid])
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def access_list(mode, uid):
    """The ACL that gives a mode, and one more account the right to enter and to list."""
    owner, group, other = mode >> 6 & 7, mode >> 3 & 7, mode & 7
    entries = [(USER_OBJ, owner, NO_ID), (USER, 5, uid), (GROUP_OBJ, group, NO_ID), (MASK, group | 5, NO_ID), (OTHER, other, NO_ID)]
    return ACL_VERSION.pack(2) + b''.join(ACL_ENTRY.pack(*entry) for entry in entries)


class Folder:
    """An open folder.

    Attributes:
        path: where it is, without links.
        fd: its descriptor.
        trusted: whether only root can change what is in it, and in those above it.
    """

    fd = None

    def __init__(self, path='/', above=None):
        """Opens `path`, whose last component is looked for in the open folder `above`."""
        self.path = path
        self.fd = os.open(os.path.basename(path) or '/', FOLDER, dir_fd=above and above.fd)
        self.trusted = (above is None or above.trusted) and only_root_writes(os.fstat(self.fd))

    def __del__(self):
        if self.fd is not None:
            os.close(self.fd)

    def full(self, name):
        """The path of `name` in it."""
        return os.path.join(self.path, name)

    def find(self, name):
        """The status of `name` in it, None where there is nothing."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def enter(self, name):
        """Opens the folder `name` in it; fails where something else has that name."""
        info = self.find(name)
        if not stat.S_ISDIR(info.st_mode):
            raise Failure(
                '{0} is {1}, where a folder is needed, and was left as it is. Find out who made it, and move it away: '
                '`sudo mv -T {0} {0}.old`.'.format(self.full(name), 'a link' if stat.S_ISLNK(info.st_mode) else 'no folder')
            )
        return Folder(self.full(name), self)

    @contextlib.contextmanager
    def rights(self, what):
        """The rights for a change in it: root's where only root can write, else those of its owner.

        Args:
            what: path of what is to be changed.
        """
        owner = os.fstat(self.fd)
        if self.trusted or os.geteuid():
            yield
        elif owner.st_uid:
            with rights_of(owner.st_uid, owner.st_gid):
                yield
        else:
            raise Failure(
                'Accounts other than root can write to {0}, so root changes nothing there, not even {1}. '
                'Fix it: `sudo chmod go-w {0}`.'.format(self.path, what)
            )

    def mode(self):
        """Its mode."""
        return stat.S_IMODE(os.fstat(self.fd).st_mode)

    def access_list(self):
        """Its ACL as the kernel has it, b'' where there is none; None where the file system knows none."""
        try:
            return os.getxattr(self.fd, ACL)
        except OSError as error:
            return None if error.errno == errno.ENOTSUP else b''

    def shown(self):
        """What a diff shows of it."""
        info = os.fstat(self.fd)
        return {'state': 'directory', 'owner': info.st_uid, 'group': info.st_gid, 'mode': '{:04o}'.format(self.mode())}


class Path:
    """The path that the module is about.

    Attributes:
        wanted: the module's arguments, with `uid` and `gid` of the owner (None where there is no such account yet).
        check: whether to change nothing.
        changed, before, after: what the module answers.
    """

    def __init__(self, wanted, check):
        self.wanted, self.check = wanted, check
        self.path = wanted['path']
        self.changed, self.before, self.after = False, {}, {}

    def parent(self):
        """The folder that it is in, open, and its name there.

        A link on the way is followed where only root can have made it, as of /home to another disk.

        Returns:
            None, None where that folder is missing, and in check mode, or not to be created.
        """
        folder, links = Folder(), 0
        parts = [part for part in self.path.split('/') if part]
        while len(parts) > 1:
            name = parts.pop(0)
            info = folder.find(name)
            if info is None:
                if self.check or self.wanted['state'] == 'absent':
                    return None, None
                folder = self.make(folder, name)
            elif stat.S_ISLNK(info.st_mode) and folder.trusted and info.st_uid == 0:
                links += 1
                if links > MAX_LINKS:
                    raise Failure('{0} leads to itself. Fix it: `sudo rm {0}`.'.format(folder.full(name)))
                target = os.path.normpath(os.path.join(folder.path, os.readlink(name, dir_fd=folder.fd)))
                folder, parts = Folder(), [part for part in target.split('/') if part] + parts
            else:
                folder = folder.enter(name)
        return folder, parts[0]

    def make(self, above, name):
        """Creates a folder in an open one, and opens it."""
        path, owner = above.full(name), os.fstat(above.fd).st_uid
        if not above.trusted and owner != self.wanted['uid']:
            raise Failure(
                '{0} is missing, and root creates nothing in {1}, which belongs to the account {2}. Create it as that account.'.format(
                    path, above.path, owner
                )
            )
        with above.rights(path):
            # nobody else gets in until it has its owner
            os.mkdir(name, 0o700, dir_fd=above.fd)
        folder = above.enter(name)
        self.own(above, folder)
        self.changed = True
        return folder

    def own(self, above, folder):
        """Gives an open folder its owner, mode and ACL.

        Args:
            above: the folder that it is in.
            folder: the folder.
        """
        owner = (self.wanted['uid'], self.wanted['gid'])
        now = os.fstat(folder.fd)
        if (now.st_uid, now.st_gid) != owner:
            self.changed = True
            if not above.trusted and now.st_uid != owner[0]:
                raise Failure(
                    '{0} belongs to the account {1} and not to {2}, which may have moved it there. '
                    'Fix it: `sudo chown -h {2}: {0}`.'.format(folder.path, now.st_uid, self.wanted['owner'])
                )
            if not self.check:
                with above.rights(folder.path):
                    os.fchown(folder.fd, *owner)
        mode, acl = self.wanted['mode'], folder.access_list()
        if self.wanted['reader'] is not None and acl is not None:
            wanted_acl = access_list(mode, self.wanted['reader'])
            mode |= 0o050  # with an ACL, the group's bits show what it gives at most
        else:
            wanted_acl = acl
        if folder.mode() != mode:
            self.changed = True
            if not self.check:
                with above.rights(folder.path):
                    os.fchmod(folder.fd, mode)
        if acl != wanted_acl:
            self.changed = True
            if not self.check:
                with above.rights(folder.path):
                    os.setxattr(folder.fd, ACL, wanted_acl)

    def directory(self):
        """Makes it a folder."""
        self.after = {
            'state': 'directory',
            'owner': self.wanted['uid'],
            'group': self.wanted['gid'],
            'mode': '{:04o}'.format(self.wanted['mode']),
        }
        above, name = self.parent()
        if above is None or above.find(name) is None:
            self.before = {'state': 'absent'}
            self.changed = True
            if not self.check:
                self.make(above, name)
            return
        folder = above.enter(name)
        self.before = folder.shown()
        if self.wanted['reader'] is not None:
            self.after['mode'] = '{:04o}'.format(self.wanted['mode'] | 0o050)
        if self.wanted['uid'] is None:
            self.changed = True
        else:
            self.own(above, folder)

    def link(self):
        """Makes it a link to the target."""
        target = self.wanted['target']
        self.after = {'state': 'link', 'target': target}
        self.before = {'state': 'absent'}
        above, name = self.parent()
        info = above and above.find(name)
        if info is not None:
            if not stat.S_ISLNK(info.st_mode):
                raise Failure(
                    '{0} is no link, and a link to {1} is needed there. Move it away: `sudo mv -T {0} {0}.old`.'.format(self.path, target)
                )
            self.before = {'state': 'link', 'target': os.readlink(name, dir_fd=above.fd)}
        self.changed = self.before != self.after
        if self.changed and not self.check:
            new = '.{}.{}'.format(name, os.getpid())
            with above.rights(self.path):
                os.symlink(target, new, dir_fd=above.fd)
                os.rename(new, name, src_dir_fd=above.fd, dst_dir_fd=above.fd)

    def absent(self):
        """Removes it where it is a link."""
        above, name = self.parent()
        info = above and above.find(name)
        if info is None or not stat.S_ISLNK(info.st_mode):
            return
        self.changed = True
        self.before, self.after = {'state': 'link', 'target': os.readlink(name, dir_fd=above.fd)}, {'state': 'absent'}
        if not self.check:
            with above.rights(self.path):
                os.unlink(name, dir_fd=above.fd)


def account(name):
    """The numbers of an account and of its first group, None and None where there is none."""
    try:
        found = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
        return found.pw_uid, found.pw_gid
    except KeyError:
        return None, None


def group_number(name):
    """The number of a group, None where there is none."""
    try:
        return (grp.getgrgid(int(name)) if name.isdigit() else grp.getgrnam(name)).gr_gid
    except KeyError:
        return None


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
    uid, gid = account(wanted['owner'])
    if wanted['group']:
        gid = group_number(wanted['group'])
    if uid is None or gid is None:
        if not module.check_mode:
            module.fail_json(msg='There is no account {owner}, or no group {group}.'.format(**wanted))
        uid = gid = None
    login = os.environ.get('SUDO_USER', '') if wanted['sudo_user'] else ''
    wanted.update(uid=uid, gid=gid, mode=int(wanted['mode'], 8), reader=account(login)[0] or None)
    path = Path(wanted, module.check_mode)
    try:
        getattr(path, wanted['state'])()
    except Failure as failure:
        module.fail_json(msg='{}: {}'.format(wanted['path'], failure), path=wanted['path'])
    except OSError as error:
        module.fail_json(msg='{}: {}'.format(wanted['path'], error), path=wanted['path'])
    diff = {'before_header': wanted['path'], 'after_header': wanted['path'], 'before': path.before, 'after': path.after}
    module.exit_json(changed=path.changed, path=wanted['path'], diff=diff)


if __name__ == '__main__':
    main()
