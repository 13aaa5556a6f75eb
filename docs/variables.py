#!/usr/bin/env python3
"""Prints docs/variables.md: what the roles' argument specs say of the variables that a user may set."""

import re
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
HEAD = """# Variables

Made from the roles' `meta/argument_specs.yml` by `make docs`. Set them in your inventory's `group_vars/all.yml`, or by
`-e`. A wrong one stops the run before a host is touched, with its name and what to do. What `playbook.yml` makes from
others is left out.
"""


def wired():
    """Names of the variables that playbook.yml makes from others."""
    return set(yaml.safe_load((HERE.parent / 'playbook.yml').read_text())[0]['vars'])


def table(role):
    """The variables of a role as a Markdown table.

    Args:
        role: its folder.

    Returns:
        The table with the role's name above it, or '' when there is nothing to set.
    """
    spec = yaml.safe_load((role / 'meta/argument_specs.yml').read_text())['argument_specs']['main']
    options = {name: option for name, option in spec['options'].items() if name not in wired() and 'default' in option}
    if not options:
        return ''
    lines = [f'\n## {role.name}\n', f'{spec["short_description"]}.\n', '| variable | default | meaning |', '|---|---|---|']
    for name, option in options.items():
        meaning = re.sub(r'C\((.*?)\)(?!\))', r'`\1`', option['description']).replace('|', '\\|')
        choices = f' One of {", ".join(map(str, option["choices"]))}.' if 'choices' in option else ''
        default = yaml.safe_dump(option['default'], default_flow_style=True, width=1000).replace('\n...', '').strip()
        lines.append(f'| `{name}` | `{default}` | {meaning}{choices} |')
    return '\n'.join(lines) + '\n'


def text():
    """The whole of docs/variables.md."""
    return HEAD + ''.join(table(path.parents[1]) for path in sorted((HERE.parent / 'roles').glob('*/meta/argument_specs.yml')))


if __name__ == '__main__':
    print(text(), end='')
