"""gunicorn's settings for this release, read from the .release.json beside it.

gunicorn runs in the release's folder. Environment and secrets are set here, before the app is imported, because
supervisor's file cannot hold every value and is readable by everyone.
"""
import faulthandler
import importlib.util
import json
import os
import re
import sys

from gunicorn.workers.base_async import AsyncWorker
from werkzeug.exceptions import NotFound
from werkzeug.middleware.proxy_fix import ProxyFix

with open('.release.json', encoding='utf-8') as file:
    _release = json.load(file)


def _filled(value):
    """A setting with the release's path in place of `{release}`; `${release}` is a variable of a shell."""
    if isinstance(value, str):
        return re.sub(r'(?<!\$)\{release\}', lambda _: os.getcwd(), value)
    if isinstance(value, list):
        return [_filled(part) for part in value]
    return {name: _filled(part) for name, part in value.items()} if isinstance(value, dict) else value


os.environ.update({
    'HOME': _release['home'],
    'LANG': 'C.UTF-8',
    'USER': _release['user'],
    'PATH': os.path.join(os.getcwd(), 'bin') + ':/usr/local/bin:/usr/bin:/bin',
})
os.environ.update({name: _filled(str(value)) for name, value in _release['environment'].items()})
if _release['secrets']:
    with open(_release['secrets'], encoding='utf-8') as file:
        os.environ.update(json.load(file))

# the app as a package: its metadata, and its modules where they are not in the folder itself
sys.path.append(os.path.join(os.getcwd(), '.package'))
os.environ.setdefault('PYTHONPATH', sys.path[-1])

wsgi_app = _release['wsgi']
workers = _release['workers']
# after the release's own time, websockets and streams are closed, which takes a moment
graceful_timeout = _release['graceful_timeout'] + 6
# workers touch their heartbeat file here: in memory, so that it costs no disk writes
worker_tmp_dir = '/dev/shm'
# gunicorn 25 and newer would create it in the home directory, where the app's account may not write
control_socket_disable = True
# above nginx's limits (4 buffers of 8 KiB), so that clients get nginx's error pages, not gunicorn's
limit_request_line = 8190
limit_request_field_size = 8192
limit_request_fields = 32768
globals().update(_filled(_release['gunicorn']))

_spec = importlib.util.spec_from_file_location('connections', '.connections.py')
_connections = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_connections)
_markers = os.path.join(_release['run'], 'app')


class BelowPrefix:
    """The app below a path of its site, such as `/shop`: SCRIPT_NAME has the path, and PATH_INFO comes without it.

    nginx sends the path in a header, so that a rollback does not change it. gunicorn knows such a header too, SCRIPT_NAME, but
    not with gevent-websocket's worker, and it answers other paths with 500.
    """

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        prefix, path = environ.get('HTTP_X_FORWARDED_PREFIX', ''), environ['PATH_INFO']
        if not prefix:
            return self.app(environ, start_response)
        # nginx has chosen the location by the path without `..` and double slashes
        if not path.startswith(prefix + '/'):
            return NotFound()(environ, start_response)
        environ.update(SCRIPT_NAME=prefix, PATH_INFO=path[len(prefix) :])

        def start(status, headers, *more):
            for index, (name, value) in enumerate(headers):
                # nginx has the app's own locations below the path, too
                if name.lower() == 'x-accel-redirect' and value.startswith('/') and not value.startswith(prefix + '/'):
                    headers[index] = (name, prefix + value)
            return start_response(status, headers, *more)

        return self.app(environ, start)


def _marker(pid):
    """Path of a worker's marker. It has the start time in its name, because process ids are reused."""
    with open('/proc/%d/stat' % pid, 'rb') as file:
        start = file.read().rpartition(b')')[2].split()[19].decode()
    return os.path.join(_markers, 'ready-%d-%s' % (pid, start))


def on_starting(server):
    """Removes markers of workers that ended without removing them."""
    for name in os.listdir(_markers):
        pid = name.split('-')[1] if name.startswith('ready-') else ''
        if pid.isdigit() and not os.path.exists('/proc/' + pid):
            os.remove(os.path.join(_markers, name))


def post_fork(server, worker):
    """Shows where an app stands that is not imported shortly before the health check's time is over, such as without its database."""
    faulthandler.dump_traceback_later(max(_release['health']['timeout'] - 2, 1))


def post_worker_init(worker):
    """Restores the client's address, scheme and path, and marks this worker as ready: it has imported the app."""
    faulthandler.cancel_dump_traceback_later()
    if all(isinstance(address, str) for address in worker.cfg.address):
        # Only on a unix socket: over TCP, clients could forge these headers.
        worker.wsgi = ProxyFix(BelowPrefix(worker.wsgi), x_for=1, x_proto=1)
    worker.wsgi = _connections.LongConnections(worker.wsgi, worker, _release['graceful_timeout'])
    if isinstance(worker, AsyncWorker):
        _connections.serve_accepted(worker)
    open(_marker(worker.pid), 'w').close()


def worker_exit(server, worker):
    """Removes the worker's marker."""
    if os.path.exists(_marker(worker.pid)):
        os.remove(_marker(worker.pid))
