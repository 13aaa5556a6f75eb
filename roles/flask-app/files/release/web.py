"""The app's web program: which release serves, and the steps that change it without losing a request."""

import os
import time

from .accounts import call_as
from .errors import Failure, Unhealthy
from .health import wait_until_healthy
from .history import History
from .logs import LogFile
from .releases import Releases
from .supervisor import Program
from .system import print_line, replace_symlink, sync_folder, working_folder
from .systemd import Candidates
from .traffic import CANDIDATE, Traffic

PROCESS_TIMEOUT = 5  # seconds to read a process's working folder
STOP_MARGIN = 15  # seconds beyond graceful_timeout until a stop has failed


class Web:
    """gunicorn of the app on this host: the program, candidates beside it, and which of them has the traffic."""

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

    def pending_web_changes(self, release):
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

    # -- steps

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
