"""tools/venv takes the first Python that fits."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = '{}.{}'.format(*sys.version_info)


@pytest.fixture
def create(tmp_path):
    """Runs tools/venv with some Pythons in PATH, each a name and a file; returns its status, its errors and the environment."""

    def run(pythons, *options):
        bin_folder = tmp_path / 'bin'
        bin_folder.mkdir()
        tools = {name: shutil.which(name) for name in ('bash', 'tr', 'grep', 'paste')}
        for name, target in {**tools, **pythons}.items():
            (bin_folder / name).symlink_to(target)
        done = subprocess.run(
            [ROOT / 'tools/venv', tmp_path / 'new', *options],
            env={'PATH': str(bin_folder), 'HOME': str(tmp_path)}, cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        return done.returncode, done.stderr, tmp_path / 'new'

    return run


def real_python():
    """This environment's Python outside of the environment."""
    return os.path.realpath(sys.executable)


def test_an_environment_with_pip(create):
    code, errors, folder = create({f'python{HERE}': real_python()})
    assert code == 0, errors
    done = subprocess.run([folder / 'bin/pip', '--version'], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.strip().endswith(f'(python {HERE})')


def test_pythons_that_do_not_fit_are_passed_over(create):
    code, errors, folder = create({'python3': '/bin/false', 'python3.13': '/missing', f'python{HERE}': real_python()} | (
        {'python3.13': real_python()} if HERE == '3.13' else {}))  # fmt: skip
    assert code == 0 and (folder / 'bin/python').exists(), errors


@pytest.mark.parametrize('pythons, options', [({}, []), ({'python3': real_python()}, ['3.99'])])
def test_without_one_that_fits_and_without_uv_it_says_what_to_install(create, pythons, options):
    code, errors, folder = create(pythons, *options)
    assert code == 1 and not folder.exists()
    assert errors.startswith(f'Python {(options or ["3.10"])[0]} to 3.14 with its venv module is needed') and len(errors.splitlines()) == 1
