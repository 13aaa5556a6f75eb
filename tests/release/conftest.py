"""The tests here run under every Python that hosts have (see ./run), as root or not.

So they use nothing but pytest and the standard library.
"""

import json
import os
import pwd
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'roles/flask-app/files'))

from release import commands, health, supervisor, systemd, traffic
from release.config import Config
from standins import Host, Systemd

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason='needs root')


def pytest_configure(config):
    """The stand-ins are threads of the process that forks, which the tool itself never has."""
    config.addinivalue_line('filterwarnings', 'ignore:.*multi-threaded, use of fork:DeprecationWarning')


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Waits are short, and this account does what others do on a host."""
    for module in (commands, health, supervisor, systemd, traffic):
        monkeypatch.setattr(module, 'POLL_INTERVAL', 0.01)
    monkeypatch.setattr(health, 'TIMEOUT_MARGIN', 0.1)
    monkeypatch.setattr(health, 'NGINX_USER', '')
    if not ROOT:
        monkeypatch.setattr(commands, 'become', lambda user: None)


@pytest.fixture
def account():
    """The account of these tests."""
    return pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def folder():
    """A folder with a path that is short enough for sockets, and that every account may enter."""
    path = Path(os.path.realpath(tempfile.mkdtemp(prefix='t')))
    path.chmod(0o755)
    yield path
    shutil.rmtree(str(path))


@pytest.fixture
def values(folder):
    """The text of deploy.d/shop.json, as values."""
    for name in ['srv/releases', 'srv/venvs', 'srv/secrets', 'run/app', 'conf.d', 'units']:
        (folder / name).mkdir(parents=True)
    return {
        'root': str(folder / 'srv'),
        'user': '',
        'run': str(folder / 'run'),
        'bind': 'unix:{}/run/app/shop.sock'.format(folder),
        'drain': 0.3,
        'settle': 0.1,
        'keep': 3,
        'graceful_timeout': 2,
        'command_timeout': 10,
        'host': 'shop.example',
        'scheme': 'http',
        'prefix': '',
        'redirect_ok': True,
        'supervisor_socket': str(folder / 'supervisor.sock'),
        'programs': str(folder / 'conf.d'),
        'units': str(folder / 'units'),
        'log': str(folder / 'shop.log'),
        'site_logs': [str(folder / 'nginx/shop.access.log'), str(folder / 'nginx/shop.error.log')],
        'certificate': '',
        'services': {},
    }


@pytest.fixture
def config(values):
    return Config('shop', values)


@pytest.fixture
def make_release(config, account):
    """Makes a release with its environment; values replace those of its .release.json."""

    def make(name, environment='e1', manifest=True, **values):
        release = config.releases / name
        release.mkdir()
        settings = {
            'user': account,
            'home': str(config.root),
            'run': str(config.run),
            'wsgi': 'app:app',
            'workers': 2,
            'graceful_timeout': 2,
            'gunicorn': {},
            'environment': {},
            'secrets': '',
            'init_commands': [],
            'commands': [],
            'health': {'path': '/', 'status': 200, 'text': 'well', 'timeout': 5},
        }
        settings.update(values)
        (release / '.release.json').write_text(json.dumps(settings), encoding='utf-8')
        if environment:
            build, link = config.root / 'venvs' / (environment + '.1'), config.root / 'venvs' / environment
            if not link.is_symlink():
                (build / 'bin').mkdir(parents=True)
                link.symlink_to(build)
            (release / 'bin').symlink_to(link / 'bin')
        if manifest:
            (release / '.manifest.json').write_text('{}')
        return release

    return make


@pytest.fixture
def services(folder, config, monkeypatch):
    """systemctl, journalctl, systemd-tmpfiles and systemd-run come from a folder of the test."""
    stand_in = Systemd(folder / 'systemd', config)
    monkeypatch.setenv('PATH', str(stand_in.folder) + ':' + os.environ['PATH'])
    yield stand_in
    stand_in.end()


@pytest.fixture
def host(config, services, make_release, monkeypatch):
    """A host with the app's program under supervisor, and candidates under systemd."""
    # of the whole machine, and slow where others work
    monkeypatch.setattr(os, 'sync', lambda: None)
    made = Host(config, services, make_release)
    yield made
    made.end()
