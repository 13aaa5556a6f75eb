"""The rehearsal's machine: creates it, runs playbooks and commands on it, cuts its network, removes it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from .errors import Stopped
from .evaluate import CHECKOUT

# Root of the machine cannot undo it: the container has no NET_ADMIN. Its own network stays, in which the controller is alone.
CUT = """
if [ ! -e /etc/rehearse.route ]; then
  cp /etc/resolv.conf /etc/rehearse.resolv
  ip route show default | head -n 1 >/etc/rehearse.route
fi
ip route del default 2>/dev/null || true
ip route replace unreachable default metric 1
ip -6 route del default 2>/dev/null || true
ip -6 route replace unreachable default metric 1 2>/dev/null || true
echo "# no names during a rehearsal" >/etc/resolv.conf
"""
RESTORE = """
[ -e /etc/rehearse.route ] || exit 0
ip route del unreachable default metric 1 2>/dev/null || true
ip -6 route del unreachable default metric 1 2>/dev/null || true
ip route replace $(cat /etc/rehearse.route)
cat /etc/rehearse.resolv >/etc/resolv.conf
rm /etc/rehearse.route
"""
# addresses that no machine has (TEST-NET-3 and its IPv6 sibling)
PROOF = 'for target in 203.0.113.1 2001:db8::1; do ip route get $target >/dev/null 2>&1 && echo $target; done; true'
CONNECT = ('-oBatchMode=yes', '-oIdentitiesOnly=yes', '-oServerAliveInterval=5', '-oControlPath=none')


class Failed(Exception):
    """A playbook failed; the text is its error."""


class Machine:
    """A machine made by tools/machines.

    Attributes:
        folder: of its files and logs.
        systems: that it may have, such as `debian:12`, in this order; '' is the default of `make up`.
        facts: what tools/machines/create.yml wrote about it.
        system: the name of its operating system.
    """

    def __init__(self, name: str, folder: Path, systems: list[str]):
        self.folder = folder
        self.systems = systems
        self.environment = {
            **os.environ,
            'MOLECULE_SCENARIO_NAME': f'rehearse-{name}',
            'MOLECULE_EPHEMERAL_DIRECTORY': str(folder),
            'ANSIBLE_NOCOLOR': '1',
            'ANSIBLE_FORCE_COLOR': '0',
        }
        self.facts: dict = {}

    @property
    def system(self) -> str:
        return self.facts['os']

    def create(self) -> None:
        """Creates the machine with the first system that can be had, or takes the one that was kept, and gives it its network."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for number, system in enumerate(self.systems, 1):
            self.environment['IMAGE'] = system
            try:
                self.run('create', 'tools/machines/create.yml', '-i', 'app,')
                break
            except Failed:
                if number == len(self.systems):
                    raise
        self.read_facts()
        self.inside(RESTORE)

    def read_facts(self) -> None:
        """Reads what create() wrote about the machine."""
        self.facts = yaml.safe_load((self.folder / 'instance_config.yml').read_text())[0]

    def destroy(self) -> None:
        """Removes the machine and its network."""
        self.run('destroy', 'tools/machines/destroy.yml', '-i', 'app,')

    def write_inventory(self, variables: dict) -> None:
        """Writes the machine's inventory with the app's variables, for its owner only."""
        login = {
            'ansible_host': self.facts['address'],
            'ansible_port': self.facts['port'],
            'ansible_user': self.facts['user'],
            'ansible_ssh_private_key_file': self.facts['identity_file'],
            'ansible_ssh_common_args': f'-o IdentitiesOnly=yes -o UserKnownHostsFile={self.folder}/known_hosts',
        }
        write_private(self.folder / 'inventory.json', {'all': {'hosts': {'app': {**variables, **login}}}})

    def play(self, name: str, playbook: str, variables: dict, *options: str) -> float:
        """Runs a playbook on the machine.

        Args:
            name: of the step and its log.
            playbook: in the checkout.
            variables: of this run, before those of the inventory.
            options: of ansible-playbook.

        Returns:
            The seconds that it took.

        Raises:
            Failed: it failed.
        """
        values = self.folder / f'{name}.json'
        write_private(values, variables)
        started = time.monotonic()
        self.run(name, playbook, '-i', str(self.folder / 'inventory.json'), '-e', f'@{values}', *options)
        return time.monotonic() - started

    def run(self, name: str, playbook: str, *options: str) -> None:
        """Runs ansible-playbook; its output goes into a log."""
        log = self.folder / f'{name}.log'
        with log.open('w') as file:
            command = ['ansible-playbook', *options, playbook]
            # a session of its own, so that all of its processes can be ended together
            process = subprocess.Popen(
                command, cwd=CHECKOUT, env=self.environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )
            try:
                status = process.wait()
            except BaseException:
                end(process)
                raise
        if status:
            raise Failed(error_in(log.read_text(errors='replace')) or f'{log} ends with status {status}')

    def inside(self, script: str) -> str:
        """Runs a script as root with all capabilities, through the container's engine; returns what it printed."""
        command = [self.facts['engine'], 'exec', '--privileged', self.facts['container'], 'sh', '-euc', script]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Stopped(f'The machine does not take a command: {done.stderr.strip()}')
        return done.stdout

    def cut(self) -> None:
        """Leaves the machine no way but to the controller; Stopped if there is another."""
        self.inside(CUT)
        if left := self.inside(PROOF).split():
            raise Stopped(f'The network of the rehearsal machine could not be cut: it has a route to {", ".join(left)}.')

    def ssh(self, *command: str) -> list[str]:
        """The command line that runs a command on the machine."""
        options = [*CONNECT, f'-oIdentityFile={self.facts["identity_file"]}', f'-oUserKnownHostsFile={self.folder}/known_hosts']
        return ['ssh', *options, f'-p{self.facts["port"]}', f'{self.facts["user"]}@{self.facts["address"]}', *command]

    def output(self, command: str) -> str:
        """What a shell command prints as root; '' if it fails."""
        done = subprocess.run(self.ssh('sudo', 'sh'), input=command, capture_output=True, text=True)
        return done.stdout.strip() if not done.returncode else ''


def end(process: subprocess.Popen) -> None:
    """Ends a session: asks its processes, and kills them after ten seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)


def write_private(path: Path, values: dict) -> None:
    """Writes JSON that only its owner can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'w') as file:
        json.dump(values, file, indent=1)


def error_in(output: str) -> str:
    """The message of the first error in a playbook's output, as later ones are about it; its last lines if there is none."""
    found = re.split(r'(?m)^(?:fatal: \[\w+\]: |ERROR! |\[ERROR\]: )', output.partition('\nPLAY RECAP')[0])
    if len(found) == 1:
        return '\n'.join(output.strip().splitlines()[-10:])
    text = re.split(r'\n\n(?:TASK|PLAY|RUNNING)', found[1])[0]
    # the marks of YAML
    text = re.sub(r'^\w+! =>|(?m:^ *(changed|failed|rc|skip_reason): \w+$)|(?m:^ *msg:)', '', text)
    lines = (re.sub(r"^ *(- )?'?(.*?)'?$", r'\2', line) for line in text.splitlines())
    return '\n'.join(line for line in lines if line).strip()


@contextlib.contextmanager
def created(machine: Machine, keep: bool) -> Iterator[Machine]:
    """Creates a machine and removes it afterwards, whatever happens, unless it is to be kept."""
    try:
        try:
            machine.create()
        except Failed as error:
            raise Stopped(f'The machine cannot be created: {error}') from error
        yield machine
    finally:
        if not keep:
            machine.destroy()
