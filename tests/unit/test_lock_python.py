"""What an app's files say of its Python is obeyed, and a run that cannot says what to set."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'roles/flask-app/files'))

from lock.errors import LockError
from lock.job import Job
from lock.python import check

BUILDS = ['3.14.1', '3.13.5', '3.12.10', '3.12.4', '3.11.9', '3.8.20']


@pytest.fixture
def ask(tmp_path):
    """Checks an app with some files; returns the messages, or the error."""

    def run(text=None, project=None, python='3.6', chosen='', builds=BUILDS):
        if text is not None:
            (tmp_path / '.python-version').write_text(text)
        if project is not None:
            (tmp_path / 'pyproject.toml').write_text(f"[project]\nrequires-python = '{project}'\n")
        python = '.'.join(chosen.split('.')[:2]) or python
        job = Job(name='shop', app=str(tmp_path), cache='', tools='', python=python, chosen=chosen, builds=builds, machine='x86_64')
        messages = []
        try:
            check(job, messages)
        except LockError as error:
            return str(error).replace(f'{tmp_path}/', '')
        return [message.replace(f'{tmp_path}/', '') for message in messages]

    return run


@pytest.mark.parametrize('text', ['3.11', '3.11.4\n', '# ours\n3.11  # old\n', '3.12\n3.11.2\n', 'cpython-3.11', 'cpython@3.11.1', '3',
                                  'cpython-3.11.4-linux-x86_64-gnu', '>=3.10,<3.12', 'python3.11', '3.11-dev', 'system', ''])  # fmt: skip
def test_a_version_that_fits_is_silent(ask, text):
    assert ask(text, python='3.11') == []


@pytest.mark.parametrize(
    'text, says, value',
    [
        ('3.12', '3.12', '3.12'),
        ('3.12.4', '3.12.4', '3.12'),
        ('3.1', '3.1', None),
        ('3.7', '3.7', None),
        ('3.13.99\n3.12', '3.13.99 and 3.12', '3.13'),
        ('2.7.18', '2.7.18', None),
        ('>=3.8,<3.12', '>=3.8,<3.12', '3.11'),
        ('>=3.10', '>=3.10', '3.12'),
        ('>=3.13', '>=3.13', '3.14'),
    ],
)
def test_a_version_that_does_not_fit_is_an_error_with_what_to_set(ask, text, says, value):
    mend = f'set flask_app_python: "{value}"' if value else 'no standalone build fits either, so change the file'
    assert ask(text) == f'.python-version says {says}, but the host has Python 3.6: {mend}.'


def test_the_patch_version_counts_only_where_the_user_names_one(ask):
    assert ask('3.12.4', chosen='3.12') == ask('3.12', chosen='3.12.4') == ask('3.12.4', chosen='3.12.4') == []
    assert ask('3.12.4', chosen='3.12.10') == (
        '.python-version says 3.12.4, but flask_app_python is 3.12.10: set flask_app_python: "3.12.4".'
    )


def test_the_chosen_python_counts_instead_of_the_hosts(ask):
    assert ask('3.12', chosen='3.12') == []
    assert ask('3.11', chosen='3.12') == '.python-version says 3.11, but flask_app_python is 3.12: set flask_app_python: "3.11".'


@pytest.mark.parametrize('required, value', [('>=3.10', '3.12'), ('>=3.13', '3.14'), ('==3.11.*', '3.11'), ('>=3.12.5,<3.13', '3.12')])
def test_a_range_of_the_project_that_does_not_fit_is_an_error_with_what_to_set(ask, required, value):
    assert ask(project=required) == (
        f"pyproject.toml has requires-python = '{required}', but the host has Python 3.6: set flask_app_python: \"{value}\"."
    )
    assert ask(project=required, chosen=value) == []


def test_a_range_is_compared_with_the_patch_version_of_the_build(ask):
    assert ask(project='>=3.12.5', chosen='3.12') == []
    assert 'flask_app_python is 3.12.4: set flask_app_python: "3.12".' in ask(project='>=3.12.5,<3.13', chosen='3.12.4')
    assert 'set flask_app_python: "3.12.4".' in ask(project='==3.12.4', chosen='3.12')
    # of the host's own, only two numbers are known
    assert ask(project='>=3.6.2', python='3.6') == []


@pytest.mark.parametrize('name', ['pypy3.10-7.3.12', 'graalpy-24.1'])
def test_another_implementation_is_refused_unless_the_user_chooses(ask, name):
    assert ask(name) == f'.python-version says {name}, which is no CPython: set flask_app_python to one that runs the app, such as "3.12".'
    assert ask(name, chosen='3.12') == [f'.python-version says {name}, which is no version of Python: the app gets 3.12.10.']


def test_the_name_of_an_environment_is_reported(ask):
    assert ask('shop-env\n', python='3.11') == ['.python-version says shop-env, which is no version of Python: the app gets 3.11.']
    assert ask('3.11\npypy3.10\n', python='3.11') == []


def test_what_cannot_be_read_is_an_error(ask):
    assert ask('>=3.x').startswith('.python-version has a range of versions that cannot be read')
    assert ask(text='', project='3.9').startswith('pyproject.toml has a range of versions that cannot be read')


def test_a_version_without_a_build_for_the_machine_is_refused(ask):
    assert ask(chosen='3.9') == (
        "flask_app_python must be a version that there is a standalone build of for x86_64, got '3.9'. "
        f'For x86_64 there are {", ".join(BUILDS)}.'
    )
    assert ask(chosen='3.9', builds=[]).endswith('For x86_64 there are none.')
