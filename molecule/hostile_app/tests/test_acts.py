"""Whatever the app does, a deploy ends in time with success or the right error, and the host is unchanged."""

import re
import secrets

import pytest
from acts import PLAYBOOK, TOOL
from victim import LIMIT, PLAYBOOK_LIMIT, SHORT

# Keeps the order: pytest runs the tests with the fixture `host` before the others.
pytestmark = pytest.mark.usefixtures('host')


def chosen(acts):
    """Returns the names of the acts to run."""
    return [name for name in acts if acts[name].short or not SHORT]


def problems(act, outcome, old, victim, limit):
    """Returns what is wrong with a deploy and with the host after it, a text each.

    Args:
        act: the Act or the Deploy.
        outcome: the Outcome of the deploy.
        old: the release that served before.
        victim: the machine.
        limit: seconds that the deploy may take.
    """
    wrong = victim.harm(outcome)
    if outcome.seconds > limit:
        wrong.append(f'it took {outcome.seconds:.0f} s')
    if outcome.status and act.may == 'succeed':
        wrong.append('it failed')
    if not outcome.status and act.may == 'fail':
        wrong.append('it succeeded')
    if outcome.status and not re.search(act.failure, outcome.output):
        wrong.append(f"its message does not say '{act.failure}'")
    if re.search(r'File "[^"]*flaskrandom-release', outcome.output):
        wrong.append('the release tool crashed')
    expected = old if outcome.status else outcome.release
    if victim.current() != expected:
        wrong.append(f'current leads to {victim.current()} instead of {expected}')
    serving = victim.serves()
    if serving != expected and not getattr(act, 'harms_itself', False):
        wrong.append(f'{serving} serves instead of {expected}')
    return wrong


@pytest.mark.parametrize('name', chosen(TOOL))
def test_the_release_tool_withstands_the_act(victim, figures, name):
    act = TOOL[name]
    old = victim.current()
    new = secrets.token_hex(6)
    try:
        if act.serving:
            old = secrets.token_hex(6)
            victim.code(act.serving, old, new)
            victim.create_release(old, **act.settings)
            assert victim.tool('activate', old, release=old).status == 0
        if act.code:
            victim.code(act.code, new, new)
        victim.create_release(new, **({} if act.serving else act.settings))
        victim.begin()
        if act.before:
            victim.as_app(act.before, new)
        if act.during:
            victim.as_app(act.during, new, repeat=True)
        outcome = victim.tool('activate', new, release=new)
        wrong = problems(act, outcome, old, victim, LIMIT)
        figures.append(f'{name}: {"deployed" if not outcome.status else "failed"} after {outcome.seconds:.1f} s')
        assert not wrong, '\n'.join([*wrong, '', outcome.output[-6000:]])
        if act.rollback and not outcome.status:
            outcome = victim.tool('rollback', release=old)
            wrong = problems(act, outcome, new, victim, LIMIT)
            figures.append(f'{name}: rolled back after {outcome.seconds:.1f} s')
            assert not wrong, '\n'.join([*wrong, '', outcome.output[-6000:]])
    finally:
        victim.reset(old)


@pytest.mark.parametrize('name', chosen(PLAYBOOK))
def test_the_playbook_withstands_the_act(victim, figures, name):
    act = PLAYBOOK[name]
    old = victim.current()
    try:
        if act.twice:
            first = victim.playbook(name + '-before', act.files, act.variables)
            assert first.status == 0, first.output
            old = victim.current()
        victim.begin()
        if act.before:
            victim.as_app(act.before, old)
        outcome = victim.playbook(name, act.files, act.variables, act.package)
        wrong = problems(act, outcome, old, victim, PLAYBOOK_LIMIT)
        figures.append(f'{name}: {"deployed" if not outcome.status else "failed"} after {outcome.seconds:.1f} s')
        assert not wrong, '\n'.join([*wrong, '', outcome.output[-6000:]])
    finally:
        victim.reset(old)
