"""Versions of the app with workers, and deploys of them."""

import shutil

import pytest
import yaml
from machine import CHECKOUT, Machine, Run, play, read_facts

APP = CHECKOUT / 'molecule/processes/app'
EXAMPLE = yaml.safe_load((CHECKOUT / 'examples/workers/group_vars/all.yml').read_text())
SETTINGS = {name: value for name, value in EXAMPLE.items() if name != 'flask_app_src'}

pytest_plugins = ['machine']


class Shop(Machine):
    """The machine with the app."""

    def __init__(self, folder):
        super().__init__(next(iter(read_facts().values())))
        self.folder = folder
        self.made = 0

    def version(self, **files):
        """Copies the app and adds a file, so that it is another release; `files` has the texts that are appended to modules by name."""
        self.made += 1
        folder = self.folder / str(self.made) / 'shop'
        shutil.copytree(APP, folder)
        (folder / 'version').write_text(str(self.made))
        for name, text in files.items():
            with open(folder / f'{name}.py', 'a') as file:
                file.write(text)
        return str(folder)

    def start_deploy(self, folder, **variables):
        """Starts the deploy of a folder; returns the Run."""
        return Run('playbook.yml', **{**SETTINGS, 'flask_app_src': folder, **variables})

    def deploy(self, folder, fails=False, **variables):
        """Deploys a folder; returns the Run that has ended."""
        return play('playbook.yml', fails=fails, **{**SETTINGS, 'flask_app_src': folder, **variables})

    def release(self):
        """The id of the serving release."""
        return self.ask().json()['release']

    def enqueue(self, jobs):
        """Gives the app jobs: lists of the queue, a number and the seconds that it takes."""
        answer = self.ask('/jobs', data=jobs)
        assert answer.status == 200, answer


@pytest.fixture(scope='session')
def shop(tmp_path_factory):
    return Shop(tmp_path_factory.mktemp('versions'))


@pytest.fixture
def records(root):
    """Reads the lines that the jobs have written to a file, each as its fields."""
    return lambda name: [line.split() for line in root(f'cat /srv/shop/shared/data/{name} 2>/dev/null || true').splitlines()]


@pytest.fixture
def programs(root):
    """The states of the app's processes under supervisor, by their names."""

    def read():
        lines = [line.split() for line in root('supervisorctl status || true').splitlines()]
        return {fields[0]: fields[1] for fields in lines if fields[0].startswith('shop.')}

    return read
