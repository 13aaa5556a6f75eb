"""Names and values of environment variables are checked, and no value is shown."""

import pytest
from ansible.parsing.dataloader import DataLoader
from load_plugin import load

environment = load('plugins/filter/environment.py')
QUOTE = "values must be texts or numbers, got another type for 'A'. Quote the value."
NAMES = 'names must be letters, digits and `_`, the first no digit, got'


def test_texts_numbers_and_vaulted_texts_are_right():
    loader = DataLoader()
    loader.set_vault_secrets([])
    secrets = loader.load('KEY: !vault "$ANSIBLE_VAULT;1.1;AES256"')
    assert environment.errors({'A': 'x', '_b': 1, 'C2': 1.5, 'D': ''}, secrets) == []


@pytest.mark.parametrize('variable', ['flask_app_environment', 'flask_app_secrets'])
@pytest.mark.parametrize('values, error', [
    *(({'A': value}, QUOTE) for value in [True, None, [1], {'hidden': 'x'}]),
    ({'1A': 'hidden', 'B': 'x', 'A-B': 'x'}, f"{NAMES} '1A, A-B'."),
    *(({name: 'hidden'}, f"{NAMES} '{name}'.") for name in ['', 'ä', 'A B', 'A\n', 1]),
])  # fmt: skip
def test_wrong_names_and_values_are_reported(variable, values, error):
    arguments = {'flask_app_environment': {}, 'flask_app_secrets': {}} | {variable: values}
    assert environment.errors(*arguments.values()) == [f'{variable}: {error}']
    assert 'hidden' not in error


def test_a_name_in_both_is_reported_once():
    found = environment.errors({'A': 'x', 'B': 'x'}, {'A': 'hidden', 'C': 'hidden'})
    assert found == ["flask_app_secrets: 'A' is in flask_app_environment too. Remove it there."]


def test_services_lead_the_app_to_its_own():
    assert environment.services(['redis', 'postgresql'], 'my-shop', 'shop') == {
        'DATABASE_URL': 'postgresql://shop@/my-shop?host=/var/run/postgresql',
        'REDIS_URL': 'unix:///run/my-shop-redis/redis.sock',
    }
    assert environment.services([], 'shop', 'shop') == {}


def test_a_variable_that_a_service_sets_is_refused_with_what_to_remove():
    provided = environment.services(['postgresql'], 'shop', 'shop')
    (said,) = environment.errors({'REDIS_URL': 'redis://a'}, {'DATABASE_URL': 'hidden'}, provided)
    assert said == (
        "flask_app_secrets: 'DATABASE_URL' is set by flask_app_services, which has postgresql. Remove it here, or, for a server "
        'elsewhere, postgresql there.'
    )
