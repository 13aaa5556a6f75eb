"""Jobs on a schedule: when they run, in which release, and what a deploy and a failure do to them."""

import itertools
import time

import pytest

JOBS = {
    'tick': {'command': 'echo $PROCESS_NAME >>data/tick', 'schedule': '*:*:0/2'},
    'long': {'command': 'echo begun $PWD >>data/long; sleep 12; test -d "$PWD" && echo done $PWD >>data/long', 'schedule': '*:*:0/1'},
    'bad': {'command': 'exit 3', 'schedule': '*:*:0/5'},
    'slow': {'command': 'sleep 60', 'schedule': '*:*:0/10', 'timeout': 2},
}
SETTINGS = {
    'flask_app_processes': {},
    'flask_app_jobs': JOBS,
    'flask_app_job_failure_hook': 'echo $APP $JOB $RESULT >>data/failed',
}


@pytest.fixture(scope='module')
def scheduled(shop):
    folder = shop.version()
    shop.deploy(folder, **SETTINGS)
    again = shop.deploy(folder, **SETTINGS)
    assert set(again.changed.values()) == {0}, again.output
    return shop


def seen(records, name, number):
    """Waits until a file has some lines; returns them."""
    deadline = time.monotonic() + 40
    while len(records(name)) < number:
        assert time.monotonic() < deadline, records(name)
        time.sleep(0.5)
    return records(name)


def test_jobs_run_on_time_as_the_app(scheduled, records, root):
    before = len(seen(records, 'tick', 1))
    time.sleep(6)
    assert 2 <= len(records('tick')) - before <= 4
    assert {fields[0] for fields in records('tick')} == {'tick'}
    assert root('stat -c %U /srv/shop/shared/data/tick') == 'shop'


def test_a_deploy_cuts_no_job_and_none_overlap(scheduled, shop, records):
    before = shop.release()
    begun = len(seen(records, 'long', 1))
    while records('long')[-1][0] != 'begun' or len(records('long')) == begun:
        time.sleep(0.2)
    shop.deploy(shop.version(), **SETTINGS)
    # a job of the old release may have begun during the deploy; the next one is of the new
    lines = seen(records, 'long', len(records('long')) + 3)
    assert shop.release() != before
    for begin, end in itertools.zip_longest(lines[::2], lines[1::2], fillvalue=['done', lines[-1][1]]):
        assert (begin[0], end[0]) == ('begun', 'done') and begin[1] == end[1], lines
    assert {fields[1].rpartition('/')[2] for fields in lines} == {before, shop.release()}


def test_failures_are_seen_and_told(scheduled, records, root):
    seen(records, 'failed', 3)
    told = {tuple(fields) for fields in seen(records, 'failed', 3)}
    assert told == {('shop', 'bad', 'exit-code'), ('shop', 'slow', 'timeout')}
    assert root('systemctl is-failed shop-job@bad.service', fails=True) in ('failed', 'activating', 'deactivating')


def test_a_wrong_schedule_changes_nothing(scheduled, shop):
    before = shop.release()
    run = shop.deploy(shop.version(), fails=True, **{**SETTINGS, 'flask_app_jobs': {'x': {'command': 'true', 'schedule': 'Mon..Foo'}}})
    assert 'Mon..Foo' in run.words and shop.release() == before


def test_a_job_that_is_gone_runs_no_more(scheduled, shop, root):
    shop.deploy(shop.version(), flask_app_processes={})
    assert root('systemctl list-timers --all --no-legend "shop-job@*"') == ''
    assert root('ls /etc/systemd/system | grep shop-job || true') == 'shop-job@.service'
