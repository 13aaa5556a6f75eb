"""A run over machines with several apps: one app after the other on a machine, an app's first host before its others."""

import importlib.util
import random
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location('machines', Path(__file__).parents[2] / 'plugins/filter/machines.py')
machines = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(machines)


def fleet(*pairs):
    """Hosts that are named for their app and their machine."""
    return [{'host': f'{app}-{machine}', 'app': app, 'machine': machine} for app, machine in pairs]


def rounds(hosts):
    """The hosts of each round."""
    found = {}
    for host, planned in machines.plan(hosts).items():
        found.setdefault(planned['round'], []).append(host)
    assert sorted(found) == list(range(1, len(found) + 1))
    return [found[turn] for turn in sorted(found)]


def test_five_apps_on_a_machine_take_five_rounds():
    assert rounds(fleet(*((app, 'm') for app in 'edcba'))) == [['e-m'], ['d-m'], ['c-m'], ['b-m'], ['a-m']]


def test_an_app_on_eight_machines_takes_two_rounds():
    assert [len(hosts) for hosts in rounds(fleet(*(('a', machine) for machine in range(8))))] == [1, 7]


def test_three_apps_on_three_machines():
    hosts = fleet(*((app, machine) for machine in range(3) for app in 'abc'))
    assert rounds(hosts) == [['a-0'], ['b-0', 'a-1', 'a-2'], ['c-0', 'b-1', 'b-2'], ['c-1', 'c-2']]


def test_apps_that_share_no_machine_go_together():
    assert rounds(fleet(('a', 1), ('a', 2), ('b', 3), ('b', 4))) == [['a-1', 'b-3'], ['a-2', 'b-4']]
    assert machines.plan([]) == {}


def test_first_hosts_go_before_others_so_that_the_run_is_short():
    hosts = fleet(('a', 1), ('a', 2), ('c', 2), ('b', 2), ('b', 3))
    assert rounds(hosts) == [['a-1', 'c-2'], ['b-2'], ['a-2', 'b-3']]


@pytest.mark.parametrize('seed', range(200))
def test_the_rules_hold_for_any_fleet(seed):
    chance = random.Random(seed)
    pairs = [(app, machine) for app in 'abcdef'[: chance.randint(1, 6)] for machine in range(chance.randint(1, 5)) if chance.random() < 0.7]
    chance.shuffle(pairs)
    hosts = fleet(*pairs)
    plan = machines.plan(hosts)
    assert list(plan) == [entry['host'] for entry in hosts]
    turns = {}
    for entry in hosts:
        planned = plan[entry['host']]
        assert planned['leader'] == next(other['host'] for other in hosts if other['app'] == entry['app'])
        assert planned['first_of_machine'] == next(other['host'] for other in hosts if other['machine'] == entry['machine'])
        if planned['leader'] != entry['host']:
            assert plan[planned['leader']]['round'] < planned['round']
        turns.setdefault((entry['machine'], planned['round']), []).append(entry['host'])
    assert all(len(together) == 1 for together in turns.values())
    # as early as it can be: every earlier round is the machine's other app's, or not after the leader's
    for entry in hosts:
        planned = plan[entry['host']]
        first = 1 if planned['leader'] == entry['host'] else plan[planned['leader']]['round'] + 1
        assert all((entry['machine'], turn) in turns for turn in range(first, planned['round']))


def test_neighbours_are_the_same_machine():
    hosts = fleet(('a', 1), ('b', 2), ('c', 1), ('d', 1))
    assert machines.neighbours(hosts, 'c-1') == ['a-1', 'd-1'] and machines.neighbours(hosts, 'b-2') == []


def test_hosts_without_a_claim_are_left_out():
    values = {'preflight_facts': {'machine_id': 'm'}}
    assert machines.hosts(['b', 'a', 'c'], {'a': values, 'b': values | {'claims_own': {'name': 'shop'}}, 'c': {}}) == [
        {'host': 'b', 'machine': 'm', 'app': 'shop'}
    ]


def test_ports_of_rules():
    assert machines.ports(['80/tcp', '8000:8002/tcp', '443/tcp']) == [80, 8000, 8001, 8002, 443]
