"""Checks that the Ansible on this computer has what the playbooks need."""

from __future__ import annotations

import importlib.util

from ansible.plugins.action import ActionBase

OLDEST = (2, 16)


def is_installed(collection: str) -> bool:
    """Whether a collection, such as `community.general`, is installed."""
    try:
        return importlib.util.find_spec(f'ansible_collections.{collection}') is not None
    except ImportError:
        return False


def problems(version: str, collections: list[str]) -> list[str]:
    """What is wrong with an Ansible.

    Args:
        version: of ansible-core.
        collections: those that are needed.
    """
    found = []
    if [int(part) for part in version.split('.')[:2]] < list(OLDEST):
        found.append(f'ansible-core 2.16 or newer is needed, got {version}. Run the command by make, which installs it, or update Ansible.')
    if missing := [name for name in collections if not is_installed(name)]:
        found.append(
            f"The collection{'s' * (len(missing) > 1)} {' and '.join(missing)} of Ansible must be installed: "
            f"`ansible-galaxy collection install {' '.join(missing)}`. Or install the package `ansible`, which has them, instead of "
            'ansible-core: `pipx install --include-deps ansible`.'
        )
    return found


class ActionModule(ActionBase):
    """Action `check_ansible`: fails if this computer's Ansible is too old or lacks collections; the host is not contacted.

    Args: collections (names of those that are needed).
    """

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Checks the Ansible that runs this; see the class."""
        result = super().run(tmp, task_vars)
        if found := problems(task_vars['ansible_version']['full'], self._task.args['collections']):
            result.update(failed=True, msg='\n'.join(['Nothing was changed.', *found]))
        return result
