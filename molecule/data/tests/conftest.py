"""What the tests of data share: the machine's two apps, and deploys of other versions of them."""

import json
import os
import shutil
import subprocess

import pytest
import yaml
from machine import CHECKOUT, FOLDER, INVENTORY, Machine, read_facts

APP = CHECKOUT / 'molecule/data/app'
SHOP_SOCKET = '/run/shop-redis/redis.sock'

pytest_plugins = ['machine']


class Apps(Machine):
    """The machine with the app `shop`, which the scenario has deployed."""

    def __init__(self, folder):
        super().__init__(next(iter(read_facts().values())))
        self.folder = folder

    def version(self, release):
        """Copies the app as another release."""
        folder = self.folder / release / 'shop'
        shutil.copytree(APP, folder)
        (folder / 'app.py').write_text((APP / 'app.py').read_text().replace("RELEASE = 'one'", f'RELEASE = {release!r}'))
        return str(folder)

    def release(self):
        """The version that serves."""
        return self.ask('/health').body

    def inventory(self, name, **variables):
        """Writes the inventory of another app on the machine; returns its path."""
        host = {
            'ansible_host': self.facts['address'],
            'ansible_port': self.facts['port'],
            'ansible_user': self.facts['user'],
            'ansible_ssh_private_key_file': self.facts['identity_file'],
            'ansible_ssh_common_args': f'-o UserKnownHostsFile={FOLDER}/known_hosts',
            'python_venv_python': os.environ.get('APP_PYTHON') or 'python3',
            'flask_app_name': name,
            'flask_app_domains': [f'{name}.example'],
            'flask_app_src': str(APP),
            'flask_app_health_path': '/health',
            **variables,
        }
        path = self.folder / f'{name}.yml'
        path.write_text(yaml.safe_dump({'all': {'hosts': {name: host}}}))
        return path


@pytest.fixture(scope='session')
def apps(tmp_path_factory):
    return Apps(tmp_path_factory.mktemp('apps'))


@pytest.fixture(scope='session')
def blog(apps):
    """Deploys another app, which has a database of its own and no Redis; returns its inventory."""
    path = apps.inventory('blog', flask_app_services=['postgresql'], flask_app_release_commands=['python migrate.py'])
    done = subprocess.run(['ansible-playbook', '-i', path, 'playbook.yml'], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    return path


@pytest.fixture
def sql(root):
    """Runs SQL as the superuser; returns what it prints."""
    return lambda query, database='postgres': root(f'cd / && runuser -u postgres -- psql -XAtc {json.dumps(query)} {database}')


def drift():
    """Runs the drift command; returns its exit status and what it names."""
    done = subprocess.run(['tools/drift', '-i', INVENTORY, '--json'], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    answer = json.loads(done.stdout)
    return done.returncode, [one['what'] for one in next(iter(answer['hosts'].values()))], answer


def status():
    """Runs `make status`; returns the facts of the app."""
    done = subprocess.run(['tools/status', '-i', INVENTORY, '--json'], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    return next(iter(json.loads(done.stdout)['hosts'].values()))


def remote(*command):
    """Runs a command by `make run`; returns what it prints."""
    done = subprocess.run(['python', '-m', 'tools.remote', 'run', '-i', INVENTORY, '--', *command],
                          cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()


