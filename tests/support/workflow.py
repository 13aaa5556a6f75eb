"""Runs the shell steps of a workflow for GitHub Actions here, with what its runner would give them."""

import os
import subprocess
import tempfile
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
WORKFLOW = CHECKOUT / 'examples/github-actions/deploy.yml'


def read():
    """The steps of the workflow's job."""
    return yaml.safe_load(WORKFLOW.read_text())['jobs']['deploy']['steps']


def run(folder, inventory, values):
    """Runs the steps that are commands, as far as the first one that fails.

    Args:
        folder: the runner's workspace; `app` and `project` are in it.
        inventory: path of the inventory.
        values: secrets and variables of the repository, by the names that the environment of a step gives them.

    Returns:
        The exit status, and what all steps printed.
    """
    temporary, exported = folder / 'temp', folder / 'exported'
    temporary.mkdir()
    exported.touch()
    # Molecule's and pytest's own settings would change what ansible-playbook and make do
    ours = ('ANSIBLE_', 'MOLECULE_', 'MAKE', 'MFLAGS', 'PYTEST_')
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {
        'GITHUB_WORKSPACE': str(folder), 'GITHUB_ENV': str(exported), 'RUNNER_TEMP': str(temporary), 'INVENTORY': str(inventory),
    }  # fmt: skip
    printed = ''
    # a runner has no connection of an earlier run; ssh's sockets need a short path
    with tempfile.TemporaryDirectory() as sockets:
        environment['ANSIBLE_SSH_CONTROL_PATH_DIR'] = sockets
        for step in (step for step in read() if 'run' in step):
            given = {name: values.get(name, '') for name in step.get('env', {})}
            added = dict(line.split('=', 1) for line in exported.read_text().splitlines())
            done = subprocess.run(
                ['bash', '-e', '-c', step['run']], cwd=folder, env=environment | added | given, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
            )  # fmt: skip
            printed += done.stdout
            if done.returncode:
                return done.returncode, printed
    return 0, printed
