"""The app's processes beside gunicorn, such as workers: programs under supervisor, which belong to a release.

A process of the type `worker` of the release R is supervisor's group NAME.worker@R, with the processes worker.1, worker.2
and so on. So those of two releases can run side by side, and none can be another app's: names of apps have no dots.
"""

import os

from . import commands
from .supervisor import ENDED, FAILED, RUNNING, STARTING, STOPPED, Supervisor
from .switch import Switch, parse
from .system import print_line, sync_folder

# killasgroup, because the children of a killed process would go on without it
PROGRAM = """\
[program:{group}]
command={command} process {release} {kind} %(process_num)d
process_name={kind}.%(process_num)d
numprocs={count}
numprocs_start=1
directory=/
autostart=true
autorestart=true
startsecs={settle_time}
startretries={start_retries}
exitcodes=0
stopsignal={stop_signal}
stopwaitsecs={stop_timeout}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=5
"""


def run(processes):
    """Whether all processes of a group run, and none is told to stop."""
    return all(info['state'] in (STARTING, RUNNING) for info in processes)


class Processes:
    """The processes of the app on this host."""

    def __init__(self, config, releases, history):
        self.config = config
        self.releases = releases
        self.history = history
        self.file = config.programs / (config.name + '.processes.conf')
        self.supervisor = Supervisor(config.name, config.supervisor_socket)

    # -- what should run, and what runs

    def group(self, kind, release):
        """supervisor's group of a type of processes."""
        return '{}.{}@{}'.format(self.config.name, kind, release)

    def options(self, release):
        """The settings of a release's processes by type; {} if it has none, or is gone."""
        return self.releases.options(release, 'processes')

    def text(self, release):
        """The contents of supervisor's file for a release, '' if it has no processes."""
        programs = []
        for kind, options in sorted(self.options(release).items()):
            values = dict(options, group=self.group(kind, release), release=release, kind=kind, command=self.config.command)
            programs.append(PROGRAM.format(log=self.log(kind, '%(process_num)d'), **values))
        head = '; Written by {}-release for the release {}.\n'.format(self.config.name, release)
        return head + '\n'.join(programs) if programs else ''

    def log(self, kind, number):
        """The path of a process's log."""
        return '{}/{}.{}.{}.log'.format(self.config.log.rpartition('/')[0], self.config.name, kind, number)

    def loaded(self):
        """supervisor's information on the app's processes, by group; see Program.info."""
        found = {}
        for info in self.supervisor.call('getAllProcessInfo'):
            if info['group'].startswith(self.config.name + '.'):
                found.setdefault(info['group'], []).append(info)
        return found

    def build(self, release):
        """What a release's processes run: another value after the release or its environment was replaced."""
        return [self.releases.environment(release), self.releases.completed_at(release)]

    def releases_in_use(self):
        """The ids of the releases of which a process runs, also one that is told to stop."""
        groups = self.loaded().items()
        return {parse(group)[1] for group, processes in groups if any(info['state'] not in ENDED for info in processes)}

    def pending_changes(self, release):
        """The differences from the state in which the processes of a release run, as texts."""
        loaded, wanted = self.loaded(), {self.group(kind, release) for kind in self.options(release)}
        if not wanted and not loaded and not self.file.exists():
            return []
        found = []
        if (self.file.read_text(encoding='utf-8') if self.file.exists() else '') != self.text(release):
            found.append('{} is not that of {}'.format(self.file, release))
        if wanted and self.history.facts(release).get('processes') != self.build(release):
            found.append('the processes do not run the present build of {}'.format(release))
        found += ['the processes {} are not loaded'.format(group) for group in sorted(wanted - set(loaded))]
        found += ['the processes {} are loaded'.format(group) for group in sorted(set(loaded) - wanted)]
        for group in sorted(wanted & set(loaded)):
            states = [(info['name'], info['statename'].lower()) for info in loaded[group] if info['state'] in FAILED + (STOPPED,)]
            found += ['the process {}:{} is in the state {}'.format(group, *state) for state in states]
        return found

    # -- changing it

    def write(self, text):
        """Replaces supervisor's file, atomically: after a reboot the processes of one release start."""
        if text:
            new = self.file.with_suffix('.new')
            with open(os.open(str(new), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 'w', encoding='utf-8') as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.file)
        elif self.file.exists():
            self.file.unlink()
        sync_folder(self.file.parent)

    def switch(self, release):
        """Starts the processes of a release, and stops all others.

        All types at once. A new process starts when the old ones of its type have ended; with `overlap` it starts beside
        them, and they are stopped when it has stayed up.

        Raises:
            Unhealthy: a process did not stay up. The message has the end of its log.
            Failure: an old process does not end.
        """
        loaded, wanted = self.loaded(), {self.group(kind, release): options for kind, options in self.options(release).items()}
        if not loaded and not wanted and not self.file.exists():
            return
        self.write(self.text(release))
        changed = self.supervisor.call('reloadConfig')[0][1]
        if self.history.facts(release).get('processes') != self.build(release):
            changed = list(wanted)
        stays = {group for group in wanted if group in loaded and group not in changed and run(loaded[group])}
        Switch(self, wanted, stays, set(loaded) - stays).run()
        if wanted:
            self.history.record(release, processes=self.build(release))

    def execute(self, release, kind, number):
        """Executes a process of a release; supervisor's program of it calls this."""
        name = '{}.{}'.format(kind, number)
        commands.exec_shell(self.releases.settings(release), self.releases.folder(release), self.options(release)[kind], name)

    def stop_all(self):
        """Stops all processes, removes their file, and prints the names of their groups."""
        self.write('')
        # without supervisor none runs
        if os.path.exists(self.config.supervisor_socket):
            self.supervisor.call('reloadConfig')
            groups = self.loaded()
            Switch(self, {}, set(), set(groups)).run()
            for group in sorted(groups):
                print_line('stopped ' + group)
