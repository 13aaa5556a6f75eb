"""Requests to package indexes and mirrors, whose URLs may have a user's name and password. Runs on Python 3.6."""

import os
from urllib.parse import unquote, urlsplit, urlunsplit

from ansible.module_utils.urls import open_url

ARGUMENTS = {
    'certificate': {'type': 'path'},
    'trusted_hosts': {'type': 'list', 'elements': 'str', 'default': []},
    'proxy': {'type': 'str', 'default': '', 'no_log': True},
    'no_proxy': {'type': 'list', 'elements': 'str', 'default': []},
}


def split(url):
    """A URL without its credentials, the user and the password, each '' where there is none."""
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition('@')
    user, _, password = credentials.partition(':')
    return urlunsplit(parts._replace(netloc=host)), unquote(user), unquote(password)


def secrets(urls):
    """The secret parts of URLs, encoded and decoded; a user's name counts only where it stands alone, as tokens do."""
    found = set()
    for url in urls:
        credentials = urlsplit(url).netloc.rpartition('@')[0]
        _, user, password = split(url)
        found.update([credentials, credentials.partition(':')[2], password or user])
    return {text for text in found if text}


def prepare(module, urls):
    """Hides the secret parts of the URLs only, because errors could not be understood without the rest; sets the proxy."""
    given = module.params
    module.no_log_values.clear()
    module.no_log_values.update(secrets([*urls, given['proxy']]))
    if given['proxy']:
        os.environ.update(http_proxy=given['proxy'], https_proxy=given['proxy'], no_proxy=','.join(given['no_proxy']))


def request(url, given, timeout, everywhere=True):
    """Opens a URL with the credentials that are in it.

    Args:
        url: the URL.
        given: values of ARGUMENTS.
        timeout: seconds for the connection and for each part of the answer.
        everywhere: whether they also go to where the server redirects to. Stores that sign their URLs refuse others' credentials.
    """
    clean, user, password = split(url)
    parts = urlsplit(clean)
    return open_url(
        clean,
        timeout=timeout,
        url_username=user or None,
        url_password=password or None,
        force_basic_auth=bool(user),
        unredirected_headers=[] if everywhere else ['Authorization'],
        http_agent='apt, pip',
        ca_path=given['certificate'] or None,
        validate_certs=not {parts.hostname, parts.netloc} & set(given['trusted_hosts']),
    )


def reason(error):
    """An error as a text."""
    return str(error).strip('<>') or type(error).__name__
