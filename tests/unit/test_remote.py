"""make run and make logs: the ssh command that reaches a host as Ansible would, and the quoting of what runs there."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tools.new import vault
from tools.remote import cli
from tools.remote.target import Options, Stopped, Target

ROOT = Path(__file__).parents[2]
# writes down what it gets; as the host's shell it runs the command, in which sudo is the same script
SSH = """#!{python}
import json, os, sys
if os.path.basename(sys.argv[0]) == 'sudo':
    print(json.dumps(sys.argv[1:]))
    sys.exit(7)
with open({folder!r} + '/ssh.json', 'w') as file:
    json.dump(sys.argv[1:], file)
os.environ['PATH'] = {folder!r} + ':' + os.environ['PATH']
os.execvp('sh', ['sh', '-c', sys.argv[-1]])
"""


@pytest.fixture
def inventory(tmp_path):
    """Writes an inventory of hosts with an ssh of the test's; returns its path."""
    for name in ('ssh', 'sudo'):
        (tmp_path / name).write_text(SSH.format(python=sys.executable, folder=str(tmp_path)))
        (tmp_path / name).chmod(0o755)

    def write(hosts=None, **variables):
        folder = tmp_path / 'hosts'
        folder.mkdir(exist_ok=True)
        values = {'ansible_ssh_executable': str(tmp_path / 'ssh'), 'flask_app_name': 'shop', **variables}
        everything = {'hosts': hosts or {'web1': {'ansible_host': '203.0.113.7'}}, 'vars': values}
        (folder / 'hosts.yml').write_text(json.dumps({'all': everything}))
        return folder

    return write


def call(*arguments, **options):
    """Runs the command line as make does."""
    command = [sys.executable, '-m', 'tools.remote', *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **{'stdin': subprocess.DEVNULL, **options})


def ssh_command(folder, **given):
    """ssh's arguments for a host of an inventory, without the program."""
    return Target('web1', Options([str(folder)], variables=given)).command(['x'], False)[1:]


def follows(command, *words):
    """Whether words are in a command one after the other."""
    return any(command[place : place + len(words)] == list(words) for place in range(len(command)))


# -- the whole command


def test_a_command_arrives_as_it_was_given_and_its_status_comes_back(inventory, tmp_path):
    words = ['sh', '-c', 'echo "$HOME" \'x\'; é\n*', '', '-x', '--', '%s']
    done = call('run', '-i', inventory(), '--', *words)
    assert json.loads(done.stdout) == ['/usr/local/sbin/shop-release', 'run', *words]
    assert done.returncode == 7 and done.stderr == ''
    assert shlex.split(json.loads((tmp_path / 'ssh.json').read_text())[-1])[0] == 'sudo'


def test_the_first_of_several_hosts_is_taken_and_named(inventory, tmp_path):
    hosts = {name: {} for name in ('lb', 'web2', 'web1', 'db')}
    folder = inventory(hosts)
    (folder / 'groups').write_text('[balancers]\nlb\n[databases]\ndb\n')
    done = call('run', '-i', folder, '--', 'true')
    assert 'The inventory has 2 hosts; this is web2. ARGS=--limit=HOST chooses another.' in done.stderr
    assert json.loads((tmp_path / 'ssh.json').read_text())[-2] == 'web2'
    done = call('run', '-i', folder, '--limit=web1', '--', 'true')
    assert done.stderr == '' and json.loads((tmp_path / 'ssh.json').read_text())[-2] == 'web1'
    assert 'leaves us with no hosts to target' in call('run', '-i', folder, '--limit=none', '--', 'true').stderr


def test_the_options_of_logs_arrive(inventory):
    done = call('logs', '-i', inventory(), '--since=2 h', "--grep=it's $x", '--process=worker', '--follow')
    expected = ['logs', '--since=2 h', "--grep=it's $x", '--process=worker', '--follow']
    assert json.loads(done.stdout) == ['/usr/local/sbin/shop-release', *expected]


def test_what_is_on_stdin_arrives(inventory, tmp_path):
    (tmp_path / 'sudo').write_text('#!/bin/sh\nexec cat\n')
    done = call('run', '-i', inventory(), '--', 'flask', 'load', stdin=None, input='data\n')
    assert (done.returncode, done.stdout) == (0, 'data\n')


@pytest.mark.parametrize('option', ['--check', '--tags=x', '--ask-pass', '--become-user=x', '--sinc=1h'])
def test_an_option_that_ssh_does_not_have_stops_it(inventory, tmp_path, option):
    done = call('logs', '-i', inventory(), option)
    assert done.returncode == 1 and f'{option} cannot be carried over to ssh.' in done.stderr
    assert not (tmp_path / 'ssh.json').exists()


def test_a_missing_ssh_is_named(inventory):
    done = call('run', '-i', inventory(ansible_ssh_executable='/no/ssh'), '--', 'true')
    assert done.returncode == 1 and '/no/ssh cannot be run' in done.stderr


