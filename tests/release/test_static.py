"""Static files: those of the serving release, and of older ones as long as a rollback can reach them."""

import os

import pytest
from release.deploy import Deployment
from release.errors import Failure
from test_deploy import SHORT, deploy

STATIC = {'/static': 'app/static'}


def make(host, release, files, **values):
    """Makes a release with static files."""
    folder = host.make_release(release, static=STATIC, **values)
    for name, text in files.items():
        path = folder / 'app/static' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / 'app/static'


def published(host):
    root = host.config.root / 'static'
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob('*') if path.is_file()}


@pytest.fixture
def first(host):
    """A host on which the release `a` serves, with static files."""
    folder = make(host, 'a', {'app.11111111.js': 'a', 'style.css': 'a', 'img/logo.svg': 'a', '.hidden': 'x'})
    (folder / 'secret').symlink_to('/etc/hostname')
    (folder / 'linked').symlink_to('/etc')
    deploy(host, 'a')
    return host


def test_the_files_of_the_release_are_published(first):
    assert published(first) == {'static/app.11111111.js': 'a', 'static/style.css': 'a', 'static/img/logo.svg': 'a'}
    assert Deployment(first.config).pending_changes('a') == []
    assert os.stat(str(first.config.root / 'static/static')).st_mode & 0o777 == 0o755


def test_older_files_stay_until_no_rollback_reaches_them(first):
    for release, number in zip('bcde', '2345'):
        make(first, release, {'app.{}.js'.format(number * 8): release, 'style.css': release})
        deploy(first, release)
        Deployment(first.config).prune()
        assert published(first)['static/style.css'] == release
        assert published(first).get('static/app.11111111.js') == ('a' if release in 'bc' else None), release
    assert sorted(published(first)) == ['static/app.{}.js'.format(n * 8) for n in '345'] + ['static/style.css']
    assert not (first.config.root / 'static/static/img').exists(), 'an empty folder'


def test_a_rollback_brings_its_files_back(first):
    make(first, 'b', {'style.css': 'b'})
    deploy(first, 'b')
    Deployment(first.config).rollback()
    assert published(first)['static/style.css'] == 'a'


def test_a_bad_release_publishes_nothing(first):
    make(first, 'b', {'style.css': 'b', 'new.js': 'b'}, beside={'status': 500}, health=SHORT)
    with pytest.raises(Failure):
        deploy(first, 'b')
    assert published(first)['static/style.css'] == 'a' and 'static/new.js' not in published(first)


def test_a_release_that_cannot_be_promoted_leaves_none(first):
    make(first, 'b', {'style.css': 'b', 'new.js': 'b'}, program={'status': 500}, health=SHORT)
    with pytest.raises(Failure):
        deploy(first, 'b')
    assert published(first)['static/style.css'] == 'a' and 'static/new.js' not in published(first)


def test_a_missing_folder_fails_before_traffic(first):
    first.make_release('b', static={'/static': 'app/none'})
    with pytest.raises(Failure) as caught:
        deploy(first, 'b')
    assert "flask_app_static: the release has no folder 'app/none' for /static; a link is none." in str(caught.value)
    assert first.get() == 'well, from a'


@pytest.mark.parametrize('link', ['app', 'app/static'])
def test_a_link_to_a_shared_folder_is_no_static_folder(first, link):
    """The app could make root publish any file, by links of its own in there."""
    shared = first.config.root / 'shared/uploads'
    (shared / 'static').mkdir(parents=True)
    (shared / 'passwd').write_text('x')
    folder = first.make_release('b', static=STATIC)
    (folder / link).parent.mkdir(exist_ok=True)
    (folder / link).symlink_to(shared)
    with pytest.raises(Failure) as caught:
        deploy(first, 'b')
    assert 'a link is none' in str(caught.value) and 'static/passwd' not in published(first)


def test_a_file_takes_the_place_of_a_folder_and_back(first):
    make(first, 'b', {'img': 'b', 'style.css/x': 'b'})
    deploy(first, 'b')
    assert published(first)['static/img'] == 'b' and published(first)['static/style.css/x'] == 'b'
    Deployment(first.config).rollback()
    assert published(first)['static/img/logo.svg'] == 'a' and published(first)['static/style.css'] == 'a'


def test_a_file_that_is_gone_is_drift(first):
    (first.config.root / 'static/static/style.css').unlink()
    assert Deployment(first.config).pending_changes('a') == ['1 static files of a are not in {}'.format(first.config.root / 'static')]
    program = first.supervisor.process.pid
    deploy(first, 'a')
    assert published(first)['static/style.css'] == 'a' and first.supervisor.process.pid == program
