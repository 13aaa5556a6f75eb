"""Rollbacks to earlier releases, and their limits."""

import pytest
from machine import play

# Keeps the order: pytest runs the tests with the fixture `host` before the others.
pytestmark = pytest.mark.usefixtures('host')


@pytest.fixture(scope='module')
def three(machine):
    """Deploys three releases; returns their folders by name."""
    apps = {name: machine.app(name) for name in ('first', 'second', 'third')}
    for app in apps.values():
        machine.deploy(app)
    return apps


def test_two_rollbacks_and_a_deploy_cost_no_request(machine, three):
    with machine.load('two rollbacks and a deploy') as result:
        for release in ('second', 'first'):
            play('rollback.yml')
            assert machine.release() == release
        machine.deploy(three['third'])
        assert machine.release() == 'third'
    assert result['failed'] == 0
    assert set(result['releases']) == {'first', 'second', 'third'}


def test_the_list_marks_the_current_release(root):
    run = play('releases.yml')
    current = root('basename $(readlink /srv/flaskrandom/current)')
    assert f'* {current}' in run.output


def test_the_oldest_release_cannot_be_rolled_back(machine, root):
    for _ in range(6):
        oldest = machine.release()
        output = root('flaskrandom-release rollback', fails=True)
        if 'no older release' in output:
            break
        assert machine.release() != oldest
    run = play('rollback.yml', fails=True)
    assert 'no older release to roll back to' in run.output
    assert machine.release() == oldest


OUTAGE = """
@app.before_request
def need_a_database():
    if os.path.exists('/var/tmp/outage'):
        flask.abort(503)
"""


def test_failed_rollbacks_during_an_outage_keep_every_release(machine, root):
    for name in ('before-the-outage', 'in-the-outage'):
        machine.deploy(machine.app(name, OUTAGE), flask_app_health_timeout=2)
    releases = root('ls /srv/flaskrandom/releases')
    root('touch /var/tmp/outage')
    try:
        for _ in range(5):
            assert 'The release is kept, because it has served before' in root('flaskrandom-release rollback', fails=True)
    finally:
        root('rm /var/tmp/outage')
    assert root('ls /srv/flaskrandom/releases') == releases
    assert machine.release() == 'in-the-outage'
    root('flaskrandom-release rollback')
    assert machine.release() == 'before-the-outage'
