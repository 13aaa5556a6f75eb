"""The candidate's service, whatever state an earlier run has left it in."""

import os

import pytest
from release.errors import Failure, Unhealthy
from release.systemd import Candidates, systemctl


@pytest.fixture
def candidates(services):
    return Candidates('shop', 0.5)


def test_a_failure_shows_what_systemctl_said(services):
    services.set('fails-start', 'Unit x is masked.\n\xff')
    with pytest.raises(Failure) as caught:
        systemctl('start', 'x')
    assert str(caught.value).startswith('`systemctl start x` failed: Unit x is masked.')


def test_one_that_hangs(services):
    services.set('slow-start')
    with pytest.raises(Failure) as caught:
        systemctl('start', 'x', timeout=0.1)
    assert str(caught.value) == '`systemctl start x` has not ended in 0.1 s.'


def test_start_and_stop(services, candidates, make_release):
    make_release('b')
    candidates.start('b')
    assert candidates.running() == ['b'] and candidates.pid('b') > 0
    candidates.stop('b')
    assert candidates.running() == []
    assert not [call for call in services.calls() if 'daemon-reload' in call]


def test_a_changed_unit_file_is_read_first(services, candidates, make_release):
    services.set('changed')
    make_release('b')
    candidates.start('b')
    verbs = [call.split()[0] for call in services.calls()]
    assert verbs == ['show', 'daemon-reload', 'start']


@pytest.mark.parametrize(
    'files', [{'failed': ''}, {'inactive': ''}, {'ending': '\n' * 9}, {'pid': ''}, {'pid': str(os.getpid()), 'restarts': '1'}]
)
def test_one_that_does_not_run_is_unhealthy(services, candidates, files):
    services.add('b', **files)
    with pytest.raises(Unhealthy) as caught:
        candidates.pid('b')
    assert str(caught.value) == 'its gunicorn ended'


def test_one_that_nobody_knows_is_unhealthy(candidates):
    with pytest.raises(Unhealthy):
        candidates.pid('b')


def test_stop_waits_for_one_that_is_ending_already(services, candidates):
    services.add('b', ending='\n' * 3)
    candidates.stop('b')
    assert candidates.running() == []


def test_one_that_never_ends(services, candidates):
    services.add('b', ending='\n' * 1000)
    with pytest.raises(Failure) as caught:
        candidates.stop('b')
    assert str(caught.value) == 'shop-next@b.service has not ended in 0.5 s.'


def test_what_has_failed_is_forgotten(services, candidates):
    services.add('b', failed='')
    services.add('c', failed='')
    assert sorted(candidates.running()) == ['b', 'c']
    services.set('leaves-failed')
    candidates.stop_all()
    assert candidates.running() == []


def test_one_that_is_loaded_only_does_not_run(services, candidates):
    services.add('b', inactive='')
    assert candidates.running() == []
    services.set('fails-reset-failed', 'Unit shop-next@b.service not loaded.')
    candidates.stop('b')


def test_warnings_are_no_units_and_no_properties(services, candidates, make_release):
    services.set('warns')
    make_release('b')
    assert candidates.running() == []
    candidates.start('b')
    assert candidates.running() == ['b'] and candidates.pid('b')
    candidates.stop_all()


def test_abort_is_quick(services, candidates, make_release):
    make_release('b', beside={'stubborn': True})
    candidates.start('b')
    candidates.abort('b')
    assert candidates.running() == [] and services.calls()[2].startswith('kill --signal=QUIT')


def test_abort_goes_on_without_the_quick_way(services, candidates, make_release):
    services.set('fails-kill', 'Failed to kill unit')
    make_release('b')
    candidates.start('b')
    candidates.abort('b')
    assert candidates.running() == []


def test_its_log(services, candidates):
    (services.folder / 'shop-next@b.service.log').write_text('ValueError: x\n')
    assert candidates.log('b', 7) == 'ValueError: x'


