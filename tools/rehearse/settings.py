"""The file rehearse.yml beside an inventory."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from .errors import Stopped

FILE = 'rehearse.yml'
METHODS = ('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS')


@dataclass(frozen=True)
class Request:
    """A request of the load: its path with a query, its method, its headers and its body."""

    path: str
    method: str = 'GET'
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ''

    def __str__(self) -> str:
        return f'{self.method} {self.path}'


@dataclass
class Settings:
    """What rehearse.yml says; see docs/rehearse.md.

    Attributes:
        like: the machine's system, such as `debian:12`; empty for the default of `make up`.
        before: the commit of the version before, instead of the one that serves in production.
        environment: values of the app's environment variables.
        variables: values that take the place of the inventory's variables.
        paths: the load's requests beside the health path.
        rate: requests a second.
        requests: how many the search for a leak sends.
        start: seconds that a start may take.
    """

    like: str = ''
    before: str = ''
    environment: dict = field(default_factory=dict)
    variables: dict = field(default_factory=dict)
    paths: list = field(default_factory=list)
    rate: float = 20
    requests: int = 1500
    start: float = 5


# the type of each setting, and what an error says of it
TYPES = {
    'like': (str, 'a system such as debian:12'),
    'before': (str, 'a commit, branch or tag, in quotes'),
    'environment': (dict, 'names with values'),
    'variables': (dict, 'names with values'),
    'paths': (list, 'a list of paths'),
    'rate': ((int, float), 'a number from 1 to 200'),
    'requests': (int, 'a number from 100 to 1000000'),
    'start': ((int, float), 'a number of seconds'),
}
SPARE = {'path': '', 'method': 'GET', 'headers': {}, 'body': ''}
LIMITS = {'rate': (1, 200), 'requests': (100, 1_000_000), 'start': (0.1, 3600)}


def request(given: object) -> Request:
    """A request by an entry of `paths`: a path, or a mapping."""
    entry = {'path': given} if isinstance(given, str) else given
    wrong = f'{FILE}: paths must be such as /items, or {{path: /items, method: POST, headers: {{}}, body: text}}, got {given!r}.'
    if not isinstance(entry, dict) or set(entry) - set(SPARE):
        raise Stopped(wrong)
    path, method, headers, body = (entry.get(name, spare) for name, spare in SPARE.items())
    texts = [path, method, body, *([*headers, *map(str, headers.values())] if isinstance(headers, dict) else [None])]
    if not all(isinstance(text, str) for text in texts) or method not in METHODS or not re.fullmatch(r'/[!-~]*', path):
        raise Stopped(wrong)
    if any('\n' in text or '\r' in text for text in texts[3:]):
        raise Stopped(wrong)
    return Request(path, method, tuple((name, str(value)) for name, value in headers.items()), body)


def parse(values: object) -> Settings:
    """The settings by the file's contents.

    Raises:
        Stopped: a setting does not exist or has a wrong value.
    """
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise Stopped(f'{FILE} must have names with values, got {type(values).__name__}.')
    for name, value in values.items():
        if name not in TYPES:
            raise Stopped(f'{FILE}: {name} does not exist. There are {", ".join(TYPES)}.')
        kind, what = TYPES[name]
        low, high = LIMITS.get(name, (None, None))
        if not isinstance(value, kind) or isinstance(value, bool) or (low is not None and not low <= value <= high):
            shown = '' if name in ('environment', 'variables') else f', got {value!r}'
            raise Stopped(f'{FILE}: {name} must be {what}{shown}.')
    return Settings(**{**values, 'paths': [request(entry) for entry in values.get('paths', [])]})


def read(folder: Path) -> Settings:
    """The settings of the inventory in a folder; those by default where it has no rehearse.yml."""
    try:
        text = (folder / FILE).read_text()
    except FileNotFoundError:
        return Settings()
    if text.startswith('$ANSIBLE_VAULT'):
        raise Stopped(f'{folder / FILE} must not be encrypted: what is in it goes to the rehearsal machine.')
    try:
        return parse(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise Stopped(f'{folder / FILE} is no YAML: {error}') from error
