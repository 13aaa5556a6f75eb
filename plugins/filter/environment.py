"""Filter that checks the app's environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ansible.plugins.test.core import vault_encrypted


def is_value(value: object) -> bool:
    """Whether a value is a text, which ansible-vault may have encrypted, or a number."""
    return (isinstance(value, (str, int, float)) and not isinstance(value, bool)) or vault_encrypted(value)


def services(names: Sequence, app: str, account: str) -> dict[str, str]:
    """The environment variables that lead an app to the servers that are made for it.

    Args:
        names: flask_app_services; a name that is none of them is left out.
        app: flask_app_name.
        account: flask_app_user.
    """
    variables = {
        'postgresql': ('DATABASE_URL', f'postgresql://{account}@/{app}?host=/var/run/postgresql'),
        'redis': ('REDIS_URL', f'unix:///run/{app}-redis/redis.sock'),
    }
    return dict(variables[name] for name in variables if name in names)


def errors(environment: Mapping, secrets: Mapping, provided: Mapping = MappingProxyType({})) -> list[str]:
    """What is wrong with names and values of environment variables; the values are not shown.

    Args:
        environment: flask_app_environment.
        secrets: flask_app_secrets.
        provided: the variables of flask_app_services.
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
    for variable, values in {'flask_app_environment': environment, 'flask_app_secrets': secrets}.items():
        for name in (name for name in provided if name in values):
            service = 'postgresql' if name == 'DATABASE_URL' else 'redis'
            found.append(
                f"{variable}: '{name}' is set by flask_app_services, which has {service}. Remove it here, or, for a server elsewhere, "
                f'{service} there.'
            )
    return found


class FilterModule:
    """Filters `environment_errors` and `service_environment`; see the functions."""

    def filters(self) -> dict:
        """The filters by name."""
        return {'environment_errors': errors, 'service_environment': services}
