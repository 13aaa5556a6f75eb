"""What a failed build says."""

import pytest
from load_plugin import load

build_error = load('plugins/filter/build.py').build_error


@pytest.mark.parametrize(
    'rc, last, message',
    [
        (1, 'Error: no such file', "'npm ci' failed with status 1. Its output:"),
        (127, 'sh: 1: npm: not found', "'npm ci' needs a program that the host does not have. Name its Debian package in flask_app"),
        (1, 'Finished with result: timeout', "'npm ci' did not end within flask_app_build_timeout, 60 s."),
        (1, 'Finished with result: oom-kill', "'npm ci' needed more memory than flask_app_build_memory allows."),
    ],
)  # fmt: skip
def test_the_command_and_what_helps(rc, last, message):
    output = f'Running as unit: flask-build-shop.service\n$ true\n$ npm ci\n{last}\nFinished with result: exit-code'
    text = build_error({'rc': rc, 'stdout': output}, 60)
    assert text.startswith(f'flask_app_build_commands: {message}')
    assert last in text.splitlines() and 'Running as unit' not in text


def test_the_end_of_a_long_output_is_shown():
    text = build_error({'rc': 1, 'stdout': '$ make\n' + 'line\n' * 500 + 'the reason'}, 60)
    assert len(text.splitlines()) == 41 and text.endswith('the reason')
