"""Filters for apt: what its errors mean, and lists of sources that name a mirror."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

from ansible.errors import AnsibleFilterError

LOCKED = r'(?i)could not get lock|unable to (lock|acquire)|failed to lock|locked by another process'
NETWORK = r'(?i)fetch|update apt cache'
NETWORK_ATTEMPTS = 5
# errors of apt, of dpkg and of packages' scripts, without the command line in front of them
ERRORS = r'(?:^|[\n ])(E: [^\n]*|dpkg: error[^\n]*[^\n:]|[^\n]* (?:subprocess|script) [^\n]*returned error[^\n]*)'
# what to do about an error; the first pattern that matches counts
ADVICE = {
    LOCKED: 'Another program has held the lock for ten minutes; on the host, `sudo fuser -v /var/lib/dpkg/lock-frontend '
    '/var/lib/apt/lists/lock` shows which. Let it finish, or stop it.',
    r'(?i)held (packages|broken)': 'On the host, `apt-mark showhold` lists what is held back, and `sudo apt-mark unhold NAME` releases it.',
    r'(?i)unmet dep|fix-broken': 'On the host, `sudo apt --fix-broken install` repairs that.',
    r'(?i)dpkg|reinstalled': 'On the host, `sudo dpkg --configure -a` names the broken package; `sudo apt --fix-broken install` or '
    '`sudo apt install --reinstall NAME` repairs it, or `sudo dpkg --remove --force-remove-reinstreq NAME` removes it.',
    NETWORK: 'Does the host resolve names and reach its package archive (`sudo apt update` there)? If not by itself, set mirrors_apt, '
    'mirrors_proxy, or mirrors_bundle for a host without a network.',
    r'(?i)no package matching|unable to locate': "On the host, /etc/apt/sources.list must name the distribution's own archive, and on "
    'Ubuntu its component universe.',
    '': 'On the host, `sudo apt install {names}` shows the full output.',
}

# the beginning of a source and its URLs, in a list or a deb822 file; Debian has security updates in an archive of their own
SOURCE = r'(?m)^(URIs:|deb(?:-src)?(?:[ \t]+\[[^\]\n]*\])?)[ \t]+'
URLS = r'(?:https?|mirror\S*?):\S*(?:[ \t]+(?:https?|mirror\S*?):\S*)*'
SECURITY = SOURCE + r'(?=\S*security)' + URLS
OTHERS = SOURCE + r'(?!\S*security)' + URLS
SUITES = r'(?m)^(?:Suites:|deb(?:-src)?(?:[ \t]+\[[^\]\n]*\])?[ \t]+\S+)[ \t]+(\S+)'


def text_of(result: Mapping) -> str:
    """Everything that a task's result says of an error."""
    return f"{result.get('stderr', '')}\n{result.get('msg', '')}"


def should_retry(result: Mapping) -> bool:
    """Whether a failed task may succeed if apt or dpkg is run again.

    Args:
        result: what the module `apt` or a command returned; `attempts` counts the task's attempts.

    Returns:
        True while apt is locked, and for the first NETWORK_ATTEMPTS attempts that failed to fetch something.
    """
    text = text_of(result)
    return bool(re.search(LOCKED, text) or (re.search(NETWORK, text) and result.get('attempts', 1) < NETWORK_ATTEMPTS))


def error(result: Mapping, names: Iterable[str]) -> str:
    """One line with apt's or dpkg's errors, and what to do about them.

    Args:
        result: what the failed task returned.
        names: the packages to install.
    """
    said = '; '.join(dict.fromkeys(re.findall(ERRORS, text_of(result)))) or str(result.get('msg', ''))
    said = said.strip().removesuffix('.')
    advice = next(advice for pattern, advice in ADVICE.items() if re.search(pattern, said))
    return f"{said}. {advice.format(names=' '.join(names))}"


def without_credentials(url: str) -> str:
    """A URL without `user:password@`."""
    return re.sub('//[^/]*@', '//', url)


def archive(sources: str) -> str:
    """The name of the archive in lists of sources: debian, ubuntu or ubuntu-ports."""
    found = re.search(SOURCE + r'(?:\S*/)?(ubuntu-ports|ubuntu|debian)\b', sources)
    return found.group(2) if found else 'debian'


def mirrors(urls: Iterable[str], sources: str) -> list[str]:
    """URLs of mirrors with the archive of these sources in place of `{archive}`, without a slash at the end."""
    return [url.replace('{archive}', archive(sources)).rstrip('/') for url in urls]


def probes(sources: str) -> list[str]:
    """What a mirror must have, behind its URL: the signed lists of the first suite, and of Debian's security updates."""
    suites = re.findall(SUITES, sources)
    if not suites:
        raise AnsibleFilterError("mirrors_apt needs the distribution's own lists in /etc/apt, got none. Restore them, or leave it empty.")
    found = [f'/dists/{suites[0]}/InRelease']
    if archive(sources) == 'debian' and re.search(SECURITY, sources):
        found += [f'-security/dists/{suite}/InRelease' for suite in suites if 'security' in suite][:1]
    return found


def use_mirror(text: str, url: str, name: str) -> str:
    """A list of sources with a mirror in place of its URLs.

    Args:
        text: the list, in either format.
        url: of the mirror; its credentials are left out.
        name: of the archive. Debian's security updates are beside it.
    """
    url = without_credentials(url)
    security = url + ('-security' if name == 'debian' else '')
    return re.sub(OTHERS, lambda found: f'{found.group(1)} {url}', re.sub(SECURITY, lambda found: f'{found.group(1)} {security}', text))


def auth(url: str) -> str:
    """The lines of apt's auth.conf for a URL with `user:password@`, both percent-encoded."""
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition('@')
    user, _, password = map(unquote, credentials.partition(':'))
    # since 1.9.5 apt needs the scheme unless it is https; the apt of 18.04 does not know it, and takes the next line
    machines = [f'http://{host}', host] if parts.scheme == 'http' else [host]
    return ''.join(f'machine {machine} login {user} password {password}\n' for machine in machines)


class FilterModule:
    """Filters whose names begin with `apt_`; see the functions."""

    def filters(self) -> dict:
        """The filters by name."""
        functions = (should_retry, error, archive, mirrors, probes, use_mirror, auth)
        return {f'apt_{function.__name__}': function for function in functions}