def test_secrets_are_in_no_command(inventory, tmp_path):
    folder = inventory(ansible_become_password='{{ vault_become }}')
    (folder / 'group_vars/all').mkdir(parents=True)
    password = vault.write_password(folder)
    secrets = 'vault_become: planted-become\nflask_app_secrets: {KEY: planted-key}\n'
    (folder / 'group_vars/all/vault.yml').write_bytes(vault.encrypt(secrets, password))
    done = call('run', '-i', folder, '--vault-password-file', folder / '.vault-password', '--', 'true')
    assert done.returncode == 7, done.stderr
    assert 'planted' not in (tmp_path / 'ssh.json').read_text() + done.stdout
    without = call('run', '-i', folder, '--', 'true')
    assert without.returncode == 1 and 'The inventory cannot be used' in without.stderr


# -- Ansible's settings


def test_the_inventorys_settings_are_carried_over(inventory):
    folder = inventory(
        ansible_port='{{ 2000 + 22 }}',
        ansible_user='deploy',
        ansible_ssh_private_key_file='{{ inventory_dir }}/key',
        ansible_ssh_common_args="-o 'ProxyJump=jump host'",
        ansible_ssh_extra_args='-4',
        ansible_host_key_checking=False,
        ansible_ssh_timeout=30,
        ansible_become_exe='doit',
    )
    command = ssh_command(folder, ansible_user='other')
    for words in ('-p 2022', '-l deploy', f'-i {folder}/key', "-o 'ProxyJump=jump host' -4", '-o ConnectTimeout=30'):
        assert follows(command, *shlex.split(words)), words
    assert 'StrictHostKeyChecking=no' in command and command[-3:] == ['--', '203.0.113.7', 'doit x']
    # ssh takes the first of several values
    assert command.index('ProxyJump=jump host') < command.index('ControlPath=none')


def test_the_settings_of_ansible_cfg_and_of_make_apply(inventory):
    command = ssh_command(inventory(), ansible_user='ubuntu', ansible_private_key_file='~/k')
    assert follows(command, '-l', 'ubuntu') and follows(command, '-i', os.path.expanduser('~/k'))
    assert 'StrictHostKeyChecking=accept-new' in command and '-p' not in command and '-T' in command
    terminal = Target('web1', Options([str(inventory())])).command(['x'], True)
    assert '-tt' in terminal and '-T' not in terminal


def test_root_needs_no_sudo(inventory):
    assert ssh_command(inventory(ansible_user='root', ansible_become_method='su'))[-1] == 'x'


@pytest.mark.parametrize(
    'name, value',
    [
        ('ansible_password', 'x'),
        ('ansible_ssh_pass', 'x'),
        ('ansible_connection', 'local'),
        ('ansible_become_method', 'su'),
        ('ansible_become_user', 'admin'),
        ('ansible_become_flags', '-n'),
        ('ansible_ssh_pkcs11_provider', '/lib/x.so'),
        ('ansible_port', '{{ nothing }}'),
        ('ansible_user', {'__ansible_vault': 'x'}),
    ],
)
def test_a_setting_that_cannot_be_carried_over_is_named(inventory, name, value):
    folder = inventory()
    target = Target('web1', Options([str(folder)]))
    target.raw[name] = value
    with pytest.raises(Stopped, match=f'{name} of web1 '):
        target.command(['x'], False)


@pytest.mark.parametrize(
    'variables, name',
    [({'flask_app_name': 'blog'}, 'blog'), ({}, 'flaskrandom'), ({'flask_app_src': '/home/me/shop'}, 'shop')],
)
def test_the_apps_name_is_that_of_the_role(tmp_path, variables, name):
    (tmp_path / 'hosts.yml').write_text(json.dumps({'all': {'hosts': {'web1': variables}}}))
    assert Target('web1', Options([str(tmp_path / 'hosts.yml')])).app == name


def test_an_address_is_an_inventory():
    options, _ = cli.parse(['run', '-i', '203.0.113.7:2222,', '-u', 'me', '-e', 'flask_app_name=x', '--', 'y'])
    target = Target('203.0.113.7', cli.carried(options))
    command = target.command(['y'], False)
    assert follows(command, '-p', '2222') and follows(command, '-l', 'me') and command[-2] == '203.0.113.7' and target.app == 'x'


# -- make


def make(*words):
    # make in make prints its folder
    environment = {name: value for name, value in os.environ.items() if name not in ('MAKEFLAGS', 'MAKELEVEL')}
    command = ['make', '-n', '-o', '.venv/made', *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.replace('\\\n', '').replace('\t', ' ')


def test_make_passes_a_command_on_as_it_was_typed():
    typed = """echo "$HOME" '$(x)'; flask shell"""
    assert shlex.split(make('run', f'CMD={typed}', 'HOST=a@h').splitlines()[-1])[-3:] == ['sh', '-c', typed]
    assert 'No command given' in make('run', 'HOST=a@h')


def test_make_passes_lines_on_as_one_command():
    typed = """python -c "\nprint('$x')\n\nprint(2)" """
    line = make('run', f'CMD={typed}', 'HOST=a@h').splitlines()[-1]
    shown = subprocess.run(['bash', '-c', 'python() { printf "%s" "${@: -1}"; }; ' + line], stdout=subprocess.PIPE, text=True, check=True)
    assert shown.stdout == typed


def test_make_passes_the_options_of_logs_on():
    words = shlex.split(make('logs', "GREP=it's $x", 'SINCE=2 h', 'FOLLOW=1', 'HOST=h').splitlines()[-1])
    assert words[-3:] == ['--since=2 h', "--grep=it's $x", '--follow']
