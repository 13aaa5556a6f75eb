#!/usr/bin/python
"""Ansible module: removes the standalone Pythons that no app of the machine uses. Runs on Python 3.6."""

import glob
import json
import os
import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nofollow import open_file

DOCUMENTATION = """
module: unused_pythons
short_description: Removes the standalone Pythons that no app of the machine uses
description: >-
  An app uses one if an environment below the first path that the app claims, its root, was made with it, or if a process runs it.
options:
  folder: {type: path, required: true, description: The folder of the Pythons.}
  claims: {type: path, required: true, description: The folder with the claims of the apps.}
author: flaskrandom
"""
RETURN = """
removed: {type: list, returned: success, description: Paths of those that were removed.}
"""


def homes(claims):
    """The folders of interpreters that the environments of the apps name, by the claims of the apps.

    Raises:
        OSError, ValueError, LookupError: a claim or an environment cannot be read, so nobody knows what is used.
    """
    for claim in glob.glob(os.path.join(claims, '*.json')):
        with open_file(claim) as file:
            # the app's root; the others may lie in a folder that its account can change
            root = json.loads(file.read().decode())['paths'][0]
        for config in glob.glob(os.path.join(glob.escape(root), 'venvs/*/pyvenv.cfg')):
            with open_file(config) as file:
                lines = file.read().decode().splitlines()
            yield from (line.partition('=')[2].strip() for line in lines if line.partition('=')[0].strip() == 'home')


def programs():
    """The programs of all processes. One that is being replaced has a text after its path."""
    for link in glob.glob('/proc/[0-9]*/exe'):
        try:
            yield os.readlink(link)
        except OSError:  # it has ended, or is a thread of the kernel
            continue


def main():
    """Runs the module."""
    module = AnsibleModule(
        argument_spec={'folder': {'type': 'path', 'required': True}, 'claims': {'type': 'path', 'required': True}},
        supports_check_mode=True,
    )
    found = glob.glob(os.path.join(module.params['folder'], 'cpython-*'))
    try:
        used = [*homes(module.params['claims']), *programs()] if found else []
    except (OSError, ValueError, LookupError) as error:
        module.fail_json(msg='What apps use cannot be read, so no Python was removed: {!r}.'.format(error))
    removed = [path for path in found if not any(use.startswith(path + '/') for use in used)]
    for path in [] if module.check_mode else removed:
        shutil.rmtree(path)
    module.exit_json(changed=bool(removed), removed=sorted(removed), diff=[{'before_header': path} for path in removed])


if __name__ == '__main__':
    main()
