"""Each promise in docs/guarantees.md names tests; they exist, and run by themselves where the page says."""

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MAKEFILE, CI, WORKFLOW, PAGE = (
    (ROOT / path).read_text() for path in ('Makefile', '.ci/run', '.github/workflows/ci.yml', 'docs/guarantees.md')
)
SCENARIOS = {path.parent.name: yaml.safe_load(path.read_text()) for path in ROOT.glob('molecule/*/molecule.yml')}
# without the tables' first two lines
ROWS = [line for line in PAGE.splitlines() if line.startswith('| ') and not line.startswith('| promise ')]
TEST = re.compile(r'`([\w/.]+\.py)::([\w:]+)`')
TESTS = sorted(set(TEST.findall(PAGE)))


def recipe(target):
    """The line of a target in the Makefile with its prerequisites, and its commands."""
    return re.search(rf'(?m)^{target}:.*\n(?:\t.*\n)*', MAKEFILE).group()


def matrix(workflow):
    """The scenarios in the matrices of a workflow's jobs."""
    jobs = yaml.safe_load(workflow)['jobs'].values()
    return [scenario for job in jobs for scenario in job.get('strategy', {}).get('matrix', {}).get('scenario', [])]


# the scenarios that each place runs by itself
PLACES = {
    'make test': re.findall(r'--scenario-name (\w+)', recipe('test')),
    '.ci/run': ' '.join(re.findall(r'(?m)^scenarios ([\w ]+)$', CI)).split() + re.findall(r'SCENARIO=(\w+)', CI),
    'workflow': matrix(WORKFLOW) + re.findall(r'SCENARIO=(\w+)', WORKFLOW),
}


def place(path):
    """The first of the places that runs a test file; None if none does."""
    if re.match('tests/(unit|release|app)/', path):
        return 'make test'
    folders = {name: scenario.get('verifier', {}).get('directory', f'../{name}/tests') for name, scenario in SCENARIOS.items()}
    scenarios = [name for name, folder in folders.items() if path.startswith(folder.replace('..', 'molecule') + '/')]
    return next((place for place, runs in PLACES.items() if set(scenarios) & set(runs)), None)


def defined(path, name):
    """Whether a file defines a function, or a class's method, of that name."""
    nodes = ast.parse((ROOT / path).read_text()).body
    for part in name.split('::'):
        found = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == part]
        nodes = found[0].body if found else []
    return bool(found)


@pytest.mark.parametrize('path, name', TESTS)
def test_the_test_exists(path, name):
    assert (ROOT / path).is_file() and defined(path, name)


@pytest.mark.parametrize('row', ROWS)
def test_the_row_says_where_its_tests_run(row):
    _, promise, page, tests, where, _ = (cell.strip() for cell in row.split('|'))
    source = re.fullmatch(r'\[.+\]\(([\w./-]+)(#[\w-]+)?\)', page).group(1)
    assert promise and (ROOT / 'docs' / source).is_file()
    named = TEST.findall(tests)
    assert named and len(named) == tests.count('`') / 2
    places = [place(path) for path, _ in named]
    assert None not in places, 'a test that never runs by itself proves nothing'
    assert where == ', '.join(f'`{place}`' for place in PLACES if place in places)


@pytest.mark.parametrize('scenario', SCENARIOS)
def test_every_scenario_proves_a_promise(scenario):
    assert re.search(rf'`molecule/{scenario}[/`]', ''.join(ROWS))


def test_the_places_include_one_another():
    """What the page says at its head: the later places run what the earlier ones do."""
    assert 'unit' in recipe('test').split(' ##')[0].split()
    assert all(command in recipe('unit') for command in ('pytest --cov', 'tests/app/run'))
    assert 'make test' in CI and 'make unit' in WORKFLOW
    assert set(PLACES['workflow']) == set(SCENARIOS) >= {*PLACES['make test'], *PLACES['.ci/run']}
