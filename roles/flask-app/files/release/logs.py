"""Logs of failed releases, condensed to the app's own error."""

import os
import re
import stat
import subprocess

LINES = 120
LINE_LENGTH = 2000
ERROR_LENGTH = 300
BYTES = 1 << 18  # read from the end of a log
ESCAPES = re.compile(r'\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-Z\\^_])')
CONTROLS = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]')
# the beginning of gunicorn's lines, time, process id, level; and of Flask's, time, level, module
PREFIX = re.compile(r'^\[[^\]]*\] (?:\[\d+\] \[[A-Z]+\]|[A-Z]+ in \w+:) ?')
FRAME = re.compile(r'^ +File "(?P<path>[^"]*)", line \d+')
FRAMEWORK = re.compile(r'/gunicorn/|^<frozen |/importlib/')
# what Python, sqlite and a shell say where something may not be written
FORBIDDEN = re.compile(
    r"(?:PermissionError|\[Errno 13\]|\[Errno 30\])[^\n']*'(?P<path>[^'\n]+)'|\[Errno 30\]"
    r'|unable to open database file|attempt to write a readonly database|cannot create [^\n]*(?:Permission denied|Read-only)'
)

# what else a log shows that a variable of this project is for
ADVICE = [
    (
        r'/subprocess\.py"[\s\S]*FileNotFoundError: \[Errno 2\] No such file or directory: \'(?P<found>[A-Za-z0-9][\w.+-]*)\'',
        'The app runs the program {0}, which is not installed. Name the Debian package that has it: flask_app_packages: [{0}]. ',
    ),
    (
        r'environ\[[\'"](?P<found>\w+)[\'"]\][\s\S]*KeyError: \'(?P=found)\'',
        'The app needs the environment variable {0}: set it in flask_app_environment, or in flask_app_secrets if it is secret. ',
    ),
    (
        r'unrecognized arguments: [^\n]*-b unix:',
        "The app reads the command line while it is imported, and finds gunicorn's. Let it read it in its own start only, "
        "below if __name__ == '__main__'. ",
    ),
    (
        r'no such table: \w|relation "[\w.]+" does not exist',
        'A table of the database is missing. Make the tables with flask_app_release_commands, such as [flask db upgrade], or with '
        'flask_app_init_commands. ',
    ),
    (
        r'Connection refused|could not translate host name|ServerSelectionTimeoutError|Unknown MySQL server host|'
        r'Temporary failure in name resolution|Name or service not known|/pymongo/(?:\w+/)?topology\.py',
        'A server that the app needs does not answer. Give the app its address, in flask_app_secrets or flask_app_environment. ',
    ),
]


def plain_lines(raw):
    """A log's bytes as lines of limited length, without colours, control characters and invalid UTF-8."""
    text = ESCAPES.sub('', raw.decode('utf-8', 'replace').replace('\r\n', '\n'))
    lines = CONTROLS.sub('', text.replace('\r', '\n')).split('\n')
    return [line if len(line) <= LINE_LENGTH else line[:LINE_LENGTH] + ' …' for line in lines if line.strip()]


def one_line(text):
    """A text that may come from the app as one short line."""
    return ' '.join(plain_lines(text.encode('utf-8', 'replace')))[:ERROR_LENGTH]


def without_framework_frames(lines):
    """Removes the stack frames of gunicorn and of Python's import, with their lines of code."""
    kept, skipping = [], False
    for line in lines:
        frame = FRAME.match(line)
        if frame:
            skipping = bool(FRAMEWORK.search(frame.group('path')))
        elif not line.startswith('    '):
            skipping = False
        if not skipping:
            kept.append(line)
    return kept


def without_duplicates(lines):
    """Removes messages that several workers wrote alike."""
    blocks = []
    for line in lines:
        if PREFIX.match(line) or not blocks:
            blocks.append([])
        blocks[-1].append(line)
    seen, kept = set(), []
    for block in blocks:
        message = tuple([PREFIX.sub('', block[0])] + block[1:])
        # process ids and other numbers may differ
        key = tuple(re.sub(r'\d+', '0', part) for part in message)
        if key not in seen:
            kept.extend(block)
        seen.add(key)
    return kept


def condense(raw):
    """Condenses a log to the lines that show why a release failed.

    Args:
        raw: bytes.

    Returns:
        Text of at most LINES lines.
    """
    lines = without_duplicates(without_framework_frames(plain_lines(raw[-BYTES:])))
    return '\n'.join(lines[-LINES:])


def advice(text, releases):
    """What to set, where a log shows it: the app writes where it may not, or lacks something; '' where it does not.

    Args:
        text: of the log.
        releases: folder of the releases.
    """
    found = FORBIDDEN.search(text)
    answer = re.match(r'status (3\d\d|401|403|404) instead of ', text)
    if answer and answer.group(1) == '404' and not found:
        return 'Set flask_app_health_path to a page that the app has; or, if it should have this one, flask_app_wsgi to the finished app. '
    if answer and not found:
        return 'If the app works, set flask_app_health_path to a page that answers 200 to anybody, or flask_app_health_status: {}. '.format(
            answer.group(1)
        )
    if not found:
        # the first line is the release tool's own
        log = text.partition('\n')[2]
        matches = ((re.search(pattern, log), advised) for pattern, advised in ADVICE)
        return next((advised.format(match.groupdict().get('found')) for match, advised in matches if match), '')
    path = one_line(found.group('path') or '')
    # relative paths are below the release, where the app starts
    inside = '/'.join(path.split('/')[len(releases.parts) + 1 :]) if path.startswith('{}/'.format(releases)) else path
    if not inside or inside.startswith('/'):
        return (
            'The app may not write {}. Only what flask_app_shared lists is its own: let it write there, '
            'for instance with flask_app_shared: [instance]. '.format(path or 'where it tried to')
        )
    folder, _, name = inside.rpartition('/')
    name = folder if folder and '.' in name.strip('.') else inside
    return 'The app may not write {} in its release. Share it: flask_app_shared: [{}]. '.format(inside, name)


class LogFile:
    """A log file that another program writes and rotates."""

    def __init__(self, path):
        self.path = path
        self.inode, self.size = self._stat()

    def _open(self):
        return os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)

    def _stat(self):
        try:
            info = os.lstat(self.path)
        except OSError:
            return 0, 0
        return info.st_ino, info.st_size

    def new_text(self):
        """The text written since this object was created, condensed; '' if it cannot be read."""
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
            return condense(os.read(descriptor, BYTES))
        finally:
            os.close(descriptor)


def journal(unit, since):
    """A unit's messages in the journal, condensed. Never fails, because it is called for error messages.

    Args:
        unit: name of the unit.
        since: seconds since 1970.
    """
    command = ['journalctl', '_SYSTEMD_UNIT=' + unit, '--since=@{}'.format(since), '--output=cat', '--no-pager', '--lines=600']
    try:
        # old versions cannot sync and new ones may time out: the messages so far will do
        subprocess.call(['journalctl', '--sync'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10)
        return condense(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20).stdout)
    except (OSError, subprocess.SubprocessError) as error:
        return '(cannot read the journal: {})'.format(error)
