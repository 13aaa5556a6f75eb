"""The rehearsal itself, step by step."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tools.new.services import SERVICES

from . import measure, values
from .errors import Stopped
from .evaluate import CHECKOUT
from .findings import AFTER, Outcome
from .inventory import App
from .load import Load
from .machine import Failed, Machine
from .settings import Request, Settings
from .versions import Version

QUIET = 6  # seconds of load on a version while nothing changes
MANY_SECONDS = 60  # the longest search for a leak, for slow apps
MARKER = 'REHEARSAL'  # an environment variable that makes the two versions two releases, even with the same code
# of production only: where the app comes from, and what the steps set themselves
SOURCE = ('flask_app_name', 'flask_app_src', 'flask_app_repo', 'flask_app_version', 'flask_app_repo_path', 'flask_app_repo_key')
PRIVATE_NETWORKS = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '127.0.0.0/8']


@dataclass
class Result:
    """What a rehearsal measured; see report.py for the fields' names in the report."""

    system: str = ''
    seconds: dict[str, float] = field(default_factory=dict)
    release_mb: float = 0
    environment_mb: float = 0
    samples: list = field(default_factory=list)
    late: float = 0
    outcome: Outcome = field(default_factory=lambda: Outcome([]))


class Rehearsal:
    """A rehearsal of an app on a machine that was created."""

    def __init__(self, app: App, settings: Settings, versions: tuple[Version, Version], machine: Machine, say: Callable[[str], None]):
        self.app, self.settings, self.machine, self.say = app, settings, machine, say
        self.before, self.new = versions
        self.variables = app.variables
        self.notes = list(app.notes)
        self.domains = list(self.variables.get('flask_app_domains', []))
        self.result = Result()

    # -- variables

    def prepare(self, folder: Path, locks: Path) -> None:
        """Writes the machine's inventory; Stopped if a variable has no value for the rehearsal.

        Args:
            folder: for the app's locks.
            locks: the inventory's folder, which may have locks of production.
        """
        unknown = self.app.unknown | (set() if self.app.complete else values.read_by(self.new.folder) - set(self.app.environment))
        unknown -= {SERVICES[service][0] for service in self.variables.get('flask_app_services', []) if service in SERVICES}
        plain, private, generated = values.choose(self.app.environment, self.app.secrets, unknown, self.settings.environment, self.domains)
        if generated:
            self.notes.append(f'Generated for the rehearsal: {", ".join(generated)}.')
        self.environment = plain
        shared = {name: value for name, value in self.variables.items() if name not in SOURCE}
        shared.update(flask_app_name=self.app.name, flask_app_secrets=private)
        if self.app.tls:
            shared.update(nginx_trusted_proxies=PRIVATE_NETWORKS)
            self.notes.append('TLS is off on the rehearsal machine; the app is told https as in production.')
        self.shared = shared
        self.locks = folder
        for version in ('before', 'new'):
            (folder / version).mkdir(parents=True, exist_ok=True)
            for lock in locks.glob('requirements-*.lock'):
                (folder / version / lock.name).write_bytes(lock.read_bytes())

    def of(self, version: str) -> dict:
        """The variables of a run that deploys the version before or the new one."""
        source = {'before': self.before, 'new': self.new}[version]
        found = {'flask_app_lock_folder': str(self.locks / version), 'flask_app_environment': {**self.environment, MARKER: version}}
        return {**found, 'flask_app_src': source.folder} if source.folder else found

    # -- steps

    def run(self) -> Result:
        """All steps."""
        self.machine.write_inventory(self.shared)
        self.result.system = self.machine.system
        self.step('install', 'installing the machine and both versions', self.install)
        self.machine.cut()
        self.step('first deploy', 'deploying the version before, without a network', self.first_deploy)
        self.load = Load(self.machine.facts['http_port'], self.host, 'https' if self.app.tls else 'http', self.requests, self.settings.rate)
        self.load.start()
        meter = measure.Meter(self.machine, self.variables.get('flask_app_user', self.app.name), f'/run/{self.app.name}/app', self.load)
        self.result.samples = meter.samples
        self.result.outcome = Outcome(
            self.load.answers,
            start_limit=self.settings.start,
            health_timeout=int(self.variables.get('flask_app_health_timeout', 30)),
            recycles='max_requests' in (self.variables.get('flask_app_gunicorn') or {}),
            commands=list(self.variables.get('flask_app_release_commands', [])),
        )
        try:
            self.under_load()
        finally:
            self.load.stop()
            meter.stop()
        self.result.late = self.load.late
        if not meter.samples:
            raise Stopped("The app's processes could not be measured over ssh. Run again with ARGS=--keep and look at the machine.")
        self.conclude()
        return self.result

    def step(self, name: str, words: str, work: Callable[[], None]) -> None:
        """Runs a step and notes its seconds; a playbook that fails ends the rehearsal."""
        started = time.monotonic()
        try:
            work()
        except Failed as error:
            raise Stopped(f'Failed: {words}. {error}') from error
        self.result.seconds[name] = round(time.monotonic() - started, 1)
        self.say(f'{self.result.seconds[name]:6.1f} s  {words}')

    @property
    def host(self) -> str:
        """The Host header of the requests."""
        return re.sub(r'^[*][.]', 'www.', self.domains[0]) if self.domains else 'localhost'

    @property
    def requests(self) -> list[Request]:
        """The load's requests: the health path and the paths of rehearse.yml."""
        requests = [Request(str(self.variables.get('flask_app_health_path', '/'))), *self.settings.paths]
        prefix = str(self.variables.get('nginx_path_prefix', ''))
        return list(dict.fromkeys(replace(request, path=prefix + request.path) for request in requests))

    def install(self) -> None:
        """Installs everything that needs a network; the app does not run yet."""
        self.machine.play('install', 'playbook.yml', self.of('before'), '--skip-tags=activate,site,tls')
        self.machine.play('prepare', 'playbook.yml', self.of('new'), '--tags=flask-app', '--skip-tags=activate')

    def first_deploy(self) -> None:
        """Deploys the version before."""
        self.machine.play('first', 'playbook.yml', self.of('before'), '--tags=flask-app,tls,site')

    def under_load(self) -> None:
        """The steps under load."""
        outcome = self.result.outcome
        time.sleep(QUIET)
        self.phase('deploy')
        self.step('deploy', 'deploying the new version under load', lambda: self.attempt('deploy_error', self.deploy))
        if outcome.deploy_error:
            return
        self.measure_sizes()
        self.phase('after')
        time.sleep(QUIET / 2)
        self.phase('many')
        self.step('requests', f'{self.settings.requests} requests, searching for a leak', self.many)
        self.phase('broken')
        self.step('broken', 'deploying a release that fails on purpose', self.broken)
        self.phase('rollback')
        self.step('rollback', 'rolling back', lambda: self.attempt('rollback_error', self.roll_back))
        self.phase('back')
        time.sleep(QUIET)

    def phase(self, name: str) -> None:
        """Begins a phase of the load."""
        self.load.phase = name

    def attempt(self, error: str, work: Callable[[], None]) -> None:
        """Runs a playbook whose failure is a finding: notes its error in the outcome."""
        try:
            work()
        except Failed as failure:
            setattr(self.result.outcome, error, str(failure))

    def deploy(self) -> None:
        self.machine.play('deploy', 'playbook.yml', self.of('new'), '--skip-tags=mirrors')

    def many(self) -> None:
        self.load.burst(self.settings.requests, MANY_SECONDS)

    def broken(self) -> None:
        """Deploys the new version with a health check that it cannot pass."""
        started = measure.start_time([sample for sample in self.result.samples if sample.phase in AFTER])
        impossible = {
            **self.of('new'),
            'flask_app_health_status': 599,
            'flask_app_health_timeout': max(6, math.ceil(2 * (started or 5) + 3)),
            # they have run for this code
            'flask_app_release_commands': [],
        }
        serving = self.current()
        try:
            self.machine.play('broken', 'playbook.yml', impossible, '--tags=flask-app')
            self.result.outcome.broken_served = True
        except Failed as failure:
            self.result.outcome.broken_served = self.current() != serving
            said = ' '.join(str(failure).split())
            if 'instead of 599' not in said:
                self.notes.append(f'The release that fails on purpose failed for another reason: {said[:300]}')

    def roll_back(self) -> None:
        self.machine.play('rollback', 'rollback.yml', {})

    # -- results

    def current(self) -> str:
        """The path of the serving release on the machine."""
        return self.machine.output(f'readlink -f {self.root}/current')

    @property
    def root(self) -> str:
        return str(self.variables.get('flask_app_root', f'/srv/{self.app.name}'))

    def conclude(self) -> None:
        """Reads what the measurements mean."""
        result, outcome = self.result, self.result.outcome
        phases = {phase: [sample for sample in result.samples if sample.phase == phase] for phase in ('before', *AFTER)}
        after = phases['after'] + phases['many']
        outcome.start_before = measure.start_time(phases['before'])
        outcome.start_new = measure.start_time(after)
        outcome.ended_workers = measure.ended_workers(after)
        outcome.growth = measure.growth([(sample.requests, sample.pss) for sample in phases['many']])
        if outcome.ended_workers:
            log = self.machine.output(f'tail -n 400 /var/log/supervisor/{self.app.name}.log')
            said = [line for line in log.splitlines() if re.search(r'(?i)worker.*(exited with|sig(kill|segv|abrt|bus)|timeout)', line)]
            outcome.last_words = re.sub(r'^(\[[^]]*\] *)*', '', said[-1]).strip().rstrip('.!') if said else ''

    def measure_sizes(self) -> None:
        """Measures the serving release and its environment."""
        sizes = self.machine.output(f'cd {self.current()} && du -sk . && du -sk "$(readlink -f lib)/.."')
        numbers = [int(line.split()[0]) for line in sizes.splitlines()]
        if len(numbers) == 2:
            self.result.release_mb, self.result.environment_mb = (round(number / 1024, 1) for number in numbers)


def folder_of(name: str) -> Path:
    """The folder of an app's rehearsals in the checkout."""
    return CHECKOUT / '.cache/rehearse' / name
