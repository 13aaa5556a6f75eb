"""What the tests of releases share: versions of the app, deploys of them, and load on the machine."""

import shutil

import pytest
from machine import CHECKOUT, Machine, Run, read_facts

SCENARIO = CHECKOUT / 'molecule/release'
SETTINGS = {'flask_app_health_path': '/health', 'flask_app_health_timeout': 15}

pytest_plugins = ['machine']


class ReleaseMachine(Machine):
    """The machine, to which versions of the scenario's app are deployed."""

    def __init__(self, folder, put_load):
        super().__init__(next(iter(read_facts().values())))
        self.folder = folder
        self.put_load = put_load

    def get(self, path='/'):
        """Returns the body of the answer to a GET, which must have the status 200."""
        answer = self.ask(path)
        assert answer.status == 200, answer
        return answer.body

    def release(self):
        """Returns the name that the serving release gives itself."""
        answer = self.ask()
        assert answer.status == 200, answer
        return answer.json()['release']

    def app(self, release, code='', lock=None):
        """Copies the scenario's app and changes it.

        Args:
            release: the name that the version gives itself.
            code: Python code that is appended.
            lock: the text of another requirements.txt.

        Returns:
            The folder.
        """
        folder = self.folder / release
        shutil.copytree(SCENARIO / 'app', folder)
        text = (folder / 'app.py').read_text()
        (folder / 'app.py').write_text(text.replace("RELEASE = 'one'", f'RELEASE = {release!r}') + code)
        if lock:
            (folder / 'requirements.txt').write_text(lock)
        return folder

    def start_deploy(self, folder, **variables):
        """Starts the deploy of a folder; returns the Run."""
        return Run('playbook.yml', flask_app_src=str(folder), **{**SETTINGS, **variables})

    def deploy(self, folder, **variables):
        """Deploys a folder, which must succeed; returns the Run that has ended."""
        run = self.start_deploy(folder, **variables)
        assert run.wait() == 0, run.output
        return run

    def load(self, name, rate=500):
        """Sends some requests a second to the machine while a block runs, see pytest_load. Long tests send fewer, to end sooner."""
        return self.put_load(name, self.url, f'--rate={rate}')


@pytest.fixture(scope='session')
def machine(tmp_path_factory, load):
    return ReleaseMachine(tmp_path_factory.mktemp('apps'), load)


def is_settled(root):
    """Whether the program has the traffic, no candidate is left and no release is unfinished."""
    return (
        root('readlink /run/flaskrandom/live.sock') == 'app/flaskrandom.sock'
        and root('systemctl list-units --all --no-legend "flaskrandom-next@*"') == ''
        and root('ls /srv/flaskrandom/releases/.[!.]*', fails=True).startswith('ls: cannot access')
    )
