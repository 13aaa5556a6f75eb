"""The command NAME-release."""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys

from . import commands, config, logoutput, overview, status
from .deploy import Deployment
from .errors import Failure
from .system import operating_system, print_line, write_line

USAGE = """
    NAME-release activate ID [--revision TEXT] [--check]   deploy the release ID
    NAME-release rollback                                  roll back to the previous release
    NAME-release prune                                     remove releases and files that no rollback needs
    NAME-release list                                      list the releases
    NAME-release status [--json]                           show what runs, and problems; 2 is the exit status with problems
    NAME-release logs [--since 2h] [--grep TEXT] [--process TYPE] [--follow]    show the logs of the app, nginx's included
    NAME-release run COMMAND [ARGUMENT ...]                run a command as the app, in the serving release
    NAME-release stop                                      end the processes and jobs, and remove their programs and timers
    NAME-release serve ID                                  run gunicorn of the release ID; used by its service
    NAME-release process ID TYPE NUMBER                    run a process of the release ID; used by supervisor
    NAME-release job JOB                                   run a job in the serving release; used by its service
    NAME-release job-ended JOB                             report a job that has failed; used by its service
"""


@contextlib.contextmanager
def exclusive_lock(path):
    """Waits for other deployments of this app and keeps them out."""
    with open(path, 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print_line('waiting for another deployment of this app')
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_detached(work):
    """Runs a function in a process that survives its caller (ssh lost, controller killed).

    Returns:
        The exit status; see run_reporting_errors.
    """
    pid = os.fork()
    if not pid:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os._exit(run_reporting_errors(work))
    try:
        status = os.waitpid(pid, 0)[1]
    except KeyboardInterrupt:
        print_line('the deployment continues in the background')
        return 1
    if os.WIFSIGNALED(status):
        print_line('The deployment was killed by signal {}. Deploy again, which completes it.'.format(os.WTERMSIG(status)))
        return 1
    return os.WEXITSTATUS(status)


def run_reporting_errors(work):
    """Runs a function and reports its failure.

    Returns:
        The exit status: what the function returns, 0 for None, 1 after a failure.
    """
    try:
        return work() or 0
    except (Failure, OSError, subprocess.SubprocessError) as error:
        text = str(error) if isinstance(error, Failure) else '{}: {}'.format(type(error).__name__, error)
        write_line(sys.stderr, text)
        return 1


def parse(name, arguments):
    """Parses the command line."""
    text = 'Deploys releases of {}.\n{}'.format(name, USAGE.replace('NAME', name))
    parser = argparse.ArgumentParser(prog=name + '-release', description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest='verb', metavar='VERB')
    verbs.required = True
    activate = verbs.add_parser('activate')
    activate.add_argument('release')
    activate.add_argument('--revision', default='')
    activate.add_argument('--check', action='store_true', help='report what would change')
    verbs.add_parser('rollback')
    verbs.add_parser('prune')
    verbs.add_parser('list')
    verbs.add_parser('status').add_argument('--json', action='store_true')
    log = verbs.add_parser('logs')
    log.add_argument('--since', default='', help="30m, 2h, 3d, 2026-01-31 or '2026-01-31 10:00'; without it, the last lines of each log")
    log.add_argument('--grep', default='', metavar='TEXT', help='only lines with this text')
    log.add_argument('--process', default='', metavar='TYPE', help='only some logs, such as web, worker, worker.1, job or nginx')
    log.add_argument('--follow', action='store_true', help='go on with what is new')
    verbs.add_parser('run').add_argument('command', nargs=argparse.REMAINDER)
    verbs.add_parser('stop')
    verbs.add_parser('serve').add_argument('release')
    process = verbs.add_parser('process')
    process.add_argument('release')
    process.add_argument('kind', metavar='type')
    process.add_argument('number')
    verbs.add_parser('job').add_argument('job')
    verbs.add_parser('job-ended').add_argument('job')
    parsed = parser.parse_args(arguments)
    if parsed.verb == 'run' and not parsed.command:
        parser.error('run needs a command')
    return parsed


def report_pending(deployment, release):
    """Reports what `activate` would change."""
    try:
        pending = deployment.pending_changes(release)
    except Failure as failure:
        pending = [str(failure)]
    print_line('\n'.join(pending) or release + ' serves already')


def run_command(deployment, command):
    """Runs a command as the app in the serving release; returns its exit status.

    On a terminal it gets a new one, because a process on root's terminal could inject input there.
    """
    on_terminal = bool(sys.stdin) and sys.stdin.isatty()
    if on_terminal and 'INVOCATION_ID' not in os.environ:
        terminal = '--setenv=TERM=' + os.environ.get('TERM', 'linux')
        os.execvp('systemd-run', ['systemd-run', '--pty', '--quiet', '--wait', '--collect', terminal, sys.argv[0], 'run'] + command)
    release = deployment.releases.current()
    settings = deployment.releases.settings(release)
    status = commands.start(settings, deployment.releases.folder(release), command, start_new_session=not on_terminal).wait()
    # killed by a signal: the status that shells use
    return status if status >= 0 else 128 - status


def list_releases(deployment):
    """Prints the releases, the latest that served first."""
    history, current = deployment.history, deployment.releases.current()
    order = {release: place for place, release in enumerate(history.served)}
    known = sorted(history.releases, key=lambda r: order.get(r, -1), reverse=True)
    if not known:
        print_line('no release has been deployed on this host')
        return
    line = '{:1} {:12}  {:19}  {:18}  {}'
    print_line(line.format('', 'RELEASE', 'SINCE', 'REVISION', 'STATE'))
    for release in known:
        facts = history.facts(release)
        state = history.state(release, current)
        print_line(line.format('*' if release == current else '', release, facts.get('at', '-'), facts.get('revision') or '-', state))
    # a rehearsal makes a machine like this one
    print_line('This host runs {}.'.format(operating_system() or 'an unknown system'))


def show_status(deployment, as_json):
    """Prints what runs of the app; returns 2 if there are problems."""
    facts = status.gather(deployment)
    print_line(json.dumps(facts) if as_json else '\n'.join(overview.lines(facts)))
    return 2 if facts['problems'] else 0


def main():
    """Runs the command; returns its exit status."""
    name = os.path.basename(sys.argv[0])[: -len('-release')]
    arguments = parse(name, sys.argv[1:])
    if os.geteuid():
        print('{}-release must run as root. Use sudo.'.format(name), file=sys.stderr)
        return 2
    os.umask(0o022)

    def deployment():
        return Deployment(config.load(name))

    def change():
        with exclusive_lock('/run/{}-release.lock'.format(name)):
            if arguments.verb == 'activate':
                return deployment().activate(arguments.release, arguments.revision)
            if arguments.verb == 'stop':
                return deployment().stop_all()
            return deployment().rollback() if arguments.verb == 'rollback' else deployment().prune()

    def inspect():
        if arguments.verb == 'list':
            return list_releases(deployment())
        if arguments.verb == 'status':
            return show_status(deployment(), arguments.json)
        if arguments.verb == 'logs':
            return logoutput.show(deployment(), arguments.since, arguments.grep, arguments.process, arguments.follow)
        if arguments.verb == 'run':
            return run_command(deployment(), arguments.command)
        if arguments.verb == 'serve':
            return commands.serve(deployment().config, deployment().releases, arguments.release)
        if arguments.verb == 'process':
            return deployment().processes.execute(arguments.release, arguments.kind, arguments.number)
        if arguments.verb == 'job':
            return deployment().jobs.execute(arguments.job)
        if arguments.verb == 'job-ended':
            return deployment().jobs.ended(arguments.job, os.environ.get('SERVICE_RESULT', ''))
        return report_pending(deployment(), arguments.release)

    changes = arguments.verb in ('rollback', 'prune', 'stop') or (arguments.verb == 'activate' and not arguments.check)
    return run_detached(change) if changes else run_reporting_errors(inspect)
