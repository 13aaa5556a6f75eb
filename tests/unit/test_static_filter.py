"""flask_app_static and flask_app_internal: what is accepted, and the locations that nginx gets."""

import pytest
from load_plugin import load

plugin = load('plugins/filter/static.py')


@pytest.mark.parametrize(
    'static, internal, says',
    [
        ({'static': 'a'}, {}, "flask_app_static: the key must be a path of URLs, such as /static, got 'static'."),
        ({'/': 'a'}, {}, "got '/'"),
        ({'/a b': 'a'}, {}, "got '/a b'"),
        ({'/.git': 'a'}, {}, "got '/.git'"),
        ({'/static': '../a'}, {}, "flask_app_static: the value for /static must be a folder of the app, such as app/static, got '../a'."),
        ({'/static': '/etc'}, {}, "got '/etc'"),
        ({'/static': '.git'}, {}, "got '.git'"),
        ({'/static': ['a']}, {}, 'must be a folder of the app'),
        ({}, {'/files': 'invoices'}, "flask_app_internal: 'invoices' must be one of flask_app_shared, or below one. Add it there."),
        ({'/a': 'a', '/a/b': 'b'}, {}, "'/a/b' is there twice, or below another one"),
        ({'/a': 'a'}, {'/a/': 'media'}, "'/a' is there twice"),
    ],
)
def test_a_mistake_is_named(static, internal, says):
    found = plugin.errors(static, internal, ['media'])
    assert len(found) == 1 and says in found[0], found


def test_no_mistake():
    assert plugin.errors({'/static': 'app/static', '/media': 'media/public'}, {'/files': 'media/private'}, ['media']) == []


def test_a_folder_that_is_missing(tmp_path):
    (tmp_path / 'static').mkdir()
    found = plugin.missing({'/static': 'static', '/media': 'media', '/x': 'app/x'}, ['media'], str(tmp_path))
    assert found == [f"flask_app_static must name folders of the app, got 'app/x', which does not exist in {tmp_path}."]


def test_what_comes_from_the_release_and_what_is_shared():
    static, shared = {'/static/': 'app/static', '/media': 'media/public/'}, ['media', 'app/static/uploads/']
    assert plugin.released(static, shared) == {'/static/': 'app/static'}
    assert plugin.served(static, {'/files': 'private'}, [*shared, 'private']) == ['app/static/uploads', 'media', 'private']
    assert plugin.locations(static, {'/files': 'media/private'}, shared, '/srv/shop') == [
        {'url': '/media/', 'folder': '/srv/shop/shared/media/public/', 'internal': False},
        {'url': '/static/', 'folder': '', 'internal': False},
        {'url': '/static/uploads/', 'folder': '/srv/shop/shared/app/static/uploads/', 'internal': False},
        {'url': '/files/', 'folder': '/srv/shop/shared/media/private/', 'internal': True},
    ]
