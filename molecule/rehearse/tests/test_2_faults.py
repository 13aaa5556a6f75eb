"""Five planted faults of new versions: each is found, by its own name and no other."""

import pytest

LEAK = """
kept = []


@app.before_request
def leak():
    kept.append(bytearray(20000))
"""
SLOW_START = """
time.sleep(7)
"""
# a deploy waits for the requests that no worker has accepted yet; these are accepted, and last longer
LOST = """
import signal

signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))


@app.before_request
def slow():
    if flask.request.path == '/orders':
        time.sleep(3)
"""
CRASH = """
served = []


@app.before_request
def crash():
    if flask.request.path != '/health':
        served.append(1)
    if len(served) > 10:
        os._exit(1)
"""
FAULTS = {'leak': (LEAK, 1500), 'start': (SLOW_START, 100), 'lost': (LOST, 100), 'crash': (CRASH, 300)}


def rehearse(app, rehearsals, requests):
    """The findings of a rehearsal of the repository's last version, and the report."""
    app.commit('the new version')
    # nothing answers there, as if production were unreachable
    host = {'ansible_host': '127.0.0.1', 'ansible_port': 9, 'ansible_timeout': 2}
    app.write_inventory(host, requests=requests)
    report = rehearsals.run(app, 1)
    assert 'the commit before; production did not tell' in report['versions']['before']
    return {finding['kind'] for finding in report['findings']}, report


@pytest.mark.parametrize('kind', FAULTS)
def test_a_fault_is_found(kind, new_app, rehearsals):
    app = new_app(f'fault-{kind}')
    with (app.folder / 'app.py').open('a') as file:
        file.write(FAULTS[kind][0])
    found, report = rehearse(app, rehearsals, FAULTS[kind][1])
    assert found == {kind}, report


def test_a_migration_that_the_old_version_cannot_live_with_is_found(new_app, rehearsals):
    app = new_app('fault-migration')
    app.change('app.py', "COLUMN = 'name'", "COLUMN = 'title'")
    text = "import sqlite3\n\nwith sqlite3.connect('data/app.db') as database:\n    {}\n"
    move = "database.executescript('CREATE TABLE new (title TEXT); INSERT INTO new SELECT name FROM items; DROP TABLE items;"
    (app.folder / 'migrate.py').write_text(text.format(f"{move} ALTER TABLE new RENAME TO items')"))
    found, report = rehearse(app, rehearsals, 100)
    assert found == {'migration'}, report
    assert report['phases']['back']['lost'] > 0
