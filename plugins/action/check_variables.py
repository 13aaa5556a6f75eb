"""Checks what the user set against the roles' argument specs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase


def is_text(value) -> bool:
    """Whether a value is a text; a vaulted one is."""
    return isinstance(value, str) or hasattr(value, '__ENCRYPTED__')


def is_number(value, pattern: str) -> bool:
    """Whether a value is a number, or, as `-e name=value` gives it, a text of this pattern."""
    return not isinstance(value, bool) and isinstance(value, (Real, str)) and bool(re.fullmatch(pattern, str(value)))


# Ansible's own check takes true for 1, 'a=b' for a dictionary, and anything at all for a text.
TYPES = {
    'str': ('a text; put it in quotes if it looks like a number or like true', is_text),
    'path': ('a path', is_text),
    'int': ('a whole number', lambda value: is_number(value, r'-?\d+')),
    'float': ('a number', lambda value: is_number(value, r'-?\d+(\.\d+)?')),
    'bool': ('true or false', lambda value: isinstance(value, bool)),
    'dict': ('a dictionary (name: value)', lambda value: isinstance(value, Mapping)),
    'raw': ('anything', lambda value: True),
    'list': ('a list', lambda value: isinstance(value, Sequence) and not is_text(value)),
}


def wrong_type(value, option: dict) -> str:
    """What a value would have to be by its option of an argument spec, or '' if it is that."""
    kind, is_kind = TYPES[option['type']]
    if not is_kind(value):
        return kind
    if 'elements' in option and any(wrong_type(element, {'type': option['elements']}) for element in value):
        return f"a list in which each element is {TYPES[option['elements']][0]}"
    if value not in option.get('choices', [value]):
        return f"one of {', '.join(option['choices'])}"
    return ''


def problems(values: Mapping, specs: Mapping[str, Mapping], wired: Mapping) -> list[str]:
    """What is wrong with the names and types of variables.

    Args:
        values: the variables that the user set, by name.
        specs: the options of each role's argument spec, by the prefix of the role's variables.
        wired: the variables that the playbook makes from others, name to template.

    Returns:
        One sentence for each problem; it begins with the variable's name and ends with what to do.
    """
    found = []
    for name, value in sorted(values.items()):
        options = next((options for prefix, options in specs.items() if name.startswith(prefix)), None)
        if options is None:
            continue
        users = [known for known in options if known not in wired and not options[known].get('required')]
        if name not in options:
            close = difflib.get_close_matches(name, users, n=2)
            found.append(
                f'{name}: there is no such variable. '
                + (f"Did you mean {' or '.join(close)}?" if close else f"There are {', '.join(users) or 'none'}.")
            )
        elif name in wired:
            sources = sorted(
                set(re.findall(r'\b[a-z]+(?:_[a-z]+)+\b', str(wired[name])))
                & {option for others in specs.values() for option in others if option not in wired}
            )
            found.append(
                f"{name}: playbook.yml makes it from {' and '.join(sources) or 'what earlier roles did'}. "
                'Set that instead, and take this one out.'
            )
        elif name not in users:
            found.append(f'{name}: the roles set it themselves. Take it out.')
        elif expected := wrong_type(value, options[name]):
            shown = 'what it is now' if name.endswith('_secrets') else re.sub(r'//[^/\s]*@', '//***@', repr(value))
            found.append(f'{name}: give {expected}, instead of {shown}.')
    return found


class ActionModule(ActionBase):
    """Action `check_variables`: fails when a variable in the inventory or on the command line has no place in the roles.

    A variable has one when its role's argument spec has it, the playbook does not make it from others, and its type is
    right. No arguments; a host is not reached.
    """

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Checks the variables of one host; see the class."""
        result = super().run(tmp, task_vars)
        roles = Path(task_vars['role_path']).parent
        specs = {
            f"{path.parts[-3].replace('-', '_')}_": self._loader.load_from_file(str(path))['argument_specs']['main']['options']
            for path in sorted(roles.glob('*/meta/argument_specs.yml'))
        }
        # These are the inventory's and the command line's; plays and roles add none here.
        names = task_vars['hostvars'].raw_get(task_vars['inventory_hostname'])
        values, found = {}, []
        for name in names:
            if name.startswith(tuple(specs)):
                try:
                    values[name] = self._templar.template(names[name])
                except AnsibleError as error:
                    found.append(f'{name}: it cannot be worked out: {error}. Mend its template.')
        found += problems(values, specs, self._task.play.vars)
        if found:
            result.update(failed=True, msg='\n'.join(['Nothing was changed. Mend this:', *found]))
        return result
