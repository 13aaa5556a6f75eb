"""Checks what the user set against the roles' argument specs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.test.core import vault_encrypted
from ansible.vars.plugins import get_vars_from_inventory_sources


def is_text(value) -> bool:
    """Whether a value is a text; a vaulted one is."""
    return isinstance(value, str) or vault_encrypted(value)


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


def wrong_type(value, option: Mapping) -> str:
    """What a value must be by its option of an argument spec, or '' if it is that."""
    kind, is_kind = TYPES[option['type']]
    if not is_kind(value):
        return kind
    if 'elements' in option and any(wrong_type(element, {'type': option['elements']}) for element in value):
        return f"a list in which each element is {TYPES[option['elements']][0]}"
    if value not in option.get('choices', [value]):
        return f"one of {', '.join(option['choices'])}"
    return ''


def is_template(value) -> bool:
    """Whether a value, or a part of it, is made from other variables."""
    return '{{' in str(value) or '{%' in str(value)


def set_by_user(values: Iterator[Mapping], prefixes: tuple[str, ...], wired: Mapping) -> dict:
    """The roles' variables that the user set, not the wiring.

    Args:
        values: variables by name, unevaluated, from the lowest precedence to the highest.
        prefixes: those of the roles' variables.
        wired: the variables that group_vars/all makes from others, name to template.
    """
    return {
        name: value
        for variables in values
        for name, value in variables.items()
        if name.startswith(prefixes) and not (name in wired and value == wired[name])
    }


def problems(values: Mapping, specs: Mapping[str, Mapping], wired: Mapping) -> list[str]:
    """What is wrong with the names and types of variables.

    Args:
        values: the variables that the user set, by name.
        specs: the options of each role's argument spec, by the prefix of the role's variables.
        wired: the variables that group_vars/all makes from others, name to template.

    Returns:
        One sentence for each problem; it begins with the variable's name and ends with what to do.
    """
    found = []
    options = {name: option for role in specs.values() for name, option in role.items()}
    users = [name for name in options if name not in wired and not options[name].get('required')]
    for name, value in sorted(values.items()):
        if name not in options:
            prefix = next(prefix for prefix in specs if name.startswith(prefix))
            known = [other for other in users if other.startswith(prefix)]
            close = difflib.get_close_matches(name, known, n=2)
            found.append(
                f'{name} does not exist. '
                + (f"Did you mean {' or '.join(close)}?" if close else f"Variables of that role: {', '.join(known) or 'none'}.")
            )
        elif name in wired:
            sources = sorted(set(re.findall(r'\b[a-z]+(?:_[a-z0-9]+)+\b', str(wired[name]))) & set(users))
            found.append(
                f"{name} cannot be set: group_vars/all makes it from {' and '.join(sources) or 'what earlier roles did'}. "
                'Set that instead, and remove this one.'
            )
        elif name not in users:
            found.append(f'{name} cannot be set: the roles set it themselves. Remove it.')
        elif expected := wrong_type(value, options[name]):
            shown = 'a value that is not shown' if name.endswith(('_secrets', '_token')) else re.sub(r'//[^/\s]*@', '//***@', repr(value))
            found.append(f'{name} must be {expected}; got {shown}.')
            if isinstance(value, str) and value.lower() in ('true', 'false'):
                # Ansible makes a text of name=value
                found[-1] += f""" On the command line it is -e '{{"{name}": {value.lower()}}}'."""
    return found


class ActionModule(ActionBase):
    """Action `check_variables`: fails when a variable in the inventory or on the command line has no place in the roles.

    A variable has one when a role's argument spec has it, group_vars/all beside the playbook does not make it from others,
    and its type is right. No arguments; the host is not contacted.
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
        wired = self.wired(Path(task_vars['playbook_dir']))
        values, found = {}, []
        for name, value in set_by_user(self.variables(task_vars), tuple(specs), wired).items():
            try:
                # one that cannot be set need not be evaluated
                values[name] = value if name in wired else self._templar.template(value)
            except AnsibleError as error:
                found.append(f'{name} cannot be evaluated: {error}. Correct its template.')
        found += problems(values, specs, wired)
        if found:
            result.update(failed=True, msg='\n'.join(['Nothing was changed.', *found]))
        return result

    def wired(self, folder: Path) -> dict:
        """The templates in group_vars/all of a folder, by the variables' names."""
        files = [path for path in sorted(folder.glob('group_vars/all/*')) if path.suffix in ('.yml', '.yaml', '.json')]
        variables = [self._loader.load_from_file(str(path)) or {} for path in files]
        return {name: value for file in variables for name, value in file.items() if is_template(value)}

    def variables(self, task_vars: Mapping) -> Iterator[Mapping]:
        """All variables of the inventory and the command line for this host, unevaluated; plays and roles add none here."""
        hostvars = task_vars['hostvars']
        # The playbook's group_vars/all overrides these two, so the inventory is read directly for what the user set.
        everyone = hostvars._inventory.groups['all']
        yield everyone.get_vars()
        yield get_vars_from_inventory_sources(self._loader, hostvars._inventory._sources, [everyone], 'task')
        yield hostvars.raw_get(task_vars['inventory_hostname'])
