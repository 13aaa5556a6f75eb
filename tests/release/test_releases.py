"""What is removed is what nothing needs, and nothing that another run works on."""

import json
import os

import pytest
from release.config import Config
from release.errors import Failure
from release.history import History
from release.releases import Releases


def age(*paths):
    for path in paths:
        os.utime(str(path), (1, 1), follow_symlinks=False)


@pytest.fixture
def releases(config):
    return Releases(config)


@pytest.fixture
def history(config, releases):
    return History(config.root / 'history.json')


@pytest.fixture
def served(make_release, releases, history):
    """Makes releases that have served, each with an environment of its own name."""

    def serve(*names):
        for name in names:
            make_release(name, environment='e' + name)
            history.record(name, manifest=releases.completed_at(name))
            history.record_served([*history.served, name])

    return serve


def left(config, folder='releases'):
    return sorted(path.name for path in (config.root / folder).iterdir())


def test_settings_are_read(releases, make_release):
    make_release('a', environment='e1')
    assert releases.settings('a')['wsgi'] == 'app:app'


@pytest.mark.parametrize('text', [None, b'', b'{', b'\xff'])
def test_an_incomplete_release_fails(releases, config, text):
    if text is not None:
        (config.releases / 'a').mkdir()
        (config.releases / 'a/.release.json').write_bytes(text)
    with pytest.raises(Failure) as caught:
        releases.settings('a')
    assert str(caught.value).startswith('There is no complete release a (') and '`shop-release list`' in str(caught.value)


def test_the_current_release_is_read(releases, config):
    assert releases.current() == ''
    config.current.symlink_to(config.releases / 'a')
    assert releases.current() == 'a'


def test_current_must_be_a_link(releases, config):
    config.current.mkdir()
    assert releases.current() == ''


def test_the_environment_of_a_release(releases, make_release, config):
    folder = make_release('a')
    assert releases.environment('a') == 'e1.1' and releases.environment('b') == ''
    assert releases.dependencies('a') == {config.root / 'venvs/e1', config.root / 'venvs/e1.1'}
    (folder / 'bin').unlink()
    assert releases.environment('a') == '' and releases.dependencies('a') == set()


def test_the_time_of_a_release(releases, make_release):
    make_release('a')
    make_release('b', manifest=False)
    assert releases.completed_at('a') > 10**18 and releases.completed_at('b') == releases.completed_at('c') == 0


def test_the_last_releases_are_kept(config, releases, history, served):
    served('a', 'b', 'c', 'd', 'e')
    releases.prune(history, {'e'})
    assert left(config) == ['c', 'd', 'e'] and history.served == ['c', 'd', 'e'] and sorted(history.releases) == ['c', 'd', 'e']
    assert left(config, 'venvs') == ['ec', 'ec.1', 'ed', 'ed.1', 'ee', 'ee.1']
    assert History(history.path).served == ['c', 'd', 'e']


def test_releases_in_use_are_kept(config, releases, history, served):
    served('a', 'b', 'c', 'd', 'e')
    releases.prune(history, {'a', '', 'e'})
    assert left(config) == ['a', 'c', 'd', 'e'] and 'ea.1' in left(config, 'venvs')


def test_shared_environments_are_kept(config, releases, history, served, make_release):
    served('a', 'b', 'c')
    make_release('d', environment='ea')
    releases.prune(history, {'c'})
    served('e', 'f')
    releases.prune(history, {'f'})
    assert left(config) == ['c', 'd', 'e', 'f'] and 'ea.1' in left(config, 'venvs') and 'eb' not in left(config, 'venvs')


def test_secrets_are_removed_with_their_last_release(config, releases, history, make_release):
    for number, name in enumerate('abcde'):
        secrets = config.root / 'secrets/{}.json'.format(min(number, 2))
        secrets.write_text('{}')
        make_release(name, secrets=str(secrets))
        history.record(name, manifest=releases.completed_at(name))
        history.record_served([*history.served, name])
    (config.root / 'secrets/new.json').write_text('{}')
    (config.root / 'secrets/old.json').write_text('{}')
    age(config.root / 'secrets/old.json', config.root / 'secrets/2.json')
    releases.prune(history, {'e'})
    assert left(config, 'secrets') == ['2.json', 'new.json']


