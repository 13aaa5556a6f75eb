"""Compares the claims of this run's apps before anything is changed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

# Ansible finds it for modules on hosts, not for plugins on the controller.
SPEC = importlib.util.spec_from_file_location('claims', Path(__file__).parents[1] / 'module_utils/claims.py')
claims = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(claims)


def masked(value):
    """A value without the passwords in its URLs, as the check of the host gives claims."""
    return json.loads(claims.without_passwords(json.dumps(value)))


def existing_claims(text: str) -> list[dict]:
    """The claims in the output of look.sh, a line `claim=JSON` each.

    Raises:
        ValueError: a line has no valid claim; the text says what to do.
    """
    found = []
    for line in text.splitlines():
        if not line.startswith('claim='):
            continue
        try:
            claim = json.loads(line.partition('=')[2])
            reason = claims.problem(claim)
        except ValueError as error:
            reason = str(error)
        if reason:
            raise ValueError(
                f'A file in /etc/flask-host/apps.d cannot be used: {reason}, got {claims.without_passwords(line[6:])[:200]!r}. '
                'Deploy the app that it is named for again after deleting the file, or restore it from a backup.'
            )
        found.append(claim)
    return found


def found_collisions(claim: dict, existing: str, neighbours: dict[str, dict], replace: bool) -> list[str]:
    """All that keeps this run's app from having what it claims; for the arguments see the action."""
    doubles = [
        f"flask_app_name: {claim['name']} is deployed to this machine by the host {host} too. Take one of the two out of the inventory."
        for host, other in neighbours.items()
        if other['name'] == claim['name']
    ]
    names = [other['name'] for other in neighbours.values()]
    others = [other for other in existing_claims(existing) if other['name'] not in names]
    # The apps of one run cannot both have their way, so their values are not replaced.
    return doubles + claims.collisions(masked(claim), masked(others), replace) + claims.collisions(claim, neighbours.values())


class ActionModule(ActionBase):
    """Action `check_claims`: fails with all collisions of this host's claim; a host is not reached.

    Args:
        claim: what this host's app claims.
        existing: lines `claim=JSON`, the claims on the machine, passwords in URLs as ***. One of an app of this run does not count.
        neighbours: the claims of this run's other hosts that are the same machine, by host.
        replace: whether this run's values of machine settings are given to the apps that are not in this run.
    """

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Compares the claims of one host; see the class."""
        result = super().run(tmp, task_vars)
        given = self._task.args
        try:
            if reason := claims.problem(given['claim']):
                raise ValueError(f'The claim is invalid: {reason}.')
            found = found_collisions(given['claim'], given['existing'], given.get('neighbours') or {}, boolean(given.get('replace', False)))
        except ValueError as error:
            found = [str(error)]
        if found:
            result.update(failed=True, msg='\n'.join(['Nothing was changed.', *found]))
        return result
