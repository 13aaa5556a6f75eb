"""Checks values, and says what to do about those that cannot be."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Action `check_values`: fails with what to do about each check that does not hold; a host is not reached.

    Args:
        checks: the name of a variable with the list of checks. Each has `that`, a template, and `msg`, a text that names
            the variable and what to do. A name, because Ansible works out all that it is given, and a text is needed
            only where its check does not hold.
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
            result.update(failed=True, msg='\n'.join(['Nothing was changed. Mend this:', *found]))
        return result
