#!/usr/bin/python
"""Ansible module: writes and deletes what the apps of a machine claim. It runs on hosts, so Python 3.6 must do."""

import contextlib
import fcntl
import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.claims import collisions, merge, problem, replaced, without_passwords

DOCUMENTATION = """
module: claim
short_description: Writes and deletes what the apps of a machine claim
description:
  - An app's claim is the file FOLDER/apps.d/NAME.json, readable by root only. It has what the app takes of the machine.
  - Claims are compared under a lock before one is written; a collision fails with all that collides and the other apps' names.
options:
  state: {type: str, choices: [present, absent, read], default: read, description: "Absent needs name, present needs claims."}
  claims: {type: list, elements: dict, default: [], description: "The claims of this run's apps on this machine."}
  name: {type: str, default: "", description: "The app whose claim is deleted."}
  without: {type: list, elements: str, default: [], description: "Apps that `read` leaves out, such as those that go in check mode."}
  replace: {type: bool, default: false, description: "Whether other apps get this run's values of what must be equal."}
  folder: {type: path, default: /etc/flask-host, description: "The folder of the machine's files."}
author: [flaskrandom]
"""
EXAMPLES = """
- claim:
    state: present
    claims: ["{{ claims_claim }}"]
"""
RETURN = """
machine: {type: dict, returned: success, description: The claims of all apps in one; in check mode what it would be.}
claims: {type: list, elements: str, returned: success, description: The names of the apps with a claim.}
replaced: {type: list, elements: str, returned: success, description: The other apps whose claims got this run's values.}
released: {type: list, elements: str, returned: success, description: The packages that no claim has any more after `absent`.}
"""


@contextlib.contextmanager
def locked(folder, create):
    """Holds the lock of a folder, which is made where it is missing and `create` is true; without it nothing is held."""
    while True:
        if create:
            os.makedirs(folder, 0o755, exist_ok=True)
        elif not os.path.isdir(folder):
            yield
            return
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # who had the lock before may have deleted the folder
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(lock), os.stat(folder)):
                    yield
                    return
        finally:
            os.close(lock)


def read(folder):
    """The claims in a folder by the name of the app; ValueError names a file that is none."""
    found = {}
    for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        path = os.path.join(folder, file)
        if file.startswith('.') or not file.endswith('.json'):
            continue
        try:
            with open(path, encoding='utf-8') as stream:
                claim = json.load(stream)
            reason = problem(claim) or ('' if claim['name'] + '.json' == file else 'it is named for another app')
        except (OSError, ValueError) as error:
            reason = str(error)
        if reason:
            raise ValueError(
                f'{path} cannot be used: {reason}. Deploy the app that it is named for again after deleting the file, '
                'or restore it from a backup.'
            )
        found[claim['name']] = claim
    return found


def sync(folder):
    """Writes a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


def text(claim):
    """A claim as it is written."""
    return json.dumps(claim, ensure_ascii=False, indent=2, sort_keys=True) + '\n'


def write(folder, claims):
    """Makes the files of a folder those of the claims, by name of the app; one with no claim loses its file."""
    os.makedirs(folder, 0o700, exist_ok=True)
    os.chmod(folder, 0o700)
    for name, claim in claims.items():
        path, new = os.path.join(folder, name + '.json'), os.path.join(folder, '.' + name + '.new')
        if claim is None:
            os.unlink(path)
            continue
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)  # of a run that was killed
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), 'w', encoding='utf-8') as stream:
            stream.write(text(claim))
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(new, path)
    sync(folder)
    if not any(file.endswith('.json') for file in os.listdir(folder)):
        for file in os.listdir(folder):
            os.unlink(os.path.join(folder, file))
        os.rmdir(folder)


def wanted(before, claims, replace):
    """The claims of all apps after this run.

    Args:
        before: the claims on the disk by name.
        claims: those of this run.
        replace: whether the others get this run's values of what must be equal.

    Returns:
        The claims by name, and the collisions as texts.
    """
    after = dict(before, **{claim['name']: claim for claim in claims})
    others = [claim for name, claim in sorted(before.items()) if name not in [claim['name'] for claim in claims]]
    found = []
    for claim in claims:
        # the apps of one run cannot both have their way
        found += collisions(claim, others, replace) + collisions(claim, [other for other in claims if other is not claim])
        if replace:
            others = replaced(claim, others)
    after.update((claim['name'], claim) for claim in others)
    return after, found


def main():
    """Runs the module."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            'state': {'type': 'str', 'choices': ['present', 'absent', 'read'], 'default': 'read'},
            # not shown: URLs in it can have passwords
            'claims': {'type': 'list', 'elements': 'dict', 'default': [], 'no_log': True},
            'name': {'type': 'str', 'default': ''},
            'without': {'type': 'list', 'elements': 'str', 'default': []},
            'replace': {'type': 'bool', 'default': False},
            'folder': {'type': 'path', 'default': '/etc/flask-host'},
        },
        required_if=[('state', 'present', ['claims']), ('state', 'absent', ['name'])],
    )
    given, names = module.params, [claim.get('name') for claim in module.params['claims']]
    # What is returned must be usable, so it is not searched for the claims' words; they are not shown as arguments either.
    module.no_log_values.clear()
    module.params = dict(given, claims=names)
    for claim in given['claims']:
        if problem(claim):
            module.fail_json(msg='claims: the claim of {} is invalid: {}.'.format(claim.get('name', 'no app'), problem(claim)))
    if len(set(names)) < len(names):
        module.fail_json(msg='claims: two claims have the same name, got {}.'.format(', '.join(sorted(names))))

    folder = os.path.join(given['folder'], 'apps.d')
    with locked(given['folder'], create=given['state'] == 'present' and not module.check_mode):
        try:
            before = read(folder)
        except ValueError as error:
            module.fail_json(msg=str(error))
        after, found = wanted(before, given['claims'] if given['state'] == 'present' else [], given['replace'])
        if found:
            module.fail_json(msg='\n'.join(found))
        if given['state'] == 'absent':
            after.pop(given['name'], None)
        changes = {name: after.get(name) for name in sorted({*before, *after}) if before.get(name) != after.get(name)}
        if changes and not module.check_mode:
            write(folder, changes)

    machine = merge([after[name] for name in sorted(after) if name not in given['without']])
    module.exit_json(
        changed=bool(changes),
        machine=machine,
        released=sorted(set(merge(list(before.values()))['packages']) - set(machine['packages'])) if given['state'] == 'absent' else [],
        claims=sorted(after),
        replaced=sorted(name for name in changes if given['state'] == 'present' and name not in names),
        diff=[
            {
                'before_header': os.path.join(folder, name + '.json'),
                'after_header': os.path.join(folder, name + '.json'),
                'before': without_passwords(text(before[name])) if name in before else '',
                'after': without_passwords(text(after[name])) if name in after else '',
            }
            for name in changes
        ],
    )


if __name__ == '__main__':
    main()
