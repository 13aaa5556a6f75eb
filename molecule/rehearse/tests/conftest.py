"""The apps that are rehearsed, and rehearsals of them on one machine."""

import json
import shutil
import subprocess
import sys

import pytest
import yaml
from machine import CHECKOUT

from tools.new import vault
from tools.rehearse.machine import RESTORE, Machine

SCENARIO = CHECKOUT / 'molecule/rehearse'
NAME = 'scenario'  # of the machine that the rehearsals share
REQUESTS = [
    '/items',
    {'path': '/orders', 'method': 'POST', 'body': '{"number": 1}', 'headers': {'Content-Type': 'application/json'}},
]

pytest_plugins = ['machine']


class App:
    """An app in a repository, with an inventory.

    Attributes:
        name: of the app.
        folder: its repository.
        inventory: the folder of its inventory.
    """

    def __init__(self, folder, name):
        self.name, self.folder, self.inventory = name, folder / name, folder / f'{name}-inventory'
        shutil.copytree(SCENARIO / 'app', self.folder)
        shutil.copy(CHECKOUT / 'molecule/release/app/requirements.txt', self.folder)
        self.git('init', '--quiet')
        self.commit('the first version')

    def git(self, *command):
        """Runs git in the repository; returns what it printed."""
        settings = ['-c', 'user.name=tests', '-c', 'user.email=tests@example.com']
        done = subprocess.run(['git', *settings, '-C', self.folder, *command], stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()

    def commit(self, message):
        """Commits all changes; returns the commit."""
        self.git('add', '.')
        self.git('commit', '--quiet', f'--message={message}')
        return self.git('rev-parse', '--short=12', 'HEAD')

    def change(self, file, old, new):
        """Replaces a text in a file."""
        text = (self.folder / file).read_text()
        assert old in text
        (self.folder / file).write_text(text.replace(old, new))

    def write_inventory(self, host, secrets=None, **rehearse):
        """Writes the inventory.

        Args:
            host: variables of the host, beside those of the app.
            secrets: of the app; they are encrypted, with the password beside.
            rehearse: of rehearse.yml.
        """
        variables = {
            'flask_app_name': self.name,
            'flask_app_src': str(self.folder),
            'flask_app_domains': [f'{self.name}.example.com'],
            'flask_app_health_path': '/health',
            'flask_app_shared': ['data'],
            'flask_app_release_commands': ['python migrate.py'],
        }
        self.inventory.mkdir()
        (self.inventory / 'hosts.yml').write_text(yaml.safe_dump({'all': {'hosts': {self.name: {**variables, **host}}}}))
        (self.inventory / 'rehearse.yml').write_text(yaml.safe_dump({'paths': REQUESTS, **rehearse}))
        if secrets:
            (self.inventory / 'group_vars/all').mkdir(parents=True)
            encrypted = vault.encrypt(yaml.safe_dump({'flask_app_secrets': secrets}), vault.write_password(self.inventory))
            (self.inventory / 'group_vars/all/vault.yml').write_bytes(encrypted)


def command(inventory, *options):
    """The command line of a rehearsal."""
    return [sys.executable, '-m', 'tools.rehearse', str(inventory), *options]


class Rehearsals:
    """The machine that all rehearsals use: it is installed once."""

    def __init__(self):
        self.machine = Machine(NAME, CHECKOUT / f'.cache/rehearse/{NAME}/machine', [''])

    def run(self, app, status):
        """Rehearses an app, which must end with a status; returns the report."""
        options = ['--json', '--keep', f'--machine={NAME}']
        done = subprocess.run(command(app.inventory, *options), cwd=CHECKOUT, capture_output=True, text=True)
        assert done.returncode == status, f'{done.stdout}\n{done.stderr}'
        print(done.stderr)
        return json.loads(done.stdout)

    def inside(self, script):
        """Runs a script as root on the machine; returns what it printed."""
        self.machine.read_facts()
        return self.machine.inside(script)

    def restore(self):
        """Gives the machine its network back."""
        self.inside(RESTORE)

    def cut(self):
        """Takes the machine's network away again."""
        self.machine.cut()


@pytest.fixture(scope='session')
def rehearsals():
    made = Rehearsals()
    yield made
    made.machine.destroy()


@pytest.fixture(scope='session')
def new_app(tmp_path_factory):
    """Makes an App by its name."""
    folder = tmp_path_factory.mktemp('apps')
    return lambda name: App(folder, name)
