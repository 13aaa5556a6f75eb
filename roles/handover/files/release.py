#!/usr/bin/python3
"""Hands an app's traffic from one release to the next without losing a request.

    NAME-release activate ID [--revision TEXT] [--check]   let the release ID serve
    NAME-release rollback                                  let the release serve that served before
    NAME-release list                                      show the releases
    NAME-release run COMMAND [ARGUMENT ...]                run a command as the app, in the serving release
    NAME-release serve ID                                  be the gunicorn of the release ID; for its service

A hand-over never edits what serves. The release starts beside it, as NAME-next@ID.service on a socket of its own. Once
it has proved healthy, nginx's link live.sock moves to it; the program under supervisor restarts with the new release,
proves healthy as well, and gets the link back. A release that does not prove healthy never gets a request.

The link `current` says which release belongs to the host; supervisor starts that one after a reboot. It moves only to
a release that is healthy already, so at every moment a crash or a reboot leaves a host that serves.

Settings are in the section X-Release of NAME-next@.service, written by the role. Runs on Python 3.6, with nothing but its library.
"""

import argparse
import configparser
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

PROBE_PAUSE = 0.1  # seconds between two looks at a starting release or a draining socket
QUIET_LOOKS = 5  # looks in a row at which nothing waits, until a socket counts as drained
SUPERVISOR_PATIENCE = 20  # seconds that supervisor may need to restart
LOG_LINES = 40  # of a failed release
ABANDONED = 3600  # seconds after which something unfinished belongs to no run any more


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


