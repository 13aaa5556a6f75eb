"""The app's settings on this host."""

import json

import pytest
from release.config import Config, load
from release.errors import Failure


def test_a_complete_file_is_read(values, folder):
    (folder / 'shop.json').write_text(json.dumps(values))
    config = load('shop', folder)
    assert config.name == 'shop' and config.current == config.root / 'current' and config.uses_socket


def test_a_port_is_not_a_socket(values):
    assert not Config('shop', dict(values, bind='0.0.0.0:5000')).uses_socket


@pytest.mark.parametrize('text', [b'', b'{', b'{}', b'[]', b'null', b'"\xff"', b'{"root": 1}', b'{"root": null}', None])
def test_a_damaged_file_fails_with_what_to_do(folder, text):
    if text is not None:
        (folder / 'shop.json').write_bytes(text)
    with pytest.raises(Failure) as caught:
        load('shop', folder)
    assert str(caught.value).startswith('Cannot read {}: '.format(folder / 'shop.json'))
    assert str(caught.value).endswith('Deploy the app again.')
