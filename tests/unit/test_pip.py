"""What pip prints decides whether it is run again. Recorded from pip 9.0.1, 21.3.1, 25.0.1 and 25.3."""

import subprocess

import pytest
from load_plugin import load

pip = load('plugins/filter/pip.py')
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


def result(stderr, rc=1):
    """What a command returned."""
    return {'rc': rc, 'stderr': stderr, 'stderr_lines': stderr.splitlines(), 'msg': 'non-zero return code'}


@pytest.mark.parametrize('case', NETWORK)
def test_network_errors_are_retried(case):
    assert pip.should_retry(result(NETWORK[case])) is True


@pytest.mark.parametrize('case', FINAL)
def test_final_errors_are_not_retried(case):
    assert pip.should_retry(result(FINAL[case])) is False


@pytest.mark.parametrize('case', NETWORK)
def test_success_after_network_errors_is_not_retried(case):
    assert pip.should_retry(result(NETWORK[case], rc=0)) is False


@pytest.mark.parametrize('case', ['9: only source', '21.3.1: only source'])
def test_a_missing_wheel_brings_a_hint(case):
    assert 'python_venv_source_packages: [good]' in pip.hint(result(FINAL[case]))
    assert 'A bundle holds wheels only' in pip.hint(result(FINAL[case]), bundle=True)
    assert pip.hint(result(FINAL[case]), built=['good']) == ''


def test_other_errors_bring_no_hint():
    assert pip.hint(result(NETWORK['21.3.1: refused'])) == ''
    assert pip.hint(result(FINAL['9: other content'])) == ''
    assert pip.hint({'rc': 2, 'msg': 'no such command'}) == ''


def test_errors_are_short_and_without_passwords():
    said = pip.error(result('\n'.join(['x' * 80] * 5000 + ['ERROR: https://user:hidden@a.example/simple'])))
    assert 'https://***@a.example' in said and 'hidden' not in said and len(said) < 5000


def test_errors_are_without_noise():
    lines = ["WARNING: Retrying (Retry(total=4)) after connection broken by 'x'", 'Running as unit: flask-build-1.service', 'ERROR: x']
    assert pip.error(result('\n'.join(lines))) == 'ERROR: x'
    assert pip.error({'rc': 2, 'msg': 'no such command'}) == 'no such command'


def test_settings_are_read_by_sh_as_they_are():
    values = {'A': "a 'b' $HOME\n", 'NOTHING': '', 'NUMBER': 5}
    shell = 'set -a; . /dev/stdin; printf "%s|%s|%s" "$A" "$NUMBER" "${NOTHING-unset}"'
    done = subprocess.run(['sh', '-euc', shell], input=pip.settings(values), stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "a 'b' $HOME\n|5|unset"


def test_wheels_of_a_lock():
    lock = '# comment\npip==21.3.1 --hash=sha256:aa\nsetuptools==59.6.0 --hash=sha256:bb\n'
    assert pip.wheels(lock) == ['pip-21.3.1-py3-none-any.whl', 'setuptools-59.6.0-py3-none-any.whl']


def test_names_are_normalized():
    assert pip.names(['Flask', 'Typing.Extensions', 'typing__extensions']) == ['flask', 'typing-extensions']


@pytest.mark.parametrize(
    'lock, words',
    [
        ('a==1 --hash=sha256:1\n-r https://user:hidden@a.example/r.txt\n', ['must not refer to files', '-r https://***@a.example/r.txt']),
        ('a==1 --hash=sha256:1\n./local\n', ['must not refer to files']),
        ('a==1\n', ['must have hashes']),
        ('', ['must have hashes']),
        ('-i https://a.example \\\n  --no-bin gunicorn\na==1 --hash=sha256:1\n', ['--no-binary']),
        ('--only-binary :none: \na==1 --hash=sha256:1\n', ['--only-binary']),
        ('a @ https://user:hidden@a.example/a.whl --hash=sha256:1\nx@file:///x.whl --hash=sha256:1\n', ["got 'file:///x.whl'"]),
        ('x @ git+https://user:hidden@a.example/x --hash=sha256:1\n', ["got 'git+https://***@a.example/x'"]),
        ('# via x.zip from https://a.example/x.zip\na==1 --hash=sha256:1\n', None),
    ],
)
def test_locks_that_are_refused(lock, words):
    found = pip.lock_errors(lock, '/lock')
    assert len(found) == (words is not None)
    assert all('/lock' in text and 'hidden' not in text and all(word in text for word in words) for text in found)


LOCK = 'Flask==3.1.3 --hash=sha256:1\ntyping_extensions==4 --hash=sha256:2\n'


@pytest.mark.parametrize(
    'packages, lock, urls, bundle, words',
    [
        (['flask', 'Typing.Extensions'], LOCK, ['', 'https://a.example'], False, None),
        ([], LOCK, ['https://user:hidden@a.example'], True, None),
        (['flask', 'missing'], LOCK, [], False, "must be in the lock, python_venv_requirements, got 'missing'"),
        ([':all:'], LOCK + ':all:', [], False, "must be names of packages, got ':all:'"),
        (['flask'], LOCK, ['', 'https://user:hidden@a.example/'], False, 'would see the password of https://***@a.example/'),
        (['flask'], LOCK + '-i https://user:hidden@b.example/', [], False, 'would see the password of https://***@b.example/'),
        (['flask'], LOCK, [], True, 'a bundle holds wheels only'),
    ],
)
def test_source_packages_that_are_refused(packages, lock, urls, bundle, words):
    found = pip.source_errors(packages, lock, urls, bundle)
    assert bool(found) == (words is not None)
    assert words is None or any(words in text for text in found)
    assert not any('hidden' in text for text in found)


def test_passwords_are_hidden():
    assert pip.hide_passwords('http://user:a b@host/x and //t@h') == 'http://***@host/x and //***@h'
