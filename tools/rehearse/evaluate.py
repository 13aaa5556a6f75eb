"""Evaluates the variables of an inventory as Ansible does, but for what is encrypted."""

from __future__ import annotations

import re
from pathlib import Path

from ansible import template
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

CHECKOUT = Path(__file__).resolve().parents[2]
PASSWORD_IN_URL = re.compile(r'://[^/\s@:]*:[^/\s@]*@')


def is_encrypted(value: object) -> bool:
    """Whether a value, or a part of it, is encrypted."""
    if isinstance(value, dict):
        return '__ansible_vault' in value or any(map(is_encrypted, value.values()))
    return isinstance(value, list) and any(map(is_encrypted, value))


def has_password(value: object) -> bool:
    """Whether a URL in a value has a password."""
    if isinstance(value, dict):
        return any(map(has_password, value.values()))
    if isinstance(value, list):
        return any(map(has_password, value))
    return isinstance(value, str) and bool(PASSWORD_IN_URL.search(value))


class Values:
    """Evaluates variables as Ansible would, but for what is encrypted."""

    def __init__(self, variables: dict, folder: Path):
        known = {name: value for name, value in variables.items() if not is_encrypted(value)}
        magic = {'inventory_dir': str(folder), 'playbook_dir': str(CHECKOUT), 'default_app': str(CHECKOUT / 'files/flaskrandom')}
        loader = DataLoader()
        loader.set_basedir(str(CHECKOUT))
        self.templar = Templar(loader, variables=trusted({**known, **magic}))

    def get(self, value: object) -> object:
        """A value without templates; AnsibleError where it needs something that is encrypted or missing."""
        return self.templar.template(trusted(value))


def trusted(value: object) -> object:
    """A value whose texts Ansible takes for templates: newer versions ask for a mark."""
    if isinstance(value, dict):
        return {name: trusted(part) for name, part in value.items()}
    if isinstance(value, list):
        return [trusted(part) for part in value]
    return template.trust_as_template(value) if isinstance(value, str) and hasattr(template, 'trust_as_template') else value
