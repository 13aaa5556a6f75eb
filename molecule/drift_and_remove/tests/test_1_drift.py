"""The drift command names each manual change and nothing else, and a run of the playbook undoes it."""

import re

import pytest
from conftest import drift, listing
from machine import play

testinfra_hosts = ['ansible://app']

SITE_PACKAGES = '$(echo /srv/flaskrandom/current/lib/python3*/site-packages)'
# manual change: pattern of what the command prints for it
CHANGES = {
    'sed -i "s/server_name _/server_name other/" /etc/nginx/sites-available/default': '/etc/nginx/sites-available/default$',
    'echo "# note" >>/etc/supervisor/conf.d/flaskrandom.conf': '/etc/supervisor/conf.d/flaskrandom.conf$',
    'supervisorctl stop flaskrandom': r'the program flaskrandom does not run [0-9a-f]+ \(state: stopped',
    'dpkg --remove --force-depends python3-venv': 'would install: python3-venv$',
    'chmod 0644 /srv/flaskrandom/secrets/*.json': '/srv/flaskrandom/secrets/[0-9a-f]+.json$',
    'chmod 0755 /srv/flaskrandom/releases': '/srv/flaskrandom/releases$',
    'echo "# note" >>/srv/flaskrandom/current/app.py': '/srv/flaskrandom/releases/[0-9a-f]+/app.py: its content was changed$',
    f'rm -r {SITE_PACKAGES}/click': '/srv/flaskrandom/venvs/[0-9a-f]+/.*/site-packages/click: was removed$',
    'systemctl disable nginx': 'service nginx: active, disabled$',
    'ufw default allow incoming': 'Deny other incoming connections$',
    'systemd-run --unit=extra python3 -m http.server 9999': 'port 9999/tcp: python3',
}


@pytest.fixture(scope='module')
def changed(host):
    """Makes all the changes; returns what drift() does. Closes the port at the end."""
    for change in CHANGES:
        host.run_expect([0], 'sudo bash -c %s', change)
    yield drift()
    host.run('sudo systemctl stop extra')


def test_an_unchanged_host_has_no_drift():
    assert drift() == (0, [], {'hosts': {'app': []}, 'errors': {}})


@pytest.mark.parametrize('change', CHANGES)
def test_each_change_is_named_exactly_once(changed, change):
    assert len([what for what in changed[1] if re.search(CHANGES[change], what)]) == 1, changed[1]


def test_nothing_else_is_named(changed):
    assert changed[0] == 2
    assert len(changed[1]) == len(CHANGES), changed[1]


def test_changed_files_are_shown_as_diffs(changed):
    site = next(one for one in changed[2]['hosts']['app'] if one['what'] == '/etc/nginx/sites-available/default')
    assert '-\tserver_name other;' in site['diff'] and '+\tserver_name _;' in site['diff']
    secret = next(one for one in changed[2]['hosts']['app'] if '/secrets/' in one['what'])
    assert '0644' in secret['diff'] and '0640' in secret['diff']


def test_the_command_changes_nothing(changed, root):
    before = listing(root)
    drift()
    now = listing(root)
    # logins are logged
    assert {name for name in before | now if before.get(name) != now.get(name) and not name.startswith('/var/log/')} == set()


def test_an_error_is_not_reported_as_drift(changed):
    status, _, answer = drift('-e', 'flask_app_workers=none')
    assert status == 1
    assert 'flask_app_workers' in answer['errors']['app'][0]


def test_a_run_undoes_all_but_the_foreign_port(changed, root):
    play('playbook.yml', '--limit=app')
    status, found, _ = drift()
    assert (status, len(found)) == (2, 1) and 'port 9999/tcp' in found[0]
    root('systemctl stop extra')
    assert drift()[:2] == (0, [])
    assert root('python3 -c "import urllib.request as u; print(u.urlopen(\'http://127.0.0.1:5000/\').status)"') == '200'
