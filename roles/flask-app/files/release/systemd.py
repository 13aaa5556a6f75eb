"""Candidates: releases that run beside the program, as systemd services."""

import contextlib
import subprocess
import time

from .errors import Failure, Unhealthy
from .health import POLL_INTERVAL
from .logs import journal

GONE = ('inactive', 'failed')


def systemctl(*arguments, timeout=60):
    """Runs systemctl.

    Args:
        timeout: seconds.

    Returns:
        Its output.

    Raises:
        Failure: it failed or timed out.
    """
    command = 'systemctl ' + ' '.join(arguments)
    try:
        done = subprocess.run(['systemctl'] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Failure('`{}` has not ended in {} s.'.format(command, timeout))
    output = done.stdout.decode('utf-8', 'replace')
    if done.returncode:
        raise Failure('`{}` failed: {}'.format(command, output.strip()))
    return output


def properties(unit, *names):
    """Properties of a unit by name."""
    shown = systemctl('show', '--property=' + ','.join(names), unit)
    # the output may contain warnings
    return dict(line.split('=', 1) for line in shown.splitlines() if line.partition('=')[0] in names)


class Candidates:
    """The services NAME-next@RELEASE of an app. One runs during a deployment, otherwise none."""

    def __init__(self, name, stop_timeout):
        self.name = name
        self.stop_timeout = stop_timeout

    def unit(self, release):
        """The service of a release."""
        return '{}-next@{}.service'.format(self.name, release)

    def running(self):
        """The ids of the releases whose service runs, starts, stops or has failed."""
        units = systemctl('list-units', '--all', '--no-legend', '--plain', '--full', self.unit('*'))
        # UNIT LOAD ACTIVE SUB DESCRIPTION; systemd is about to unload inactive ones
        found = [line.split() for line in units.splitlines() if line.startswith('{}-next@'.format(self.name))]
        return [fields[0].partition('@')[2].rpartition('.service')[0] for fields in found if fields[2] != 'inactive']

    def start(self, release):
        """Starts the service of a release with its current unit file."""
        if properties(self.unit(release), 'NeedDaemonReload')['NeedDaemonReload'] == 'yes':
            systemctl('daemon-reload')
        systemctl('start', self.unit(release))

    def pid(self, release):
        """The process id of the release's gunicorn; Unhealthy if it has ended."""
        values = properties(self.unit(release), 'ActiveState', 'MainPID', 'NRestarts')
        if values['ActiveState'] != 'active' or int(values['NRestarts']):
            raise Unhealthy('gunicorn exited')
        return int(values['MainPID'])

    def stop(self, release):
        """Stops the service of a release gracefully and waits until it has ended."""
        unit = self.unit(release)
        systemctl('stop', unit, timeout=self.stop_timeout)
        deadline = time.monotonic() + self.stop_timeout
        # an interrupted run may be stopping it already
        while properties(unit, 'ActiveState')['ActiveState'] not in GONE:
            if time.monotonic() > deadline:
                raise Failure('{} has not ended in {} s.'.format(unit, self.stop_timeout))
            time.sleep(POLL_INTERVAL)
        if release in self.running():
            systemctl('reset-failed', unit)

    def stop_all(self):
        """Stops all candidates."""
        for release in self.running():
            self.stop(release)

    def abort(self, release):
        """Stops a release that never had traffic, without waiting for requests."""
        # QUIT is gunicorn's quick shutdown. A kill of the whole service would leave orphans; with cgroups v1 in a container,
        # systemd does not notice their end and waits in vain.
        with contextlib.suppress(Failure):
            systemctl('kill', '--signal=QUIT', self.unit(release))
        self.stop(release)

    def log(self, release, since):
        """The log of a release since a time (seconds since 1970), condensed."""
        return journal(self.unit(release), since)
