"""Five apps, each deployed and rolled back under load at the others, which lose no request."""

import pytest

# sudo was there before
PACKAGES = {'three': {'flask_app_packages': ['hello', 'tree', 'sudo'], 'flask_app_release_commands': ['hello && tree --version']},
            'four': {'flask_app_packages': ['hello']}}  # fmt: skip
NAMES = ['one', 'two', 'three', 'four', 'five']


def domains(names):
    return [f'{name}.test' for name in names]


def five(neighbours, **releases):
    """Five apps; by name the release that an app is to have."""
    apps = {
        name: neighbours.app(name, releases.get(name, 'first'), flask_app_domains=domains([name]), **PACKAGES.get(name, {}))
        for name in NAMES
    }
    return neighbours.inventory('five', apps)


@pytest.fixture(scope='module', autouse=True)
def installed(neighbours):
    neighbours.play('playbook.yml', five(neighbours))
    assert [neighbours.ask(name).app for name in domains(NAMES)] == NAMES


@pytest.mark.parametrize('name', NAMES)
def test_a_deploy_costs_the_others_no_request(neighbours, name):
    others = [other for other in NAMES if other != name]
    with neighbours.load(f'deploy of {name}', domains(others)):
        neighbours.play('playbook.yml', five(neighbours, **{name: 'second'}), f'--limit={name}')
    assert neighbours.ask(f'{name}.test').text.count('"second"') == 1


def test_a_deploy_of_all_costs_nobody_a_request(neighbours):
    with neighbours.load('deploy of all five', domains(NAMES)):
        neighbours.play('playbook.yml', five(neighbours, **dict.fromkeys(NAMES, 'third')))


def test_a_rollback_costs_nobody_a_request(neighbours):
    with neighbours.load('rollback of one', domains(NAMES)):
        neighbours.play('rollback.yml', five(neighbours), '--limit=one')
    assert '"second"' in neighbours.ask('one.test').text and '"third"' in neighbours.ask('two.test').text


def test_a_bad_release_stops_its_own_app_only(neighbours):
    inventory = five(neighbours, **dict.fromkeys(NAMES, 'fourth'))
    (neighbours.folder / 'apps/one/app.py').write_text('raise SystemExit("bad")\n')
    with neighbours.load('a bad release of the first', domains(NAMES)):
        _, output = neighbours.play('playbook.yml', inventory, fails=True)
    assert '"second"' in neighbours.ask('one.test').text
    assert all('"fourth"' in neighbours.ask(name).text for name in domains(NAMES[1:])), output
