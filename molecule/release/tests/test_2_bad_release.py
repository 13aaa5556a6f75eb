"""A release that does not work gets no request, and the run fails with its error."""

import re

import pytest
from conftest import is_settled

# Keeps the order: pytest runs the tests with the fixture `host` before the others.
pytestmark = pytest.mark.usefixtures('host')

THREAD = 'import threading\nthreading.Timer(1, os._exit, [1]).start()\n'
HEALTH = "app.view_functions['health'] = lambda: {}\n"

# name: (code appended to the app, variables, pattern that the failed run's output must match)
BAD = {
    'syntax-error': ('def (:\n', {}, 'SyntaxError'),
    'import-error': ('raise ImportError("not today")\n', {}, 'not today'),
    'missing-dependency': ('import numpy\n', {}, 'No module named .+numpy'),
    'exits-after-1-s': (THREAD, {}, r'exited\s+with\s+code'),
    'health-answers-500': (HEALTH.format('1 / 0'), {}, 'ZeroDivisionError'),
    'health-hangs': (HEALTH.format('time.sleep(60)'), {}, 'timed out'),
    'wrong-module': ('', {'flask_app_wsgi': 'app:nothing'}, 'nothing'),
    'migration-fails': ('', {'flask_app_release_commands': ['echo no table >&2; exit 3']}, 'no table'),
    'file-unreadable': ('open("/etc/shadow")\n', {}, 'Permission denied'),
    'never-listens': ('os.fork()\ntime.sleep(60)\n', {}, r'(?s)0 of 3 workers.*app\.py.*\sin\s+<module>'),
    'needs-a-variable': ('os.environ["DATABASE"]\n', {}, 'KeyError: .+DATABASE'),
    'wrong-hash': ('', {}, 'Hash mismatch for'),
}


@pytest.mark.parametrize('kind', BAD)
def test_bad_release_gets_no_request(machine, root, figures, kind):
    code, variables, shown = BAD[kind]
    app = machine.app(kind, code)
    if kind == 'wrong-hash':
        lock = app / 'requirements.txt'
        lock.write_text(re.sub(r'(?m)(click==.*\\\n)(?:.*--hash.*\n)+', r'\1    --hash=sha256:' + '0' * 64 + '\n', lock.read_text()))
    serving, releases = machine.release(), root('ls /srv/flaskrandom/releases')
    with machine.load(f'bad release, {kind}', rate=100) as result:
        run = machine.start_deploy(app, **variables)
        status = run.wait()
    figures.append(f'bad release, {kind}: stopped after {run.seconds:.1f} s')
    assert status != 0
    assert re.search(shown, run.output), run.output
    assert result['failed'] == 0
    assert set(result['releases']) == {serving}
    assert is_settled(root)
    assert root('ls /srv/flaskrandom/releases') == releases


def test_a_good_release_works_after_bad_ones(machine):
    machine.deploy(machine.app('good-again'))
    assert machine.release() == 'good-again'


def test_a_rollback_skips_failed_releases(machine, root):
    root('flaskrandom-release rollback')
    assert machine.release() not in BAD
