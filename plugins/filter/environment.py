"""Filter that checks the app's environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ansible.plugins.test.core import vault_encrypted


def is_value(value: object) -> bool:
    """Whether a value is a text, which ansible-vault may have encrypted, or a number."""
    return (isinstance(value, (str, int, float)) and not isinstance(value, bool)) or vault_encrypted(value)


def errors(environment: Mapping, secrets: Mapping) -> list[str]:
    """What is wrong with names and values of environment variables; the values are not shown.

    Args:
        environment: flask_app_environment.
        secrets: flask_app_secrets.
    """
    found = []
    for variable, values in {'flask_app_environment': environment, 'flask_app_secrets': secrets}.items():
        names = [str(name) for name in values if not re.fullmatch('[A-Za-z_][A-Za-z0-9_]*', str(name))]
        if names:
            found.append(f"{variable}: names must be letters, digits and `_`, the first no digit, got '{', '.join(names)}'.")
        others = [str(name) for name, value in values.items() if not is_value(value)]
        if others:
            found.append(f"{variable}: values must be texts or numbers, got another type for '{', '.join(others)}'. Quote the value.")
    twice = [str(name) for name in secrets if name in environment]
    if twice:
        found.append(f"flask_app_secrets: '{', '.join(twice)}' is in flask_app_environment too. Remove it there.")
    return found


class FilterModule:
    """Filter `environment_errors`; see the function."""

    def filters(self) -> dict:
        """The filters by name."""
        return {'environment_errors': errors}
