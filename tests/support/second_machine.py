"""A pytest plugin: a second machine on the network of the one under test, for what must be tested from outside."""

import json
import os
import subprocess

import pytest
from machine import CHECKOUT


class SecondMachine:
    """A container from which the machine under test is reachable as `app`."""

    def __init__(self, engine, container):
        self.inside = [engine, 'exec', '--interactive', container]

    def run(self, *command, stdin='', check=True):
        """Runs a command; returns what it printed."""
        return subprocess.run([*self.inside, *command], input=stdin, stdout=subprocess.PIPE, check=check, text=True).stdout

    def start(self, *command, stdin=''):
        """Starts a command in the background; returns its process."""
        process = subprocess.Popen([*self.inside, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        return process

    def install(self, package):
        """Installs a Debian package."""
        self.run('apt-get', '-qq', 'update')
        self.run('env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq', '-y', '--no-install-recommends', 'install', package)


def output_of(*command, **environment):
    """Runs a command on the controller with further environment variables; returns what it printed."""
    return subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


@pytest.fixture(scope='session')
def second_machine(machine):
    """A SecondMachine with Debian 13, the first whose testssl.sh gives grades."""
    facts = machine.facts
    image = json.loads(output_of(CHECKOUT / 'tools/machines/engine', 'image', CACHE=str(CHECKOUT / '.cache/machines'), IMAGE='debian:13'))
    networks = '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}'
    network = output_of(image['engine'], 'inspect', '--format', networks, facts['container'])
    name = facts['container'] + '-second'
    output_of(*image['run'].split(), '--detach', f'--name={name}', f'--network={network}', image['image'], 'sleep', 'infinity')
    try:
        yield SecondMachine(image['engine'], name)
    finally:
        output_of(image['engine'], 'rm', '--force', '--time=0', name)
