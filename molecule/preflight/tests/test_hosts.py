"""Hosts that cannot be set up are refused with what to do, and awkward ones are set up."""

import re

import pytest
from machine import FOLDER, Run, play

pytest_plugins = ['machine']


def play_on(host, *options, **arguments):
    """Runs the playbook on one of the machines; for the arguments see play()."""
    return play('playbook.yml', f'--limit={host}', *options, **arguments)


@pytest.mark.parametrize(
    'host, lines, options',
    [
        (
            'full',
            [r'it has only \d+ MB on /srv free, and needs 500', r'too few free inodes: \d+ on /srv, and 10000 are needed'],
            [],
        ),
        ('clock', ['its clock is 2880 minutes behind', 'it is still busy with its first boot'], ['__preflight_first_boot=3']),
        ('locked', ['ubuntu cannot become root with sudo: .*If sudo asks for a password, give `--ask-become-pass`'], []),
        ('locked', ['ubuntu cannot become root with sudo: .*Incorrect sudo password'], ['ansible_become_password=wrong']),
        (
            'broken',
            [
                'it runs `fedora 40`, which is not supported. Use a machine with one of ubuntu 18.04, .*debian 13',
                r'its /usr/bin/python3 is 3.5, older than 3.6',
                'a folder is needed at /srv/flaskrandom and /var/lib/flask-host, but something else is there',
                r'port 80 \(nginx_listen_port\) is in use by python3.mine',
            ],
            [],
        ),
    ],
)
def test_a_host_that_cannot_be_set_up_is_refused_with_what_to_do(machines, host, lines, options):
    before = machines[host].inside('find', '/etc', '/srv', '/usr', '/var/lib/dpkg', '-newer', '/proc/1', '-type', 'f')
    run = play_on(host, *(word for option in options for word in ('-e', option)), fails=True)
    assert run.status == 2
    assert 'Nothing was changed.' in run.words
    for line in lines:
        assert re.search(f'{host}: .*{line}', run.words), run.output
    assert machines[host].inside('find', '/etc', '/srv', '/usr', '/var/lib/dpkg', '-newer', '/proc/1', '-type', 'f') == before


# fault: (command that causes it, pattern of the error message, command that repairs it)
PACKAGES = {
    'locked by a program that never ends': (
        'systemd-run --unit=upgrade python3 /opt/lock.py',
        'Could not get lock|Failed to lock.*sudo fuser -v /var/lib/dpkg/lock-frontend',
        'systemctl stop upgrade',
    ),
    'name resolution fails': (
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
def repaired(machines):
    """The machine `broken`, repaired from all that the check of the host found."""
    machines['broken'].inside('sh', '/opt/repair')
    return machines['broken']


@pytest.mark.parametrize('fault', PACKAGES)
def test_packages_that_cannot_be_installed_are_explained(repaired, fault):
    cause, message, repair = PACKAGES[fault]
    repaired.inside('bash', '-c', cause)
    run = play_on('broken', '-e', '__packages_attempts=1', fails=True)
    assert run.status == 2
    assert re.search(message, run.words), run.output
    repaired.inside('bash', '-c', repair)


def test_a_run_completes_what_a_lost_connection_interrupted(repaired):
    # the state after an interrupted dpkg
    repaired.inside('sh', '-c', 'dpkg --status sudo >/var/lib/dpkg/updates/0001; echo >>/var/lib/dpkg/updates/0001')
    repaired.inside('rm', '-rf', '/srv/flaskrandom/venvs')  # built by earlier runs
    for moment in ('pgrep -x dpkg', 'pgrep -f "pi[p] install"'):
        run = Run('playbook.yml', '--limit=broken')
        repaired.inside('sh', '-c', f'timeout 200 sh -c \'until {moment}; do sleep 0.1; done\'; kill -9 $(pgrep -f "sshd: [u]buntu")')
        assert run.wait() == 4, run.output
    play_on('broken')
    assert repaired.ask().status == 200
    assert play_on('broken').changed == {'broken': 0}
    assert repaired.inside('dpkg', '--audit') == ''


def test_an_awkward_host_is_set_up(machines):
    awkward = machines['awkward']
    awkward.inside('systemd-run', '--unit=first-boot', 'sleep', '20')
    awkward.inside('systemd-run', '--unit=upgrade', 'python3', '/opt/lock.py', '60')
    run = play_on('awkward')
    assert 'FAILED - RETRYING: [awkward]: Install the packages' in run.output
    assert awkward.ask().status == 200
    assert play_on('awkward').changed == {'awkward': 0}


def test_a_host_behind_a_jump_host_is_reached(machines):
    jump, inner = machines['awkward'].facts, machines['locked'].facts
    address = machines['locked'].inside('hostname', '-I').split()[0]
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
    play_on('locked', '--check', **variables)
