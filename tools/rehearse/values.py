"""Decides which environment variables of the app reach the rehearsal machine, and with which values."""

from __future__ import annotations

import re
from pathlib import Path

from tools.new import detect
from tools.new.settings import Setting
from tools.new.vault import random_secret

from .errors import Stopped
from .settings import FILE

NAME = re.compile(
    r'(^|_)(KEYS?|TOKENS?|SECRETS?|PASSWORDS?|PASSWD|PASS|PWD|DSN|UR[LI]S?|HOSTS?|SERVERS?|ADDR|ADDRESS|ADDRESSES|ENDPOINTS?|BROKERS?|'
    r'WEBHOOKS?|CREDENTIALS?|SALT|PEPPER)$'
)
# schemes of what is on the machine itself
LOCAL_URL = re.compile(r'(sqlite[+\w]*|file|memory|null|cachelib|simple)://(/.*)?')
URL = re.compile(r'\w[\w+.-]*://[^/\s]')
DOMAIN = r'([a-z0-9-]+\.)+(com|net|org|io|cn|de|eu|uk|app|dev|cloud|local|internal|intranet|lan|corp|home|example|test)'
ADDRESS = re.compile(rf'\d+(\.\d+){{3}}(:\d+)?|\[?[0-9a-f]*:[0-9a-f:]+\]?|[\w.-]+:\d{{2,5}}|\S+@\S+|{DOMAIN}(:\d+)?(/\S*)?', re.IGNORECASE)
KEY = re.compile(r'(?=\S*\d)(?=\S*[A-Za-z])[A-Za-z0-9+_=-]{24,}')


def is_foreign(name: str, value: object, domains: list[str]) -> bool:
    """Whether an environment variable looks like an address or a key.

    Args:
        name, value: the variable's.
        domains: the app's own names, which the rehearsal machine serves too.
    """
    text = str(value).strip()
    if isinstance(value, bool) or text == '' or text in domains or LOCAL_URL.fullmatch(text):
        return False
    parts = re.split(r'[,\s]+', text)
    return bool(NAME.search(name.upper())) or any(URL.search(part) or ADDRESS.fullmatch(part) or KEY.fullmatch(part) for part in parts)


def is_generated(name: str) -> bool:
    """Whether any random value will do, as for SECRET_KEY."""
    return Setting(name, '', 1).generated


def read_by(folder: str) -> set[str]:
    """The variables without which an app's code fails, and the secrets that it reads, as far as `make new` sees them."""
    app = detect.look(Path(folder)) if folder else detect.App()
    settings = [*app.settings.values(), *app.provided.values()]
    return {setting.name for setting in settings if setting.need == 2 or (setting.need and setting.generated)}


def choose(environment: dict, secrets: set[str], unknown: set[str], given: dict, domains: list[str]) -> tuple[dict, dict, list[str]]:
    """The environment of the rehearsed app.

    Args:
        environment: the inventory's plain variables.
        secrets: names of its secrets.
        unknown: names of variables whose values cannot be read here.
        given: values of rehearse.yml.
        domains: the app's own names.

    Returns:
        The plain variables, the secrets, and the names of those that were generated.

    Raises:
        Stopped: variables that look like addresses or keys have no value in rehearse.yml; it names them.
    """
    plain, private, generated, missing = {}, {}, [], []
    for name in sorted({*environment, *secrets, *unknown, *given}):
        target = private if name in secrets or name in unknown else plain
        if name in given:
            target[name] = given[name]
        elif name in environment and not is_foreign(name, environment[name], domains):
            plain[name] = environment[name]
        elif is_generated(name):
            private[name] = random_secret()
            generated.append(name)
        else:
            missing.append(name)
    if missing:
        lines = '\n'.join(f'  {name}: ' for name in missing)
        raise Stopped(
            f'{", ".join(missing)}: looks like an address or a key, and has no value for the rehearsal. The inventory\'s own are not used. '
            f'Write values for a rehearsal into {FILE} beside the inventory:\n\nenvironment:\n{lines}'
        )
    return plain, private, generated
