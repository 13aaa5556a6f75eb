"""The settings of the app on this host, written by the role."""

import json
from pathlib import Path

from .errors import Failure

FOLDER = Path('/etc/flask-host/deploy.d')


class Config:
    """How one app is deployed on this host.

    Attributes:
        name: of the app, its program and its files.
        root: folder of the app; `releases`, `venvs`, `current` and `history.json` are in it.
        user: the account that the app runs as.
        run: folder of the links that nginx follows; only root writes there, but for its subfolder `app`.
        bind: where the program listens, in gunicorn's words.
        drain: seconds that requests waiting at a socket have to be accepted after it lost the traffic.
        settle: seconds that a candidate must stay healthy before it gets traffic.
        keep: how many releases stay, the serving one among them.
        graceful_timeout: seconds that gunicorn gives requests when it stops.
        command_timeout: seconds that a release command may take.
        host, scheme: of the health requests.
        redirect_ok: whether a redirect to https on the same host counts as healthy.
        supervisor_socket: of supervisor's XML-RPC interface.
        log: file that supervisor writes the program's output to.
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
        self.redirect_ok = values['redirect_ok']
        self.supervisor_socket = values['supervisor_socket']
        self.log = values['log']

    @property
    def behind_socket(self):
        """Whether nginx reaches the app by a socket; else there is no link to move, and a hand-over loses requests."""
        return self.bind.startswith('unix:')


def load(name, folder=FOLDER):
    """Reads an app's settings.

    Raises:
        Failure: there are none, or they are damaged.
    """
    path = folder / (name + '.json')
    try:
        return Config(name, json.loads(path.read_text(encoding='utf-8')))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure('{} cannot be read ({!r}). Deploy the app again.'.format(path, error))
