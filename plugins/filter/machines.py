"""Filters that plan a run over machines which carry several apps, and for the ports of a machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def hosts(names: Iterable[str], hostvars: Mapping) -> list[dict]:
    """What `plan` and `neighbours` take: the hosts with these names that have a claim."""
    found = [(name, hostvars[name]) for name in names]
    return [
        {'host': name, 'machine': values['preflight_facts']['machine_id'], 'app': values['claims_own']['name']}
        for name, values in found
        if 'claims_own' in values
    ]


def plan(hosts: Sequence[Mapping]) -> dict[str, dict]:
    """Which host does the work of its machine and of its app, and in which round a host has its turn.

    In a round a machine has at most one app. An app's leader has an earlier round than the app's other hosts, so that a
    release that does not work fails there and nowhere else. Everything else is as early as the inventory's order allows.

    Args:
        hosts: the run's hosts in the order of the inventory, each with `host`, `machine` (any value that tells machines
            apart) and `app`.

    Returns:
        For each host `first_of_machine` and `leader` (the first hosts of its machine and of its app) and `round`, from 1.
    """
    machines, leaders, busy, found = {}, {}, {}, {}
    for entry in hosts:
        machines.setdefault(entry['machine'], entry['host'])
        leaders.setdefault(entry['app'], entry['host'])
    # all leaders first: their rounds decide how early the others can be
    for entry in sorted(hosts, key=lambda entry: entry['host'] != leaders[entry['app']]):
        leader = leaders[entry['app']]
        taken = busy.setdefault(entry['machine'], set())
        turn = 1 if entry['host'] == leader else found[leader]['round'] + 1
        while turn in taken:
            turn += 1
        taken.add(turn)
        found[entry['host']] = {'first_of_machine': machines[entry['machine']], 'leader': leader, 'round': turn}
    return {entry['host']: found[entry['host']] for entry in hosts}


def neighbours(hosts: Sequence[Mapping], host: str) -> list[str]:
    """The other hosts of the run that are the same machine as `host`, in the order of the inventory; for `hosts` see `plan`."""
    machine = next(entry['machine'] for entry in hosts if entry['host'] == host)
    return [entry['host'] for entry in hosts if entry['machine'] == machine and entry['host'] != host]


def ports(rules: Iterable[str]) -> list[int]:
    """All ports of rules such as `80/tcp` and `8000:8010/tcp`."""
    found = []
    for rule in rules:
        first, _, last = rule.partition('/')[0].partition(':')
        found += range(int(first), int(last or first) + 1)
    return found


class FilterModule:
    """Filters `machines_hosts`, `machines_plan`, `machines_neighbours` and `machines_ports`; see the functions."""

    def filters(self) -> dict:
        """The filters by name."""
        return {'machines_hosts': hosts, 'machines_plan': plan, 'machines_neighbours': neighbours, 'machines_ports': ports}
