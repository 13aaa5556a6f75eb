"""The candidate: a release that runs beside the program, as a systemd service."""

import contextlib
import subprocess
import time

from .errors import Failure, Unhealthy
from .health import PAUSE
from .logs import journal

GONE = ('inactive', 'failed')


def systemctl(*arguments, timeout=60):
    """Runs systemctl.

    Args:
        timeout: seconds.

    Returns:
        What it printed.

    Raises:
        Failure: it did not succeed in time.
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
    """Properties of a unit, by name."""
    shown = systemctl('show', '--property=' + ','.join(names), unit)
    # among the lines there may be warnings
    return dict(line.split('=', 1) for line in shown.splitlines() if line.partition('=')[0] in names)


class Candidates:
    """The services NAME-next@RELEASE of an app; mostly none runs, and one while a hand-over is at work."""

    def __init__(self, name, stop_timeout):
        self.name = name
        self.stop_timeout = stop_timeout

    def unit(self, release):
        """The service of a release."""
        return '{}-next@{}.service'.format(self.name, release)

    def running(self):
        """The ids of the releases whose service runs, starts, stops or has failed."""
        units = systemctl('list-units', '--all', '--no-legend', '--plain', '--full', self.unit('*'))
        # UNIT LOAD ACTIVE SUB DESCRIPTION; inactive ones are about to be forgotten
        found = [line.split() for line in units.splitlines() if line.startswith('{}-next@'.format(self.name))]
        return [fields[0].partition('@')[2].rpartition('.service')[0] for fields in found if fields[2] != 'inactive']

    def start(self, release):
        """Starts the service of a release, by its file as it is now."""
        if properties(self.unit(release), 'NeedDaemonReload')['NeedDaemonReload'] == 'yes':
            systemctl('daemon-reload')
        systemctl('start', self.unit(release))

    def pid(self, release):
        """The process id of the release's gunicorn; Unhealthy when it has ended."""
        values = properties(self.unit(release), 'ActiveState', 'MainPID', 'NRestarts')
        if values['ActiveState'] != 'active' or int(values['NRestarts']):
            raise Unhealthy('its gunicorn ended')
        return int(values['MainPID'])

    def stop(self, release):
        """Stops the service of a release, after the requests that it has begun, and waits for its end."""
        unit = self.unit(release)
        systemctl('stop', unit, timeout=self.stop_timeout)
        deadline = time.monotonic() + self.stop_timeout
        # one that an interrupted run is stopping already
        while properties(unit, 'ActiveState')['ActiveState'] not in GONE:
            if time.monotonic() > deadline:
                raise Failure('{} has not ended in {} s.'.format(unit, self.stop_timeout))
            time.sleep(PAUSE)
        if release in self.running():
            systemctl('reset-failed', unit)

    def stop_all(self):
        """Stops whatever runs beside the program."""
        for release in self.running():
            self.stop(release)

    def abort(self, release):
        """Ends a release that never had traffic, without waiting for its requests."""
        # gunicorn's quick way. A kill of the whole service leaves orphans, whose end systemd doesn't see where it has
        # cgroups v1 in a container: it would wait for them in vain.
        with contextlib.suppress(Failure):
            systemctl('kill', '--signal=QUIT', self.unit(release))
        self.stop(release)

    def log(self, release, since):
        """What a release has written since a time in seconds since 1970, as condensed text."""
        return journal(self.unit(release), since)
