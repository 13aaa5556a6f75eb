#!/usr/bin/python
"""Ansible module: finds the first of several servers that answers. Runs on Python 3.6."""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.indexes import ARGUMENTS, prepare, reason, request, split

DOCUMENTATION = """
module: first_answer
short_description: Finds the first of several servers that answers
description:
  - Asks one after the other for its files and returns the place of the first that delivers them in time.
  - If none does, asks each once more with ten times the timeout.
  - User names and passwords in the URLs appear nowhere in the output.
options:
  urls: {type: list, elements: str, required: true, description: "Base URLs, the best first."}
  paths: {type: list, elements: str, required: true, description: "What is put behind a base URL, to ask for it."}
  timeout: {type: float, default: 10, description: "Seconds in which all of a server's files must be there."}
  certificate: {type: path, description: "File with the certificates to trust, where the system's are not meant."}
  trusted_hosts: {type: list, elements: str, default: [], description: "Hosts whose certificates are not checked."}
  proxy: {type: str, default: "", description: "URL of the proxy that leads to them."}
  no_proxy: {type: list, elements: str, default: [], description: "Hosts that are reached without it."}
author: flaskrandom
"""
EXAMPLES = """
- first_answer:
    urls: [https://nearest.example/debian, https://other.example/debian]
    paths: [/dists/bookworm/InRelease]
"""
RETURN = """
index: {type: int, returned: success, description: The place of the one that answered in the list.}
"""

PATIENCE = 10  # times the timeout, in the second attempt
LIMIT = 1 << 20  # bytes that are read of a file: enough to tell a slow server


def why_not(url, given, timeout):
    """Why a server does not deliver its files in `timeout` seconds, or '' if it does; `given` are the module's options."""
    deadline = time.monotonic() + timeout
    for path in given['paths']:
        try:
            answer = request(url + path, given, max(deadline - time.monotonic(), 0.1))
            size = 0
            for piece in iter(lambda: answer.read(8192), b''):  # noqa: B023
                size += len(piece)
                if time.monotonic() > deadline:
                    return f'too slow: {size} bytes in {timeout:g} s'
                if size > LIMIT:
                    break
        except Exception as error:  # a broken server can cause any
            return f'{path}: {reason(error)}'
    return ''


def main():
    """Runs the module."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            'urls': {'type': 'list', 'elements': 'str', 'required': True, 'no_log': True},
            'paths': {'type': 'list', 'elements': 'str', 'required': True},
            'timeout': {'type': 'float', 'default': 10},
            **ARGUMENTS,
        },
    )
    given = module.params
    prepare(module, given['urls'])
    refused = {}
    for timeout in (given['timeout'], given['timeout'] * PATIENCE):
        for index, url in enumerate(given['urls']):
            why = why_not(url, given, timeout)
            if not why:
                for line in refused.values():
                    module.warn(f'{line}; taking {split(url)[0]}')
                module.exit_json(changed=False, index=index)
            refused[url] = f'{split(url)[0]} does not answer ({why})'
    module.fail_json(msg=f"None of the servers answers: {'; '.join(refused.values())}.")


if __name__ == '__main__':
    main()
