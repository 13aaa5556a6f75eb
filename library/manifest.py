#!/usr/bin/python
"""Ansible module: is a folder still what it was when it was complete?

With `write: true` it notes in the folder's own `.manifest.json` what is in it; else it compares. Runs on Python 3.6.
"""

import hashlib
import json
import os
import stat

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: manifest
short_description: Notes what is in a folder, and finds what has been changed since
description: Compiled Python (C(__pycache__)) is left out, for Python writes it by itself.
author: flaskrandom
options:
  path:
    type: path
    required: true
    description: The folder, or a link to it.
  write:
    type: bool
    default: false
    description: Note what is in it, instead of comparing.
  unless_current:
    type: path
    description: >-
      A link. Where it leads to another folder, and this one is complete, its manifest gets a new time, which tells another
      run that cleans up that this run is about to use it.
"""
RETURN = """
exists:
  description: Whether there is such a folder.
  type: bool
  returned: always
complete:
  description: Whether it is there and as its manifest says.
  type: bool
  returned: always
differences:
  description: What has been changed, a text for each path.
  type: list
  returned: always
"""

NAME = '.manifest.json'
KINDS = {stat.S_IFREG: 'file', stat.S_IFDIR: 'folder', stat.S_IFLNK: 'link'}


def entry(path):
    """What counts of a path: its kind, owner and mode, and its content or where it leads to."""
    info = os.lstat(path)
    kind = KINDS.get(stat.S_IFMT(info.st_mode), 'other')
    content = ''
    if kind == 'file':
        with open(path, 'rb') as file:
            content = hashlib.sha256(file.read()).hexdigest()
    elif kind == 'link':
        content = os.readlink(path)
    return {
        'kind': kind,
        'owner': '{}:{}'.format(info.st_uid, info.st_gid),
        # a link's own mode means nothing
        'mode': '' if kind == 'link' else '{:04o}'.format(stat.S_IMODE(info.st_mode)),
        'content': content,
    }


def entries(root):
    """What counts of a folder and of everything below it, by path."""
    found = {'.': entry(root)}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != '__pycache__']
        for name in folders + files:
            path = os.path.join(folder, name)
            below = os.path.relpath(path, root)
            if below != NAME:
                found[below] = entry(path)
    return found


def compare(noted, found):
    """What differs, a text for each path; of a folder that is missing or new, only the folder itself."""
    texts = []
    for path in sorted(set(noted) | set(found)):
        before, now = noted.get(path), found.get(path)
        if before and now:
            # another kind of thing has another mode and content as well
            for what in ('kind',) if before['kind'] != now['kind'] else ('owner', 'mode', 'content'):
                if before[what] != now[what]:
                    values = '' if what == 'content' else ' from {} to {}'.format(before[what], now[what])
                    texts.append('{}: its {} was changed{}'.format(path, what, values))
        elif (os.path.dirname(path) or '.') in (noted if now else found):
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
    manifest = os.path.join(root, NAME)
    try:
        with open(manifest) as file:
            noted = json.load(file)
    except FileNotFoundError:
        noted = None
    except ValueError:
        noted = {}
    if not module.params['write']:
        differences = ['{}: is missing'.format(NAME)] if noted is None else compare(noted, found)
        current = module.params['unless_current']
        if current and not differences and os.path.realpath(current) != root and not module.check_mode:
            os.utime(manifest)
        module.exit_json(changed=False, exists=True, complete=not differences, differences=differences)
    if noted != found and not module.check_mode:
        with open(manifest, 'w') as file:
            json.dump(found, file, indent=0, sort_keys=True)
        os.chmod(manifest, 0o644)
    module.exit_json(changed=noted != found, exists=True, complete=True, differences=[])


if __name__ == '__main__':
    main()
