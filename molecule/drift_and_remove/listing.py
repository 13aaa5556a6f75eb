#!/usr/bin/python3
"""listing.py FILE: writes every path, unit, account and listening socket of the machine into FILE, as JSON."""

import hashlib
import json
import os
import stat
import subprocess
import sys

# virtual file systems, temporary files, and this program's own output
LEFT_OUT = {'/proc', '/sys', '/dev', '/run', '/tmp', '/var/tmp', '/root/before.json', '/root/now.json'}


def facts(path):
    """Returns mode, owner, and content or target of a path."""
    info = os.lstat(path)
    content = ''
    if stat.S_ISREG(info.st_mode):
        with open(path, 'rb') as file:
            content = hashlib.sha256(file.read()).hexdigest()
    elif stat.S_ISLNK(info.st_mode):
        content = os.readlink(path)
    return '{} {}:{} {}'.format(stat.filemode(info.st_mode), info.st_uid, info.st_gid, content)


def lines(*command):
    """Returns the lines that a command prints."""
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
