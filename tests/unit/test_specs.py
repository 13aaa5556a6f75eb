"""The roles' argument specs, their defaults, and the page that is made from them say the same."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).parents[2]
ROLES = sorted(path.parents[1] for path in TOP.glob('roles/*/defaults/main.yml'))


@pytest.mark.parametrize('role', ROLES, ids=lambda role: role.name)
def test_defaults_and_specs_agree(role):
    options = yaml.safe_load((role / 'meta/argument_specs.yml').read_text())['argument_specs']['main']['options']
    defaults = yaml.safe_load((role / 'defaults/main.yml').read_text())
    derived = {'flask_app_command'}  # made of the others, not to be set
    assert {name: option['default'] for name, option in options.items() if 'default' in option} == {
        name: value for name, value in defaults.items() if name not in derived
    }


@pytest.mark.parametrize('role', ROLES, ids=lambda role: role.name)
def test_the_check_has_the_same_spec(role):
    specs = yaml.safe_load((role / 'meta/argument_specs.yml').read_text())['argument_specs']
    assert specs['check'] == specs['main']


def test_the_page_of_variables_is_up_to_date():
    made = subprocess.run([sys.executable, TOP / 'docs/variables.py'], capture_output=True, text=True, check=True).stdout
    assert (TOP / 'docs/variables.md').read_text() == made, 'run `make docs`'
