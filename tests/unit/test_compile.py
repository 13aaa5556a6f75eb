"""Compiling a release runs neither the app's code nor a package's."""

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml

TASKS = Path(__file__).parents[2] / 'roles/flask-app/tasks/create_release.yml'


def options():
    """The options of the interpreter that compiles a release, which is not the environment's."""
    tasks = next(task['block'] for task in yaml.safe_load(TASKS.read_text()) if 'block' in task)
    task = next(task for task in tasks if task['name'] == 'Compile the release')
    arguments = task['ansible.builtin.command']['argv']
    # a wheel can bring a bin/python of its own
    assert arguments[0] == '{{ python_venv_executable }}'
    return arguments[1 : arguments.index('compileall') + 1]


@pytest.fixture
def app(tmp_path):
    """An app and an environment that leave a mark where they run."""
    mark = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
    venv.create(tmp_path / 'venv', symlinks=True)
    packages = next((tmp_path / 'venv').glob('lib/python*/site-packages'))
    (packages / 'mark.pth').write_text(f'import sys; {mark}\n')
    (tmp_path / 'app').mkdir()
    for name in ('compileall', 'filecmp', 'py_compile', 'sitecustomize', 'app'):
        (tmp_path / f'app/{name}.py').write_text(f'{mark}\n')
    return tmp_path


def compile_app(app, given):
    """Compiles the app; returns whether anything of it ran."""
    command = [app / 'venv/bin/python', *given, '-q', '.']
    subprocess.run(command, cwd=app / 'app', check=True)
    return (app / 'ran').exists()


def test_nothing_of_the_app_or_its_packages_runs(app):
    assert not compile_app(app, options())
    assert re.search(r'app\..*\.pyc', ' '.join(path.name for path in (app / 'app/__pycache__').iterdir()))


@pytest.mark.skipif(sys.flags.isolated, reason='its own interpreter is isolated')
def test_something_would_run_without_these_options(app):
    assert compile_app(app, ['-m', 'compileall'])
