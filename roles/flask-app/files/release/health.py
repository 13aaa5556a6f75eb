"""Health checks: all workers have imported the app, and the health path answers as configured."""

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

POLL_INTERVAL = 0.1  # seconds
TIMEOUT_MARGIN = 0.5  # seconds beyond a request's own limit, whose error is more specific
BODY_LIMIT = 1 << 20  # bytes of an answer that are searched for the health text
NGINX_USER = 'www-data'  # requests reach no sockets that nginx cannot reach
REDIRECTS = (301, 302, 303, 307, 308)
REDIRECTED = (
    'warning: {0} redirects to https://{0}, which this host does not serve. Set tls_mode, '
    'or nginx_trusted_proxies if a load balancer terminates TLS.'
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
    """A connection to gunicorn's `bind`; timeout in seconds."""
    if bind.startswith('unix:'):
        return UnixConnection(bind[len('unix:') :], timeout)
    return http.client.HTTPConnection('127.0.0.1', int(bind.rpartition(':')[2]), timeout=timeout)


def nginx_headers(host, scheme, prefix):
    """The headers that nginx would send for a client on this host."""
    headers = {
        'Host': host,
        'Connection': 'close',
        'X-Request-ID': uuid.uuid4().hex,
        'X-Real-IP': '127.0.0.1',
        'X-Forwarded-For': '127.0.0.1',
        'X-Forwarded-Host': host,
        'X-Forwarded-Proto': scheme,
    }
    return dict(headers, **{'X-Forwarded-Prefix': prefix}) if prefix else headers


def redirects_to_https(answer, host):
    """Whether an answer redirects to https on the same host."""
    target = urlsplit(answer.getheader('Location') or '')
    return answer.status in REDIRECTS and target.scheme == 'https' and target.hostname == host.lower()


def check_health(config, health, bind, timeout):
    """Requests the health path once.

    Args:
        config: the app's Config.
        health: `path`, `status` and `text` of the release.
        bind: where it listens, as in gunicorn's `bind`.
        timeout: seconds.

    Returns:
        `problem`, '' if the answer is healthy; `redirected`, whether it is a redirect to https.
    """
    connection = connect(bind, timeout)
    try:
        connection.request('GET', config.prefix + health['path'], headers=nginx_headers(config.host, config.scheme, config.prefix))
        answer = connection.getresponse()
        if config.redirect_ok and answer.status != health['status'] and redirects_to_https(answer, config.host):
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
        problem = "the answer does not contain '{}'".format(health['text'])
    return {'problem': problem, 'redirected': False}


def check_health_as_nginx(config, health, bind, timeout):
    """Requests the health path once as nginx's account, for at most `timeout` seconds; see check_health."""
    text = call_as(NGINX_USER, lambda: json.dumps(check_health(config, health, bind, timeout)), timeout + TIMEOUT_MARGIN)
    return json.loads(text) if text else {'problem': 'no complete answer within {:.0f} s'.format(timeout), 'redirected': False}


def ready_workers(config, master):
    """Process ids of the workers that have imported the app: each has created its marker (see .gunicorn.py)."""
    markers = ((pid, config.run / 'app' / 'ready-{}-{}'.format(pid, start_ticks(pid))) for pid in (children(master) if master else ()))
    return {pid for pid, marker in markers if os.path.lexists(str(marker))}


def wait_until_healthy(config, settings, bind, master, settle):
    """Waits until a release has been healthy, with all its workers, for `settle` seconds.

    Args:
        config: the app's Config.
        settings: of the release.
        bind: where it listens, as in gunicorn's `bind`.
        master: a function that returns the process id of its gunicorn, or 0 before it has started.
        settle: seconds that it must stay healthy with the same workers.

    Returns:
        Whether it answers with a redirect to https.

    Raises:
        Unhealthy: it was not, within the release's health timeout.
    """
    health = settings['health']
    deadline = time.monotonic() + health['timeout']
    healthy_since, workers = None, set()
    while True:
        ready = ready_workers(config, master())
        left = deadline - time.monotonic()
        answer = {'problem': '{} of {} workers have imported the app'.format(len(ready), settings['workers']), 'redirected': False}
        if len(ready) >= settings['workers']:
            answer = check_health_as_nginx(config, health, bind, max(left, 1))
        if healthy_since is None and not answer['problem']:
            healthy_since, workers = time.monotonic(), ready
        elif healthy_since is not None and (answer['problem'] or ready != workers):
            raise Unhealthy('{} after it had been healthy'.format(answer['problem'] or 'a worker ended'))
        if healthy_since is not None and time.monotonic() - healthy_since >= settle:
            return answer['redirected']
        if healthy_since is None and left <= 0:
            raise Unhealthy('{} within {} s; the health path is {}'.format(answer['problem'], health['timeout'], health['path']))
        time.sleep(POLL_INTERVAL)
