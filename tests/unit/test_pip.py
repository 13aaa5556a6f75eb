"""What pip says decides whether it is tried again. All of it was said by pip 9.0.1, 21.3.1, 25.0.1 or 25.3."""

from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

ROOT = Path(__file__).parents[2]
NOTHING_FOUND = (
    'ERROR: Could not find a version that satisfies the requirement good==1.0 (from versions: none)\n'
    'ERROR: No matching distribution found for good==1.0'
)
RETRYING = 'WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by '
FILE = '/files/good-1.0-py3-none-any.whl'
NETWORK = {
    '9: refused': (
        "  Retrying (Retry(total=0, connect=None, read=None, redirect=None)) after connection broken by 'NewConnectionError('"
        '<pip._vendor.requests.packages.urllib3.connection.HTTPConnection object at 0x7ff7aa8f05d0>: Failed to establish a new '
        "connection: [Errno 111] Connection refused',)': /simple/good/\n"
        '  Could not find a version that satisfies the requirement good==1.0 (from -r r.txt (line 1)) (from versions: )\n'
        'No matching distribution found for good==1.0 (from -r r.txt (line 1))'
    ),
    '9: a timeout': (
        "  Retrying (Retry(total=0, connect=None, read=None, redirect=None)) after connection broken by 'ReadTimeoutError("
        "\"HTTPConnectionPool(host='127.0.0.1', port=18999): Read timed out. (read timeout=2.0)\",)': /hang/simple/good/\n"
        'No matching distribution found for good==1.0 (from -r r.txt (line 1))'
    ),
    '9: 503': (
        "pip._vendor.requests.exceptions.RetryError: HTTPConnectionPool(host='127.0.0.1', port=18999): Max retries exceeded with "
        "url: /s503/simple/good/ (Caused by ResponseError('too many 503 error responses',))"
    ),
    '9: a file, 502': f'  HTTP error 502 while getting http://127.0.0.1:18999{FILE} (from http://127.0.0.1:18999/f502/simple/good/)',
    '21.3.1: refused': (
        f"{RETRYING}'NewConnectionError('<pip._vendor.urllib3.connection.HTTPConnection object at 0x7fbbe121bf90>: Failed to "
        f"establish a new connection: [Errno 111] Connection refused',)': /simple/good/\n{NOTHING_FOUND}"
    ),
    '21.3.1: no such name': (
        f"{RETRYING}'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7fe7ab8e4150>: Failed to "
        f"establish a new connection: [Errno -2] Name or service not known',)': /simple/good/\n{NOTHING_FOUND}"
    ),
    '21.3.1: reset': (
        f"{RETRYING}'ProtocolError('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))': "
        f'/reset/simple/good/\n{NOTHING_FOUND}'
    ),
    '21.3.1: a file, 502': (
        f'  ERROR: HTTP error 502 while getting http://127.0.0.1:18999{FILE} (from http://127.0.0.1:18999/f502/simple/good/)\n'
        f'ERROR: Could not install requirement good==1.0 from http://127.0.0.1:18999{FILE} (from -r r.txt (line 1)) because of '
        f'HTTP error 502 Server Error: Bad Gateway for url: http://127.0.0.1:18999{FILE}'
    ),
    '21.3.1: build tools, reset': (
        '  ERROR: Command errored out with exit status 1:\n'
        '   command: /venv/bin/python /venv/lib/python3.6/site-packages/pip install --ignore-installed --no-user --prefix /tmp/x\n'
        f"  {RETRYING}'ProtocolError('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))': /setuptools/\n"
        '  ERROR: No matching distribution found for setuptools>=40.8.0\n'
        'ERROR: No matching distribution found for compiled==1.0'
    ),
    '25.0.1: a timeout': (
        f"{RETRYING}'ReadTimeoutError(\"HTTPConnectionPool(host='127.0.0.1', port=18999): Read timed out. (read timeout=2.0)\")': "
        f'/hang/simple/good/\n{NOTHING_FOUND}'
    ),
    '25.0.1: a file, 503': (
        "ERROR: Could not install packages due to an OSError: HTTPConnectionPool(host='127.0.0.1', port=18999): Max retries "
        f"exceeded with url: /f503{FILE} (Caused by ResponseError('too many 503 error responses'))"
    ),
    '25.3: a file cut short': (
        '  WARNING: Attempting to resume incomplete download (500 bytes/8.7 kB, attempt 5)\n'
        'error: incomplete-download\n\n'
        '\xd7 Download failed after 6 attempts because not enough bytes were received (500 bytes/8.7 kB)'
    ),
    '25.3: build tools, reset': (
        '  error: subprocess-exited-with-error\n  \n  \xd7 installing build dependencies for compiled did not run successfully.\n'
        f"      {RETRYING}'ProtocolError('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))': /setuptools/\n"
        '      ERROR: No matching distribution found for setuptools>=40.8.0\n'
        "ERROR: Failed to build 'compiled' when installing build dependencies for compiled"
    ),
}
HASHES = 'THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package versions, please'
FINAL = {
    '9: only source': 'No matching distribution found for good==1.0 (from -r r.txt (line 1))',
    '9: other content': f'{HASHES} update the hashes.',
    '21.3.1: only source': NOTHING_FOUND,
    '21.3.1: no hash': 'ERROR: Hashes are required in --require-hashes mode, but they are missing from some requirements.',
    '21.3.1: a file, 404': f'  ERROR: HTTP error 404 while getting http://127.0.0.1:18999{FILE}',
    '21.3.1: other content, after a retry': f"{RETRYING}'ProtocolError('Connection aborted.')': /simple/good/\nERROR: {HASHES}",
    '21.3.1: setup.py fails, after a retry': (
        f"{RETRYING}'ProtocolError('Connection aborted.')': /simple/good/\n  ERROR: Command errored out with exit status 1:\n"
        '   command: /venv/bin/python /venv/pip/_vendor/pep517/in_process/_in_process.py get_requires_for_build_wheel /tmp/x\n'
        '  Error: pg_config executable not found.\nERROR: No matching distribution found for good==1.0'
    ),
    '21.3.1: the compiler fails': "  error: command 'gcc' failed with exit status 1\n  ERROR: Failed building wheel for compiled",
    '25.0.1: setup.py fails': (
        '  \xd7 Getting requirements to build wheel did not run successfully.\n  │ exit code: 1\n'
        '      Error: pg_config executable not found.\n'
    ),
    '25.3: a certificate': (
        f"{RETRYING}'SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed'))': /simple/x/\n"
        "Could not fetch URL https://a.example/simple/x/: HTTPSConnectionPool(host='a.example', port=443): Max retries exceeded with "
        f'url: /simple/x/ (Caused by SSLError(SSLCertVerificationError(1)))\n{NOTHING_FOUND}'
    ),
}


