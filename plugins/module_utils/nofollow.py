"""Opens files and folders that another account may replace, without following its links. Runs on hosts, so on Python 3.6."""

import contextlib
import errno
import os
import stat

FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
CHUNK = 1 << 20  # bytes
MAX_LINKS = 40


class Failure(Exception):
    """What is wrong with a path, and how to fix it."""


def open_file(name, folder=None):
    """Opens a regular file for reading.

    Args:
        name: its path, or its name in an open folder.
        folder: descriptor of that folder.

    Returns:
        A binary file.

    Raises:
        OSError: it cannot be opened, is a link, or is no regular file.
    """
    file = os.open(name, FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, 'is no regular file', name)
    return os.fdopen(file, 'rb')


def chunks(file):
    """The contents of a binary file in parts of at most CHUNK bytes."""
    return iter(lambda: file.read(CHUNK), b'')


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


class Folder:
    """An open folder.

    Attributes:
        path: where it is, without links.
        fd: its descriptor.
        trusted: whether only root can change what is in it and in those above it.
    """

    fd = None

    def __init__(self, path='/', above=None):
        """Opens `path`, whose last component is looked up in the open folder `above`."""
        self.path = path
        self.fd = os.open(os.path.basename(path) or '/', FOLDER, dir_fd=above and above.fd)
        info = self.status()
        self.trusted = (above is None or above.trusted) and info.st_uid == 0 and not info.st_mode & 0o022

    def __del__(self):
        if self.fd is not None:
            os.close(self.fd)

    def status(self):
        """Its own status."""
        return os.fstat(self.fd)

    def full(self, name):
        """The path of `name` in it."""
        return os.path.join(self.path, name)

    def find(self, name):
        """The status of `name` in it, None where there is nothing."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def readlink(self, name):
        """The target of the link `name` in it, None where something else or nothing has that name."""
        info = self.find(name)
        return os.readlink(name, dir_fd=self.fd) if info and stat.S_ISLNK(info.st_mode) else None

    def enter(self, name):
        """Opens the folder `name` in it; raises Failure where something else has that name."""
        if not stat.S_ISDIR(self.find(name).st_mode):
            raise Failure(
                '{0} is {1}, where a folder is needed, and was left as it is. Find out who made it, and move it away: '
                '`sudo mv -T {0} {0}.old`.'.format(self.full(name), 'no folder' if self.readlink(name) is None else 'a link')
            )
        return Folder(self.full(name), self)

    @contextlib.contextmanager
    def rights(self, path):
        """The rights to change `path` in it: root's where only root can write, else those of its owner.

        Raises:
            Failure: it is root's, and others can write to it.
        """
        owner = self.status()
        if self.trusted or os.geteuid():
            yield
        elif owner.st_uid:
            with rights_of(owner.st_uid, owner.st_gid):
                yield
        else:
            raise Failure(
                f'Accounts other than root can write to {self.path}, so root changes nothing there, not even {path}. '
                f'Fix it: `sudo chmod go-w {self.path}`.'
            )


def components(path):
    """The components of an absolute path."""
    return [part for part in path.split('/') if part]


def open_parent(path, make=None):
    """Opens the folder that a path is in.

    A link on the way is followed only where nobody but root can have made it, as of /home to another disk.

    Args:
        path: an absolute path.
        make: called with an open folder and the name of a missing folder in it; creates that one and returns it open.

    Returns:
        The Folder and the path's last component; None and None where a folder is missing and there is no `make`.

    Raises:
        Failure: something else than a folder is on the way.
    """
    folder, parts, links = Folder(), components(path), 0
    while len(parts) > 1:
        name = parts.pop(0)
        info = folder.find(name)
        if info is None:
            if make is None:
                return None, None
            folder = make(folder, name)
        elif stat.S_ISLNK(info.st_mode) and folder.trusted and info.st_uid == 0:
            links += 1
            if links > MAX_LINKS:
                raise Failure('{0} leads to itself. Fix it: `sudo rm {0}`.'.format(folder.full(name)))
            target = os.path.normpath(os.path.join(folder.path, folder.readlink(name)))
            folder, parts = Folder(), components(target) + parts
        else:
            folder = folder.enter(name)
    return folder, parts[0]
