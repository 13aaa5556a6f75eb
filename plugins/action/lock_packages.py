"""Locks an app's packages for a host, on the controller."""

from __future__ import annotations

import json
import subprocess
import sys

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Action `lock_packages`: runs the tool in the folder `tool` with `job`, see its `job.Job`.

    Returns: `lock` (path of the lock), `wheels` (paths of wheels that were built here), `source_packages` (names that the
    host has to build), `package` (wheel of the app itself, or ''), `messages`.
    """

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Locks the packages; see the class."""
        result = super().run(tmp, task_vars)
        args = self._task.args
        # over standard input, because an index's URL may have a password
        tool = subprocess.run([sys.executable, args['tool']], input=json.dumps(args['job']), capture_output=True, text=True, check=False)
        if tool.returncode:
            result.update(failed=True, msg=f'Nothing was changed.\n{tool.stderr.strip()}')
        else:
            result.update(changed=False, **json.loads(tool.stdout))
        return result
