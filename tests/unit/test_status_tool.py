"""make status: the text and the exit status for several hosts."""

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADER = importlib.machinery.SourceFileLoader('status_tool', str(ROOT / 'tools/status'))
status = importlib.util.module_from_spec(importlib.util.spec_from_loader('status_tool', LOADER))
LOADER.exec_module(status)

FACTS = {
    'app': 'shop', 'host': 'vm', 'time': 1, 'problems': [], 'release': {'id': 'b', 'revision': 'v2', 'since': '2026-01-01 10:00:00'},
    'memory': {'available': 500000000, 'total': 1000000000}, 'web': None, 'certificate': None,
}  # fmt: skip
SICK = {**FACTS, 'app': 'blog', 'problems': ['the process blog.worker@a:worker.1 is in the state fatal']}


def run_of(*results):
    """The output of Ansible's JSON callback for results of a task by host."""
    task = {'task': {'name': 'flask-app : Get the state'}, 'hosts': dict(results)}
    other = {'task': {'name': 'preflight : Check'}, 'hosts': {host: {} for host, _ in results}}
    return {'plays': [{'tasks': [other, task]}], 'stats': {host: {} for host, _ in results}}


def test_hosts_with_problems_come_first():
    hosts, errors = status.read(run_of(('web1', {'stdout': json.dumps(FACTS)}), ('blog', {'stdout': json.dumps(SICK)})))
    assert errors == {}
    assert '\n\n'.join(status.blocks(hosts)).splitlines() == [
        'blog',
        '  problems:',
        '  - the process blog.worker@a:worker.1 is in the state fatal',
        '  release  b v2, since 2026-01-01 10:00:00',
        '  memory   500 MB of 1.0 GB available',
        '',
        'shop on web1',
        '  release  b v2, since 2026-01-01 10:00:00',
        '  memory   500 MB of 1.0 GB available',
    ]


def test_errors_are_told_by_host():
    old = "shop-release: error: argument VERB: invalid choice: 'status'"
    run = run_of(('a', {'unreachable': True, 'msg': 'no route'}), ('b', {'failed': True, 'stderr': old}))
    run['stats']['c'] = {}
    hosts, errors = status.read(run)
    assert hosts == {} and errors['a'] == 'no route' and errors['c'] == 'the run ended before this host was asked'
    assert errors['b'].startswith(old) and '`make deploy` installs a release tool' in errors['b']


ANSIBLE = """#!{python}
import json, os, sys
with open(os.environ['NOTE'], 'w') as file:
    json.dump(sys.argv[1:], file)
print('[WARNING]: x' + chr(10) + os.environ['RUN'])
"""


@pytest.fixture
def tool(tmp_path):
    """Runs tools/status with an ansible-playbook that prints a result."""
    (tmp_path / 'ansible-playbook').write_text(ANSIBLE.format(python=sys.executable))
    (tmp_path / 'ansible-playbook').chmod(0o755)

    def run(result, *options):
        found = {'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'NOTE': str(tmp_path / 'note'), 'RUN': result}
        command = [sys.executable, ROOT / 'tools/status', *options]
        return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **found})

    return run


@pytest.mark.parametrize('facts, code', [(FACTS, 0), (SICK, 2)])
def test_the_exit_status_tells_of_problems(tool, tmp_path, facts, code):
    result = json.dumps(run_of(('web1', {'stdout': json.dumps(facts)})))
    done = tool(result, '-i', 'x,', '--json')
    assert done.returncode == code and json.loads(done.stdout) == {'hosts': {'web1': facts}, 'errors': {}}
    assert tool(result, '-i', 'x,').stdout.startswith(facts['app'])
    assert json.loads((tmp_path / 'note').read_text())[1:3] == ['-i', 'x,']


def test_an_error_has_its_own_exit_status(tool):
    done = tool(json.dumps(run_of(('web1', {'unreachable': True, 'msg': 'no route'}))), '-i', 'x,')
    assert done.returncode == 1 and done.stderr == 'web1: no route\n'
    assert 'ansible-playbook: ' in tool('', '-i', 'x,').stderr
    assert 'no host matches' in tool(json.dumps({'plays': [], 'stats': {}}), '-i', 'x,').stderr
    assert tool('').returncode == 1 and 'status -i INVENTORY' in tool('', '--help').stdout
