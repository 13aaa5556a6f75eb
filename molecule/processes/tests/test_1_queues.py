"""Workers: no job is lost, done twice, or done by code that is gone, whatever is deployed meanwhile."""

import itertools
import os
import random
import time

import pytest
from machine import play

QUEUES = ('celery', 'rq', 'huey', 'dramatiq')
JOBS = int(os.environ.get('JOBS', '160'))
DEPLOYS = int(os.environ.get('DEPLOYS', '2'))
ROLLBACKS = int(os.environ.get('ROLLBACKS', '1'))
LONGEST = float(os.environ.get('LONGEST', '6'))  # seconds
WANTED = {'celery': 1, 'beat': 1, 'rq': 2, 'huey': 1, 'dramatiq': 1}


def names(release):
    """supervisor's names of the processes that a release has."""
    return {f'shop.{kind}@{release}:{kind}.{number}' for kind, count in WANTED.items() for number in range(1, count + 1)}


@pytest.fixture(scope='module')
def serving(shop):
    folder = shop.version()
    shop.deploy(folder)
    again = shop.deploy(folder)
    assert set(again.changed.values()) == {0}, again.output
    return shop


def test_processes_run_with_the_release(serving, programs):
    assert programs() == dict.fromkeys(names(serving.release()), 'RUNNING')


def test_processes_are_the_apps_own(serving, root):
    pids = root("supervisorctl status | awk '/^shop[.]/ {sub(\",\", \"\", $4); print $4}'").split()
    assert root(f'ps -o user= -p {",".join(pids)}').split() == ['shop'] * sum(WANTED.values())


def test_jobs_over_deploys_and_a_rollback(serving, shop, records, programs, root, load, figures):
    chance = random.Random(1)
    times = [round(min(0.1 + chance.expovariate(3), LONGEST), 2) for _ in range(JOBS // len(QUEUES))]
    jobs = [[queue, number, seconds] for queue in QUEUES for number, seconds in enumerate(times)]
    chance.shuffle(jobs)
    begun = time.monotonic()
    changes = ['deploy'] * DEPLOYS + ['rollback'] * ROLLBACKS
    portions = [jobs[place :: len(changes) + 1] for place in range(len(changes) + 1)]
    with load('jobs over deploys', shop.url, '--rate=50') as result:
        shop.enqueue(portions[0])
        for number, (change, portion) in enumerate(zip(changes, portions[1:], strict=True)):
            # one of each works for long at each change
            long = [[queue, f'long-{number}', LONGEST] for queue in QUEUES]
            jobs += long
            shop.enqueue(long + portion)
            time.sleep(1)
            if change == 'deploy':
                run = shop.deploy(shop.version())
                assert 'waiting for ' in run.words
            else:
                play('rollback.yml')
            release = shop.release()
            assert programs() == dict.fromkeys(names(release), 'RUNNING')
    deadline = time.monotonic() + 300 + JOBS / 4
    while len(records('done')) < len(jobs) and time.monotonic() < deadline:
        time.sleep(1)
    done = records('done')
    assert sorted(fields[:2] for fields in done) == sorted([queue, str(number)] for queue, number, _ in jobs), 'all, and none twice'
    assert len(records('begun')) == len(done), 'none was begun again'
    assert {fields[3] for fields in done} == {'True'}, 'none by code that was gone'
    figures.append(f'{len(jobs)} jobs, {len({fields[2] for fields in done})} releases, {time.monotonic() - begun:.0f} s')
    assert result['failed'] == 0, result


def test_a_scheduler_never_ticks_twice(serving, records):
    ticks = sorted((float(at), process) for at, process in records('ticks'))
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(ticks)]
    assert len(ticks) > 10 and min(gaps) > 0.5, sorted(gaps)[:5]
    # each process has its time: none after another one has begun
    assert len([process for process, _ in itertools.groupby(ticks, key=lambda tick: tick[1])]) == len({tick[1] for tick in ticks})
