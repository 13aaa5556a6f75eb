"""The deployment of a release: prepare, start a candidate, check its health, switch the traffic, promote."""

import os
import subprocess
import time

from .accounts import call_as
from .commands import prepare
from .errors import Failure, Unhealthy
from .health import REDIRECTED, wait_until_healthy
from .history import History
from .logs import LogFile, advice
from .releases import Releases
from .supervisor import Program
from .system import now, print_line, replace_symlink, sync_folder, working_folder
from .systemd import Candidates
from .traffic import CANDIDATE, Traffic

PROCESS_TIMEOUT = 5  # seconds to read a process's working folder
STOP_MARGIN = 15  # seconds beyond graceful_timeout until a stop has failed


class Deployment:
    """The app on this host: which release serves, and how to change that."""

    def __init__(self, config):
        self.config = config
        self.releases = Releases(config)
        self.history = History(config.root / 'history.json')
        stop_timeout = config.graceful_timeout + STOP_MARGIN
        self.program = Program(config.name, config.supervisor_socket, stop_timeout)
        self.candidates = Candidates(config.name, stop_timeout)
        self.traffic = Traffic(config)

    # -- state

    def running_release(self):
        """The id of the release that the program runs, or '' if the release or its environment was replaced since.

        Read from the kernel, so that a release that was replaced under the same name is detected.
        """
        pid = self.program.pid()
        folder = self.working_folder(pid) if pid else ''
        release = os.path.relpath(folder, os.path.realpath(str(self.config.releases))).split(os.sep)[0] if folder else ''
        environment = self.releases.environment(release) if release else ''
        return release if environment and environment == self.history.facts(release).get('environment') else ''

    def working_folder(self, pid):
        """The working folder of one of the app's processes; read as the app where a container hides it from root."""
        return working_folder(pid) or call_as(self.config.user, lambda: working_folder(pid), PROCESS_TIMEOUT)

    def pending_changes(self, release):
        """The differences from the state in which the release serves, as texts."""
        name, current, live = self.config.name, self.releases.current(), self.traffic.live()
        found = [
            (current != release, '{} points to {}'.format(self.config.current, current or 'nothing')),
            (self.running_release() != release, 'the program {} does not run {} (state: {})'.format(name, release, self.program.state())),
            (
                self.config.uses_socket and live != self.traffic.program,
                '{} points to {}'.format(self.traffic.live_link, live or 'nothing'),
            ),
            (self.program.pending_change(), 'the configuration of the program {} is not loaded'.format(name)),
        ]
        return [text for differs, text in found if differs] + [self.candidates.unit(r) + ' runs' for r in self.candidates.running()]

    # -- the steps of a deployment

    def start_candidate(self, release):
        """Starts a release as the candidate and waits until it is healthy.

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
        """Restarts the program with a release, waits until it is healthy and switches the traffic to it."""
        moved = self.releases.current() != release
        if moved:
            # the release must be on the disk before `current` points to it
            os.sync()
            replace_symlink(self.config.current, self.releases.folder(release))
            sync_folder(self.config.root)
        log = LogFile(self.config.log)
        # not if it runs the release already: the candidate may have died, and a restart would be an outage
        if moved or self.running_release() != release or self.program.pending_change():
            self.program.restart()
        settings = self.releases.settings(release)
        try:
            wait_until_healthy(self.config, settings, self.config.bind, self.program.starting_pid, 0)
        except Unhealthy as failure:
            raise Unhealthy('{}\n\nThe log of {}:\n{}'.format(failure, self.config.name, log.new_text()))
        self.history.record(release, environment=self.releases.environment(release))
        self.traffic.switch(self.traffic.program)

    def complete_interrupted(self):
        """Completes an interrupted deployment: the program gets the traffic, and candidates are stopped."""
        current = self.releases.current()
        if current and self.traffic.live() == CANDIDATE:
            print_line('completing an interrupted deployment')
            try:
                self.promote(current)
            except Unhealthy as failure:
                self.recover(current, failure)
        self.stop_candidates()

    def recover(self, release, failure):
        """Promotes an older release when the one of an interrupted deployment cannot be; Failure if there is none."""
        older = [r for r in self.history.served if r != release and self.releases.folder(r).exists()]
        candidates = self.candidates.running()
        print_line('{} cannot run as the program {}: {}'.format(release, self.config.name, failure))
        if older:
            self.promote(older[-1])
            print_line('{} serves again'.format(older[-1]))
        elif candidates:
            unit = self.candidates.unit(candidates[0])
            raise Failure(
                '{} serves as {} only, and there is no older release. Find out why it cannot run as the program {}, '
                'or stop it with `systemctl stop {}`. Then deploy again.'.format(release, unit, self.config.name, unit)
            )
        else:
            self.traffic.switch(self.traffic.program)

    def stop_candidates(self):
        """Stops all candidates."""
        self.traffic.clear_standby()
        self.candidates.stop_all()

    def deploy(self, release, revision):
        """Makes a release the serving one.

        Raises:
            Failure: it cannot serve. The message tells what serves instead and what to do.
        """
        self.releases.settings(release)
        # without it, running_release() does not return a release that was not promoted yet
        environment = self.history.facts(release).get('environment', '') if release == self.releases.current() else ''
        self.history.record(release, manifest=self.releases.completed_at(release), environment=environment)
        subprocess.call(['systemd-tmpfiles', '--create', '/etc/tmpfiles.d/flask-{}.conf'.format(self.config.name)])
        self.complete_interrupted()
        before = self.releases.current()
        try:
            prepare(self.releases, self.history, release, self.config.command_timeout)
            print_line('starting {} beside {}'.format(release, before) if before else 'starting {}'.format(release))
            redirected = self.start_candidate(release)
        except Exception as failure:
            self.stop_candidates()
            serves = 'The release {} still serves.'.format(before) if before else 'No release serves yet.'
            self.fail(release, failure, 'failed before it got traffic', serves, revision)
        # from now on nginx may fall back to the candidate
        self.traffic.set_standby()
        self.traffic.switch(CANDIDATE)
        try:
            # fails if it has ended: nothing would serve while the program restarts
            self.candidates.pid(release)
            self.promote(release)
        except Exception as failure:
            self.restore(release, before, failure, revision)
        self.stop_candidates()
        if redirected:
            print_line(REDIRECTED.format(self.config.host))

    # -- failures

    def restore(self, release, before, failure, revision):
        """Promotes the previous release after a healthy candidate could not be promoted.

        Raises:
            Failure: always. The message tells what serves now and what to do.
        """
        how = 'was healthy as the candidate, but could not run as the program {}'.format(self.config.name)
        stuck = (
            '{} still serves, as {}, but will not after a reboot. Check `supervisorctl status`, correct the error and deploy again.'.format(
                release, self.candidates.unit(release)
            )
        )
        if before in ('', release):
            raise Failure('The release {} {}: {}\n\n{}'.format(release, how, failure, stuck))
        try:
            self.promote(before)
        except Exception as second:
            text = 'The release {} {}: {}\n\nNeither could the previous release, {}: {}\n\n{}'
            raise Failure(text.format(release, how, failure, before, second, stuck))
        self.stop_candidates()
        self.fail(release, failure, how, 'The release {} serves again.'.format(before), revision)

    def fail(self, release, failure, how, serves, revision):
        """Records why a release failed and raises Failure.

        A release that never served is marked as failed, so that no rollback chooses it, and removed. One that has served
        is kept, because its database or another dependency may be down; so is one that is not the cause.
        """
        text = 'The release {} {}: {}\n\n{} '.format(release, how, failure or repr(failure), serves)
        if self.history.has_served(release):
            text += 'The release is kept, because it has served before: check its dependencies, such as the database.'
        elif not isinstance(failure, Unhealthy):
            text += 'The release is not the cause: correct the error and deploy again.'
        else:
            text += advice(str(failure), self.config.releases) + 'Correct the app and deploy again.'
            try:
                self.releases.keep_environment(release)
                self.history.record(release, failed=str(failure).splitlines()[0], at=now(), revision=revision)
                self.prune()
            except (Failure, OSError) as error:
                text += '\n\nRecording the failure failed too: {}'.format(error)
        raise Failure(text)

    # -- commands

    def prune(self):
        """Removes releases and files that no rollback needs, and reports them."""
        for name in self.releases.prune(self.history, {self.releases.current(), self.running_release()}):
            print_line('removed ' + name)

    def activate(self, release, revision=''):
        """Deploys a release, unless it serves already, and records it as the latest."""
        if not self.pending_changes(release):
            print_line('{} serves already'.format(release))
        else:
            self.deploy(release, revision)
            print_line('{} serves'.format(release))
        if self.history.served[-1:] != [release] or self.history.has_failed(release):
            self.history.record_served([r for r in self.history.served if r != release] + [release], revision=revision)

    def rollback(self):
        """Deploys the previous release; later rollbacks skip the one that served until now."""
        current, served = self.releases.current(), self.history.served
        # an interrupted deployment may have moved `current` without writing the history
        served = served[: served.index(current)] if current in served else served
        older = [r for r in served if not self.history.has_failed(r) and self.releases.folder(r).exists()]
        if not current:
            raise Failure('There is nothing to roll back: no release has been deployed on this host.')
        if not older:
            raise Failure('There is no older release to roll back to: {} is the oldest on this host.'.format(current))
        self.deploy(older[-1], self.history.facts(older[-1]).get('revision', ''))
        self.history.record_served(older)
        print_line('{} serves again'.format(older[-1]))
