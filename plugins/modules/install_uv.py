#!/usr/bin/python
"""Ansible module: installs uv from its wheel, by hash. Runs on Python 3.6, which may have no pip."""

import hashlib
import html
import os
import re
import shutil
import zipfile
from urllib.parse import unquote, urljoin, urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.indexes import ARGUMENTS, prepare, reason, request, split

DOCUMENTATION = """
module: install_uv
short_description: Installs uv from its wheel, by hash
description:
  - Takes the wheel from a file, or fetches it from a package index. Nothing of it is used unless its hash is in the list.
  - The binary is C(uv) in the folder, which gets its name when it is complete. A folder that is there is left alone.
  - Where the index does not deliver the wheel, it warns, and C(installed) is false.
options:
  version: {type: str, required: true, description: The version.}
  machine: {type: str, required: true, description: "The architecture, as uname has it."}
  hashes: {type: list, elements: str, required: true, description: The sha256 of each wheel of that version that may be used.}
  dest: {type: path, required: true, description: The folder. Only root may be able to change it and those above it.}
  wheel: {type: path, description: The wheel; without it an index is asked.}
  index: {type: str, default: "", description: "The index's URL, such as https://index.example/simple."}
  timeout: {type: float, default: 15, description: Seconds without an answer.}
  certificate: {type: path, description: "File with the certificates to trust, where the system's are not meant."}
  trusted_hosts: {type: list, elements: str, default: [], description: "Hosts whose certificates are not checked."}
  proxy: {type: str, default: "", description: "URL of the proxy that leads to the index."}
  no_proxy: {type: list, elements: str, default: [], description: "Hosts that are reached without it."}
author: flaskrandom
"""
RETURN = """
installed: {type: bool, returned: success, description: Whether it is there now.}
"""

PAGE_LIMIT, WHEEL_LIMIT, BINARY_LIMIT = 8 << 20, 128 << 20, 512 << 20  # bytes


class Refused(Exception):
    """The wheel is not used."""


def link(index, given):
    """The URL of the wheel on an index, with the index's credentials if the file is on the same host.

    Raises:
        Refused: the index does not have it.
    """
    answer = request(index.rstrip('/') + '/uv/', given, given['timeout'])
    base = answer.geturl()
    page = answer.read(PAGE_LIMIT).decode('utf-8', 'replace')
    name = r'uv-{}-[^/]*manylinux2014_{}\.whl'.format(re.escape(given['version']), re.escape(given['machine']))
    for found in re.findall(r'''href\s*=\s*["']([^"']+)''', page):
        url = urlsplit(urljoin(base, html.unescape(found)))._replace(fragment='')
        if url.scheme in ('http', 'https') and re.fullmatch(name, unquote(url.path).rpartition('/')[2]):
            credentials, _, host = urlsplit(index).netloc.rpartition('@')
            return url._replace(netloc=credentials + '@' + host if credentials and url.netloc == host else url.netloc).geturl()
    raise Refused('it has no wheel of uv {} for {}'.format(given['version'], given['machine']))


def save(source, path, limit):
    """Copies an open file to a new one; returns the sha256.

    Raises:
        Refused: it is too large.
    """
    digest, size = hashlib.sha256(), 0
    with open(path, 'xb') as file:
        for chunk in iter(lambda: source.read(1 << 20), b''):
            size += len(chunk)
            if size > limit:
                raise Refused('it is larger than {} MB'.format(limit >> 20))
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def install(given, new):
    """Fills a new folder with uv's binary.

    Raises:
        Refused: the wheel is missing or not the one that was locked.
    """
    wheel = os.path.join(new, 'wheel')
    if given['wheel']:
        with open(given['wheel'], 'rb') as source:
            digest = save(source, wheel, WHEEL_LIMIT)
    else:
        digest = save(request(link(given['index'], given), given, given['timeout'], everywhere=False), wheel, WHEEL_LIMIT)
    if digest not in given['hashes']:
        raise Refused('the wheel has the sha256 {}, which is not in the lock'.format(digest))
    binary = os.path.join(new, 'uv')
    with zipfile.ZipFile(wheel) as files, files.open('uv-{}.data/scripts/uv'.format(given['version'])) as source:
        save(source, binary, BINARY_LIMIT)
    os.chmod(binary, 0o755)
    os.remove(wheel)


def main():
    """Runs the module."""
    module = AnsibleModule(
        argument_spec={
            'version': {'type': 'str', 'required': True},
            'machine': {'type': 'str', 'required': True},
            'hashes': {'type': 'list', 'elements': 'str', 'required': True},
            'dest': {'type': 'path', 'required': True},
            'wheel': {'type': 'path'},
            'index': {'type': 'str', 'default': '', 'no_log': True},
            'timeout': {'type': 'float', 'default': 15},
            **ARGUMENTS,
        },
    )
    given = module.params
    prepare(module, [given['index']])
    dest, new = given['dest'], given['dest'] + '.new'
    if os.path.exists(dest):
        module.exit_json(changed=False, installed=True)
    os.umask(0o022)
    os.makedirs(os.path.dirname(dest), exist_ok=True)
    shutil.rmtree(new, ignore_errors=True)
    os.mkdir(new, 0o755)
    try:
        install(given, new)
    except Exception as error:  # a broken server can cause any
        shutil.rmtree(new, ignore_errors=True)
        if given['wheel']:
            module.fail_json(msg='uv cannot be installed from {}: {}.'.format(given['wheel'], reason(error)))
        module.warn('{} does not deliver uv: {}.'.format(split(given['index'])[0], reason(error)))
        module.exit_json(changed=False, installed=False)
    os.rename(new, dest)
    module.exit_json(changed=True, installed=True)


if __name__ == '__main__':
    main()
