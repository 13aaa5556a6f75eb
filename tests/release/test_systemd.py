"""The candidate's service, whatever state an earlier run has left it in."""

import os
from pathlib import Path

import pytest
from release.errors import Failure, Unhealthy
from release.systemd import Candidates, systemctl
from standins import wait_for


@pytest.fixture
def candidates(services):
    return Candidates('shop', 10)


def test_failures_show_systemctls_output(services):
    services.set('fails-start', 'Unit x is masked.\n\xff')
    with pytest.raises(Failure) as caught:
        systemctl('start', 'x')
    assert str(caught.value).startswith('`systemctl start x` failed: Unit x is masked.')


def test_a_hanging_systemctl_fails(services):
    services.set('slow-start')
    with pytest.raises(Failure) as caught:
        systemctl('start', 'x', timeout=0.1)
    assert str(caught.value) == '`systemctl start x` has not ended in 0.1 s.'


def test_a_candidate_starts_and_stops(services, candidates, make_release):
    make_release('b')
    candidates.start('b')
    assert candidates.running() == ['b'] and candidates.pid('b') > 0
    candidates.stop('b')
    assert candidates.running() == []
    assert not [call for call in services.calls() if 'daemon-reload' in call]


def test_changed_unit_files_are_reloaded_first(services, candidates, make_release):
    services.set('changed')
    make_release('b')
    candidates.start('b')
    verbs = [call.split()[0] for call in services.calls()]
    assert verbs == ['show', 'daemon-reload', 'start']


@pytest.mark.parametrize(
    'files', [{'failed': ''}, {'inactive': ''}, {'ending': '\n' * 9}, {'pid': ''}, {'pid': str(os.getpid()), 'restarts': '1'}]
)
def test_a_stopped_candidate_is_unhealthy(services, candidates, files):
    services.add('b', **files)
    with pytest.raises(Unhealthy) as caught:
        candidates.pid('b')
    assert str(caught.value) == 'gunicorn exited'


def test_an_unknown_candidate_is_unhealthy(candidates):
    with pytest.raises(Unhealthy):
        candidates.pid('b')


def test_stop_waits_for_a_stopping_candidate(services, candidates):
    services.add('b', ending='\n' * 3)
    candidates.stop('b')
    assert candidates.running() == []


def test_a_candidate_that_never_stops_fails(services):
    services.add('b', ending='\n' * 1000)
    with pytest.raises(Failure) as caught:
        Candidates('shop', 0.5).stop('b')
    assert str(caught.value) == 'shop-next@b.service has not ended in 0.5 s.'


def test_failed_candidates_are_reset(services, candidates):
    services.add('b', failed='')
    services.add('c', failed='')
    assert sorted(candidates.running()) == ['b', 'c']
    services.set('leaves-failed')
    candidates.stop_all()
    assert candidates.running() == []


def test_a_unit_that_is_only_loaded_does_not_run(services, candidates):
    services.add('b', inactive='')
    assert candidates.running() == []
    services.set('fails-reset-failed', 'Unit shop-next@b.service not loaded.')
    candidates.stop('b')


def test_warnings_are_not_parsed(services, candidates, make_release):
    services.set('warns')
    make_release('b')
    assert candidates.running() == []
    candidates.start('b')
    assert candidates.running() == ['b'] and candidates.pid('b')
    candidates.stop_all()


def test_abort_is_quick(services, candidates, make_release, config):
    make_release('b', beside={'stubborn': True})
    candidates.start('b')
    # before, it would ignore QUIT, as all that a shell starts in the background does
    wait_for(lambda: list(Path(config.run, 'app').glob('ready-*')))
    candidates.abort('b')
    assert candidates.running() == [] and services.calls()[2].startswith('kill --signal=QUIT')


def test_abort_works_without_kill(services, candidates, make_release):
    services.set('fails-kill', 'Failed to kill unit')
    make_release('b')
    candidates.start('b')
    candidates.abort('b')
    assert candidates.running() == []


def test_the_log_of_a_candidate(services, candidates):
    (services.folder / 'shop-next@b.service.log').write_text('ValueError: x\n')
    assert candidates.log('b', 7) == 'ValueError: x'


