"""What somebody changes by hand is named, and nothing else; a run of the playbook mends it."""

import re

import pytest
from conftest import drift, listing, play

testinfra_hosts = ['ansible://app']

SITE_PACKAGES = '$(echo /srv/flaskrandom/current/lib/python3*/site-packages)'
# what somebody does: what the command calls it
CHANGES = {
    'sed -i "s/server_name _/server_name other/" /etc/nginx/sites-available/default': '/etc/nginx/sites-available/default$',
    'echo "# note" >>/etc/supervisor/conf.d/flaskrandom.conf': '/etc/supervisor/conf.d/flaskrandom.conf$',
    'supervisorctl stop flaskrandom': 'the program flaskrandom is stopped, without',
    'dpkg --remove --force-depends python3-venv': 'would install: python3-venv$',
    'chmod 0644 /srv/flaskrandom/secrets/*.json': '/srv/flaskrandom/secrets/[0-9a-f]+.json$',
    'chmod 0755 /srv/flaskrandom/releases': '/srv/flaskrandom/releases$',
    'echo "# note" >>/srv/flaskrandom/current/app.py': '/srv/flaskrandom/releases/[0-9a-f]+/app.py: its content was changed$',
    f'rm -r {SITE_PACKAGES}/click': '/srv/flaskrandom/venvs/[0-9a-f]+/.*/site-packages/click: was removed$',
    'systemctl disable nginx': 'service nginx: active, disabled$',
    'ufw default allow incoming': 'Block the others$',
    'systemd-run --unit=extra python3 -m http.server 9999': 'port 9999/tcp: python3',
}


@pytest.fixture(scope='module')
def changed(host):
    """What there is to say after all the changes; at the end the port is closed."""
    for change in CHANGES:
        host.run_expect([0], 'sudo bash -c %s', change)
    yield drift()
    host.run('sudo systemctl stop extra')


def test_a_host_as_described_is_silent():
    assert drift() == (0, [], {'hosts': {'app': []}, 'errors': {}})


@pytest.mark.parametrize('change', CHANGES)
def test_each_change_is_named_once(changed, change):
    assert len([what for what in changed[1] if re.search(CHANGES[change], what)]) == 1, changed[1]


def test_nothing_else_is_named(changed):
    assert changed[0] == 2
    assert len(changed[1]) == len(CHANGES), changed[1]


def test_the_diff_is_shown(changed):
    site = next(one for one in changed[2]['hosts']['app'] if one['what'] == '/etc/nginx/sites-available/default')
    assert '-\tserver_name other;' in site['diff'] and '+\tserver_name _;' in site['diff']
    secret = next(one for one in changed[2]['hosts']['app'] if '/secrets/' in one['what'])
    assert '0644' in secret['diff'] and '0640' in secret['diff']


def test_looking_changes_nothing(changed, bash):
    before = listing(bash)
    drift()
    now = listing(bash)
    # a login is written down there
    assert {name for name in before | now if before.get(name) != now.get(name) and not name.startswith('/var/log/')} == set()


def test_an_error_is_no_drift(changed):
    status, _, answer = drift('-e', 'flask_app_workers=none')
    assert status == 1
    assert 'flask_app_workers' in answer['errors']['app'][0]


def test_a_run_mends_all_but_the_port_of_somebody_else(changed, bash):
    play('playbook.yml', '--limit=app')
    status, found, _ = drift()
    assert (status, len(found)) == (2, 1) and 'port 9999/tcp' in found[0]
    bash('systemctl stop extra')
    assert drift()[:2] == (0, [])
    assert bash('python3 -c "import urllib.request as u; print(u.urlopen(\'http://127.0.0.1:5000/\').status)"') == '200'
