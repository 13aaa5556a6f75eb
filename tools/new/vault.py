"""The secrets of an inventory: generated, and encrypted by Ansible's own vault."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from ansible.parsing.vault import VaultLib, VaultSecret

PASSWORD_FILE = '.vault-password'


def random_secret() -> str:
    """A secret of 256 bits, as text that is a key of Fernet too."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def write_password(folder: Path) -> str:
    """Makes a vault's password, writes it for its owner only, and returns it."""
    password = secrets.token_urlsafe(32)
    handle = os.open(folder / PASSWORD_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, 'w') as file:
        file.write(password + '\n')
    return password


def encrypt(text: str, password: str) -> bytes:
    """Encrypts a text as `ansible-vault encrypt` does."""
    return VaultLib([('default', VaultSecret(password.encode()))]).encrypt(text)
