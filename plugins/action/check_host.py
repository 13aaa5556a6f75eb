"""Gathers the state of a host and checks it, before anything changes there."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

SYSTEMS = ['ubuntu 18.04', 'ubuntu 20.04', 'ubuntu 22.04', 'ubuntu 24.04', 'debian 11', 'debian 12', 'debian 13']
FREE_SPACE = 500  # MB, for nginx, supervisor and an environment
FREE_INODES = 10000  # an environment has 2000 files, the packages as many
MEMORY = 300  # MB; apt and three workers fit into what a machine of 512 MB has left for them
CLOCK = 300  # seconds; with more, apt takes lists for outdated or not valid yet
CLAIMS = '/etc/flask-host/apps.d'
# the oldest Python 3 of hosts for a version of ansible-core and those after it, newest first
PYTHONS = {(2, 20): 9, (2, 18): 8, (2, 17): 7, (2, 16): 6}


def parse(output: str) -> dict:
    """The state of a host by what look.sh printed there; lines of others, such as sudo's prompt, are passed over.

    Args:
        output: what came from the host, with line ends of either kind. Parts that are missing are empty, 0 or false.

    Returns:
        `complete` (false: look.sh did not run to its end), `os` (`debian 12`), `python` (`3.11`), `machine` (`x86_64`),
        `glibc` (`2.36`), `python_foreign` (apt's modules do not fit it), `systemd`, `ipv6`, `first_boot` (still running),
        `clock` (Unix time), `machine_id` (/etc/machine-id and the boot id), `processors`, `memory` and `swap` (MB), `free`
        (MB by folder), `inodes` (free ones by folder), `readonly`, `not_folders` and `existing` (paths), `untrusted` (owner, mode,
        path), `listeners` (port, program, pid; TCP), `claims` (one JSON text for each app).
    """
    seen: dict[str, list[str]] = {}
    # not splitlines(), which splits at characters that a claim may contain
    for line in output.replace('\r', '').split('\n'):
        key, separator, value = line.partition('=')
        if separator and key.isidentifier():
            seen.setdefault(key, []).append(value.strip())

    def first(key: str) -> str:
        return seen.get(key, [''])[0]

    def number(key: str) -> int:
        return int(first(key)) if first(key).isdecimal() else 0

    sizes = dict(re.findall(r'^(\w+): +(\d+) kB$', '\n'.join(seen.get('meminfo', [])), re.MULTILINE))
    # folder, device (which may contain spaces), total, used, available
    disks = {key: [re.match(r'(\S+) .*? (\d+) +\d+ +(-?\d+) +\S+ +/', line) for line in seen.get(key, [])] for key in ('free', 'inodes')}
    # state, two queues, local address, peer, the first program
    listeners = [re.match(r'\S+ +\d+ +\d+ +\S+:(\d+) .*?users:\(\("(.*?)",pid=(\d+)', line) for line in seen.get('listener', [])]
    machine = first('machine_id') if first('machine_id') != 'uninitialized' else ''
    return {
        'complete': 'end' in seen,
        'os': first('os'),
        'python': first('python'),
        'machine': first('machine') or 'x86_64',
        'glibc': first('glibc') or '2.17',
        **{name: first(name) == 'yes' for name in ('python_foreign', 'systemd', 'ipv6')},
        'first_boot': first('first_boot') == 'running',
        'clock': number('clock'),
        'machine_id': f"{machine} {first('boot_id')}" if machine else '',
        'processors': number('processors'),
        'memory': int(sizes.get('MemTotal', 0)) // 1024,
        'swap': int(sizes.get('SwapTotal', 0)) // 1024,
        'free': {disk[1]: int(disk[3]) // 1024 for disk in disks['free'] if disk},
        # a file system without a fixed number of inodes has 0 in total
        'inodes': {disk[1]: int(disk[3]) for disk in disks['inodes'] if disk and int(disk[2])},
        'readonly': seen.get('readonly', []),
        'not_folders': list(dict.fromkeys(seen.get('not_folder', []))),
        'untrusted': [
            dict(zip(('owner', 'mode', 'path'), line.split(' ', 2), strict=True)) for line in dict.fromkeys(seen.get('untrusted', []))
        ],
        'listeners': [{'port': int(port), 'program': program, 'pid': int(pid)}
                      for port, program, pid in dict.fromkeys(match.groups() for match in listeners if match)],
        'existing': seen.get('existing', []),
        'claims': seen.get('claim', []),
    }  # fmt: skip


def ports_of_neighbours(claims: list[str], app: str) -> set[int]:
    """The ports that other apps claim. A claim that cannot be read has none: comparing the claims reports it."""
    found = set()
    for text in claims:
        try:
            claim = json.loads(text)
            found |= set(claim['ports'].values()) if claim['name'] != app else set()
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
    return found


def port_conflicts(facts: Mapping, ports: Mapping[str, int], programs: list[str], app: str) -> list[tuple[str, Mapping]]:
    """Programs that listen on a port that the app needs.

    nginx and gunicorn of another app may do so: comparing the claims names that app. One exception: gunicorn is to get the
    port that nginx still has as nginx_local_port, because the app is started before nginx gives it up.

    Args:
        facts: what `parse` returned.
        ports: the ports that the app needs, by variable.
        programs: names of programs that may have them.
        app: the app's name.

    Returns:
        Variable and listener of each.
    """
    neighbours = ports_of_neighbours(facts['claims'], app)
    return [
        (variable, listener)
        for variable, port in ports.items()
        for listener in facts['listeners']
        if int(port) == listener['port']
        and (listener['program'] not in programs
             or (variable == 'flask_app_bind' and listener['program'] == 'nginx' and int(port) not in neighbours))
    ]  # fmt: skip


def trust_problems(untrusted: list[Mapping]) -> Iterator[str]:
    """What is wrong with the folders that root works in."""
    if untrusted:
        folders = ', '.join('{path} (owner {owner}, mode {mode})'.format(**folder) for folder in untrusted)
        paths = [shlex.quote(folder['path']) for folder in untrusted]
        commands = '; '.join(f'sudo chown -h root: {path}; sudo chmod go-w {path}' for path in paths)
        yield (f'accounts other than root can change {folders}, where root writes files of the app, so they could make root '
               f'change other files. On the host: `{commands}`. Or set another flask_app_root, such as /srv/NAME.')  # fmt: skip


def python_problems(found: str, python: str, core: tuple[int, int]) -> Iterator[str]:
    """What is wrong with a host's Python.

    Args:
        found: its version, such as `3.6`, or '' where there is none.
        python: the command that Ansible uses as Python there.
        core: version of ansible-core here.
    """
    oldest = next((minor for version, minor in PYTHONS.items() if core >= version), min(PYTHONS.values()))
    if not re.fullmatch(r'3\.\d+', found):
        yield f'it has no {python}, which Ansible needs. On the host: `sudo apt install python3`.'
    elif int(found[2:]) < min(PYTHONS.values()):
        yield (f"its {python} is {found}, older than 3.6, which Ansible needs. To restore the system's own: "
               '`sudo apt install --reinstall python3-minimal`.')  # fmt: skip
    elif int(found[2:]) < oldest:
        yield (f'its {python} is {found}, and ansible-core {core[0]}.{core[1]} needs 3.{oldest} or newer there. Use ansible-core 2.16: '
               "make installs it unless CORE=newest is set; otherwise, `pipx install --include-deps 'ansible<10'`.")  # fmt: skip


def problems(facts: Mapping, taken: list[tuple[str, Mapping]], python: str, first_boot: int, now: float) -> Iterator[str]:
    """What else is wrong with a host, each with what to do about it.

    Args:
        facts: what `parse` returned.
        taken: what `port_conflicts` returned.
        python: the command that Ansible uses as Python there.
        first_boot: how long the first boot was waited for, in seconds.
        now: the Unix time here.
    """
    if facts['os'] not in SYSTEMS:
        yield f"it runs `{facts['os']}`, which is not supported. Use a machine with one of {', '.join(SYSTEMS)}."
    if facts['python_foreign']:
        yield (f"its {python} is not the system's own, so apt's modules do not fit it. To restore the system's own: `sudo "
               'update-alternatives --remove-all python3; sudo apt install --reinstall python3-minimal`. '
               'For another Python for the app set flask_app_python.')  # fmt: skip
    if not facts['systemd']:
        yield 'it does not run systemd, which starts the services. Use a machine, or a container with systemd in it.'
    if full := [f'{size} MB on {folder}' for folder, size in facts['free'].items() if size < FREE_SPACE]:
        yield f"it has only {' and '.join(full)} free, and needs {FREE_SPACE} MB on each. Free some, for instance with `sudo apt clean`."
    if full := [f'{count} on {folder}' for folder, count in facts['inodes'].items() if count < FREE_INODES]:
        yield (f"its file systems have too few free inodes: {' and '.join(full)}, and {FREE_INODES} are needed on each. "
               '`sudo du --inodes -xd2 / | sort -n | tail` shows where they are used; remove what is not needed.')  # fmt: skip
    if facts['readonly']:
        yield (f"{' and '.join(facts['readonly'])} cannot be written: the disk is read-only. `sudo dmesg` shows why; a disk with "
               'errors needs `fsck`, otherwise `sudo mount -o remount,rw /`.')  # fmt: skip
    if facts['not_folders']:
        yield (f"a folder is needed at {' and '.join(facts['not_folders'])}, but something else is there. Move it away, for instance "
               f"with `sudo mv {shlex.quote(facts['not_folders'][0])}{{,.old}}`.")  # fmt: skip
    if taken:
        yield (', '.join(f"port {one['port']} ({variable}) is in use by {one['program']}" for variable, one in taken)
               + f". `systemctl status {' '.join(dict.fromkeys(str(one['pid']) for _, one in taken))}` on the host shows its service; "
               'stop that with `sudo systemctl disable --now SERVICE`, or set another port in that variable '
               '(for nginx: deploy with another nginx_local_port first).')  # fmt: skip
    if facts['memory'] + facts['swap'] < MEMORY:
        yield (f"it has {facts['memory'] + facts['swap']} MB of memory and swap, and needs {MEMORY} MB. Add swap: `sudo fallocate -l 1G "
               '/swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile && sudo swapon /swapfile`.')  # fmt: skip
    if abs(behind := now - facts['clock']) > CLOCK:
        yield (f"its clock is {abs(behind) / 60:.0f} minutes {'behind' if behind > 0 else 'ahead of'} this machine's, so packages and "
               'certificates would not be valid. Correct the wrong one, for instance with `sudo timedatectl set-ntp true`.')  # fmt: skip
    if facts['first_boot']:
        yield (f'it is still busy with its first boot after {first_boot / 60:.0f} minutes. `sudo cloud-init status --long` there '
               'shows with what; run this again when it is done.')  # fmt: skip


def failure(host: str, found: list[str]) -> dict:
    """The result of a host with these problems."""
    return {'failed': True, 'msg': '\n'.join(['Nothing was changed.', *(f'{host}: {problem}' for problem in found)])}


class ActionModule(ActionBase):
    """Action `check_host`: gathers the state of a host in one execution, without Python there, and fails if it is not fit.

    Args (all optional): trusted (paths that only root may change, with all folders above them), only_trusted (check nothing
        else), folders (paths that are folders or do not exist),
        existing (paths; those that exist are returned), ports (by variable), programs (that may have them), app (its
        name), python (the host's Python, /usr/bin/python3), first_boot (seconds to wait for it, 600).

    Returns: what `parse` returns. `machine_id` is the inventory's name of the host where the host has none.
    """

    def run(self, tmp=None, task_vars=None):
        """Checks one host; see the class."""
        result = super().run(tmp, task_vars)
        args = self._task.args
        host, python, first_boot = task_vars['inventory_hostname'], args.get('python', '/usr/bin/python3'), int(args.get('first_boot', 600))
        options = [('-m', python), ('-c', CLAIMS), *(('-t', path) for path in args.get('trusted', []))]
        if not args.get('only_trusted'):
            options = [('-w', str(first_boot)), *options, *(('-f', path) for path in args.get('folders', [])),
                       *(('-e', path) for path in args.get('existing', []))]
        script = Path(self._find_needle('files', 'look.sh')).read_text()
        command = shlex.join(['/bin/sh', '-c', script, 'look.sh', *(word for option in options for word in option)])
        try:
            done = self._low_level_execute_command(command)
        except AnsibleConnectionFailure as error:
            return result | failure(host, [self.unreachable(error.message)])
        except AnsibleError as error:  # such as a wrong password
            return result | failure(host, [self.not_root(error.message)])
        facts = parse(done['stdout'])
        if not facts.pop('complete'):
            return result | failure(host, [self.not_root(f"{done['stderr']} {done['stdout']}")])
        core = (int(task_vars['ansible_version']['major']), int(task_vars['ansible_version']['minor']))
        found = [*trust_problems(facts['untrusted']), *python_problems(facts['python'], python, core)]
        if not args.get('only_trusted'):
            taken = port_conflicts(facts, args.get('ports', {}), args.get('programs', []), args.get('app', ''))
            found += problems(facts, taken, python, first_boot, time.time())
        if found:
            return result | failure(host, found)
        return result | facts | {'machine_id': facts['machine_id'] or host}

    def unreachable(self, said: str) -> str:
        """What to do about a host that is not reached."""
        play = self._play_context
        ssh = ['ssh', '-p', str(play.port or 22), *(['-i', play.private_key_file] if play.private_key_file else [])]
        user = f'{play.remote_user}@' if play.remote_user else ''
        return (
            f'the host is unreachable: {said.strip().rstrip(".")}. Try `{shlex.join([*ssh, user + play.remote_addr])}`. '
            "Are the address and the port right, is the machine running, does the cloud's firewall allow the port? "
            'For another user, key or port: `-u USER`, `--private-key FILE`, `-e ansible_port=PORT`.'
        )

    def not_root(self, said: str) -> str:
        """What to do about a host whose user does not become root."""
        return (
            f"{self._play_context.remote_user or 'the user'} cannot become root with sudo: {' '.join(said.split()) or 'no output'}. "
            'If sudo asks for a password, give `--ask-become-pass` (make: ARGS=--ask-become-pass). If it is not installed, or the '
            'user may not use it: as root, `apt install sudo` and `usermod -aG sudo USER`; or log in as root with `-u root`.'
        )
