#!/usr/bin/python3
"""listing.py FILE: writes into FILE what the machine has, as JSON: each path, unit, account and listener by name."""

import hashlib
import json
import os
import stat
import subprocess
import sys

# what no disk holds, and what belongs to the one who looks
LEFT_OUT = {'/proc', '/sys', '/dev', '/run', '/tmp', '/var/tmp', '/root/before.json', '/root/now.json'}


def facts(path):
    """Mode, owner, and content or target of a path."""
    info = os.lstat(path)
    content = ''
    if stat.S_ISREG(info.st_mode):
        with open(path, 'rb') as file:
            content = hashlib.sha256(file.read()).hexdigest()
    elif stat.S_ISLNK(info.st_mode):
        content = os.readlink(path)
    return '{} {}:{} {}'.format(stat.filemode(info.st_mode), info.st_uid, info.st_gid, content)


def lines(*command):
    """What a command prints, line by line."""
    return subprocess.run(command, stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout.splitlines()


found = {}
for folder, folders, files in os.walk('/'):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in LEFT_OUT]
    for name in folders + files:
        path = os.path.join(folder, name)
        if path not in LEFT_OUT:
            found[path] = facts(path)
for line in lines('systemctl', 'list-unit-files', '--no-legend', '--no-pager', '--plain'):
    unit, state = line.split()[:2]
    found['unit ' + unit] = state
for line in lines('getent', 'passwd') + lines('getent', 'group'):
    found['account ' + line.partition(':')[0]] = line
for line in lines('ss', '--no-header', '--listening', '--tcp', '--numeric'):
    found['listener ' + line.split()[3]] = ''
with open(sys.argv[1], 'w') as file:
    json.dump(found, file)
