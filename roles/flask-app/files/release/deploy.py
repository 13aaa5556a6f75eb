"""The hand-over from the release that serves to another: prepare, start, prove, switch, promote."""

import os
import subprocess
import time

from .accounts import call_as
from .commands import prepare
from .errors import Failure, Unhealthy
from .health import REDIRECTED, wait_until_healthy
from .history import History
from .logs import LogFile
from .releases import Releases
from .supervisor import Program
from .system import now, replace_symlink, say, sync_folder, working_folder
from .systemd import Candidates
from .traffic import CANDIDATE, Traffic

LOOK_TIMEOUT = 5  # seconds for a look at a process
STOP_MARGIN = 15  # seconds beyond graceful_timeout after which a stop has failed


class Deployment:
    """The app on this host, and what changes which release of it serves."""

    def __init__(self, config):
        self.config = config
        self.releases = Releases(config)
        self.history = History(config.root / 'history.json')
        stop_timeout = config.graceful_timeout + STOP_MARGIN
        self.program = Program(config.name, config.supervisor_socket, stop_timeout)
        self.candidates = Candidates(config.name, stop_timeout)
        self.traffic = Traffic(config)

    # -- state

    def running(self):
        """The id of the release that the program runs, with the environment that the release has now; else ''.

        Read from the kernel: a release that was replaced by another of the same name has lost its path.
        """
        pid = self.program.pid()
        folder = self.working_folder(pid) if pid else ''
        release = os.path.relpath(folder, os.path.realpath(str(self.config.releases))).split(os.sep)[0] if folder else ''
        environment = self.releases.environment(release) if release else ''
        return release if environment and environment == self.history.facts(release).get('environment') else ''

    def working_folder(self, pid):
        """The folder that a process of the app works in; asked as the app where a container keeps it from root."""
        return working_folder(pid) or call_as(self.config.user, lambda: working_folder(pid), LOOK_TIMEOUT)

    def pending(self, release):
        """What there is to do until the release serves, a text each; none when it does."""
        current, live = self.releases.current(), self.traffic.live()
        found = [
            (current != release, '{} leads to {}'.format(self.config.current, current or 'nothing')),
            (self.running() != release, 'the program {} is {}, without {}'.format(self.config.name, self.program.state(), release)),
            (
                self.config.behind_socket and live != self.traffic.program,
                '{} leads to {}'.format(self.traffic.live_link, live or 'nothing'),
            ),
            (self.program.pending(), 'the file of the program {} is not in force'.format(self.config.name)),
        ]
        return [text for holds, text in found if holds] + [self.candidates.unit(r) + ' runs' for r in self.candidates.running()]

    # -- the steps of a hand-over

    def start_candidate(self, release):
        """Starts a release beside the program and waits until it is healthy.

        Returns:
            Whether it answers with a redirect to https.
        """
        started = int(time.time())
        try:
            self.candidates.start(release)
            return wait_until_healthy(
                self.config,
                self.releases.settings(release),
                'unix:{}/{}'.format(self.config.run, CANDIDATE),
                lambda: self.candidates.pid(release),
                self.config.settle,
            )
        except Unhealthy as failure:
            self.candidates.abort(release)
            raise Unhealthy('{}\n\nIts log:\n{}'.format(failure, self.candidates.log(release, started)))

    def promote(self, release):
        """Lets the program run a release, waits until it is healthy and gives it the traffic."""
        moved = self.releases.current() != release
        if moved:
            # the release's files and what belongs to it, before anything leads to them
            os.sync()
            replace_symlink(self.config.current, self.releases.folder(release))
            sync_folder(self.config.root)
        log = LogFile(self.config.log)
        # one that runs it already goes on, for the candidate may have died
        if moved or self.running() != release or self.program.pending():
            self.program.restart()
        settings = self.releases.settings(release)
        try:
            wait_until_healthy(self.config, settings, self.config.bind, self.program.starting_pid, 0)
        except Unhealthy as failure:
            raise Unhealthy('{}\n\nThe log of {}:\n{}'.format(failure, self.config.name, log.written()))
        self.history.remember(release, environment=self.releases.environment(release))
        self.traffic.switch(self.traffic.program)

    def end_interrupted(self):
        """Ends what an interrupted hand-over left: the traffic goes to the program, and nothing runs beside it."""
        current = self.releases.current()
        if current and self.traffic.live() == CANDIDATE:
            say('an earlier hand-over was interrupted: ending it')
            try:
                self.promote(current)
            except Unhealthy as failure:
                self.leave(current, failure)
        self.stop_candidates()

    def leave(self, release, failure):
        """Gets the traffic away from a release that cannot run as the program; Failure where no other can serve."""
        older = [r for r in self.history.served if r != release and self.releases.folder(r).exists()]
        beside = self.candidates.running()
        say('{} cannot take over as the program {}: {}'.format(release, self.config.name, failure))
        if older:
            self.promote(older[-1])
            say('the release {} serves again'.format(older[-1]))
        elif beside:
            unit = self.candidates.unit(beside[0])
            raise Failure(
                '{} serves beside the program, as {}, and there is no release to go back to. See why it cannot run as the program {}, '
                'or give it up: `systemctl stop {}`. Then deploy again.'.format(release, unit, self.config.name, unit)
            )
        else:
            self.traffic.switch(self.traffic.program)

    def stop_candidates(self):
        """Stops whatever runs beside the program."""
        self.traffic.clear_standby()
        self.candidates.stop_all()

    def hand_over(self, release, revision):
        """Lets a release serve.

        Raises:
            Failure: it does not. The message says what serves instead and what to do.
        """
        self.releases.settings(release)
        # until it is promoted, the program does not run it, whatever folder the program goes to
        environment = self.history.facts(release).get('environment', '') if release == self.releases.current() else ''
        self.history.remember(release, manifest=self.releases.written(release), environment=environment)
        subprocess.call(['systemd-tmpfiles', '--create', '/etc/tmpfiles.d/flask-{}.conf'.format(self.config.name)])
        self.end_interrupted()
        before = self.releases.current()
        try:
            prepare(self.releases, self.history, release, self.config.command_timeout)
            say('starting {} beside {}'.format(release, before or 'nothing'))
            redirected = self.start_candidate(release)
        except Exception as failure:
            self.stop_candidates()
            serves = 'The release {} serves on.'.format(before) if before else 'Nothing serves yet.'
            self.give_up(release, failure, 'failed and got no request', serves, revision)
        # from here on nginx may also fall back to it
        self.traffic.set_standby()
        self.traffic.switch(CANDIDATE)
        try:
            # without it nothing would serve while the program restarts
            self.candidates.pid(release)
            self.promote(release)
        except Exception as failure:
            self.go_back(release, before, failure, revision)
        self.stop_candidates()
        if redirected:
            say(REDIRECTED.format(self.config.host))

    # -- failures

    def go_back(self, release, before, failure, revision):
        """Lets the program run the release before, after one that was healthy beside it could not take it over.

        Raises:
            Failure: always, with what serves now and what to do.
        """
        how = 'was healthy on its own, but could not take over as the program {}'.format(self.config.name)
        stuck = (
            '{} serves on beside the program, as {}, but would not after a reboot. '
            'Look at `supervisorctl status`, mend it and deploy again.'.format(release, self.candidates.unit(release))
        )
        if before in ('', release):
            raise Failure('The release {} {}: {}\n\n{}'.format(release, how, failure, stuck))
        try:
            self.promote(before)
        except Exception as second:
            raise Failure(
                'The release {} {}: {}\n\nNor could the release before, {}: {}\n\n{}'.format(release, how, failure, before, second, stuck)
            )
        self.stop_candidates()
        self.give_up(release, failure, how, 'The release {} serves again.'.format(before), revision)

    def give_up(self, release, failure, how, serves, revision):
        """Notes why a release failed and raises Failure.

        One that has never served is marked, so that no rollback chooses it, and removed. One that has served stays: what
        it needs, such as a database, may be what fails. So does one that is not at fault itself.
        """
        text = 'The release {} {}: {}\n\n{} '.format(release, how, failure or repr(failure), serves)
        if self.history.has_served(release):
            text += 'The release is kept, because it has served before: see that what it needs, such as its database, is there.'
        elif not isinstance(failure, Unhealthy):
            text += 'The release itself is not at fault: deploy again when this is mended.'
        else:
            text += 'Mend the app and deploy again.'
            try:
                self.releases.keep_environment(release)
                self.history.remember(release, failed=str(failure).splitlines()[0], at=now(), revision=revision)
                self.prune()
            except (Failure, OSError) as error:
                text += '\n\nThis could not be written down, though: {}'.format(error)
        raise Failure(text)

    # -- commands

    def prune(self):
        """Removes what no rollback can reach, and says what."""
        for name in self.releases.prune(self.history, {self.releases.current(), self.running()}):
            say('removed ' + name)

    def activate(self, release, revision=''):
        """Deploys: lets a release serve, on top of those that served before."""
        if not self.pending(release):
            say('{} serves already'.format(release))
        else:
            self.hand_over(release, revision)
            say('{} serves'.format(release))
        if self.history.served[-1:] != [release] or self.history.has_failed(release):
            self.history.remember_served([r for r in self.history.served if r != release] + [release], revision=revision)

    def rollback(self):
        """Lets the release serve that served before; the one that is left is not chosen by later rollbacks."""
        current, served = self.releases.current(), self.history.served
        # `current` knows better than a history that an interruption kept from being written
        served = served[: served.index(current)] if current in served else served
        older = [r for r in served if not self.history.has_failed(r) and self.releases.folder(r).exists()]
        if not current:
            raise Failure('There is nothing to roll back: no release has been deployed here.')
        if not older:
            raise Failure('There is no older release to roll back to: {} is the oldest on this host.'.format(current))
        self.hand_over(older[-1], self.history.facts(older[-1]).get('revision', ''))
        self.history.remember_served(older)
        say('{} serves again'.format(older[-1]))
