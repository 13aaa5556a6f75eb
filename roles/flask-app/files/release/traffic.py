"""Which socket has the traffic: nginx follows the link live.sock, and standby.sock if that one does not answer."""

import contextlib
import os
import time

from .health import POLL_INTERVAL
from .system import replace_symlink, unix_sockets

QUIET_POLLS = 5  # polls in a row without waiting connections until a socket counts as drained
CANDIDATE = 'app/next.sock'


class Traffic:
    """The links in /run/NAME. Sockets are named by their path relative to that folder."""

    def __init__(self, config):
        self.config = config
        self.live_link = config.run / 'live.sock'
        self.standby_link = config.run / 'standby.sock'

    @property
    def program(self):
        """The program's socket, or '' if it listens on TCP."""
        return os.path.relpath(self.config.bind[len('unix:') :], str(self.config.run)) if self.config.uses_socket else ''

    def live(self):
        """The socket that has the traffic, or ''."""
        return os.readlink(str(self.live_link)) if self.live_link.is_symlink() else ''

    def switch(self, target):
        """Switches the traffic to a socket and drains the previous one."""
        before = self.live()
        if not self.config.uses_socket or before == target:
            return
        replace_symlink(self.live_link, target)
        if before:
            self.drain(self.config.run / before)

    def drain(self, path):
        """Waits until no connection of a socket waits to be accepted, for `drain` seconds at most."""
        deadline = time.monotonic() + self.config.drain
        quiet = 0
        while quiet < QUIET_POLLS and time.monotonic() < deadline:
            listening, waiting = unix_sockets(path)
            if not listening:
                return
            quiet = 0 if waiting else quiet + 1
            time.sleep(POLL_INTERVAL)

    def set_standby(self):
        """Makes the candidate nginx's fallback."""
        replace_symlink(self.standby_link, CANDIDATE)

    def clear_standby(self):
        """Removes nginx's fallback."""
        with contextlib.suppress(FileNotFoundError):
            self.standby_link.unlink()