def test_a_deploy_in_progress_is_kept(config, releases, history, served, make_release):
    served('a')
    for name in ['new', '.new.x1']:
        make_release(name, environment='en', manifest=False)
    releases.prune(history, {'a'})
    assert left(config) == ['.new.x1', 'a', 'new'] and 'en' in left(config, 'venvs')


def test_a_release_that_is_being_recreated_is_kept(config, releases, history, make_release):
    make_release('b')
    history.record('b', manifest=releases.completed_at('b') - 1, failed='status 500')
    releases.prune(history, set())
    assert left(config) == ['b']
    history.record('b', manifest=releases.completed_at('b'))
    releases.prune(history, set())
    assert left(config) == []


def test_a_release_of_an_old_history_is_removed(config, releases, history, make_release):
    make_release('b')
    history.record('b', failed='status 500')
    releases.prune(history, set())
    assert left(config) == []


def test_abandoned_releases_are_removed(config, releases, history, served, make_release):
    served('a')
    make_release('.half.x', environment='eh', manifest=False)
    (config.releases / '.file').write_text('')
    (config.releases / '.link').symlink_to('/etc')
    age(*(config.releases / name for name in ['.half.x', '.file', '.link']))
    age(config.root / 'venvs/eh', config.root / 'venvs/eh.1')
    releases.prune(history, {'a'})
    assert left(config) == ['a'] and left(config, 'venvs') == ['ea', 'ea.1'] and os.listdir('/etc')


def test_old_releases_without_an_environment_are_removed(config, releases, history, served, make_release):
    served('a', 'b')
    (config.releases / 'a/bin').unlink()
    (config.releases / 'b/bin').unlink()
    (config.releases / 'b/bin').symlink_to('/nowhere/bin')
    served('c', 'd', 'e')
    releases.prune(history, {'e'})
    assert left(config) == ['c', 'd', 'e']


def test_an_environment_that_never_served_is_kept_while_new(config, releases, history, make_release):
    make_release('a')
    age(config.root / 'venvs/e1', config.root / 'venvs/e1.1')
    history.record('a', manifest=releases.completed_at('a'), failed='status 500')
    releases.keep_environment('a')
    releases.prune(history, set())
    assert left(config) == [] and left(config, 'venvs') == ['e1', 'e1.1']
    age(config.root / 'venvs/e1', config.root / 'venvs/e1.1')
    releases.prune(history, set())
    assert left(config, 'venvs') == []


def test_a_missing_environment_is_no_error(releases, make_release, config):
    (make_release('a', environment='') / 'bin').symlink_to(config.root / 'venvs/e1/bin')
    releases.keep_environment('a')
    releases.keep_environment('b')


def test_failed_releases_are_remembered_for_a_while(releases, history, make_release):
    for name in 'abcde':
        make_release(name)
        history.record(name, manifest=releases.completed_at(name), failed='x', at=name)
    releases.prune(history, set())
    assert sorted(history.releases) == ['c', 'd', 'e'] and history.served == []


def test_folders_may_be_links(folder, values, make_release):
    # /srv may be on another disk
    (folder / 'link').symlink_to(folder / 'srv')
    config = Config('shop', dict(values, root=str(folder / 'link')))
    make_release('a')
    for name, target in [('venvs/e1', folder / 'link/venvs/e1.1'), ('releases/a/bin', folder / 'link/venvs/e1/bin')]:
        (folder / 'srv' / name).unlink()
        (folder / 'srv' / name).symlink_to(target)
    age(folder / 'srv/venvs/e1', folder / 'srv/venvs/e1.1')
    history = History(config.root / 'history.json')
    history.record_served(['a'])
    Releases(config).prune(history, {'a'})
    assert left(config, 'venvs') == ['e1', 'e1.1']


def test_files_that_another_run_removes_are_no_error(config, releases, history, served, monkeypatch):
    served('a')
    real = os.listdir

    def late(path):
        return [*real(path), '.x1'] if str(path) == str(config.releases) else real(path)

    monkeypatch.setattr(type(config.releases), 'iterdir', lambda path: (path / name for name in late(str(path))))
    releases.prune(history, {'a'})
    assert real(str(config.releases)) == ['a']


def test_release_files_of_earlier_versions(config, releases, history, served):
    served('a', 'b', 'c')
    (config.releases / 'a/.release.json').write_text(json.dumps({'wsgi': 'app:app'}))
    served('d')
    releases.prune(history, {'d'})
    assert left(config) == ['b', 'c', 'd']
