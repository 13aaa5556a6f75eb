"""Loads a plugin of Ansible's by its path: its name may be another module's, such as pip."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def load(path):
    """The module of a path below the checkout, such as plugins/filter/pip.py."""
    spec = importlib.util.spec_from_file_location('loaded_' + Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
