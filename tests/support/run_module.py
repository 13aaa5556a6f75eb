"""Runs an Ansible module of this project as Ansible does on a host: in a process of its own, with our module_utils."""

import json
import os
import subprocess
import sys
from pathlib import Path

import ansible
import ansible.release
from load_plugin import load

PLUGINS = Path(__file__).parents[2] / 'plugins'
# the oldest Python that this ansible-core manages, 3.6 for 2.16, where it is installed here
CORE = tuple(map(int, ansible.release.__version__.split('.')[:2]))
OLDEST = next(minor for version, minor in load('plugins/action/check_host.py').PYTHONS.items() if version <= CORE)
OLD = sorted(Path(os.environ.get('PYENV_ROOT') or Path.home() / '.pyenv').glob(f'versions/3.{OLDEST}.*/bin/python'))
START = """
import runpy, sys
import ansible.module_utils
ansible.module_utils.__path__.append(sys.argv.pop())
runpy.run_path(sys.argv.pop(), run_name='__main__')
"""


def command(module, python=sys.executable):
    """The command that runs the module of this name; its arguments go to its standard input."""
    return [python, '-c', START, PLUGINS / f'modules/{module}.py', PLUGINS / 'module_utils']


def answer(text):
    """What a module answers, by its output. Newer versions of ansible-core wrap the texts of warnings."""
    found = json.loads(text)
    if 'warnings' in found:
        found['warnings'] = [warning['event']['msg'] if isinstance(warning, dict) else warning for warning in found['warnings']]
    return found


def run(module, arguments, python=sys.executable, environment=None):
    """Runs the module of this name; returns what it answers, as a dictionary and as text."""
    given = json.dumps({'ANSIBLE_MODULE_ARGS': arguments})
    done = subprocess.run(
        command(module, python), input=given, stdout=subprocess.PIPE, text=True, check=False, timeout=60, env=environment
    )
    return answer(done.stdout), done.stdout


def for_old_python(folder):
    """The environment in which an old Python finds Ansible's own module_utils, and nothing else of this one's packages."""
    (folder / 'ansible').symlink_to(Path(ansible.__file__).parent)
    return {'PYTHONPATH': str(folder), 'PYTHONDONTWRITEBYTECODE': '1'}
