"""What users are told of unfriendly hosts, or what becomes of them."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

FOLDER = Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY'])
CHECKOUT = Path(os.environ['MOLECULE_PROJECT_DIRECTORY'])
MACHINES = {machine['instance']: machine for machine in yaml.safe_load((FOLDER / 'instance_config.yml').read_text())}


def play(host, *options):
    done = subprocess.run(
        ['ansible-playbook', '-i', FOLDER / 'inventory', 'playbook.yml', f'--limit={host}', *options],
        cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def inside(host, *command):
    machine = MACHINES[host]
    return subprocess.run([machine['engine'], 'exec', machine['container'], *command], stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.mark.parametrize(
    'host, line',
    [
        ('full', r'full has free only \d+ MB on /srv, and needs 500'),
        ('clock', r'clock has a clock that is 2880 minutes\s+behind'),
        ('locked', r'If sudo asks for a password, give `--ask-become-pass`'),
    ],
)
def test_a_host_that_cannot_be_set_up_is_named_with_what_to_mend(host, line):
    before = inside(host, 'find', '/etc', '/srv', '/usr', '/var/lib/dpkg', '-newer', '/proc/1', '-type', 'f')
    code, output = play(host)
    assert code == 2
    told = re.sub(r'\s+', ' ', output)
    assert 'Nothing was changed. Mend this:' in told
    assert re.search(line.replace(r'\s+', ' '), told)
    assert inside(host, 'find', '/etc', '/srv', '/usr', '/var/lib/dpkg', '-newer', '/proc/1', '-type', 'f') == before


def test_awkward_hosts_are_set_up_all_the_same():
    inside('awkward', 'systemd-run', '--unit=first-boot', 'sleep', '20')
    inside('awkward', 'systemd-run', '--unit=upgrade', 'python3', '/opt/lock.py')
    code, output = play('awkward')
    assert code == 0, output[-3000:]
    assert 'FAILED - RETRYING: [awkward]: Install the packages' in output
    subprocess.run(['curl', '--fail', '--silent', f'http://127.0.0.1:{MACHINES["awkward"]["http_port"]}/'], check=True)
    code, output = play('awkward')
    assert code == 0 and 'changed=0' in output


def test_a_host_behind_another_is_reached():
    jump, inner = MACHINES['awkward'], MACHINES['locked']
    address = inside('locked', 'hostname', '-I').split()[0]
    known = FOLDER / 'jump_known_hosts'
    known.write_text(f'[127.0.0.1]:{jump["port"]} {jump["host_key"]}\n{address} {inner["host_key"]}\n')
    options = f'-i {jump["identity_file"]} -o UserKnownHostsFile={known} -o IdentitiesOnly=yes -o ControlPath=none'
    proxy = f'ssh {options} -p {jump["port"]} -W %h:%p ubuntu@127.0.0.1'
    variables = {
        'ansible_host': address,
        'ansible_port': 22,
        'ansible_ssh_common_args': f'{options} -o ProxyCommand="{proxy}"',
        'ansible_become_password': 'sesame',
    }
    code, output = play('locked', '--check', '-e', json.dumps(variables))
    assert code == 0, output[-3000:]
