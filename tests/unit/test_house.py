"""The rules of the house that no linter knows, see CONTRIBUTING.md."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = subprocess.run(['git', 'ls-files'], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
ROLES = sorted({path.split('/')[1] for path in FILES if path.startswith('roles/')})


def tracked(*patterns):
    """The files in git that match one of some patterns, by their path."""
    texts = {path: ROOT / path for path in FILES if any(re.fullmatch(pattern, path) for pattern in patterns)}
    return {path: file.read_text() for path, file in texts.items() if file.exists()}


def prefix(role):
    return role.replace('-', '_') + '_'


# -- variables


def test_no_role_reads_the_internal_variables_of_another():
    found = []
    for path, text in tracked(r'(roles|group_vars|molecule)/.*\.(yml|j2)', r'\w+\.yml').items():
        own = '__' + prefix(path.split('/')[1]) if path.startswith('roles/') else '-'
        used = {name for name in re.findall(r'(?<![\w.])__[a-z]\w*', text) if not name.endswith('__')}
        found += [f'{path}: {name}' for name in used if not f'{name}_'.startswith(own)]
    assert found == []


def test_no_role_knows_the_articles_app():
    assert [path for path, text in tracked('roles/.*').items() if 'flaskrandom' in text] == []


# -- sizes


def test_the_playbook_fits_two_screens():
    assert len((ROOT / 'playbook.yml').read_text().splitlines()) <= 80


def test_python_for_hosts_is_short():
    files = tracked(r'plugins/(modules|module_utils)/.*\.py', r'roles/[^/]*/files/.*\.py')
    assert [path for path, text in files.items() if len(text.splitlines()) > 250] == []


def test_no_line_has_more_than_140_characters():
    """But for tables in Markdown, whose rows cannot be broken, and pages that are generated."""
    files = tracked(r'(?!docs/(variables\.md|bench/)).*\.(yml|py|sh|j2|md)')
    long = [(path, line) for path, text in files.items() for line in text.splitlines() if len(line) > 140]
    assert [(path, line) for path, line in long if not (path.endswith('.md') and line.startswith('|'))] == []


# -- documents


def names(path):
    """The names of the tasks and handlers in a file of tasks."""
    return re.findall(r'(?m)^\s*- name: "?(.+?)"?$', (ROOT / path).read_text())


def test_the_articles_page_names_tasks_that_exist():
    """In its table, as `role`: name of the task."""
    quoted = re.findall(r'`([a-z-]+)`: (?:handler )?([A-Z][^|]*?) \|', (ROOT / 'docs/article.md').read_text())
    tasks = {(path.split('/')[1], name) for path in FILES if re.match('roles/.*/(tasks|handlers)/', path) for name in names(path)}
    assert len(quoted) > 10 and set(quoted) <= tasks


@pytest.mark.parametrize('page', tracked(r'.*\.md'))
def test_the_scenarios_that_a_page_names_exist(page):
    assert all((ROOT / f'molecule/{name}').is_dir() for name in re.findall(r'SCENARIO=(\w+)', (ROOT / page).read_text()))


SPECS = {role: yaml.safe_load((ROOT / f'roles/{role}/meta/argument_specs.yml').read_text())['argument_specs'] for role in ROLES}
OPTIONS = {role: {name for entry in spec.values() for name in entry['options']} for role, spec in SPECS.items()}


def uses(node):
    """The roles that an example uses, each with the variables that it gives them."""
    if isinstance(node, list):
        return [use for item in node for use in uses(item)]
    if not isinstance(node, dict):
        return []
    if 'role' in node:
        return [(node['role'], node.keys() - {'role', 'tags', 'when'})]
    called = [call['name'] for task, call in node.items() if task.endswith(('.import_role', '.include_role'))]
    if called:
        return [(called[0], node.get('vars', {}).keys())]
    return [use for value in node.values() for use in uses(value)]


@pytest.mark.parametrize('role', ROLES)
def test_a_roles_readme_has_an_example(role):
    (example,) = re.findall(r'(?ms)^```yaml\n(.*?)^```', (ROOT / f'roles/{role}/README.md').read_text())
    used = uses(yaml.safe_load(example))
    assert role in [name for name, _ in used]
    for name, variables in used:
        assert variables <= OPTIONS[name]


def test_ansible_accepts_the_examples(tmp_path):
    examples = [re.search(r'(?ms)^```yaml\n(.*?)^```', text).group(1) for text in tracked('roles/[^/]*/README.md').values()]
    (tmp_path / 'examples.yml').write_text(''.join(examples))
    command = ['ansible-playbook', '--syntax-check', '-i', 'localhost,', tmp_path / 'examples.yml']
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
