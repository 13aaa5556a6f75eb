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
        cwd=CHECKOUT, env={**os.environ, 'ANSIBLE_FORCE_COLOR': '0'},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def inside(host, *command):
    machine = MACHINES[host]
    return subprocess.run([machine['engine'], 'exec', machine['container'], *command], stdout=subprocess.PIPE, text=True, check=True).stdout


def told(output):
    """What was said, on one line."""
    return re.sub(r'\s+', ' ', output)


@pytest.mark.parametrize(
    'host, lines, options',
    [
        ('full', [r'full has free only \d+ MB on /srv, and needs 500', r'room for only \d+ files on /srv, and needs'], []),
        ('clock', [r'clock has a clock that is 2880 minutes behind', 'still busy with its first boot'], ['__preflight_first_boot=3']),
        ('locked', [r'If sudo asks for a password, give `--ask-become-pass`'], []),
        ('locked', [r'Incorrect sudo password'], ['ansible_become_password=wrong']),
        (
            'broken',
            [
                'runs `fedora 40`, which this playbook does not know. It sets up ubuntu 18.04, .*debian 13',
                r'python3 older than 3.6',
                r'something else than a folder at /srv/flaskrandom and /var/lib/flask-host',
                r'python3.mine has 80 \(nginx_listen_port\)',
            ],
            [],
        ),
    ],
)
def test_a_host_that_cannot_be_set_up_is_named_with_what_to_mend(host, lines, options):
    before = inside(host, 'find', '/etc', '/srv', '/usr', '/var/lib/dpkg', '-newer', '/proc/1', '-type', 'f')
    code, output = play(host, *(word for option in options for word in ('-e', option)))
    assert code == 2
    assert 'Nothing was changed. Mend this:' in told(output)
    for line in lines:
        assert re.search(line, told(output)), output
    assert inside(host, 'find', '/etc', '/srv', '/usr', '/var/lib/dpkg', '-newer', '/proc/1', '-type', 'f') == before


# what is wrong, what the run says, and what mends it
PACKAGES = {
    'locked by a program that does not end': (
        'systemd-run --unit=upgrade python3 /opt/lock.py',
        'Could not get lock|Failed to lock.*sudo fuser -v /var/lib/dpkg/lock-frontend',
        'systemctl stop upgrade',
    ),
    'no names are resolved': (
        'cp /etc/resolv.conf /opt; echo nameserver 127.0.0.9 >/etc/resolv.conf',
        'Does the host resolve names and reach its package archive',
        'cat /opt/resolv.conf >/etc/resolv.conf',
    ),
    'a package is held back': (
        'apt-get -qq update; apt-mark hold python3-venv',
        'Held packages were changed.*apt-mark unhold NAME',
        'apt-mark unhold python3-venv',
    ),
    'a package is broken': (
        '! dpkg --install /opt/broken.deb',
        'dpkg: error processing package broken .*sudo dpkg --configure -a',
        'dpkg --purge broken',
    ),
}


@pytest.fixture(scope='module')
def mended():
    """The machine `broken` has nothing left of what the look at it found."""
    inside('broken', 'sh', '/opt/mend')


@pytest.mark.parametrize('fault', PACKAGES)
def test_packages_that_cannot_be_installed_are_one_line(mended, fault):
    make, line, mend = PACKAGES[fault]
    inside('broken', 'bash', '-c', make)
    code, output = play('broken', '-e', '__packages_attempts=1')
    assert code == 2
    assert re.search(line, told(output)), output
    inside('broken', 'bash', '-c', mend)


def test_a_run_that_loses_its_host_is_mended_by_the_next(mended):
    # as an interrupted dpkg leaves it
    inside('broken', 'sh', '-c', 'dpkg --status sudo >/var/lib/dpkg/updates/0001; echo >>/var/lib/dpkg/updates/0001')
    command = ['ansible-playbook', '-i', FOLDER / 'inventory', 'playbook.yml', '--limit=broken']
    inside('broken', 'rm', '-rf', '/srv/flaskrandom/venvs')  # which the runs before have built
    for moment in ('pgrep -x dpkg', 'pgrep -f "pi[p] install"'):
        run = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
        inside('broken', 'sh', '-c', f'timeout 200 sh -c \'until {moment}; do sleep 0.1; done\'; kill -9 $(pgrep -f "sshd: [u]buntu")')
        assert run.wait() == 4
    code, output = play('broken')
    assert code == 0, output[-3000:]
    subprocess.run(['curl', '--fail', '--silent', f'http://127.0.0.1:{MACHINES["broken"]["http_port"]}/'], check=True)
    code, output = play('broken')
    assert code == 0 and 'changed=0' in output
    assert inside('broken', 'dpkg', '--audit') == ''


def test_awkward_hosts_are_set_up_all_the_same():
    inside('awkward', 'systemd-run', '--unit=first-boot', 'sleep', '20')
    inside('awkward', 'systemd-run', '--unit=upgrade', 'python3', '/opt/lock.py', '60')
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
