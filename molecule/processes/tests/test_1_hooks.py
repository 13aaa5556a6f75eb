"""Commands on the controller before and after a deploy."""

import pytest

LINE = 'echo {} $APP $HOST $RELEASE $REVISION $RESULT >>{}'


@pytest.fixture
def hooks(tmp_path):
    """The variables for hooks that write lines to a file, and a function that reads these."""
    file = tmp_path / 'called'
    variables = {
        'flask_app_before_deploy': [LINE.format('before', file)],
        'flask_app_after_deploy': [LINE.format('after', file), 'exit 4'],
    }
    return variables, lambda: [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def test_hooks_are_called_around_a_deploy_and_not_without_one(shop, hooks):
    variables, called = hooks
    folder = shop.version()
    run = shop.deploy(folder, **variables)
    lines = called()
    assert [line[:4] for line in lines] == [[word, 'shop', 'app', shop.release()] for word in ('before', 'after')]
    assert lines[1][-1] == 'deployed' and 'warning: flask_app_after_deploy number 2 failed with status 4.' in run.words
    again = shop.deploy(folder, **variables)
    assert called() == lines and set(again.changed.values()) == {0}


def test_a_hook_that_fails_stops_the_deploy(shop, hooks):
    variables, called = hooks
    before = shop.release()
    variables['flask_app_before_deploy'].append('exit 5')
    run = shop.deploy(shop.version(), fails=True, **variables)
    assert 'A command of flask_app_before_deploy failed' in run.words and shop.release() == before
    assert [(line[0], line[-1]) for line in called()][1:] == [('after', 'failed')]
