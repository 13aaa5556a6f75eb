"""The app's deployment settings on this host, written by the role."""

import json
from pathlib import Path

from .errors import Failure

FOLDER = Path('/etc/flask-host/deploy.d')


class Config:
    """Deployment settings of one app.

    Attributes:
        name: of the app, its program and its files.
        root: folder of the app; `releases`, `venvs`, `current` and `history.json` are in it.
        user: the account that the app runs as.
        run: folder of the links that nginx follows; only root can write there, except in its subfolder `app`.
        bind: where the program listens, as in gunicorn's `bind`.
        drain: seconds to wait for queued requests of a socket after the traffic was switched away from it.
        settle: seconds that a candidate must stay healthy before it gets traffic.
        keep: number of releases to keep, including the serving one.
        graceful_timeout: seconds that gunicorn waits for running requests when it stops.
        command_timeout: time limit of an init or release command in seconds.
        host, scheme: of the health requests.
        prefix: the path that the app is below, such as `/shop`; '' for the whole site.
        redirect_ok: whether a redirect to https on the same host counts as healthy.
        supervisor_socket: of supervisor's XML-RPC interface.
        programs: folder of supervisor's files.
        units: folder of systemd's own files of units.
        command: path of this tool.
        log: the program's log file, written by supervisor.
        site_logs: nginx's log files of the app's site.
        certificate: the file with the site's certificate, '' without TLS.
        services: systemd's units of the app's database and the like, by service.
    """

    def __init__(self, name, values):
        self.name = name
        self.root = Path(values['root'])
        self.user = values['user']
        self.run = Path(values['run'])
        self.current = self.root / 'current'
        self.releases = self.root / 'releases'
        self.bind = values['bind']
        self.drain = values['drain']
        self.settle = values['settle']
        self.keep = values['keep']
        self.graceful_timeout = values['graceful_timeout']
        self.command_timeout = values['command_timeout']
        self.host = values['host']
        self.scheme = values['scheme']
        self.prefix = values['prefix']
        self.redirect_ok = values['redirect_ok']
        self.supervisor_socket = values['supervisor_socket']
        self.programs = Path(values['programs'])
        self.units = Path(values['units'])
        self.command = '/usr/local/sbin/{}-release'.format(name)
        self.log = values['log']
        self.site_logs = values['site_logs']
        self.certificate = values['certificate']
        self.services = values['services']

    @property
    def uses_socket(self):
        """Whether nginx reaches the app by a socket. Over TCP there is no link to switch, and a deployment loses requests."""
        return self.bind.startswith('unix:')


def load(name, folder=FOLDER):
    """Reads an app's settings.

    Raises:
        Failure: they are missing or damaged.
    """
    path = folder / (name + '.json')
    try:
        return Config(name, json.loads(path.read_text(encoding='utf-8')))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure('Cannot read {}: {!r}. Deploy the app again.'.format(path, error))
