"""Runs an Ansible module of this project as Ansible does on a host: in a process of its own, with our module_utils."""

import json
import subprocess
import sys
from pathlib import Path

import ansible

PLUGINS = Path(__file__).parents[2] / 'plugins'
START = """
import runpy, sys
import ansible.module_utils
ansible.module_utils.__path__.append(sys.argv.pop())
runpy.run_path(sys.argv.pop(), run_name='__main__')
"""


def command(module, python=sys.executable):
    """The command that runs the module of this name; its arguments go to its standard input."""
    return [python, '-c', START, PLUGINS / f'modules/{module}.py', PLUGINS / 'module_utils']


def run(module, arguments, python=sys.executable, environment=None):
    """Runs the module of this name; returns what it answers, as a dictionary and as text."""
    given = json.dumps({'ANSIBLE_MODULE_ARGS': arguments})
    done = subprocess.run(
        command(module, python), input=given, stdout=subprocess.PIPE, text=True, check=False, timeout=60, env=environment
    )
    return json.loads(done.stdout), done.stdout


def for_python_3_6(folder):
    """The environment in which an old Python finds Ansible's own module_utils, and nothing else of this one's packages."""
    (folder / 'ansible').symlink_to(Path(ansible.__file__).parent)
    return {'PYTHONPATH': str(folder), 'PYTHONDONTWRITEBYTECODE': '1'}
