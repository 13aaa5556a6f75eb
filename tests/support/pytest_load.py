"""A pytest plugin for tests that change a machine under load.

Prints the figures of the tests and of every load at the end of pytest's output, and the skipped tests with their reasons.
"""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

GENERATOR = Path(__file__).with_name('load.py')
FIGURES = pytest.StashKey[list]()
LATE = 50  # milliseconds


def pytest_configure(config):
    config.stash[FIGURES] = []


def pytest_terminal_summary(terminalreporter, config):
    terminalreporter.section('figures')
    for report in terminalreporter.getreports('skipped'):
        terminalreporter.write_line(f'SKIPPED {report.nodeid}: {report.longrepr[2]}')
    for line in config.stash[FIGURES]:
        terminalreporter.write_line(line)


def judge_times(*results):
    """Skips the rest of a test, its limits on times, if the load generator was behind its schedule.

    Then the controller is too busy to judge times. Call it after everything else of the test was checked.
    """
    late = max(result['late'] for result in results)
    if late >= LATE:
        pytest.skip(f'all but the times was checked: the load was up to {late:.0f} ms late, so this machine is too busy to judge them')


@pytest.fixture(scope='session')
def figures(pytestconfig):
    """The lines that are printed at the end, to which tests can append."""
    return pytestconfig.stash[FIGURES]


@pytest.fixture(scope='session')
def load(figures, tmp_path_factory):
    """Sends requests to a URL while a block runs: `with load(name, url, *options) as result`, with load.py's options.

    `result` has the figures after the block.
    """

    @contextlib.contextmanager
    def put(name, url, *options):
        stop = tmp_path_factory.mktemp('load') / 'stop'
        command = [sys.executable, GENERATOR, url, '--seconds=600', f'--until={stop}', *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        result = {}
        try:
            time.sleep(0.5)
            yield result
            time.sleep(0.5)
        finally:
            stop.touch()
            result.update(json.loads(process.communicate()[0]))
            figures.append(f'{name}: {json.dumps(result)}')

    return put
