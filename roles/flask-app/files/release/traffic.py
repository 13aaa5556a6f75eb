"""Which socket has the traffic: nginx follows the link live.sock, and standby.sock where that one is dead."""

import contextlib
import os
import time

from .health import PAUSE
from .system import replace_symlink, unix_sockets

QUIET_LOOKS = 5  # looks in a row at which nothing waits, until a socket counts as drained
CANDIDATE = 'app/next.sock'


class Traffic:
    """The links in /run/NAME. Sockets are named by their path below that folder."""

    def __init__(self, config):
        self.config = config
        self.live_link = config.run / 'live.sock'
        self.standby_link = config.run / 'standby.sock'

    @property
    def program(self):
        """The program's socket; '' where it listens on TCP."""
        return os.path.relpath(self.config.bind[len('unix:') :], str(self.config.run)) if self.config.behind_socket else ''

    def live(self):
        """The socket that has the traffic, or ''."""
        return os.readlink(str(self.live_link)) if self.live_link.is_symlink() else ''

    def switch(self, target):
        """Gives a socket the traffic, and waits until nothing waits any more at the one that had it."""
        before = self.live()
        if not self.config.behind_socket or before == target:
            return
        replace_symlink(self.live_link, target)
        if before:
            self.drain(self.config.run / before)

    def drain(self, path):
        """Waits until no connection waits at a socket for a worker, for `drain` seconds at most."""
        deadline = time.monotonic() + self.config.drain
        quiet = 0
        while quiet < QUIET_LOOKS and time.monotonic() < deadline:
            listening, waiting = unix_sockets(path)
            if not listening:
                return
            quiet = 0 if waiting else quiet + 1
            time.sleep(PAUSE)

    def set_standby(self):
        """Lets nginx fall back to the candidate."""
        replace_symlink(self.standby_link, CANDIDATE)

    def clear_standby(self):
        """Lets nginx fall back to it no more."""
        with contextlib.suppress(FileNotFoundError):
            self.standby_link.unlink()