@pytest.fixture(scope='module')
def template():
    """A function from what pip said and the name of a variable to its value."""
    init_plugin_loader()
    texts = yaml.safe_load((ROOT / 'roles/python-venv/vars/main/pip.yml').read_text())

    def value_of(stderr, name, rc=1):
        said = {'rc': rc, 'stderr': stderr, 'stderr_lines': stderr.splitlines()}
        return Templar(DataLoader(), variables={**texts, 'said': said}).template('{{ ' + name + ' }}')

    return value_of


@pytest.mark.parametrize('case', NETWORK)
def test_a_network_error_is_tried_again(template, case):
    assert template(NETWORK[case], '__python_venv_pip_again') is True


@pytest.mark.parametrize('case', FINAL)
def test_what_will_be_the_same_is_not_tried_again(template, case):
    assert template(FINAL[case], '__python_venv_pip_again') is False


@pytest.mark.parametrize('case', NETWORK)
def test_what_came_through_in_the_end_is_not_tried_again(template, case):
    assert template(NETWORK[case], '__python_venv_pip_again', rc=0) is False


@pytest.mark.parametrize('case', ['9: only source', '21.3.1: only source'])
def test_a_package_without_a_wheel_brings_the_variable(template, case):
    assert 'python_venv_source_packages: [good]' in template(FINAL[case], '__python_venv_pip_hint')


def test_a_network_error_brings_no_variable(template):
    assert template(NETWORK['21.3.1: refused'], '__python_venv_pip_hint') == ''


def test_no_password_is_shown_and_no_more_than_helps(template):
    said = template('\n'.join(['x' * 80] * 5000 + ['ERROR: https://user:hidden@a.example/simple']), '__python_venv_pip_said')
    assert 'https://***@a.example' in said and 'hidden' not in said and len(said) < 5000
