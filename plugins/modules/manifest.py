#!/usr/bin/python
"""Ansible module: writes a folder's manifest, or compares the folder with it. Runs on Python 3.6.

It runs as root: below the folder it follows no link, opens regular files only and waits for none.
"""

import hashlib
import json
import os
import stat

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nofollow import NEW_FILE, chunks, open_file

DOCUMENTATION = """
module: manifest
short_description: Writes a folder's manifest, .manifest.json in it, or compares the folder with it
description: Compiled Python (C(__pycache__)) is left out, because Python writes it by itself.
author: flaskrandom
options:
  path: {type: path, required: true, description: "The folder, or a link to it."}
  write: {type: bool, default: false, description: Whether to write the manifest instead of comparing.}
  unless_current:
    type: path
    description: >-
      A link. Where it leads to another folder, and this one is complete, its manifest gets a new time, which tells another
      run that cleans up that this run is about to use it.
"""
EXAMPLES = """
- manifest:
    path: /srv/shop/venvs/0123456789ab
"""
RETURN = """
exists: {type: bool, returned: always, description: Whether there is such a folder.}
complete: {type: bool, returned: always, description: Whether it is there and as its manifest says.}
differences: {type: list, returned: always, description: "What was changed, a text for each path."}
"""

NAME = '.manifest.json'
KINDS = {stat.S_IFREG: 'file', stat.S_IFDIR: 'folder', stat.S_IFLNK: 'link'}


def digest(name, folder):
    """The sha256 of a regular file."""
    found = hashlib.sha256()
    with open_file(name, folder) as file:
        for chunk in chunks(file):
            found.update(chunk)
    return found.hexdigest()


def entry(name, folder):
    """What counts of a name in an open folder: its kind, owner and mode, and its content or where it leads to."""
    info = os.stat(name, dir_fd=folder, follow_symlinks=False)
    kind = KINDS.get(stat.S_IFMT(info.st_mode), 'other')
    content = ''
    if kind == 'file':
        content = digest(name, folder)
    elif kind == 'link':
        content = os.readlink(name, dir_fd=folder)
    return {
        'kind': kind,
        'owner': '{}:{}'.format(info.st_uid, info.st_gid),
        # a link's own mode means nothing
        'mode': '' if kind == 'link' else '{:04o}'.format(stat.S_IMODE(info.st_mode)),
        'content': content,
    }


def entries(root):
    """What counts of a folder and of everything below it, by path."""
    found = {}
    for folder, folders, files, descriptor in os.fwalk(root):
        if not found:
            found['.'] = entry('.', descriptor)
        folders[:] = [name for name in folders if name != '__pycache__']
        for name in folders + files:
            below = os.path.relpath(os.path.join(folder, name), root)
            if below not in (NAME, NAME + '.new'):
                found[below] = entry(name, descriptor)
    return found


def read(root):
    """A folder's manifest; None without one, empty if it cannot be read."""
    try:
        with open_file(os.path.join(root, NAME)) as file:
            manifest = json.loads(file.read().decode())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def write(root, found):
    """Writes the manifest under another name first, so that it is whole or not there, and replaces what has its name."""
    new = os.path.join(root, NAME + '.new')
    if os.path.lexists(new):
        os.remove(new)
    with os.fdopen(os.open(new, NEW_FILE, 0o644), 'w') as file:
        json.dump(found, file, indent=0, sort_keys=True)
        os.fchmod(file.fileno(), 0o644)
    os.rename(new, os.path.join(root, NAME))


def compare(manifest, found):
    """What differs, a text for each path; of a folder that is missing or new, only the folder itself."""
    texts = []
    for path in sorted(set(manifest) | set(found)):
        before, now = manifest.get(path), found.get(path)
        if before and now:
            # another kind of thing has another mode and content as well
            for what in ('kind',) if before['kind'] != now['kind'] else ('owner', 'mode', 'content'):
                if before[what] != now[what]:
                    values = '' if what == 'content' else ' from {} to {}'.format(before[what], now[what])
                    texts.append('{}: its {} was changed{}'.format(path, what, values))
        elif (os.path.dirname(path) or '.') in (manifest if now else found):
            texts.append('{}: was {}'.format(path, 'added' if now else 'removed'))
    return texts


def main():
    module = AnsibleModule(
        argument_spec={
            'path': {'type': 'path', 'required': True},
            'write': {'type': 'bool', 'default': False},
            'unless_current': {'type': 'path'},
        },
        supports_check_mode=True,
    )
    root = os.path.realpath(module.params['path'])
    if not os.path.isdir(root):
        module.exit_json(changed=False, exists=False, complete=False, differences=[])
    found = entries(root)
    manifest = read(root)
    if not module.params['write']:
        if manifest:
            differences = compare(manifest, found)
        else:
            differences = ['{}: {}'.format(NAME, 'is missing' if manifest is None else 'cannot be read')]
        current = module.params['unless_current']
        if current and not differences and os.path.realpath(current) != root and not module.check_mode:
            os.utime(os.path.join(root, NAME))
        module.exit_json(changed=False, exists=True, complete=not differences, differences=differences)
    if manifest != found and not module.check_mode:
        write(root, found)
    module.exit_json(changed=manifest != found, exists=True, complete=True, differences=[])


if __name__ == '__main__':
    main()
