"""Checks values and fails with the messages of those that are wrong."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Action `check_values`: fails with the message of each check that is not met; the host is not contacted.

    Args:
        checks: the name of a variable with the list of checks. Each has `that`, a template, and `msg`, a text that names
            the variable and what to do. A name, because Ansible evaluates all arguments, and a message can be evaluated
            only where its check is not met.
    """

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Checks the values of one host; see the class."""
        result = super().run(tmp, task_vars)
        found = [
            self._templar.template(check['msg'])
            for check in task_vars[self._task.args['checks']]
            if not self._templar.template(check['that'])
        ]
        if found:
            result.update(failed=True, msg='\n'.join(['Nothing was changed.', *found]))
        return result
