"""The deploy of a workflow for GitHub Actions, examples/github-actions: its own commands, with the key of a host that they know."""

import json
import subprocess

import pytest
import workflow
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from conftest import SETTINGS
from machine import CHECKOUT, INVENTORY

PASSWORD = 'password of the vault'


@pytest.fixture
def connection():
    """How Ansible reaches the machine."""
    shown = subprocess.run(['ansible-inventory', '-i', INVENTORY, '--host', 'app'], check=True, capture_output=True, text=True)
    return {name: value for name, value in json.loads(shown.stdout).items() if name.startswith('ansible_')}


@pytest.fixture
def values(connection):
    """What the repository's secrets and variables would be."""
    port, address = str(connection['ansible_port']), connection['ansible_host']
    known = subprocess.run(['ssh-keyscan', '-p', port, address], check=True, capture_output=True, text=True)
    with open(connection['ansible_private_key_file']) as file:
        return {'SSH_KEY': file.read(), 'KNOWN_HOSTS': known.stdout, 'VAULT_PASSWORD': PASSWORD}


@pytest.fixture
def workspace(tmp_path, shop, connection):
    """A runner's workspace: the app, the project and an inventory, whose vault needs the password."""
    (tmp_path / 'app').symlink_to(shop.version())
    (tmp_path / 'project').symlink_to(CHECKOUT)
    folder = tmp_path / 'inventories/shop'
    (folder / 'group_vars/all').mkdir(parents=True)
    variables = {name: connection[name] for name in ('ansible_host', 'ansible_port', 'ansible_user')}
    variables['ansible_ssh_private_key_file'] = '/not/on/a/runner'
    (folder / 'hosts.yml').write_text(yaml.safe_dump({'all': {'hosts': {'app': variables}}}))
    secrets = yaml.safe_dump({'flask_app_secrets': {'TOKEN': 'secret of the vault'}})
    encrypted = VaultLib([('default', VaultSecret(PASSWORD.encode()))]).encrypt(secrets)
    (folder / 'group_vars/all/main.yml').write_text(yaml.safe_dump({**SETTINGS, 'flask_app_name': 'shop'}))
    (folder / 'group_vars/all/vault.yml').write_bytes(encrypted)
    return tmp_path


def deploy(workspace, values):
    return workflow.run(workspace, workspace / 'inventories/shop', values)


def test_the_workflow_deploys(workspace, values, shop, root):
    before = shop.release()
    status, printed = deploy(workspace, values)
    assert status == 0, printed
    assert shop.release() != before and 'secret of the vault' not in printed
    assert 'secret of the vault' in root('cat /srv/shop/secrets/*.json')
    assert [(path.name, oct(path.stat().st_mode & 0o777)) for path in sorted((workspace / 'temp').iterdir())] == [
        ('key', '0o600'), ('known_hosts', '0o600'),
    ]  # fmt: skip


def test_the_workflow_does_not_trust_a_host_with_another_key(workspace, values, shop, tmp_path):
    before = shop.release()
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', tmp_path / 'other'], check=True)
    kind, key = (tmp_path / 'other.pub').read_text().split()[:2]
    name = values['KNOWN_HOSTS'].split()[0]
    status, printed = deploy(workspace, {**values, 'KNOWN_HOSTS': f'{name} {kind} {key}'})
    assert status != 0 and 'unreachable' in printed.lower(), printed
    assert shop.release() == before
