"""Holds the machine's lock for a run that goes on elsewhere. Runs as root, without a file of its own; Python 3.6 must do.

    python3 -IS -c SOURCE RUN PATH

RUN is a JSON object: `who` (the run's apps), `from` (user@controller) and `wait`, false to only ask whether another run goes on.
PATH is the file of the lock. Lines on stdin say that the run goes on; the end of stdin, or 45 seconds without a line, end this and
free the lock.
Prints `waiting JSON` with what the lock's holder said (who, from, since), then `locked`; without `wait` one of the two.
"""

import fcntl
import json
import os
import select
import sys
import time
from datetime import datetime, timezone

SILENCE = 45  # seconds after which a run counts as lost
GRACE = 2  # seconds in which a run that has just ended lets go of the lock


class Run:
    """The run on the other end of stdin."""

    def __init__(self):
        self.heard = time.monotonic()

    def goes_on(self, seconds):
        """Waits for a line, for that many seconds at most; returns whether the run still goes on."""
        if select.select([0], [], [], seconds)[0]:
            if not os.read(0, 65536):
                return False
            self.heard = time.monotonic()
        return time.monotonic() - self.heard < SILENCE


def take(lock):
    """Takes the lock if nobody has it; returns whether it did."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder(lock):
    """What the holder of the lock said about itself, {} while it has said nothing yet."""
    try:
        return json.loads(os.pread(lock, 65536, 0).decode())
    except ValueError:
        return {}


def say(word, about=None):
    """Prints one line."""
    print(word if about is None else '{} {}'.format(word, json.dumps(about)), flush=True)


def ask(path):
    """Prints whether another run has the lock, and changes nothing."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return say('locked')
    patience = time.monotonic() + GRACE
    while not take(lock):
        if time.monotonic() > patience:
            return say('waiting', holder(lock))
        time.sleep(0.2)
    return say('locked')


def hold(path, who, by):
    """Waits for the lock and holds it until the run has ended."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(lock, 0o600)
    run, shown = Run(), None
    while not take(lock):
        now = holder(lock)
        if now and now != shown:
            say('waiting', now)
            shown = now
        if not run.goes_on(0.5):
            return
    os.ftruncate(lock, 0)
    since = datetime.now(timezone.utc).isoformat(timespec='seconds')
    os.pwrite(lock, json.dumps({'who': who, 'from': by, 'since': since}).encode(), 0)
    say('locked')
    while run.goes_on(SILENCE):
        pass
    os.ftruncate(lock, 0)


def main():
    """Runs the command; see above."""
    run, path = json.loads(sys.argv[1]), sys.argv[2]
    try:
        hold(path, run['who'], run['from']) if run['wait'] else ask(path)
    except OSError as error:
        sys.exit('The lock {} cannot be used: {}.'.format(path, error.strerror))


if __name__ == '__main__':
    main()
