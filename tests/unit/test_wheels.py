"""A lock's lines are chosen for the Python that they are for, not for the one that chooses."""

from pathlib import Path

import pytest
import yaml
from load_plugin import load
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCK = ROOT / 'files/flaskrandom/requirements.txt'
pip = load('plugins/filter/pip.py')


@pytest.mark.parametrize('version, flask, dataclasses', [('3.6.9', '2.0.3', True), ('3.8.0', '3.0.3', False), ('3.11.2', '3.1.3', False)])
def test_lines_are_those_of_the_other_python(version, flask, dataclasses):
    lines = pip.lines_for(LOCK.read_text(), version, 'x86_64').splitlines()
    assert all(' --hash=sha256:' in line for line in lines)
    found = {requirement.name: str(requirement.specifier) for requirement in (Requirement(line.split(' --')[0]) for line in lines)}
    assert len(found) == len(lines)
    assert found['flask'] == f'=={flask}'
    assert ('dataclasses' in found) == dataclasses
    assert 'colorama' not in found


def test_wheels_are_chosen_for_the_machine():
    options = pip.platform('3.6.9', 'aarch64')
    assert '--python-version=3.6.9' in options and '--abi=cp36m' in options and '--platform=manylinux2014_aarch64' in options
    assert not [option for option in options if 'x86' in option or '_2_28_' in option]


def test_the_bundle_has_the_packages_of_all_roles():
    # the environment's own is added by bundle.yml
    bundled = {*yaml.safe_load((ROOT / 'group_vars/all/main.yml').read_text())['machine_packages'], '{{ __python_venv_system }}-venv'}
    needed = set()
    for path in ROOT.glob('roles/*/tasks/*.yml'):
        for task in yaml.safe_load(path.read_text()):
            names = task.get('vars', {}).get('packages_names', [])
            needed.update(names if isinstance(names, list) else [])
    for path in [*ROOT.glob('roles/*/defaults/main.yml'), *ROOT.glob('roles/*/vars/main.yml'), *ROOT.glob('roles/*/vars/main/*.yml')]:
        role = path.relative_to(ROOT).parts[1].replace('-', '_')
        names = (yaml.safe_load(path.read_text()) or {}).get(f'{role}_packages', [])
        needed.update(names if isinstance(names, list) else [])
    # the services' are an app's own
    assert 'flask_app_service_packages' in (ROOT / 'bundle.yml').read_text()
    services = [yaml.safe_load((ROOT / f'roles/{role}/vars/main.yml').read_text())[f'{role}_packages'] for role in ('postgresql', 'redis')]
    bundled.update(*services)
    assert {'nginx', 'supervisor', 'ufw', 'ca-certificates'} <= needed <= bundled
