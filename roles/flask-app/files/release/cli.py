"""The command NAME-release."""

import argparse
import contextlib
import fcntl
import os
import signal
import subprocess
import sys

from . import commands, config
from .deploy import Deployment
from .errors import Failure
from .system import say, write_line

USAGE = """
    NAME-release activate ID [--revision TEXT] [--check]   let the release ID serve
    NAME-release rollback                                  let the release serve that served before
    NAME-release prune                                     remove what no rollback can reach
    NAME-release list                                      show the releases
    NAME-release run COMMAND [ARGUMENT ...]                run a command as the app, in the serving release
    NAME-release serve ID                                  be the gunicorn of the release ID; for its service
"""


@contextlib.contextmanager
def exclusive_lock(path):
    """Waits until no other hand-over of this app is at work."""
    with open(path, 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say('another hand-over is at work: waiting for its end')
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def detached(work):
    """Does the work in a process that goes on when the caller is gone (ssh lost, controller killed).

    Returns:
        The exit status of the work.
    """
    pid = os.fork()
    if not pid:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os._exit(reported(work))
    try:
        status = os.waitpid(pid, 0)[1]
    except KeyboardInterrupt:
        say('the hand-over goes on without you')
        return 1
    if os.WIFSIGNALED(status):
        say('The hand-over was killed by signal {}. Deploy again: the next one ends what it began.'.format(os.WTERMSIG(status)))
        return 1
    return os.WEXITSTATUS(status)


def reported(work):
    """Does the work and says what failed.

    Returns:
        The exit status: what the work returns, 0 for nothing, 1 after a failure.
    """
    try:
        return work() or 0
    except (Failure, OSError, subprocess.SubprocessError) as error:
        text = str(error) if isinstance(error, Failure) else '{}: {}'.format(type(error).__name__, error)
        write_line(sys.stderr, text)
        return 1


def parse(name, arguments):
    """Reads the command line."""
    text = 'Deploys releases of {}.\n{}'.format(name, USAGE.replace('NAME', name))
    parser = argparse.ArgumentParser(prog=name + '-release', description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest='verb', metavar='activate | rollback | prune | list | run | serve')
    verbs.required = True
    activate = verbs.add_parser('activate')
    activate.add_argument('release')
    activate.add_argument('--revision', default='')
    activate.add_argument('--check', action='store_true', help='only say whether there is anything to do')
    verbs.add_parser('rollback')
    verbs.add_parser('prune')
    verbs.add_parser('list')
    verbs.add_parser('run').add_argument('command', nargs=argparse.REMAINDER)
    verbs.add_parser('serve').add_argument('release')
    parsed = parser.parse_args(arguments)
    if parsed.verb == 'run' and not parsed.command:
        parser.error('run needs a command')
    return parsed


def check(deployment, release):
    """Says what `activate` would do."""
    try:
        pending = deployment.pending(release)
    except Failure as failure:
        pending = [str(failure)]
    say('\n'.join(pending) or release + ' serves already')


def run(deployment, command):
    """Runs a command as the app in the serving release; returns its exit status.

    With a terminal it gets one of its own, because a process on root's terminal could type there.
    """
    on_terminal = bool(sys.stdin) and sys.stdin.isatty()
    if on_terminal and 'INVOCATION_ID' not in os.environ:
        terminal = '--setenv=TERM=' + os.environ.get('TERM', 'linux')
        os.execvp('systemd-run', ['systemd-run', '--pty', '--quiet', '--wait', '--collect', terminal, sys.argv[0], 'run'] + command)
    release = deployment.releases.current()
    settings = deployment.releases.settings(release)
    status = commands.start(settings, deployment.releases.folder(release), command, start_new_session=not on_terminal).wait()
    # killed by a signal: as shells say it
    return status if status >= 0 else 128 - status


def show(deployment):
    """Prints the releases, the newest that served first."""
    history, current = deployment.history, deployment.releases.current()
    order = {release: place for place, release in enumerate(history.served)}
    known = sorted(history.releases, key=lambda r: order.get(r, -1), reverse=True)
    if not known:
        say('no release has been deployed here yet')
        return
    line = '{:1} {:12}  {:19}  {:18}  {}'
    say(line.format('', 'RELEASE', 'SINCE', 'REVISION', 'STATE'))
    for release in known:
        facts = history.facts(release)
        states = [
            ('serving', release == current),
            ('failed: ' + facts.get('failed', ''), history.has_failed(release)),
            ('rollback reaches it', release in order),
            ('rolled back', history.has_served(release)),
            ('not deployed', True),
        ]
        state = next(text for text, holds in states if holds)
        say(line.format('*' if release == current else '', release, facts.get('at', '-'), facts.get('revision') or '-', state))


def main():
    """Runs the command; returns its exit status."""
    name = os.path.basename(sys.argv[0])[: -len('-release')]
    arguments = parse(name, sys.argv[1:])
    if os.geteuid():
        print('{}-release needs root: use sudo'.format(name), file=sys.stderr)
        return 2
    os.umask(0o022)

    def deployment():
        return Deployment(config.load(name))

    def change():
        with exclusive_lock('/run/{}-release.lock'.format(name)):
            if arguments.verb == 'activate':
                return deployment().activate(arguments.release, arguments.revision)
            return deployment().rollback() if arguments.verb == 'rollback' else deployment().prune()

    def look():
        if arguments.verb == 'list':
            return show(deployment())
        if arguments.verb == 'run':
            return run(deployment(), arguments.command)
        if arguments.verb == 'serve':
            return commands.serve(deployment().config, deployment().releases, arguments.release)
        return check(deployment(), arguments.release)

    changes = arguments.verb in ('rollback', 'prune') or (arguments.verb == 'activate' and not arguments.check)
    return detached(change) if changes else reported(look)
