"""The change from the processes of one release to those of another."""

import time

from .errors import Failure, Unhealthy
from .health import POLL_INTERVAL
from .logs import LogFile
from .supervisor import ALREADY_ADDED, BAD_NAME, ENDED, FAILED, NOT_RUNNING, RUNNING
from .system import children, print_line

BUSY_TIMEOUT = 3  # seconds to wait for a process's next job
STOP_MARGIN = 15  # seconds beyond stop_timeout, after which supervisor kills, until a stop has failed


def parse(group):
    """The type and the release of a group's name."""
    kind, _, release = group.partition('.')[2].partition('@')
    return kind, release


def plural(number, what):
    """`1 process`, `2 processes`."""
    return '{} {}{}'.format(number, what, '' if number == 1 else 'es')


class Switch:
    """One change from the processes of some releases to those of another.

    Attributes:
        wanted: the options of the groups that shall run, by name.
        started: the wanted groups that were started.
        old: the groups that have to go, and when each was told to stop; None before.
    """

    def __init__(self, processes, wanted, stays, old):
        self.processes = processes
        self.call = processes.supervisor.call
        self.wanted = wanted
        self.started = set(stays)
        self.old = dict.fromkeys(old)
        self.logs = {}

    def run(self):
        """Makes the change and waits for its end."""
        told = None
        while True:
            loaded = self.processes.loaded()
            settled = {group for group in self.started if self.has_settled(group, loaded.get(group, []))}
            for group in sorted(self.old):
                self.end(group, loaded.get(group, []), settled)
            for group in sorted(set(self.wanted) - self.started):
                if not self.predecessors(group) or (self.wanted[group]['overlap'] and group not in self.old):
                    self.start(group)
            if not self.old and settled == set(self.wanted):
                return
            waiting = self.waiting(loaded)
            if waiting and waiting != told:
                print_line('waiting for ' + waiting)
                told = waiting
            time.sleep(POLL_INTERVAL)

    def predecessors(self, group):
        """The old groups of the same type."""
        return {old for old in self.old if parse(old)[0] == parse(group)[0]}

    def successors(self, group):
        """The wanted groups that start beside an old one, before it is stopped."""
        return {new for new, options in self.wanted.items() if new != group and options['overlap'] and parse(new)[0] == parse(group)[0]}

    def end(self, group, processes, settled):
        """Tells the processes of an old group to stop, and removes the group when they have ended."""
        if all(info['state'] in ENDED for info in processes):
            self.call('removeProcessGroup', group, harmless=[BAD_NAME])
            del self.old[group]
        elif self.successors(group) <= settled:
            kind, release = parse(group)
            options = self.processes.options(release).get(kind, {})
            limit = options.get('stop_timeout', 0) + STOP_MARGIN
            if self.old[group] is None:
                self.old[group] = time.monotonic()
            waited = time.monotonic() - self.old[group]
            for info in processes:
                # again and again: supervisor 3 ignores a stop between two attempts to start
                ends = info['statename'] == 'STOPPING' or info['state'] in ENDED
                idle = options.get('stop_while_busy') and waited < BUSY_TIMEOUT and not children(info['pid'])
                if not ends and not idle:
                    self.call('stopProcess', '{}:{}'.format(group, info['name']), False, harmless=[NOT_RUNNING, BAD_NAME])
            if waited > limit:
                raise Failure('supervisor has not stopped {} in {} s. Check it with `supervisorctl status`.'.format(group, limit))

    def start(self, group):
        """Loads a group, which starts its processes."""
        kind, numbers = parse(group)[0], range(1, self.wanted[group]['count'] + 1)
        self.logs[group] = {'{}.{}'.format(kind, n): LogFile(self.processes.log(kind, n)) for n in numbers}
        self.call('addProcessGroup', group, harmless=[ALREADY_ADDED])
        self.started.add(group)

    def has_settled(self, group, processes):
        """Whether all processes of a started group have stayed up for their settle time, which is supervisor's startsecs."""
        for info in processes:
            if info['state'] in FAILED:
                log = self.logs.get(group, {}).get(info['name'])
                why = info['spawnerr'] or info['description'] or info['statename'].lower()
                shown = '\n\nIts log:\n' + log.new_text() if log else ''
                raise Unhealthy('the process {}:{} did not stay up: {}{}'.format(group, info['name'], why, shown))
        return len(processes) == self.wanted[group]['count'] and all(info['state'] == RUNNING for info in processes)

    def waiting(self, loaded):
        """Whose end is waited for, as a text."""
        left = []
        for group in sorted(self.old):
            alive = [info for info in loaded.get(group, []) if info['state'] not in ENDED]
            if alive and self.old[group] is not None:
                kind, release = parse(group)
                left.append('{} of {} of {}'.format(plural(len(alive), 'process'), kind, release))
        return ', '.join(left)
