"""The app's jobs: systemd's timers, which belong to the serving release.

A job `cleanup` is NAME-job@cleanup.timer, written here, with NAME-job@.service of the role. The service runs the command in the
release that serves when it starts, so a deploy cuts no job that runs.
"""

import json
import socket
import time
import urllib.request

from . import commands
from .accounts import call_as
from .errors import Failure
from .logs import one_line
from .system import print_line
from .systemd import properties, systemctl

HOOK_TIMEOUT = 60  # seconds in all
HOOK_ATTEMPTS = 3
HOOK_PAUSE = 5  # seconds, longer each time
OURS = '# Written by {}-release.\n'
TIMER = """\
[Unit]
Description=job {job} of {name}

[Timer]
OnCalendar={schedule}
Persistent={catch_up}
AccuracySec=1s

[Install]
WantedBy=timers.target
"""
LIMIT = """\
[Service]
TimeoutStartSec={timeout}
"""


def post(url, facts):
    """Posts facts to a URL as JSON; returns what became of it in the last attempt."""
    body = json.dumps({name.lower(): value for name, value in facts.items()}).encode()
    request = urllib.request.Request(url, body, {'Content-Type': 'application/json'})
    for attempt in range(HOOK_ATTEMPTS):
        time.sleep(attempt * HOOK_PAUSE)
        try:
            with urllib.request.urlopen(request, timeout=HOOK_TIMEOUT / HOOK_ATTEMPTS) as answer:
                return 'status {}'.format(answer.status)
        except (OSError, ValueError) as error:
            problem = one_line(str(error))
    return problem


class Jobs:
    """The jobs of the app on this host."""

    def __init__(self, config, releases):
        self.config = config
        self.releases = releases
        self.units = config.units
        self.running = config.run / 'jobs'

    def options(self, release):
        """The settings of a release's jobs by name; {} if it has none, or is gone."""
        return self.releases.options(release, 'jobs')

    def unit(self, job, kind='service'):
        """The name of a job's service or timer."""
        return '{}-job@{}.{}'.format(self.config.name, job, kind)

    # -- their files

    def files(self, release):
        """The texts of all files that the jobs of a release need, by path."""
        found = {}
        for job, options in self.options(release).items():
            values = dict(options, job=job, name=self.config.name, catch_up=str(options['catch_up']).lower())
            head = OURS.format(self.config.name)
            found[self.units / self.unit(job, 'timer')] = head + TIMER.format(**values)
            found[self.units / (self.unit(job) + '.d') / 'limit.conf'] = head + LIMIT.format(**values)
        return found

    def present(self):
        """The texts of the files that are there, by path."""
        timers = list(self.units.glob(self.unit('*', 'timer')))
        limits = list(self.units.glob(self.unit('*') + '.d/limit.conf'))
        return {path: path.read_text(encoding='utf-8') for path in timers + limits}

    def pending_changes(self, release):
        """The differences from the state in which the jobs of a release run on time, as texts."""
        wanted, present = self.files(release), self.present()
        found = ['{} is not that of {}'.format(path, release) for path in sorted(wanted) if present.get(path) != wanted[path]]
        found += ['{} is left'.format(path) for path in sorted(present) if path not in wanted]
        for job in sorted(self.options(release)):
            timer = properties(self.unit(job, 'timer'), 'ActiveState', 'UnitFileState')
            if timer.get('ActiveState') != 'active':
                found.append('{} does not run'.format(self.unit(job, 'timer')))
            if timer.get('UnitFileState') != 'enabled':
                found.append('{} is not enabled'.format(self.unit(job, 'timer')))
            if properties(self.unit(job), 'NeedDaemonReload').get('NeedDaemonReload') == 'yes':
                found.append('the files of {} are not loaded'.format(self.unit(job)))
        return found

    def switch(self, release):
        """Makes the timers of a release the active ones. Jobs that run go on."""
        if not self.pending_changes(release):
            return
        wanted, present = self.files(release), self.present()
        timers = [self.unit(job, 'timer') for job in sorted(self.options(release))]
        for path in sorted(set(present) - set(wanted)):
            if path.suffix == '.timer':
                systemctl('disable', '--now', path.name)
            path.unlink()
            if path.parent != self.units:
                path.parent.rmdir()
        changed = [path for path in sorted(wanted) if present.get(path) != wanted[path]]
        for path in changed:
            path.parent.mkdir(mode=0o755, exist_ok=True)
            path.write_text(wanted[path], encoding='utf-8')
            path.chmod(0o644)
        systemctl('daemon-reload')
        if timers:
            systemctl('enable', *timers)
            # a changed schedule counts from its restart only
            systemctl('restart', *timers)

    # -- their runs

    def release_of(self, job):
        """The release in which a job runs, '' if it does not run."""
        if properties(self.unit(job), 'ActiveState').get('ActiveState') in ('inactive', 'failed'):
            return ''
        file = self.running / job
        return file.read_text(encoding='utf-8') if file.exists() else ''

    def releases_in_use(self):
        """The ids of the releases of which a job runs."""
        jobs = [path.name for path in self.running.iterdir()] if self.running.exists() else []
        return {self.release_of(job) for job in jobs} - {''}

    def execute(self, job):
        """Executes a job in the serving release; its service calls this."""
        release = self.releases.current()
        options = self.options(release).get(job)
        if not options:
            raise Failure('The release {} has no job {}.'.format(release, job))
        self.running.mkdir(mode=0o755, exist_ok=True)
        (self.running / job).write_text(release, encoding='utf-8')
        commands.exec_shell(self.releases.settings(release), self.releases.folder(release), options, job)

    def ended(self, job, result):
        """Calls the hook of the app if a job has failed; its service calls this.

        Args:
            result: systemd's word for it, such as `success`, `exit-code` or `timeout`.
        """
        # one that failed before it noted its release is of the serving one
        release = self.release_of(job) or self.releases.current()
        settings = self.releases.settings(release)
        hook = settings['job_failure_hook']
        if result == 'success' or not hook:
            return
        facts = {'APP': self.config.name, 'HOST': socket.gethostname(), 'JOB': job, 'RELEASE': release, 'RESULT': result}
        if hook.startswith(('http://', 'https://')):
            answer = call_as(settings['user'], lambda: post(hook, facts), 2 * HOOK_TIMEOUT)
            print_line('the hook for failed jobs: ' + (answer or 'no answer'))
        else:
            commands.run_release_command(settings, self.releases.folder(release), hook, HOOK_TIMEOUT, facts)

    def stop_all(self):
        """Removes all timers, prints their names, and ends the jobs that run."""
        timers = sorted(path.name for path in self.present() if path.suffix == '.timer')
        self.switch('')
        for timer in timers:
            print_line('stopped ' + timer)
        for path in self.running.iterdir() if self.running.exists() else ():
            systemctl('stop', self.unit(path.name))
