"""The deployment of a release: prepare, start a candidate, check its health, switch the traffic, promote, switch the processes."""

import os
import subprocess

from .commands import prepare
from .errors import Failure, Unhealthy
from .health import REDIRECTED
from .jobs import Jobs
from .logs import advice
from .processes import Processes
from .static import Static
from .system import now, print_line
from .traffic import CANDIDATE
from .web import Web


class Deployment(Web):
    """The app on this host: which release serves, and how to change that."""

    def __init__(self, config):
        super().__init__(config)
        self.processes = Processes(config, self.releases, self.history)
        self.jobs = Jobs(config, self.releases)
        self.static = Static(config, self.releases)

    def pending_changes(self, release):
        """The differences from the state in which the release serves and its processes run, as texts."""
        parts = (self.pending_web_changes, self.static.pending_changes, self.processes.pending_changes, self.jobs.pending_changes)
        return [text for part in parts for text in part(release)]

    def deploy(self, release, revision):
        """Makes a release the serving one.

        Raises:
            Failure: it cannot serve. The message tells what serves instead and what to do.
        """
        self.releases.settings(release)
        web_differs = self.pending_web_changes(release)
        if web_differs:
            # without it, running_release() does not return a release that was not promoted yet
            environment = self.history.facts(release).get('environment', '') if release == self.releases.current() else ''
            self.history.record(release, manifest=self.releases.completed_at(release), environment=environment)
            subprocess.call(['systemd-tmpfiles', '--create', '/etc/tmpfiles.d/flask-{}.conf'.format(self.config.name)])
            self.complete_interrupted()
        before = self.releases.current()
        if web_differs:
            self.switch_web(release, before, revision)
        self.static.publish(release)
        self.switch_processes(release, before, revision)
        self.jobs.switch(release)

    def switch_web(self, release, before, revision):
        """Proves a release as the candidate, switches the traffic to it and promotes it."""
        try:
            prepare(self.releases, self.history, release, self.config.command_timeout)
            print_line('starting {} beside {}'.format(release, before) if before else 'starting {}'.format(release))
            redirected = self.start_candidate(release)
            # before a page that names them can be served
            self.static.publish(release)
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

    def switch_processes(self, release, before, revision):
        """Starts the processes of the serving release; if they do not stay up, web and processes go back."""
        try:
            self.processes.switch(release)
        except Unhealthy as failure:
            # an interrupted run may have moved the traffic already
            older = [r for r in self.history.served if r != release and self.releases.folder(r).exists()]
            if before == release and not self.history.has_served(release):
                before = older[-1] if older else ''
            if before in ('', release):
                raise Failure('The release {} serves, but {}\n\nCorrect the app and deploy again.'.format(release, failure))
            try:
                self.switch_web(before, release, self.history.facts(before).get('revision', ''))
                self.processes.switch(before)
            except Failure as second:
                text = 'The release {} serves, but {}\n\nNeither could the previous release, {}, be restored: {}'
                raise Failure(text.format(release, failure, before, second))
            self.fail(release, failure, 'served, but could not stay', 'The release {} serves again.'.format(before), revision)

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
        self.static.publish(before)
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
        """Removes releases and files that no rollback, process or job needs, and reports them."""
        used = self.processes.releases_in_use() | self.jobs.releases_in_use()
        removed = self.releases.prune(self.history, used | {self.releases.current(), self.running_release()})
        if removed and os.path.exists(self.static.folder):
            self.static.prune(set(self.history.served) | {self.releases.current()})
        for name in removed:
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

    def stop_all(self):
        """Ends the processes and jobs, before the app is removed."""
        self.jobs.stop_all()
        self.processes.stop_all()
