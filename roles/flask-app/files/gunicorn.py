"""gunicorn's settings for this release, read from the .release.json beside it.

gunicorn runs in the release's folder. Environment and secrets are set here, before the app is imported, because
supervisor's own file can't hold every value, and anybody could read a secret there.
"""
import json
import os

from werkzeug.middleware.proxy_fix import ProxyFix

with open('.release.json', encoding='utf-8') as file:
    _release = json.load(file)

os.environ.update({
    'HOME': _release['home'],
    'LANG': 'C.UTF-8',
    'USER': _release['user'],
    'PATH': os.path.join(os.getcwd(), 'bin') + ':/usr/local/bin:/usr/bin:/bin',
})
os.environ.update({name: str(value) for name, value in _release['environment'].items()})
if _release['secrets']:
    with open(_release['secrets'], encoding='utf-8') as file:
        os.environ.update(json.load(file))

wsgi_app = _release['wsgi']
workers = _release['workers']
graceful_timeout = _release['graceful_timeout']
# where a worker notes with every request that it lives: in memory, so that it costs no writing to a disk
worker_tmp_dir = '/dev/shm'
# gunicorn 25 and newer would open one in the home directory, which the app's account may not write
control_socket_disable = True
# nginx's limits (4 buffers of 8 KiB) are the lower ones, so that its errors are seen and not gunicorn's own pages
limit_request_line = 8190
limit_request_field_size = 8192
limit_request_fields = 32768
globals().update(_release['gunicorn'])


_marks = os.path.join(_release['run'], 'app')


def _mark(pid):
    """The mark of a worker, named after the process and its start, for process ids come again."""
    with open('/proc/%d/stat' % pid, 'rb') as file:
        start = file.read().rpartition(b')')[2].split()[19].decode()
    return os.path.join(_marks, 'ready-%d-%s' % (pid, start))


def on_starting(server):
    """Takes the marks of workers away whose gunicorn could not do so."""
    for name in os.listdir(_marks):
        pid = name.split('-')[1] if name.startswith('ready-') else ''
        if pid.isdigit() and not os.path.exists('/proc/' + pid):
            os.remove(os.path.join(_marks, name))


def post_worker_init(worker):
    """Lets the app see the client's address and scheme, and tells the hand-over that this worker has imported the app."""
    if all(isinstance(address, str) for address in worker.cfg.address):
        # Only nginx can connect, and sets these headers itself. Over TCP they could be anybody's.
        worker.wsgi = ProxyFix(worker.wsgi, x_for=1, x_proto=1)
    open(_mark(worker.pid), 'w').close()


def worker_exit(server, worker):
    """Takes the mark of a worker away that ends."""
    if os.path.exists(_mark(worker.pid)):
        os.remove(_mark(worker.pid))
