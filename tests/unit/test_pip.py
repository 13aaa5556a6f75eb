"""What uv and pip print decides whether they are run again. Recorded from uv 0.13.8, pip 21.3.1, 25.0.1 and 25.3."""

import hashlib
import subprocess
import sys

import pytest
from load_plugin import load

pip = load('plugins/filter/pip.py')
NOTHING_FOUND = (
    'ERROR: Could not find a version that satisfies the requirement good==1.0 (from versions: none)\n'
    'ERROR: No matching distribution found for good==1.0'
)
RETRYING = 'WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by '
FILE = '/files/good-1.0-py3-none-any.whl'
PAGE = 'http://127.0.0.1:18999/simple/good/'
UV_SENDING = f'  cause: Failed to fetch: {PAGE}\n  cause: error sending request for url ({PAGE})\n'
UV_DOWNLOAD = 'Using Python 3.6.15 environment at: v\nResolved 1 package in 4ms\nerror: Failed to download `good==1.0`\n'
UV_NONE = 'Using Python 3.11.7 environment at: v\nerror: No solution found when resolving dependencies\n  cause: Because '
UV_END = ', we can conclude that your requirements are unsatisfiable.'
NETWORK = {
    'uv: refused': (
        f'error: Request failed after 1 retry in 1.4s\n{UV_SENDING}  cause: client error (Connect)\n  cause: tcp connect error\n'
        '  cause: Connection refused (os error 111)'
    ),
    'uv: refused, no retries': (
        f'error: Failed to fetch: {PAGE}\n  cause: error sending request for url ({PAGE})\n  cause: client error (Connect)\n'
        '  cause: tcp connect error\n  cause: Connection refused (os error 111)'
    ),
    'uv: no such name': (
        f'error: Request failed after 1 retry in 1.6s\n{UV_SENDING}  cause: client error (Connect)\n  cause: dns error\n'
        '  cause: error resolving DNS\n  cause: failed to lookup address information: Name or service not known'
    ),
    'uv: a timeout': f'error: Request failed after 1 retry in 5.3s\n{UV_SENDING}  cause: operation timed out',
    'uv: a dead proxy': (
        f'error: Request failed after 1 retry in 1.3s\n{UV_SENDING}  cause: client error (Connect)\n'
        '  cause: tunnel error: failed to create underlying connection\n  cause: tcp connect error\n'
        '  cause: Connection refused (os error 111)'
    ),
    'uv: 503': (
        f'error: Request failed after 1 retry in 1.6s\n  cause: Failed to fetch: {PAGE}\n'
        f'  cause: HTTP status server error (503 Service Unavailable) for url ({PAGE})'
    ),
    'uv: too many requests': (
        f'error: Request failed after 1 retry in 1.0s\n  cause: Failed to fetch: {PAGE}\n'
        f'  cause: HTTP status client error (429 Too Many Requests) for url ({PAGE})'
    ),
    'uv: a file, 502': (
        f'{UV_DOWNLOAD}  cause: Request failed after 1 retry in 1.1s\n  cause: Failed to fetch: http://127.0.0.1:18999{FILE}\n'
        f'  cause: HTTP status server error (502 Bad Gateway) for url (http://127.0.0.1:18999{FILE})'
    ),
    'uv: a file cut short': (
        f'{UV_DOWNLOAD}  cause: Failed to write to the distribution cache\n  cause: error decoding response body\n'
        '  cause: request or response body error\n  cause: error reading a body from connection\n'
        '  cause: end of file before message length reached'
    ),
    'uv: a file, a timeout': (
        f'{UV_DOWNLOAD}  cause: Failed to extract archive: good-1.0-py3-none-any.whl\n'
        '  cause: I/O operation failed during extraction\n  cause: Failed to download distribution due to network timeout. Try '
        'increasing UV_HTTP_TIMEOUT (current value: 2s).'
    ),
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
    'uv: only source': (
        f'{UV_NONE}good==1.0 has no usable wheels and you require good==1.0{UV_END}\n\nhint: Wheels are required for `good` because '
        'building from source is disabled for all packages (i.e., with `--no-build`)'
    ),
    'uv: another platform': (
        f'{UV_NONE}good==1.0 has no wheels with a matching platform tag (e.g., `manylinux_2_36_x86_64`) and you require '
        f'good==1.0{UV_END}\n\nhint: Wheels are available for `good` (v1.0) on the following platform: `macosx_11_0_arm64`'
    ),
    'uv: another ABI': (
        f'{UV_NONE}good==1.0 has no wheels with a matching Python ABI tag (e.g., `cp311`) and you require good==1.0{UV_END}\n\n'
        'hint: You require CPython 3.11 (`cp311`), but we only found wheels for `good` (v1.0) with the following Python ABI tag: `cp39`'
    ),
    'uv: another Python': (
        f'{UV_NONE}the current Python version (3.6.15) does not satisfy Python>=3.13 and good==1.0 depends on Python>=3.13, we can '
        'conclude that good==1.0 cannot be used.\n         And because you require good==1.0' + UV_END
    ),
    'uv: not in the index': f'{UV_NONE}good was not found in the package registry and you require good==1.0{UV_END}',
    'uv: not in that version': f'{UV_NONE}there is no version of good==1.0 and you require good==1.0{UV_END}',
    'uv: not in the bundle': f'{UV_NONE}good was not found in the provided package locations and you require good==1.0{UV_END}',
    'uv: 401': (
        f'{UV_NONE}good was not found in the package registry and you require good==1.0{UV_END}\n\nhint: An index URL ({PAGE}) could '
        'not be queried due to a lack of valid authentication credentials (401 Unauthorized)'
    ),
    'uv: 403': (
        f'{UV_NONE}good was not found in the package registry and you require good==1.0{UV_END}\n\nhint: An index ({PAGE}) returned a '
        '403 Forbidden error. Check that the index URL is correct and the credentials are valid.'
    ),
    'uv: a file, 404': (
        f'{UV_DOWNLOAD}  cause: Failed to fetch: http://127.0.0.1:18999{FILE}\n'
        f'  cause: HTTP status client error (404 Not Found) for url (http://127.0.0.1:18999{FILE})'
    ),
    'uv: a certificate': (
        f'error: Failed to fetch: {PAGE}\n  cause: error sending request for url ({PAGE})\n  cause: client error (Connect)\n'
        '  cause: invalid peer certificate: UnknownIssuer'
    ),
    'uv: other content': (
        f'{UV_DOWNLOAD}  cause: Hash mismatch for `good==1.0`\n\n         Expected:\n           sha256:{"c5" * 32}\n\n'
        f'         Computed:\n           sha256:{"88" * 32}'
    ),
    'uv: no hash': 'error: In `--require-hashes` mode, all requirements must have a hash, but none were provided for: good==1.0',
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


@pytest.mark.parametrize('case', ['uv: only source', 'uv: another platform', 'uv: another ABI', '21.3.1: only source'])
def test_a_missing_wheel_brings_a_hint(case):
    assert 'python_venv_source_packages: [good]' in pip.hint(result(FINAL[case]))
    assert 'A bundle holds wheels only' in pip.hint(result(FINAL[case]), bundle=True)
    assert pip.hint(result(FINAL[case]), built=['good']) == ''


@pytest.mark.parametrize(
    'case, words',
    [
        ('uv: another Python', 'flask_app_python'),
        ('uv: not in the index', 'The index does not have it'),
        ('uv: not in that version', 'The index does not have it'),
        ('uv: a file, 404', 'The index does not have it'),
        ('uv: not in the bundle', '`make bundle`'),
        ('uv: 401', 'The index refuses access'),
        ('uv: 403', 'The index refuses access'),
        ('uv: a certificate', 'python_venv_index_certificate'),
        ('uv: other content', 'than the one that was locked'),
        ('uv: refused', 'Check the network'),
        ('uv: a dead proxy', 'the proxy'),
        ('uv: a timeout', 'python_venv_timeout'),
        ('uv: a file, a timeout', 'python_venv_timeout'),
    ],
)
def test_other_errors_bring_one_hint(case, words):
    found = pip.hint(result((NETWORK | FINAL)[case]))
    assert words in found and found.startswith(' ') and 'only as source' not in found


@pytest.mark.parametrize('said', ["cannot import name 'Feature'", 'use_2to3 is invalid.', 'a.c:924: error: lvalue required as'])
def test_a_version_that_is_too_old_to_be_built_brings_a_hint(said):
    text = f"  {said}\n  [end of output]\n\nERROR: Failed to build 'good' when getting requirements to build wheel"
    assert 'Lock a newer version of it' in pip.hint(result(text), built=['good'])


def test_commands_of_a_compiler_are_not_shown():
    text = 'gcc -O2 -c a.c\nx86_64-linux-gnu-gcc -c b.c\n  copying a.py -> build\na.c:3: fatal error: x.h: No such file or directory\n'
    assert pip.error(result(text)) == 'a.c:3: fatal error: x.h: No such file or directory'


def test_an_error_that_tells_enough_brings_none():
    assert pip.hint(result(FINAL['uv: no hash'])) == ''
    assert pip.hint(result(FINAL['21.3.1: other content, after a retry'])) == ''
    assert pip.hint({'rc': 2, 'msg': 'no such command'}) == ''


def test_errors_are_short_and_without_passwords():
    said = pip.error(result('\n'.join(['x' * 80] * 5000 + ['ERROR: https://user:hidden@a.example/simple'])))
    assert 'https://***@a.example' in said and 'hidden' not in said and len(said) < 5000


def test_errors_are_without_noise():
    lines = ["WARNING: Retrying (Retry(total=4)) after connection broken by 'x'", 'Running as unit: flask-build-1.service', 'ERROR: x']
    assert pip.error(result('\n'.join(lines))) == 'ERROR: x'
    assert pip.error(result(FINAL['uv: other content'])).startswith('error: Failed to download `good==1.0` cause: Hash mismatch for')
    assert pip.error({'rc': 2, 'msg': 'no such command'}) == 'no such command'


def test_settings_are_read_by_sh_as_they_are():
    values = {'A': "a 'b' $HOME\n", 'NOTHING': '', 'NUMBER': 5}
    shell = 'set -a; . /dev/stdin; printf "%s|%s|%s" "$A" "$NUMBER" "${NOTHING-unset}"'
    done = subprocess.run(['sh', '-euc', shell], input=pip.settings(values), stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "a 'b' $HOME\n|5|unset"


PIP = '# comment\npip==21.3.1 --hash=sha256:aa\nsetuptools==59.6.0 --hash=sha256:bb\n'


@pytest.mark.parametrize(
    'lock, version, left',
    [
        ('', '3.6.9', ['pip', 'setuptools']),
        ('Setuptools==80.0 ; python_version >= "3.12" \\\n  --hash=sha256:cc\n', '3.6.9', ['pip', 'setuptools']),
        ('Setuptools==80.0 ; python_version >= "3.12" \\\n  --hash=sha256:cc\n', '3.12.1', ['pip']),
        ('pip==25 --hash=sha256:cc\nhttps://a.example/a-1-py3-none-any.whl --hash=sha256:dd\n', '3.6.9', ['setuptools']),
    ],
)
def test_the_lock_of_pip_leaves_out_what_the_app_brings(lock, version, left):
    found = pip.seed(PIP, lock, version, 'x86_64').splitlines()
    assert [line.split('==')[0] for line in found] == left and all('--hash=sha256:' in line for line in found)


def test_a_lock_of_some_packages_keeps_their_hashes_and_the_options():
    lock = (
        '-i https://a.example\nTyping_Extensions==4 ; a \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\n    # via x\n'
        'b==1 --hash=sha256:3\n'
    )
    found = pip.only(lock, ['typing-extensions']).splitlines()
    assert [line.split() for line in found] == [
        ['-i', 'https://a.example'], ['Typing_Extensions==4', ';', 'a', '--hash=sha256:1', '--hash=sha256:2']
    ]  # fmt: skip


def test_wheels_of_the_controller_must_be_in_the_lock(tmp_path):
    wheel = tmp_path / 'a-1-py3-none-any.whl'
    wheel.write_bytes(b'content')
    digest = hashlib.sha256(b'content').hexdigest()
    assert pip.wheel_errors([str(wheel)], f'a==1 --hash=sha256:{digest}\n') == []
    (found,) = pip.wheel_errors([str(wheel)], f'a==1 --hash=sha256:{"0" * 64}\n')
    assert 'must be in the lock by hash' in found and digest in found
    found = pip.wheel_errors([str(tmp_path / 'missing.whl'), str(tmp_path)], '')
    assert len(found) == 2 and all('must be wheel files' in text for text in found)


def test_the_default_index_is_that_of_pip():
    said = subprocess.run([sys.executable, '-I', '-m', 'pip', 'install', '--help'], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert pip.default_index() in ' '.join(said.split())


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
