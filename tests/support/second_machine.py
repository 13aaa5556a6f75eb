"""A second machine beside the one under test: what the world can reach is asked from there, and the scanners run there."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


class SecondMachine:
    """A container on the network of the machine under test, which goes by the name `app` there."""

    def __init__(self, engine, container):
        self.inside = [engine, 'exec', '--interactive', container]

    def run(self, *command, stdin='', check=True):
        """Runs a command; returns what it printed."""
        return subprocess.run([*self.inside, *command], input=stdin, stdout=subprocess.PIPE, check=check, text=True).stdout

    def start(self, *command, stdin=''):
        """Starts a command, and goes on."""
        process = subprocess.Popen([*self.inside, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        return process

    def install(self, package):
        """Installs a package of the archive."""
        self.run('apt-get', '-qq', 'update')
        self.run('env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq', '-y', '--no-install-recommends', 'install', package)


@contextlib.contextmanager
def second_machine(facts):
    """Makes such a machine of Debian 13, the first whose testssl.sh gives grades, whatever the one under test is.

    Args:
        facts: of the machine under test, as create.yml notes them.
    """

    def ask(*command, **environment):
        return subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()

    image = json.loads(ask(CHECKOUT / 'tools/machines/engine', 'image', CACHE=str(CHECKOUT / '.cache/machines'), IMAGE='debian:13'))
    networks = '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}'
    network = ask(image['engine'], 'inspect', '--format', networks, facts['container'])
    name = facts['container'] + '-second'
    ask(*image['run'].split(), '--detach', f'--name={name}', f'--network={network}', image['image'], 'sleep', 'infinity')
    try:
        yield SecondMachine(image['engine'], name)
    finally:
        ask(image['engine'], 'rm', '--force', '--time=0', name)
