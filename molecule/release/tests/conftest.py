"""What the tests of releases share: apps that differ, deploys of them, and the load that goes on meanwhile."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(os.environ['MOLECULE_PROJECT_DIRECTORY'])
SCENARIO = CHECKOUT / 'molecule/release'
SETTINGS = {'flask_app_health_path': '/health', 'flask_app_health_timeout': 15}

pytest_plugins = ['pytest_load']


class Run:
    """A playbook at work against the machine.

    Attributes:
        output: what it has printed, once it has ended.
        seconds: how long it took.
    """

    def __init__(self, playbook, variables, log, options=()):
        inventory = os.environ['MOLECULE_INVENTORY_FILE']
        self.log = log
        self.started = time.monotonic()
        with log.open('w') as file:
            # a group of its own, so that all of it can be killed at once
            self.process = subprocess.Popen(
                ['ansible-playbook', '-i', inventory, playbook, '-e', json.dumps(variables), *options],
                cwd=CHECKOUT,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self):
        return self.log.read_text()

    def wait(self):
        """Waits for the end; returns the exit status."""
        status = self.process.wait(timeout=300)
        self.seconds = time.monotonic() - self.started
        return status

    def wait_for(self, text):
        """Waits until the output has a text in it."""
        while text not in self.output:
            assert self.process.poll() is None, self.output
            time.sleep(0.05)

    def kill(self):
        """Kills it with all its processes, as a crash of the controller would; or else it has ended just now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def changed(self):
        return int(re.findall(r'changed=(\d+)', self.output)[-1])


class Machine:
    """The machine as the controller sees it."""

    def __init__(self, folder, put_load):
        self.facts = yaml.safe_load((Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY']) / 'instance_config.yml').read_text())[0]
        self.url = f'http://127.0.0.1:{self.facts["http_port"]}'
        self.folder = folder
        self.put_load = put_load
        self.runs = 0

    def get(self, path='/'):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read().decode()

    def release(self):
        """The name that the serving release gives itself."""
        return json.loads(self.get())['release']

    def app(self, release, code='', lock=None):
        """A copy of the app that names itself `release`, with further code at its end; returns its folder."""
        folder = self.folder / release
        shutil.copytree(SCENARIO / 'app', folder)
        text = (folder / 'app.py').read_text()
        (folder / 'app.py').write_text(text.replace("RELEASE = 'one'", f'RELEASE = {release!r}') + code)
        if lock:
            (folder / 'requirements.txt').write_text(lock)
        return folder

    def start(self, playbook, *options, **variables):
        self.runs += 1
        return Run(playbook, variables, self.folder / f'run-{self.runs}.log', options)

    def start_deploy(self, folder, **variables):
        return self.start('playbook.yml', flask_app_src=str(folder), **{**SETTINGS, **variables})

    def deploy(self, folder, **variables):
        """Deploys an app that works."""
        run = self.start_deploy(folder, **variables)
        assert run.wait() == 0, run.output
        return run

    def load(self, name):
        """Puts 500 requests a second on the machine while a block runs, see pytest_load."""
        return self.put_load(name, self.url)


@pytest.fixture(scope='session')
def machine(tmp_path_factory, load):
    return Machine(tmp_path_factory.mktemp('apps'), load)


def at_rest(root):
    """Whether there is nothing but the program, and it has the traffic."""
    return (
        root('readlink /run/flaskrandom/live.sock') == 'app/flaskrandom.sock'
        and root('systemctl list-units --all --no-legend "flaskrandom-next@*"') == ''
        and root('ls /srv/flaskrandom/releases/.[!.]*', fails=True).startswith('ls: cannot access')
    )
