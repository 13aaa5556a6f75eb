#!/usr/bin/python3
"""Hands an app's traffic from one release to the next without losing a request.

    NAME-release activate ID [--revision TEXT] [--check]   let the release ID serve
    NAME-release rollback                                  let the release serve that served before
    NAME-release list                                      show the releases
    NAME-release run COMMAND [ARGUMENT ...]                run a command as the app, in the serving release

A hand-over never edits what serves. The release starts beside it, as NAME-next@ID.service on a socket of its own. Once
it has proved healthy, nginx's link live.sock moves to it; the program under supervisor restarts with the new release,
proves healthy as well, and gets the link back. A release that does not prove healthy never gets a request.

The link `current` says which release belongs to the host; supervisor starts that one after a reboot. It moves only to
a release that is healthy already, so at every moment a crash or a reboot leaves a host that serves.

Settings are in /etc/NAME-release.json, written by the role. Runs on Python 3.6, with nothing but its library.
"""
import argparse
import contextlib
import fcntl
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import xmlrpc.client
from datetime import datetime
from pathlib import Path

PROBE_PAUSE = 0.1  # seconds between two looks at a starting release
LOG_LINES = 40  # of a failed release


class Failure(Exception):
    """What went wrong and what to do, for the person who reads it."""


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a unix socket; `host` is the socket's path."""

    def __init__(self, path, timeout=None):
        super().__init__('localhost', timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a unix socket."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def make_connection(self, host):
        return UnixConnection(self.path)


def say(text):
    """Prints a line; goes on when nobody listens any more."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def now():
    """The host's time, as text that sorts."""
    return datetime.now().strftime('%Y-%m-%d %H:%M:%S')


def point(link, target):
    """Makes `link` lead to `target` in one step, whether or not it is there already."""
    new = '{}.new'.format(link)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    os.symlink(str(target), new)
    os.replace(new, str(link))


def children(pid):
    """The process ids of a process's children."""
    found = set()
    for stat in Path('/proc').glob('[0-9]*/stat'):
        with contextlib.suppress(OSError):
            # the name, in brackets, may hold anything
            if int(stat.read_text().rpartition(')')[2].split()[1]) == pid:
                found.add(int(stat.parent.name))
    return found


class Program:
    """The app's program under supervisor."""

    BAD_NAME, NOT_RUNNING, ALREADY_STARTED = 10, 70, 60

    def __init__(self, name, socket_path):
        self.name = name
        self.rpc = xmlrpc.client.ServerProxy('http://localhost', UnixTransport(socket_path)).supervisor

    def info(self):
        """What supervisor knows of the program; None when it does not know it."""
        try:
            return self.rpc.getProcessInfo(self.name)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != self.BAD_NAME:
                raise
            return None

    def pid(self):
        """The process id while the program runs, else 0."""
        info = self.info()
        return info['pid'] if info else 0

    def pending(self):
        """'added' or 'changed' when the program's file is not in force yet, else ''."""
        try:
            added, changed, _ = self.rpc.reloadConfig()[0]
        except xmlrpc.client.Fault as fault:
            raise Failure('supervisor can not read its files: {}. Mend them; nothing was changed.'.format(fault))
        return 'added' if self.name in added else 'changed' if self.name in changed else ''

    def restart(self):
        """Stops the program gracefully, takes its file as it is now, and starts it."""
        pending = self.pending()
        with self.tolerate(self.NOT_RUNNING, self.BAD_NAME):
            self.rpc.stopProcess(self.name)
        if pending == 'changed':
            self.rpc.removeProcessGroup(self.name)
        if pending:
            self.rpc.addProcessGroup(self.name)
        with self.tolerate(self.ALREADY_STARTED):
            self.rpc.startProcess(self.name, False)

    @staticmethod
    @contextlib.contextmanager
    def tolerate(*codes):
        """Passes over supervisor's faults of these codes."""
        try:
            yield
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in codes:
                raise


class Host:
    """The app on this host.

    Attributes:
        name: of the app, its program and its files.
        root: folder of the app; `releases`, `venvs` and `history.json` are in it.
        current: the link to the release that belongs to the host.
        drain, settle: seconds; how long a socket that lost the traffic is still served, and how long a release must
            stay healthy before it gets any.
        keep: how many releases a rollback can reach.
    """

    def __init__(self, name):
        self.name = name
        with open('/etc/{}-release.json'.format(name)) as file:
            settings = json.load(file)
        self.root = Path(settings['root'])
        self.current = Path(settings['current'])
        self.bind = settings['bind']
        self.drain = settings['drain']
        self.settle = settings['settle']
        self.keep = settings['keep']
        self.run = Path('/run') / name
        self.program = Program(name, settings['supervisor_socket'])
        self.history_file = self.root / 'history.json'

    # -- what is there

    def history(self):
        """Which releases served, oldest first, and what is known of each release."""
        empty = {'served': [], 'releases': {}, 'initialized': []}
        return json.loads(self.history_file.read_text()) if self.history_file.exists() else empty

    def remember(self, release, **facts):
        """Adds to what is known of a release."""
        history = self.history()
        history['releases'].setdefault(release, {}).update(facts)
        self.save(history)

    def save(self, history):
        """Writes the history in one step."""
        new = self.history_file.with_suffix('.new')
        new.write_text(json.dumps(history, indent=1, sort_keys=True) + '\n')
        new.chmod(0o644)
        new.replace(self.history_file)

    def folder(self, release):
        """The folder of a release."""
        return self.root / 'releases' / release

    def settings(self, release):
        """What the release's .release.json says."""
        path = self.folder(release) / '.release.json'
        if not path.exists():
            raise Failure('There is no release {}. `{}-release list` shows those that are.'.format(release, self.name))
        return json.loads(path.read_text())

    def belongs(self):
        """The id of the release that `current` leads to, or ''."""
        return os.path.basename(os.readlink(str(self.current))) if self.current.is_symlink() else ''

    def running(self):
        """The id of the release that the program runs, or ''. Its gunicorn wrote it down (see .gunicorn.py)."""
        mark = self.run / 'master-{}'.format(self.program.pid())
        return mark.read_text() if mark.exists() else ''

    def handing_over(self):
        """The ids of the releases that run beside the program."""
        units = subprocess.run(
            ['systemctl', 'list-units', '--all', '--no-legend', '--plain', '--full', '{}-next@*'.format(self.name)],
            stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout
        return [line.split()[0].partition('@')[2].partition('.')[0] for line in units.splitlines()]

    def live(self):
        """The name of the socket that has the traffic, or '' where nginx goes by a TCP port."""
        link = self.run / 'live.sock'
        return os.readlink(str(link)) if link.is_symlink() else ''

    def behind_socket(self):
        return self.bind.startswith('unix:')

    def at_rest(self, release):
        """Whether the release serves and there is nothing left to do."""
        return (self.belongs() == self.running() == release
                and self.live() == (self.name + '.sock' if self.behind_socket() else '')
                and not self.program.pending()
                and not self.handing_over())

    # -- health

    def probe(self, health, connection):
        """Asks the health path once.

        Returns:
            '' when the answer is as it should be, else what is wrong with it.
        """
        try:
            connection.request('GET', health['path'], headers={'Connection': 'close'})
            answer = connection.getresponse()
            body = answer.read().decode('utf-8', 'replace')
        except (OSError, http.client.HTTPException) as error:
            return 'no answer ({})'.format(error)
        finally:
            connection.close()
        if answer.status != health['status']:
            return 'status {} instead of {}'.format(answer.status, health['status'])
        if health['text'] not in body:
            return "an answer without '{}' in it".format(health['text'])
        return ''

    def connection(self, bind, timeout):
        if bind.startswith('unix:'):
            return UnixConnection(bind[len('unix:'):], timeout)
        return http.client.HTTPConnection('127.0.0.1', int(bind.rpartition(':')[2]), timeout=timeout)

    def workers_ready(self, master, wanted):
        """The workers of a gunicorn, once each has imported the app (see .gunicorn.py), else nothing."""
        workers = children(master) if master else set()
        ready = all((self.run / 'ready-{}'.format(worker)).exists() for worker in workers)
        return workers if ready and len(workers) >= wanted else set()

    def prove(self, release, bind, master, settle):
        """Waits until a release answers its health path with all its workers, and goes on doing so.

        Args:
            release: its id.
            bind: where it listens, in gunicorn's words.
            master: a function that returns the process id of its gunicorn, 0 when there is none.
            settle: seconds that it must stay healthy, with the same processes.

        Raises:
            Failure: it did not, within the release's own time limit.
        """
        settings = self.settings(release)
        health = settings['health']
        deadline = time.monotonic() + health['timeout']
        first, workers, healthy_since, problem = 0, set(), None, 'no answer'
        while True:
            left = deadline - time.monotonic()
            if left <= 0 and healthy_since is None:
                raise Failure('{} after {} s at {}'.format(problem, health['timeout'], health['path']))
            pid = master()
            if first and pid != first:
                raise Failure('its gunicorn ended')
            first = pid
            ready = self.workers_ready(pid, settings['workers'])
            problem = self.probe(health, self.connection(bind, max(left, 1))) if ready else 'workers not ready'
            if healthy_since is None and not problem:
                healthy_since, workers = time.monotonic(), ready
            elif healthy_since is not None and (problem or ready != workers):
                raise Failure(problem or 'a worker ended')
            if healthy_since is not None and time.monotonic() - healthy_since >= settle:
                return
            time.sleep(PROBE_PAUSE)

    # -- the release beside the program

    def unit(self, release):
        return '{}-next@{}.service'.format(self.name, release)

    def start_beside(self, release):
        """Starts a release beside the program and waits until it has proved healthy."""
        started = time.time()
        subprocess.run(['systemctl', 'restart', self.unit(release)], check=True)
        try:
            self.prove(release, 'unix:{}/next.sock'.format(self.run), lambda: self.beside_pid(release), self.settle)
        except Failure as failure:
            subprocess.run(['systemctl', 'kill', '--signal=KILL', self.unit(release)], check=False)
            self.stop_beside()
            raise Failure('{}\n\nIts log ends with:\n{}'.format(failure, self.log(release, started)))

    def beside_pid(self, release):
        shown = subprocess.run(['systemctl', 'show', '--property=MainPID', self.unit(release)],
                               stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout
        return int(shown.strip().partition('=')[2])

    def stop_beside(self):
        """Stops whatever runs beside the program; requests that it has begun are answered first."""
        with contextlib.suppress(FileNotFoundError):
            (self.run / 'standby.sock').unlink()
        for release in self.handing_over():
            subprocess.run(['systemctl', 'stop', self.unit(release)], check=True)
            subprocess.run(['systemctl', 'reset-failed', self.unit(release)], check=False, stderr=subprocess.DEVNULL)

    def log(self, release, since):
        """The last lines that a release wrote beside the program since a time (seconds since 1970)."""
        subprocess.run(['journalctl', '--sync'], check=False, stderr=subprocess.DEVNULL)
        return subprocess.run(
            ['journalctl', '--unit', self.unit(release), '--since', '@{}'.format(int(since)), '--lines',
             str(LOG_LINES), '--output', 'cat', '--no-pager'],
            stdout=subprocess.PIPE, universal_newlines=True, check=False).stdout

    # -- commands

    def environment(self, settings, folder):
        """The environment that .gunicorn.py gives the app."""
        environment = {'HOME': settings['home'], 'LANG': 'C.UTF-8', 'USER': settings['user'],
                       'PATH': '{}/bin:/usr/local/bin:/usr/bin:/bin'.format(folder)}
        environment.update({name: str(value) for name, value in settings['environment'].items()})
        if settings['secrets']:
            environment.update(json.loads(Path(settings['secrets']).read_text()))
        return environment

    def as_app(self, release, command, **options):
        """Runs a command as the app's account, in the release's folder, with the app's environment."""
        settings = self.settings(release)
        account = pwd.getpwnam(settings['user'])
        folder = self.folder(release)

        def become():
            os.initgroups(account.pw_name, account.pw_gid)
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            os.umask(0o022)

        return subprocess.run(command, cwd=str(folder), env=self.environment(settings, folder), preexec_fn=become,
                              stdin=subprocess.DEVNULL if options else None, universal_newlines=True, **options)

    def prepare(self, release):
        """Runs the release's commands: some once on a host, the others once for a release."""
        settings = self.settings(release)
        history = self.history()
        done = history['releases'].get(release, {}).get('prepared', False)
        commands = [c for c in settings['init_commands'] if c not in history['initialized']]
        for command in commands + ([] if done else settings['commands']):
            say('{}$ {}'.format(release, command))
            result = self.as_app(release, ['/bin/sh', '-ec', command],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if result.returncode:
                raise Failure("the command '{}' ended with {}\n\n{}".format(command, result.returncode, result.stdout))
            if command in commands:
                history['initialized'].append(command)
                self.save(history)
        self.remember(release, prepared=True)

    # -- the hand-over

    def traffic_to(self, name):
        """Gives a socket the traffic. What had it before is served on until nothing waits there any more."""
        if self.behind_socket() and self.live() != name:
            point(self.run / 'live.sock', name)
            time.sleep(self.drain)

    def restart_program(self, release):
        """Restarts the program with a release, waits until it is healthy and gives it the traffic."""
        point(self.current, self.folder(release))
        self.program.restart()
        self.prove(release, self.bind, self.program.pid, 0)
        self.traffic_to(self.name + '.sock')

    def settle_interrupted(self):
        """Ends what an interrupted hand-over left: the traffic goes to the program, and nothing runs beside it."""
        belongs = self.belongs()
        if belongs and self.live() == 'next.sock':
            say('an earlier hand-over was interrupted: ending it')
            if self.running() != belongs:
                self.restart_program(belongs)
            self.traffic_to(self.name + '.sock')
        self.stop_beside()
        for stale in list(self.run.glob('ready-*')) + list(self.run.glob('master-*')):
            if not Path('/proc', stale.name.partition('-')[2]).exists():
                stale.unlink()

    def hand_over(self, release):
        """Lets a release serve.

        Raises:
            Failure: it does not; the release that served before serves on.
        """
        self.settings(release)
        subprocess.run(['systemd-tmpfiles', '--create', '/etc/tmpfiles.d/{}.conf'.format(self.name)], check=True)
        self.program.pending()
        self.settle_interrupted()
        before = self.belongs()
        try:
            self.prepare(release)
            say('starting {} beside {}'.format(release, before or 'nothing'))
            self.start_beside(release)
            # from here on nginx may also fall back to it
            point(self.run / 'standby.sock', 'next.sock')
            self.traffic_to('next.sock')
            try:
                self.restart_program(release)
            except Failure:
                if before:
                    self.restart_program(before)
                raise
            finally:
                self.stop_beside()
        except Failure as failure:
            reason = str(failure).splitlines()[0]
            self.remember(release, failed=reason, at=now())
            raise Failure('The release {} did not prove healthy and got no request: {}\n\n{}'.format(
                release, failure, 'The release {} serves on. Mend the app and deploy again.'.format(before)
                if before else 'Nothing serves yet. Mend the app and deploy again.'))

    def activate(self, release, revision=''):
        """Deploys: lets a release serve, on top of those that served before."""
        if self.at_rest(release):
            say('{} serves already'.format(release))
        else:
            self.hand_over(release)
            say('{} serves'.format(release))
        history = self.history()
        facts = history['releases'].get(release, {})
        if history['served'][-1:] != [release] or 'failed' in facts:
            history['served'] = [other for other in history['served'] if other != release] + [release]
            self.save(history)
            self.remember_served(release, revision)
        self.clean()

    def remember_served(self, release, revision=None):
        history = self.history()
        facts = history['releases'].setdefault(release, {})
        facts.pop('failed', None)
        facts['at'] = now()
        if revision is not None:
            facts['revision'] = revision
        self.save(history)

    def rollback(self):
        """Lets the release serve that served before; the one that is left is not chosen by later rollbacks."""
        history = self.history()
        releases = history['releases']
        served = history['served']
        if served and served[-1] != self.belongs():
            served = served + [self.belongs()]
        older = [r for r in served[:-1] if 'failed' not in releases.get(r, {}) and self.folder(r).exists()]
        if not older:
            raise Failure('There is no older release to roll back to: {} is the oldest that served.'.format(
                self.belongs() or 'nothing'))
        self.hand_over(older[-1])
        history = self.history()
        history['served'] = older
        self.save(history)
        self.remember_served(older[-1])
        say('{} serves again'.format(older[-1]))

    def clean(self):
        """Removes the releases that no rollback can reach, and the environments and secrets that no release uses."""
        history = self.history()
        failed = sorted((r for r, facts in history['releases'].items() if 'failed' in facts),
                        key=lambda r: history['releases'][r]['at'])
        kept = set(history['served'][-self.keep:] + failed[-self.keep:] + [self.belongs(), self.running()])
        history['served'] = history['served'][-self.keep:]
        history['releases'] = {r: facts for r, facts in history['releases'].items() if r in kept}
        self.save(history)
        day_ago = time.time() - 86400
        for folder in (self.root / 'releases').iterdir():
            # one that is being laid out has a dot in front; after a day it was abandoned
            if folder.name not in kept and (folder.name[0] != '.' or folder.stat().st_mtime < day_ago):
                shutil.rmtree(str(folder))
        settings = [self.settings(release) for release in kept if release and self.folder(release).exists()]
        secrets = {os.path.basename(s['secrets']) for s in settings if s['secrets']}
        for file in (self.root / 'secrets').glob('*.json'):
            if file.name not in secrets:
                file.unlink()
        self.clean_environments(kept)

    def clean_environments(self, kept):
        """Removes environments: links first, then the builds that no link names."""
        venvs = self.root / 'venvs'
        used = {os.path.basename(os.path.dirname(os.readlink(str(self.folder(release) / 'bin'))))
                for release in kept if release and self.folder(release).exists()}
        links = sorted((path for path in venvs.glob('*') if path.is_symlink()), key=lambda path: path.lstat().st_mtime)
        # the newest may be for a release that is being laid out
        for link in links[:-1]:
            if link.name not in used:
                link.unlink()
        builds = {os.readlink(str(path)) for path in links if path.is_symlink()}
        for path in venvs.glob('*'):
            if not path.is_symlink() and path.name not in builds and path.stat().st_mtime < time.time() - 3600:
                shutil.rmtree(str(path))

    def show(self):
        """Prints the releases, the newest that served first."""
        history = self.history()
        order = {release: place for place, release in enumerate(history['served'])}
        known = sorted(history['releases'], key=lambda r: order.get(r, -1), reverse=True)
        line = '{:1} {:12}  {:19}  {:18}  {}'
        print(line.format('', 'RELEASE', 'SINCE', 'REVISION', 'STATE'))
        for release in known:
            facts = history['releases'][release]
            serving = release == self.belongs()
            state = ('serving' if serving else 'failed: ' + facts['failed'] if 'failed' in facts
                     else 'rollback reaches it' if release in order else 'rolled back')
            print(line.format('*' if serving else '', release, facts.get('at', '-'),
                              facts.get('revision') or '-', state))


@contextlib.contextmanager
def alone(name):
    """Waits until no other hand-over of this app is at work."""
    with open('/run/lock/{}-release'.format(name), 'w') as file:
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
    if pid:
        status = os.waitpid(pid, 0)[1]
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os._exit(reported(work))


def reported(work):
    """Does the work and says what failed.

    Returns:
        The exit status: 0, or 1 after a failure.
    """
    try:
        work()
    except Failure as failure:
        with contextlib.suppress(OSError):
            print(failure, file=sys.stderr, flush=True)
        return 1
    except (OSError, subprocess.CalledProcessError, xmlrpc.client.Error) as error:
        with contextlib.suppress(OSError):
            print('{}: {}'.format(type(error).__name__, error), file=sys.stderr, flush=True)
        return 1
    return 0


def main():
    name = os.path.basename(sys.argv[0])
    name = name[:-len('-release')]
    parser = argparse.ArgumentParser(description=__doc__.replace('NAME', name),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest='verb', metavar='activate | rollback | list | run')
    verbs.required = True
    activate = verbs.add_parser('activate')
    activate.add_argument('release')
    activate.add_argument('--revision', default='')
    activate.add_argument('--check', action='store_true', help='only say whether there is anything to do')
    verbs.add_parser('rollback')
    verbs.add_parser('list')
    run = verbs.add_parser('run')
    run.add_argument('command', nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if os.geteuid():
        parser.error('this needs root: use sudo')
    os.umask(0o022)

    host = Host(name)
    if arguments.verb == 'list':
        return reported(host.show)
    if arguments.verb == 'run':
        return host.as_app(host.belongs(), arguments.command).returncode
    if arguments.verb == 'activate' and arguments.check:
        there = host.at_rest(arguments.release)
        say('{} serves already'.format(arguments.release) if there else 'would hand over to ' + arguments.release)
        return 0

    def work():
        with alone(name):
            if arguments.verb == 'activate':
                host.activate(arguments.release, arguments.revision)
            else:
                host.rollback()
    return detached(work)


if __name__ == '__main__':
    sys.exit(main())
