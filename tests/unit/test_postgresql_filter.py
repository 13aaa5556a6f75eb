"""Which roles and databases an app may not take."""

import pytest

from plugins.filter.postgresql import refusal

FREE = {'owner': None, 'role': None, 'mark': None, 'open': None, 'hba': '/etc/postgresql/15/main/pg_hba.conf'}
MARK = 'flask-host: the app shop'


@pytest.mark.parametrize(
    'found',
    [
        {},
        {'role': 'shop', 'mark': MARK},
        {'role': 'shop', 'mark': MARK, 'owner': 'shop'},
        # restored, without comments
        {'role': 'shop', 'owner': 'shop'},
    ],
)
def test_what_is_free_or_the_apps_own_is_taken(found):
    assert refusal({**FREE, **found}, 'shop', 'shop', MARK) == ''


@pytest.mark.parametrize(
    'found, says',
    [
        ({'owner': 'other'}, 'ALTER DATABASE "shop" OWNER TO "shop"'),
        ({'owner': 'other', 'role': 'shop', 'mark': MARK}, 'belongs to the role other'),
        ({'role': 'shop'}, 'COMMENT ON ROLE "shop" IS $$flask-host: the app shop$$'),
        ({'role': 'shop', 'mark': 'flask-host: the app blog'}, 'was made by somebody else'),
        ({'open': '12, 14'}, 'line 12, 14 has `trust`'),
    ],
)
def test_what_is_somebody_elses_is_refused(found, says):
    assert says in refusal({**FREE, **found}, 'shop', 'shop', MARK)
