"""What a failed release wrote, as text that shows the app's own error."""

import os
import re
import stat
import subprocess

LINES = 120
LINE_LENGTH = 2000
ERROR_LENGTH = 300
BYTES = 1 << 18  # of a log that are looked at
ESCAPES = re.compile(r'\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-Z\\^_])')
CONTROLS = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]')
# how gunicorn begins its lines: time, process id, level
PREFIX = re.compile(r'^\[[^\]]*\] \[\d+\] \[[A-Z]+\] ?')
FRAME = re.compile(r'^ +File "(?P<path>[^"]*)", line \d+')
MACHINERY = re.compile(r'/gunicorn/|^<frozen |/importlib/')


def plain(raw):
    """A log's bytes as text: UTF-8 as far as it is, without colours and control characters, in lines of a bounded length."""
    text = ESCAPES.sub('', raw.decode('utf-8', 'replace').replace('\r\n', '\n'))
    lines = CONTROLS.sub('', text.replace('\r', '\n')).split('\n')
    return [line if len(line) <= LINE_LENGTH else line[:LINE_LENGTH] + ' …' for line in lines if line.strip()]


def one_line(text):
    """A text that may come from the app, as one short line."""
    return ' '.join(plain(text.encode('utf-8', 'replace')))[:ERROR_LENGTH]


def without_machinery(lines):
    """Leaves out the frames of gunicorn and of Python's import; the code below a frame belongs to it."""
    kept, skipping = [], False
    for line in lines:
        frame = FRAME.match(line)
        if frame:
            skipping = bool(MACHINERY.search(frame.group('path')))
        elif not line.startswith('    '):
            skipping = False
        if not skipping:
            kept.append(line)
    return kept


def without_repetition(lines):
    """Leaves out what several workers said in the same words."""
    blocks = []
    for line in lines:
        if PREFIX.match(line) or not blocks:
            blocks.append([])
        blocks[-1].append(line)
    seen, kept = set(), []
    for block in blocks:
        said = tuple([PREFIX.sub('', block[0])] + block[1:])
        # a line of its own is short; numbers in it, such as process ids, differ
        key = tuple(re.sub(r'\d+', '0', part) for part in said)
        if key not in seen:
            kept.extend(block)
        seen.add(key)
    return kept


def condensed(raw):
    """The part of a log that shows why a release failed.

    Args:
        raw: bytes.

    Returns:
        Text of at most LINES lines.
    """
    lines = without_repetition(without_machinery(plain(raw[-BYTES:])))
    return '\n'.join(lines[-LINES:])


class LogFile:
    """A log that something else appends to, and rotates."""

    def __init__(self, path):
        self.path = path
        self.inode, self.size = self._look()

    def _open(self):
        return os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)

    def _look(self):
        try:
            info = os.lstat(self.path)
        except OSError:
            return 0, 0
        return info.st_ino, info.st_size

    def written(self):
        """What has been written since this object was made, as condensed text; '' where it cannot be read."""
        try:
            descriptor = self._open()
        except OSError:
            return ''
        try:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                return ''
            same = info.st_ino == self.inode and info.st_size >= self.size
            os.lseek(descriptor, max(self.size if same else 0, info.st_size - BYTES), os.SEEK_SET)
            return condensed(os.read(descriptor, BYTES))
        finally:
            os.close(descriptor)


def journal(unit, since):
    """What a unit has written to the journal, as condensed text; never fails, because it explains a failure.

    Args:
        unit: name of the unit.
        since: seconds since 1970.
    """
    command = ['journalctl', '_SYSTEMD_UNIT=' + unit, '--since=@{}'.format(since), '--output=cat', '--no-pager', '--lines=600']
    try:
        # old journals cannot sync and new ones may be busy: what is there is shown
        subprocess.call(['journalctl', '--sync'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10)
        return condensed(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20).stdout)
    except (OSError, subprocess.SubprocessError) as error:
        return '(the journal cannot be read: {})'.format(error)
