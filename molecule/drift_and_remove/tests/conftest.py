"""What the tests of drift and removal share: the drift command, and a listing of all that a machine has."""

import json
import subprocess

from machine import CHECKOUT, INVENTORY

SCENARIO = CHECKOUT / 'molecule/drift_and_remove'

pytest_plugins = ['machine']


def drift(*options):
    """Runs the drift command on the machine `app`; returns its exit status, what it names, and its whole answer."""
    done = subprocess.run(
        ['tools/drift', '-i', INVENTORY, '--limit=app', '--json', *options], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    )
    answer = json.loads(done.stdout)
    return done.returncode, [one['what'] for one in answer['hosts'].get('app', [])], answer


def listing(root):
    """Lists what the machine has, see listing.py."""
    root('python3 - /root/now.json <<"END"\n' + (SCENARIO / 'listing.py').read_text() + '\nEND')
    return json.loads(root('cat /root/now.json; rm /root/now.json'))
