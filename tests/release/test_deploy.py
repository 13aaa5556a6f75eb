"""The hand-over: what serves after every way in which it can go well or wrong."""

import pytest
from release.deploy import Deployment
from release.errors import Failure


def deploy(host, release, revision=''):
    Deployment(host.config).activate(release, revision)


def failure(host, release):
    with pytest.raises(Failure) as caught:
        deploy(host, release)
    return str(caught.value)


def at_rest(host):
    """Nothing runs beside the program, and it has the traffic."""
    assert host.services.running() == []
    assert host.live == 'app/shop.sock'
    assert not (host.config.run / 'standby.sock').is_symlink()
    return True


@pytest.fixture
def first(host):
    """A host on which the release `a` serves."""
    host.make_release('a')
    deploy(host, 'a')
    return host


def test_the_first_release(host, capsys):
    host.make_release('a')
    deploy(host, 'a', 'v1')
    assert host.current == 'a' and host.get() == 'well, from a' and at_rest(host)
    history = Deployment(host.config).history
    assert history.served == ['a'] and history.facts('a')['revision'] == 'v1'
    assert capsys.readouterr().out.splitlines()[-1] == 'a serves'


def test_the_same_again_changes_nothing(first, capsys):
    process = first.supervisor.process.pid
    assert Deployment(first.config).pending('a') == []
    deploy(first, 'a')
    assert first.supervisor.process.pid == process
    assert 'a serves already' in capsys.readouterr().out


def test_a_second_release(first):
    first.make_release('b', environment='e2')
    deploy(first, 'b')
    assert first.current == 'b' and first.get() == 'well, from b' and at_rest(first)
    assert Deployment(first.config).history.served == ['a', 'b']


@pytest.mark.parametrize(
    'how, problem',
    [
        ({'status': 500}, 'status 500 instead of 200'),
        ({'body': 'ill'}, "an answer without 'well'"),
        ({'exit': 1, 'says': 'ImportError: not today'}, 'its gunicorn ended'),
        ({'dies': 0.2}, '1 of 2 workers have started the app'),
    ],
)
def test_a_bad_candidate_gets_no_request(first, how, problem):
    first.config.settle = 1
    first.make_release('b', beside=how, health={'path': '/', 'status': 200, 'text': 'well', 'timeout': 0.5})
    text = failure(first, 'b')
    assert 'The release b failed and got no request: ' in text and 'The release a serves on' in text
    assert problem in text and how.get('says', '') in text
    assert first.current == 'a' and first.get() == 'well, from a' and at_rest(first)
    assert first.releases == ['a']

