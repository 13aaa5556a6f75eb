"""Back to the release that served before, as often as there is one, and forward again."""

import pytest

# pytest would put the tests that ask for the host before the others
pytestmark = pytest.mark.usefixtures('host')


@pytest.fixture(scope='module')
def three(machine):
    apps = {name: machine.app(name) for name in ('first', 'second', 'third')}
    for app in apps.values():
        machine.deploy(app)
    return apps


def test_rollback_twice_and_forward(machine, three):
    with machine.load('two rollbacks and a deploy') as result:
        for release in ('second', 'first'):
            run = machine.start('rollback.yml')
            assert run.wait() == 0, run.output
            assert machine.release() == release
        machine.deploy(three['third'])
        assert machine.release() == 'third'
    assert result['failed'] == 0
    assert set(result['releases']) == {'first', 'second', 'third'}


def test_list_shows_what_serves(machine, root):
    run = machine.start('releases.yml')
    assert run.wait() == 0, run.output
    current = root('basename $(readlink /srv/flaskrandom/current)')
    assert f'* {current}' in run.output


def test_rollback_ends_at_the_oldest(machine, root):
    for _ in range(6):
        oldest = machine.release()
        said = root('flaskrandom-release rollback', fails=True)
        if 'no older release' in said:
            break
        assert machine.release() != oldest
    run = machine.start('rollback.yml')
    assert run.wait() != 0
    assert 'no older release to roll back to' in run.output
    assert machine.release() == oldest


OUTAGE = """
@app.before_request
def need_a_database():
    if os.path.exists('/var/tmp/outage'):
        flask.abort(503)
"""


def test_rollbacks_in_an_outage_leave_every_target(machine, root):
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
