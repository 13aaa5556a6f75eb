"""A role's argument spec and its defaults say the same."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).parents[2] / 'roles'
SPECS = {path.parts[-3]: yaml.safe_load(path.read_text())['argument_specs'] for path in ROLES.glob('*/meta/argument_specs.yml')}


def defaults(role):
    path = ROLES / role / 'defaults/main.yml'
    return yaml.safe_load(path.read_text()) if path.exists() else {}


@pytest.mark.parametrize('role', SPECS)
def test_every_default_is_in_the_spec_and_the_same(role):
    options = SPECS[role]['main']['options']
    assert {name: option['default'] for name, option in options.items() if 'default' in option} == defaults(role)


@pytest.mark.parametrize('role', SPECS)
def test_every_variable_has_the_roles_prefix_and_a_description(role):
    for name, option in SPECS[role]['main']['options'].items():
        # what users set for an app's site is nginx's to them
        assert name.startswith((role.replace('-', '_') + '_', *(['nginx_'] if role == 'site' else [])))
        assert option['description'].endswith(('.', ')'))


def test_every_role_with_defaults_has_a_spec():
    assert {path.parts[-3] for path in ROLES.glob('*/defaults/main.yml')} <= set(SPECS)


def test_the_page_of_variables_is_the_specs():
    page = subprocess.run([sys.executable, ROLES.parent / 'tools/variables'], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert (ROLES.parent / 'docs/variables.md').read_text() == page, 'run `make docs`'
