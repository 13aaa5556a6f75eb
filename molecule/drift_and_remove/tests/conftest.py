"""What both tests share: playbooks and the drift command against the machines."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(os.environ['MOLECULE_PROJECT_DIRECTORY'])
SCENARIO = CHECKOUT / 'molecule/drift_and_remove'
INVENTORY = os.environ['MOLECULE_INVENTORY_FILE']
FACTS = {
    machine['instance']: machine
    for machine in yaml.safe_load((Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY']) / 'instance_config.yml').read_text())
}

pytest_plugins = ['pytest_load']


def play(playbook, *options, fails=False):
    """Runs a playbook, which must succeed, or fail; returns by host how much it changed, and what it printed."""
    done = subprocess.run(
        ['ansible-playbook', '-i', INVENTORY, playbook, *options],
        cwd=CHECKOUT,
        env={**os.environ, 'ANSIBLE_FORCE_COLOR': 'false'},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert (done.returncode != 0) == fails, done.stdout
    return {host: int(number) for host, number in re.findall(r'(?m)^(\w+) .*changed=(\d+)', done.stdout)}, done.stdout


def drift(*options):
    """Runs the drift command; returns its exit status and its answer."""
    done = subprocess.run(
        ['tools/drift', '-i', INVENTORY, '--limit=app', '--json', *options], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    )
    answer = json.loads(done.stdout)
    return done.returncode, [one['what'] for one in answer['hosts'].get('app', [])], answer


def listing(bash):
    """What the machine has, see listing.py."""
    bash('python3 - /root/now.json <<"END"\n' + (SCENARIO / 'listing.py').read_text() + '\nEND')
    return json.loads(bash('cat /root/now.json; rm /root/now.json'))


@pytest.fixture
def bash(host):
    """Runs a command on the machine as root, which must succeed; returns what it printed."""

    def run(command):
        return host.check_output('sudo bash -ec %s', command)

    return run
