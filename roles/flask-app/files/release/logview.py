"""The app's logs together: its program's, processes', candidates', jobs' and nginx's, each line with its source.

Only root writes to the folders of these files, but what is in them is the app's and its clients': lines are shown without
control characters, and no more is read of a file than a limit.
"""

import calendar
import os
import re
import stat
import subprocess
import time
from pathlib import Path

from .errors import Failure
from .logs import plain_lines

LINES = 100  # of each source
TOTAL_BYTES = 1 << 25  # read of all sources
SOURCE_BYTES = 1 << 18  # read of each at least
AHEAD = 60  # seconds that a clock may be ahead; a later time is the app's talk
TIME = re.compile(
    r'(?:\[|\{"time": ")?(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,]\d+)?(?: ?(?:(Z)|([+-])(\d\d):?(\d\d)))?(?!\d)'
)
UNITS = {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}


def time_of(line):
    """The time at the beginning of a line in seconds since 1970; None if it has none. Without a zone it is the host's time."""
    found = TIME.match(line)
    if not found:
        return None
    parts = tuple(map(int, found.groups()[:6]))
    zulu, sign, hours, minutes = found.groups()[6:]
    try:
        if zulu or sign:
            offset = (int(hours) * 60 + int(minutes)) * 60 if sign else 0
            return calendar.timegm(parts + (0, 0, 0)) - (offset if sign != '-' else -offset)
        return int(time.mktime(parts + (0, 0, -1)))
    except (ValueError, OverflowError):
        return None


def parse_since(text):
    """A time such as `2h`, `2026-01-31` or `2026-01-31 10:00` in seconds since 1970.

    Raises:
        Failure: it is neither.
    """
    short = re.match(r'(\d{1,6})([smhd])\Z', text)
    if short:
        return int(time.time()) - int(short.group(1)) * UNITS[short.group(2)]
    for full in (text, text + ':00', text + ' 00:00:00'):
        found = time_of(full)
        if found is not None and TIME.match(full).end() == len(full):
            return found
    raise Failure("--since must be a time such as 30m, 2h, 3d, 2026-01-31 or '2026-01-31 10:00', got '{}'.".format(text))


class Source:
    """A log: a file that another program rotates, or units in the journal.

    Attributes:
        label: what its lines are shown with, such as `web`, `worker.1`, `nginx.access`.
        path: of the file; '' for a journal.
        units: the pattern of the units.
        begin: where follow() begins: the size of the file, or the time, when it was read.
    """

    def __init__(self, label, path='', units=''):
        self.label, self.path, self.units = label, path, units
        self.begin = 0

    def read(self, limit, since):
        """The last bytes of the log, `limit` at most, with those of the file before its last rotation."""
        if self.units:
            self.begin = int(time.time())
            when = ['--since=@{}'.format(since)] if since is not None else []
            return read_command(self.journal(['--no-pager', '--lines={}'.format(limit // 100)] + when), limit)
        text, self.begin = read_end(self.path, limit)
        if len(text) < limit:
            text = read_end(self.path + '.1', limit - len(text))[0] + text
        return text

    def journal(self, options):
        """journalctl's command for its units."""
        return ['journalctl', '--quiet', '--unit=' + self.units, '--output=short-iso'] + options

    def follow(self):
        """The command that prints what is new in the log, also after a rotation."""
        if self.units:
            return self.journal(['--follow', '--since=@{}'.format(self.begin)])
        start = '--bytes=+{}'.format(self.begin + 1)
        return ['tail', '--follow=name', '--retry', '--pid={}'.format(os.getpid()), start, self.path]


def read_end(path, limit):
    """The last bytes of a file, and its size; none and 0 if there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b'', 0
    with open(descriptor, 'rb') as file:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            return b'', 0
        file.seek(max(0, info.st_size - limit))
        return file.read(min(limit, info.st_size)), info.st_size


def read_command(command, limit):
    """The first bytes that a command prints; none if it cannot run."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return b''
    with process:
        text = process.stdout.read(limit)
        process.kill()
    return text


def sources(deployment, process=''):
    """The app's logs.

    Args:
        process: chooses some by their label or a part of it, such as `worker`, `worker.1` or `job.cleanup`.

    Raises:
        Failure: there is none of this label.
    """
    config, jobs = deployment.config, deployment.jobs
    log = Path(config.log)
    beside = sorted(log.parent.glob('{}.*.log'.format(config.name)))
    found = [Source('web', str(log)), Source('candidate', units=deployment.candidates.unit('*'))]
    found += [Source(path.name[len(config.name) + 1 : -len('.log')], str(path)) for path in beside]
    found += [Source('job.' + job, units=jobs.unit(job)) for job in sorted(jobs.options(deployment.releases.current()))]
    found += [Source('nginx.' + Path(path).name.rpartition('.log')[0].rpartition('.')[2], path) for path in config.site_logs]
    chosen = [source for source in found if process in ('', source.label) + source.label.partition('.')[::2]]
    if not chosen:
        raise Failure("There is no log of '{}'. There are: {}.".format(process, ', '.join(source.label for source in found)))
    return chosen


def timed(raw, changed):
    """The lines of a log with their times: a line without one has that of the line before.

    Args:
        raw: bytes.
        changed: when the log was written last, for a log without times.
    """
    latest = time.time() + AHEAD
    known = [(at if at is not None and at < latest else None, line) for at, line in ((time_of(line), line) for line in plain_lines(raw))]
    last = next((at for at, _ in known if at is not None), changed)
    found = []
    for at, line in known:
        # the lines of a log stay in their order
        last = max(last, at or 0)
        found.append((last, line))
    return found


def changed_at(path):
    """When a file was changed last; 0 if there is none."""
    try:
        return int(os.lstat(path).st_mtime)
    except OSError:
        return 0


def collect(chosen, since, lines=LINES):
    """The lines of some logs in the order of their times, each with its source.

    Args:
        since: seconds since 1970; None for the last lines of each.
    """
    limit = max(TOTAL_BYTES // len(chosen), SOURCE_BYTES)
    found = []
    for number, source in enumerate(chosen):
        raw = source.read(limit, since)
        cut = len(raw) >= limit
        entries = timed(raw.partition(b'\n')[2] if cut else raw, changed_at(source.path) if source.path else 0)
        kept = [entry for entry in entries if entry[0] >= since] if since is not None else entries[-lines:]
        if cut and since is not None and len(kept) == len(entries):
            kept.insert(0, (since, '(the lines before are left out: only the last {} kB of a log are read)'.format(limit >> 10)))
        found += [(at, number, source.label, line) for at, line in kept]
    found.sort(key=lambda entry: entry[:2])
    return [(label, line) for _, _, label, line in found]