def systemctl(*arguments):
    """Runs systemctl.

    Returns:
        What it printed.

    Raises:
        Failure: it did not succeed.
    """
    done = subprocess.run(['systemctl'] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode:
        raise Failure('`systemctl {}` failed: {}'.format(' '.join(arguments), done.stdout.strip()))
    return done.stdout


def abandoned(path):
    """Whether a path is older than any run that may still work on it."""
    return path.lstat().st_mtime < time.time() - ABANDONED


def remove(path):
    """Removes a folder with all that is in it, a file, or a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path))
    else:
        path.unlink()


def become(user):
    """Gives up root's rights for those of an account."""
    account = pwd.getpwnam(user)
    os.initgroups(user, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.umask(0o022)


class Program:
    """The app's program under supervisor.

    Every method waits while supervisor restarts, and raises Failure when supervisor does not answer or refuses.
    """

    # supervisor's numbers for its faults and states
    SHUTTING_DOWN, BAD_NAME, ALREADY_STARTED, NOT_RUNNING, ALREADY_ADDED = 6, 10, 60, 70, 90
    EXITED, FATAL = 100, 200

    def __init__(self, name, socket_path):
        self.name = name
        self.socket_path = socket_path
        self.rpc = xmlrpc.client.ServerProxy('http://localhost', UnixTransport(socket_path)).supervisor

    def call(self, method, *arguments, harmless=()):
        """Calls a method of supervisor; returns None where it answers with one of the harmless faults."""
        deadline = time.monotonic() + SUPERVISOR_PATIENCE
        while True:
            try:
                return getattr(self.rpc, method)(*arguments)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode in harmless:
                    return None
                if fault.faultCode != self.SHUTTING_DOWN:
                    raise Failure('supervisor refuses {} for {}: {}'.format(method, self.name, fault.faultString))
                problem = fault.faultString
            except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
                problem = error
            if time.monotonic() > deadline:
                raise Failure(
                    'supervisor does not answer at {} ({}). Look at it with `systemctl status supervisor`.'.format(
                        self.socket_path, problem
                    )
                )
            time.sleep(PROBE_PAUSE)

    def pid(self):
        """The process id while the program runs, else 0."""
        info = self.call('getProcessInfo', self.name, harmless=[self.BAD_NAME])
        return info['pid'] if info else 0

    def state(self):
        """What supervisor calls the program's state, in small letters."""
        info = self.call('getProcessInfo', self.name, harmless=[self.BAD_NAME])
        return info['statename'].lower() if info else 'unknown'

    def starting_pid(self):
        """The process id, or 0 while there is none yet; Failure when supervisor has given up."""
        info = self.call('getProcessInfo', self.name)
        if info['state'] in (self.EXITED, self.FATAL):
            raise Failure('supervisor gave up: {}'.format(info['spawnerr'] or info['description']))
        return info['pid']

    def pending(self):
        """'added' or 'changed' when the program's file is not in force yet, else ''."""
        added, changed, _ = self.call('reloadConfig')[0]
        return 'added' if self.name in added else 'changed' if self.name in changed else ''

    def restart(self):
        """Stops the program gracefully, takes its file as it is now, and starts it."""
        pending = self.pending()
        self.call('stopProcess', self.name, harmless=[self.NOT_RUNNING, self.BAD_NAME])
        if pending == 'changed':
            self.call('removeProcessGroup', self.name, harmless=[self.BAD_NAME])
        if pending:
            self.call('addProcessGroup', self.name, harmless=[self.ALREADY_ADDED])
        self.call('startProcess', self.name, False, harmless=[self.ALREADY_STARTED])

    def log(self):
        """The end of what the program wrote."""
        lines = self.call('readProcessStdoutLog', self.name, -8000, 0).splitlines()
        return '\n'.join(lines[-LOG_LINES:])


class Host:
    """The app on this host.

    Attributes:
        name: of the app, its program and its files.
        root: folder of the app; `releases`, `venvs` and `history.json` are in it.
        current: the link to the release that belongs to the host.
        drain: seconds that requests which wait at a socket have, after it lost the traffic, to be taken up.
        settle: seconds that a release must stay healthy before it gets traffic.
        keep: how many releases stay, the serving one among them.
    """

    def __init__(self, name):
        self.name = name
        service = configparser.ConfigParser(strict=False, interpolation=None)
        with open('/etc/systemd/system/{}-next@.service'.format(name)) as file:
            service.read_file(file)
        settings = service['X-Release']
        self.root = Path(settings['Root'])
        self.current = Path(settings['Current'])
        self.bind = settings['Bind']
        self.drain = settings.getfloat('DrainSec')
        self.settle = settings.getfloat('SettleSec')
        self.keep = settings.getint('KeepReleases')
        self.run = Path('/run') / name
        self.program = Program(name, settings['SupervisorSocket'])
        self.history_file = self.root / 'history.json'

    # -- what is there

    def history(self):
        """What is known of the past.

        Returns:
            `served`: ids of the releases that a rollback goes through, oldest first; `releases`: id to facts;
            `initialized`: the commands that ran once on this host.
        """
        if not self.history_file.exists():
            return {'served': [], 'releases': {}, 'initialized': []}
        try:
            return json.loads(self.history_file.read_text())
        except ValueError as error:
            raise Failure(
                '{} is damaged ({}). Mend it, or remove it: then no rollback reaches the releases before, '
                "and the app's init commands run again.".format(self.history_file, error)
            )

    def remember(self, release, **facts):
        """Adds to what is known of a release."""
        history = self.history()
        history['releases'].setdefault(release, {}).update(facts)
        self.save(history)

    def save(self, history):
        """Writes the history in one step, so that neither a full disk nor a crash leaves half of it."""
        new = self.history_file.with_suffix('.new')
        with new.open('w') as file:
            json.dump(history, file, indent=1, sort_keys=True)
            file.write('\n')
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.history_file)

    def folder(self, release):
        """The folder of a release."""
        return self.root / 'releases' / release

    def environment_link(self, release):
        """The link that names the environment of a release."""
        return Path(os.path.dirname(os.readlink(str(self.folder(release) / 'bin'))))

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
        pid = self.program.pid()
        mark = self.run / 'master-{}'.format(pid)
        if not mark.exists():
            return ''
        release = mark.read_text()
        # a release or an environment that somebody had changed may have been replaced by another of the same name
        try:
            folders = self.folder(release), self.environment_link(release)
            replaced = any((folder / '.manifest.json').stat().st_mtime > mark.stat().st_mtime for folder in folders)
        except FileNotFoundError:
            replaced = True
        return '' if replaced else release

    def handing_over(self):
        """The ids of the releases that run beside the program."""
        units = systemctl('list-units', '--all', '--no-legend', '--plain', '--full', '{}-next@*'.format(self.name))
        return [line.split()[0].partition('@')[2].partition('.')[0] for line in units.splitlines()]

    def live(self):
        """The name of the socket that has the traffic, or '' where nginx goes by a TCP port."""
        link = self.run / 'live.sock'
        return os.readlink(str(link)) if link.is_symlink() else ''

    def behind_socket(self):
        """Whether nginx reaches the app by a socket; else a hand-over has no link to move, and loses requests."""
        return self.bind.startswith('unix:')

    def unrest(self, release):
        """What there is to do until the release serves, a text each; none when it does."""
        live, rest = self.live(), self.name + '.sock' if self.behind_socket() else ''
        found = [
            (self.belongs() != release, '{} leads to {}'.format(self.current, self.belongs() or 'nothing')),
            (self.running() != release, 'the program {} is {}, without {}'.format(self.name, self.program.state(), release)),
            (live != rest, '{}/live.sock leads to {}'.format(self.run, live or 'nothing')),
            (self.program.pending(), 'the file of the program {} is not in force'.format(self.name)),
        ]
        return [text for holds, text in found if holds] + ['{} runs'.format(self.unit(r)) for r in self.handing_over()]

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
        """A connection to where gunicorn listens, in its own words; timeout in seconds."""
        if bind.startswith('unix:'):
            return UnixConnection(bind[len('unix:') :], timeout)
        return http.client.HTTPConnection('127.0.0.1', int(bind.rpartition(':')[2]), timeout=timeout)

    def ready_workers(self, master):
        """The workers of a gunicorn that have imported the app: they left a mark (see .gunicorn.py)."""
        return {pid for pid in children(master) if (self.run / 'ready-{}'.format(pid)).exists()} if master else set()

    def prove(self, release, bind, master, settle):
        """Waits until a release answers its health path with all its workers, and goes on doing so.

        Args:
            release: its id.
            bind: where it listens, in gunicorn's words.
            master: a function that returns the process id of its gunicorn, 0 while there is none.
            settle: seconds that it must stay healthy, with the same workers.

        Raises:
            Failure: it did not, within the release's own time limit.
        """
        settings = self.settings(release)
        health = settings['health']
        deadline = time.monotonic() + health['timeout']
        healthy_since, workers = None, set()
        while True:
            ready = self.ready_workers(master())
            left = deadline - time.monotonic()
            if len(ready) < settings['workers']:
                problem = '{} of {} workers have started the app'.format(len(ready), settings['workers'])
            else:
                problem = self.probe(health, self.connection(bind, max(left, 1)))
            if healthy_since is not None:
                if problem or ready != workers:
                    raise Failure('{} after it had answered well'.format(problem or 'a worker ended'))
                if time.monotonic() - healthy_since >= settle:
                    return
            elif not problem:
                healthy_since, workers = time.monotonic(), ready
                if not settle:
                    return
            elif left <= 0:
                raise Failure('{} within {} s; the health path is {}'.format(problem, health['timeout'], health['path']))
            time.sleep(PROBE_PAUSE)

    # -- the release beside the program

    def unit(self, release):
        """The systemd service of a release that runs beside the program."""
        return '{}-next@{}.service'.format(self.name, release)

    def start_beside(self, release):
        """Starts a release beside the program and waits until it has proved healthy."""
        started = int(time.time())
        try:
            # its file may be newer than what systemd has read, whatever became of the run that wrote it
            if systemctl('show', '--property=NeedDaemonReload', self.unit(release)).strip().endswith('=yes'):
                systemctl('daemon-reload')
            systemctl('start', self.unit(release))
            self.prove(release, 'unix:{}/next.sock'.format(self.run), lambda: self.beside_pid(release), self.settle)
        except Failure as failure:
            self.end_beside(release)
            raise Failure('{}\n\nIts log ends with:\n{}'.format(failure, self.log(release, started)))

    def end_beside(self, release):
        """Ends a release beside the program without waiting for its requests; for one that never had traffic."""
        # gunicorn's quick way. A kill of the whole service leaves orphans, whose end systemd doesn't see where it has
        # cgroups v1 in a container: it would wait for them in vain.
        systemctl('kill', '--signal=QUIT', self.unit(release))
        systemctl('stop', self.unit(release))

    def beside_pid(self, release):
        """The process id of the release's gunicorn beside the program; Failure when it has ended."""
        shown = systemctl('show', '--property=ActiveState,MainPID,NRestarts', self.unit(release))
        values = dict(line.split('=', 1) for line in shown.splitlines())
        if values['ActiveState'] != 'active' or int(values['NRestarts']):
            raise Failure('its gunicorn ended')
        return int(values['MainPID'])

    def stop_beside(self):
        """Stops whatever runs beside the program; requests that it has begun are answered first."""
        with contextlib.suppress(FileNotFoundError):
            (self.run / 'standby.sock').unlink()
        for release in self.handing_over():
            systemctl('stop', self.unit(release))
            if release in self.handing_over():
                systemctl('reset-failed', self.unit(release))

    def log(self, release, since):
        """The last lines that a release wrote beside the program since a time (seconds since 1970)."""
        subprocess.run(['journalctl', '--sync'], check=True)
        written = subprocess.run(
            ['journalctl', '_SYSTEMD_UNIT=' + self.unit(release), '--since=@{}'.format(since), '--output=cat', '--no-pager'],
            stdout=subprocess.PIPE,
            universal_newlines=True,
            check=True,
        ).stdout
        return '\n'.join(written.splitlines()[-LOG_LINES:])

    # -- commands

    def environment(self, settings, folder):
        """The same environment that .gunicorn.py gives the app."""
        environment = {
            'HOME': settings['home'],
            'LANG': 'C.UTF-8',
            'USER': settings['user'],
            'PATH': '{}/bin:/usr/local/bin:/usr/bin:/bin'.format(folder),
        }
        environment.update({name: str(value) for name, value in settings['environment'].items()})
        if settings['secrets']:
            environment.update(json.loads(Path(settings['secrets']).read_text()))
        return environment

    def as_app(self, release, command, **options):
        """Runs a command as the app's account, in the release's folder, with the app's environment.

        Args:
            options: further ones of subprocess.run.
        """
        settings = self.settings(release)
        folder = self.folder(release)
        return subprocess.run(
            command,
            cwd=str(folder),
            env=self.environment(settings, folder),
            preexec_fn=lambda: become(settings['user']),
            universal_newlines=True,
            **options
        )

    def serve(self, release):
        """Becomes the gunicorn of a release beside the program.

        Its service has no User=, with which systemd 257 starts nothing that has filters of system calls, in a container
        without CAP_SYS_ADMIN.
        """
        folder = self.folder(release)
        become(self.settings(release)['user'])
        os.chdir(str(folder))
        gunicorn = str(folder / 'bin/gunicorn')
        os.execv(gunicorn, [gunicorn, '-c', '.gunicorn.py', '-b', 'unix:{}/next.sock'.format(self.run)])

    def prepare(self, release):
        """Runs the release's commands: some once on a host, the others once for a release."""
        settings = self.settings(release)
        history = self.history()
        done = history['releases'].get(release, {}).get('prepared', False)
        commands = [c for c in settings['init_commands'] if c not in history['initialized']]
        for command in commands + ([] if done else settings['commands']):
            say('{}$ {}'.format(release, command))
            result = self.as_app(
                release, ['/bin/sh', '-ec', command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            if result.returncode:
                raise Failure("the command '{}' ended with {}\n\nIt printed:\n{}".format(command, result.returncode, result.stdout))
            if command in commands:
                history['initialized'].append(command)
                self.save(history)
        self.remember(release, prepared=True)

    # -- the hand-over

    def waiting(self, name):
        """How many connections wait at a socket for a worker to take them up."""
        path, connecting = str(self.run / name), '02'
        entries = [line.split() for line in Path('/proc/net/unix').read_text().splitlines()]
        return sum(entry[5] == connecting and entry[-1] == path for entry in entries)

    def traffic_to(self, name):
        """Gives a socket the traffic, and waits until nothing waits any more at the one that had it."""
        before = self.live()
        if not self.behind_socket() or before == name:
            return
        point(self.run / 'live.sock', name)
        # nothing waits where nothing has listened, as on a new host
        if not before or not (self.run / before).exists():
            return
        deadline = time.monotonic() + self.drain
        quiet = 0
        while quiet < QUIET_LOOKS and time.monotonic() < deadline:
            time.sleep(PROBE_PAUSE)
            quiet = 0 if self.waiting(before) else quiet + 1

    def serve_by_program(self, release):
        """Lets the program run a release, waits until it is healthy and gives it the traffic."""
        point(self.current, self.folder(release))
        if self.running() != release or self.program.pending():
            self.program.restart()
        try:
            self.prove(release, self.bind, self.program.starting_pid, 0)
        except Failure as failure:
            raise Failure('{}\n\nThe log of {} ends with:\n{}'.format(failure, self.name, self.program.log()))
        self.traffic_to(self.name + '.sock')

    def end_interrupted(self):
        """Ends what an interrupted hand-over left: the traffic goes to the program, and nothing runs beside it."""
        belongs = self.belongs()
        if belongs and self.live() == 'next.sock':
            say('an earlier hand-over was interrupted: ending it')
            self.serve_by_program(belongs)
        self.stop_beside()
        for stale in list(self.run.glob('ready-*')) + list(self.run.glob('master-*')):
            if not Path('/proc', stale.name.partition('-')[2]).exists():
                stale.unlink()

    def hand_over(self, release, revision):
        """Lets a release serve.

        Raises:
            Failure: it does not. The message says what serves instead and what to do.
        """
        self.settings(release)
        subprocess.run(['systemd-tmpfiles', '--create', '/etc/tmpfiles.d/{}.conf'.format(self.name)], check=True)
        self.end_interrupted()
        before = self.belongs()
        try:
            self.prepare(release)
            say('starting {} beside {}'.format(release, before or 'nothing'))
            self.start_beside(release)
        except (Failure, OSError) as failure:
            self.stop_beside()
            text = 'The release {} failed and got no request: {}\n\n{} Mend the app and deploy again.'.format(
                release, failure, 'The release {} serves on.'.format(before) if before else 'Nothing serves yet.'
            )
            self.give_up(release, failure, text, revision)
        # from here on nginx may also fall back to it
        point(self.run / 'standby.sock', 'next.sock')
        self.traffic_to('next.sock')
        try:
            # without it nothing would serve while the program restarts
            self.beside_pid(release)
            self.serve_by_program(release)
        except (Failure, OSError) as failure:
            self.go_back(release, before, failure, revision)
        self.stop_beside()

    def go_back(self, release, before, failure, revision):
        """Lets the program run the release before, after a release that was healthy beside it could not take it over.

        Raises:
            Failure: always, with what serves now and what to do.
        """
        text = 'The release {} was healthy on its own, but could not take over as the program {}: {}\n\n'.format(
            release, self.name, failure
        )
        stuck = (
            '{} serves on beside the program, as {}, but would not after a reboot. '
            'Look at `supervisorctl status`, mend it and deploy again.'.format(release, self.unit(release))
        )
        if before in ('', release):
            raise Failure(text + stuck)
        try:
            self.serve_by_program(before)
        except (Failure, OSError) as second:
            raise Failure('{}Nor is the release before, {}: {}\n\n{}'.format(text, before, second, stuck))
        self.stop_beside()
        text += 'The release {} serves again. Mend the app and deploy again.'.format(before)
        self.give_up(release, failure, text, revision)

    def give_up(self, release, failure, text, revision):
        """Marks a release as failed, so that no rollback chooses it, removes it, and raises Failure with the text."""
        try:
            self.remember(release, failed=str(failure).splitlines()[0], at=now(), revision=revision)
            self.clean()
        except OSError as error:
            text += '\n\nThis could not be written down, though: {}'.format(error)
        raise Failure(text)

    def activate(self, release, revision=''):
        """Deploys: lets a release serve, on top of those that served before."""
        if not self.unrest(release):
            say('{} serves already'.format(release))
        else:
            self.hand_over(release, revision)
            say('{} serves'.format(release))
        history = self.history()
        if history['served'][-1:] != [release] or 'failed' in history['releases'].get(release, {}):
            served = [other for other in history['served'] if other != release] + [release]
            self.remember_served(served, revision=revision)
        self.clean()

    def remember_served(self, served, **facts):
        """Writes down which releases a rollback goes through; the last of them serves since now."""
        history = self.history()
        history['served'] = served
        known = history['releases'].setdefault(served[-1], {})
        known.pop('failed', None)
        known.update(facts, at=now())
        self.save(history)

    def rollback(self):
        """Lets the release serve that served before; the one that is left is not chosen by later rollbacks."""
        history = self.history()
        belongs = self.belongs()
        served = history['served']
        # `current` knows better than a history that an interruption kept from being written
        served = served[: served.index(belongs)] if belongs in served else served
        older = [r for r in served if 'failed' not in history['releases'][r] and self.folder(r).exists()]
        if not older:
            raise Failure(
                'There is no older release to roll back to: {} is the oldest on this host.'.format(belongs)
                if belongs
                else 'There is nothing to roll back: no release has been deployed here.'
            )
        self.hand_over(older[-1], history['releases'][older[-1]].get('revision', ''))
        self.remember_served(older)
        say('{} serves again'.format(older[-1]))

    # -- cleaning

    def needs(self, release):
        """The environment (a link and the build that it leads to) and the secrets of a release, as paths."""
        link = self.environment_link(release)
        secrets = self.settings(release)['secrets']
        return {link, link.resolve()} | ({Path(secrets)} if secrets else set())

    def clean(self):
        """Removes the releases that no rollback can reach, and the environments and secrets that they alone needed."""
        history = self.history()
        releases = history['releases']
        history['served'] = [r for r in history['served'] if 'failed' not in releases[r]][-self.keep :]
        kept = set(history['served']) | {self.belongs(), self.running()}
        failed = sorted((r for r in releases if 'failed' in releases[r]), key=lambda r: releases[r]['at'])

        folders = {folder.name: folder for folder in (self.root / 'releases').iterdir()}
        # one that the history does not know belongs to a deploy that is on its way here, or was cut short
        gone = {name for name in folders if name not in kept and (name in releases or abandoned(folders[name]))}
        complete = {name for name in folders if (folders[name] / '.release.json').exists() and name[0] != '.'}
        needed = set().union(*map(self.needs, complete - gone))
        freed = set().union(*map(self.needs, complete & gone)) - needed
        for name in gone:
            remove(folders[name])
        for path in list((self.root / 'venvs').glob('*')) + list((self.root / 'secrets').glob('*.json')):
            if path in freed or (path not in needed and abandoned(path)):
                remove(path)

        history['releases'] = {r: releases[r] for r in releases if r in kept or r in failed[-self.keep :]}
        self.save(history)

    def show(self):
        """Prints the releases, the newest that served first."""
        history = self.history()
        order = {release: place for place, release in enumerate(history['served'])}
        known = sorted(history['releases'], key=lambda r: order.get(r, -1), reverse=True)
        if not known:
            print('no release has been deployed here yet')
            return
        line = '{:1} {:12}  {:19}  {:18}  {}'
        print(line.format('', 'RELEASE', 'SINCE', 'REVISION', 'STATE'))
        for release in known:
            facts = history['releases'][release]
            serving = release == self.belongs()
            state = (
                'serving'
                if serving
                else 'failed: ' + facts['failed']
                if 'failed' in facts
                else 'rollback reaches it'
                if release in order
                else 'rolled back'
            )
            print(line.format('*' if serving else '', release, facts.get('at', '-'), facts.get('revision') or '-', state))


@contextlib.contextmanager
def alone(name):
    """Waits until no other hand-over of this app is at work."""
    with open('/run/{}-release.lock'.format(name), 'w') as file:
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
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1


def reported(work):
    """Does the work and says what failed.

    Returns:
        The exit status: what the work returns, 0 for nothing, 1 after a failure.
    """
    try:
        return work() or 0
    except (Failure, OSError, subprocess.CalledProcessError) as error:
        text = str(error) if isinstance(error, Failure) else '{}: {}'.format(type(error).__name__, error)
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr, flush=True)
        return 1


def main():
    name = os.path.basename(sys.argv[0])[: -len('-release')]
    parser = argparse.ArgumentParser(description=__doc__.replace('NAME', name), formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest='verb', metavar='activate | rollback | list | run | serve')
    verbs.required = True
    activate = verbs.add_parser('activate')
    activate.add_argument('release')
    activate.add_argument('--revision', default='')
    activate.add_argument('--check', action='store_true', help='only say whether there is anything to do')
    verbs.add_parser('rollback')
    verbs.add_parser('list')
    run = verbs.add_parser('run')
    run.add_argument('command', nargs=argparse.REMAINDER)
    verbs.add_parser('serve').add_argument('release')
    arguments = parser.parse_args()
    if arguments.verb == 'run' and not arguments.command:
        parser.error('run needs a command')
    if os.geteuid():
        parser.error('this needs root: use sudo')
    os.umask(0o022)

    def work():
        host = Host(name)
        if arguments.verb == 'list':
            return host.show()
        if arguments.verb == 'run':
            return host.as_app(host.belongs(), arguments.command).returncode
        if arguments.verb == 'serve':
            return host.serve(arguments.release)
        if arguments.verb == 'activate' and arguments.check:
            try:
                unrest = host.unrest(arguments.release)
            except Failure as failure:
                unrest = [str(failure)]
            return say('\n'.join(unrest) or arguments.release + ' serves already')
        with alone(name):
            if arguments.verb == 'rollback':
                return host.rollback()
            return host.activate(arguments.release, arguments.revision)

    changes = arguments.verb in ('activate', 'rollback') and not getattr(arguments, 'check', False)
    return detached(work) if changes else reported(work)


if __name__ == '__main__':
    sys.exit(main())
