#!/usr/bin/python3
"""Creates a key and a self-signed certificate in one file."""

import os
import subprocess
import tempfile

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: self_signed_certificate
short_description: Creates a key and a self-signed certificate in one file
description:
  - Needs only the host's openssl command. A file that is there stays as it is.
options:
  path: {type: path, required: true, description: 'The file; root:root, mode 0600.'}
  names: {type: list, elements: str, required: true, description: Host names that the certificate is for.}
"""

# A settings file, for OpenSSL 1.1.0 has no -addext.
SETTINGS = """[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = self-signed
[extensions]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
basicConstraints = critical,CA:true
subjectAltName = {}
"""


def create(path, names):
    """Creates the file; it is there in whole or not at all.

    Args:
        path: of the file, in a folder that only root can change.
        names: host names.

    Raises:
        subprocess.CalledProcessError: openssl failed; its `output` says why.
    """
    with tempfile.TemporaryDirectory(prefix='.self-signed-', dir=os.path.dirname(path)) as folder:
        settings, new = os.path.join(folder, 'settings'), os.path.join(folder, 'certificate')
        with open(settings, 'w') as file:
            file.write(SETTINGS.format(','.join('DNS:' + name for name in names)))
        os.close(os.open(new, os.O_CREAT | os.O_WRONLY, 0o600))
        command = 'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 -days 3650'
        files = ['-config', settings, '-keyout', new, '-out', new]
        subprocess.run(command.split() + files, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
        with open(new) as file:
            os.fsync(file.fileno())
        os.rename(new, path)


def main():
    """Runs the module."""
    arguments = {'path': {'type': 'path', 'required': True}, 'names': {'type': 'list', 'elements': 'str', 'required': True}}
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    path = module.params['path']
    changed = not os.path.exists(path)
    if changed and not module.check_mode:
        try:
            create(path, module.params['names'])
        except subprocess.CalledProcessError as error:
            module.fail_json(msg='openssl could not create {}: {}'.format(path, error.output.decode('utf-8', 'replace').strip()))
    module.exit_json(changed=changed, path=path)


if __name__ == '__main__':
    main()
