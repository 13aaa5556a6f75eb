"""Whether a release is healthy: all workers have started the app, and its health path answers as it should."""

import http.client
import json
import os
import socket
import time
import uuid
from urllib.parse import urlsplit

from .accounts import call_as
from .errors import Unhealthy
from .logs import one_line
from .system import children, start_ticks

PAUSE = 0.1  # seconds between two looks at a starting release
MARGIN = 0.5  # seconds beyond a request's own limit, which says more
BODY_LIMIT = 1 << 20  # bytes of an answer in which the health text is looked for
NGINX_USER = 'www-data'  # whoever asks sees no more sockets than nginx does
REDIRECTS = (301, 302, 303, 307, 308)
REDIRECTED = (
    'warning: {0} answers with a redirect to https://{0}, which this host does not serve. Set tls_mode, '
    'or nginx_trusted_proxies where a balancer before this host has the certificate.'
)


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a unix socket."""

    def __init__(self, path, timeout):
        super().__init__('localhost', timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def connect(bind, timeout):
    """A connection to where gunicorn listens, in its own words; timeout in seconds."""
    if bind.startswith('unix:'):
        return UnixConnection(bind[len('unix:') :], timeout)
    return http.client.HTTPConnection('127.0.0.1', int(bind.rpartition(':')[2]), timeout=timeout)


def headers(host, scheme):
    """The headers that nginx sets, for a client on this host."""
    return {
        'Host': host,
        'Connection': 'close',
        'X-Request-ID': uuid.uuid4().hex,
        'X-Real-IP': '127.0.0.1',
        'X-Forwarded-For': '127.0.0.1',
        'X-Forwarded-Host': host,
        'X-Forwarded-Proto': scheme,
    }


def to_https(answer, host):
    """Whether an answer sends the client to https on the same host."""
    target = urlsplit(answer.getheader('Location') or '')
    return answer.status in REDIRECTS and target.scheme == 'https' and target.hostname == host.lower()


def ask(config, health, bind, timeout):
    """Asks the health path once.

    Args:
        config: the app's Config.
        health: `path`, `status` and `text` of the release.
        bind: where it listens, in gunicorn's words.
        timeout: seconds.

    Returns:
        `problem`, '' when the answer is as it should be; `redirected`, whether it is a redirect to https.
    """
    connection = connect(bind, timeout)
    try:
        connection.request('GET', health['path'], headers=headers(config.host, config.scheme))
        answer = connection.getresponse()
        if config.redirect_ok and answer.status != health['status'] and to_https(answer, config.host):
            return {'problem': '', 'redirected': True}
        body = answer.read(BODY_LIMIT).decode('utf-8', 'replace')
    except (OSError, ValueError, http.client.HTTPException) as error:
        return {'problem': 'no answer ({})'.format(one_line(str(error))), 'redirected': False}
    finally:
        connection.close()
    problem = ''
    if answer.status != health['status']:
        problem = 'status {} instead of {}'.format(answer.status, health['status'])
    elif health['text'] not in body:
        problem = "an answer without '{}' in it".format(health['text'])
    return {'problem': problem, 'redirected': False}


def ask_as_nginx(config, health, bind, timeout):
    """Asks the health path once, as nginx's account, and never for longer than `timeout` seconds; see ask."""
    text = call_as(NGINX_USER, lambda: json.dumps(ask(config, health, bind, timeout)), timeout + MARGIN)
    return json.loads(text) if text else {'problem': 'no whole answer in {:.0f} s'.format(timeout), 'redirected': False}


def ready_workers(config, master):
    """The workers of a gunicorn that have imported the app: each left a mark, named after itself (see .gunicorn.py)."""
    marks = ((pid, config.run / 'app' / 'ready-{}-{}'.format(pid, start_ticks(pid))) for pid in (children(master) if master else ()))
    return {pid for pid, mark in marks if os.path.lexists(str(mark))}


def wait_until_healthy(config, settings, bind, master, settle):
    """Waits until a release answers its health path with all its workers, and goes on doing so.

    Args:
        config: the app's Config.
        settings: of the release.
        bind: where it listens, in gunicorn's words.
        master: a function that returns the process id of its gunicorn, 0 while there is none.
        settle: seconds that it must stay healthy, with the same workers.

    Returns:
        Whether it answers with a redirect to https.

    Raises:
        Unhealthy: it did not, within the release's own time limit.
    """
    health = settings['health']
    deadline = time.monotonic() + health['timeout']
    healthy_since, workers = None, set()
    while True:
        ready = ready_workers(config, master())
        left = deadline - time.monotonic()
        answer = {'problem': '{} of {} workers have started the app'.format(len(ready), settings['workers']), 'redirected': False}
        if len(ready) >= settings['workers']:
            answer = ask_as_nginx(config, health, bind, max(left, 1))
        if healthy_since is None and not answer['problem']:
            healthy_since, workers = time.monotonic(), ready
        elif healthy_since is not None and (answer['problem'] or ready != workers):
            raise Unhealthy('{} after it had answered well'.format(answer['problem'] or 'a worker ended'))
        if healthy_since is not None and time.monotonic() - healthy_since >= settle:
            return answer['redirected']
        if healthy_since is None and left <= 0:
            raise Unhealthy('{} within {} s; the health path is {}'.format(answer['problem'], health['timeout'], health['path']))
        time.sleep(PAUSE)
