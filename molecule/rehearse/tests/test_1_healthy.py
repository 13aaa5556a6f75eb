"""A rehearsal of an app that serves in production: what the rehearsal machine gets of it, and what it reaches."""

import json
import subprocess

import pytest
import yaml
from machine import CHECKOUT, FOLDER, play, read_facts

SECRETS = {'SECRET_KEY': 'planted-secret-key-of-production', 'STRIPE_API_KEY': 'planted-stripe-key-of-production'}


def address(facts):
    """The address of a container in its network."""
    template = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
    done = subprocess.run(
        [facts['engine'], 'inspect', '--format', template, facts['container']], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture(scope='module')
def production(new_app):
    """An app whose first version serves on the scenario's machine, as production."""
    (facts,) = read_facts().values()
    app = new_app('shop')
    host = {
        'ansible_host': facts['address'],
        'ansible_port': facts['port'],
        'ansible_user': facts['user'],
        'ansible_ssh_private_key_file': facts['identity_file'],
        'ansible_ssh_common_args': f'-o UserKnownHostsFile={FOLDER}/known_hosts',
        'flask_app_environment': {'MODE': 'production', 'REPORT_URL': 'https://reports.example.com/in'},
    }
    app.write_inventory(host, SECRETS)
    app.served = app.git('rev-parse', '--short=12', 'HEAD')
    password = ['--vault-password-file', str(app.inventory / '.vault-password')]
    play('playbook.yml', '-i', str(app.inventory), '--limit', 'shop', *password)
    app.change('app.py', "return 'well'", "return 'well '")
    app.commit('not deployed')
    app.change('app.py', "PRODUCTION = ''", f"PRODUCTION = '{address(facts)}'")
    app.commit('the new version')
    return app


def test_a_variable_without_a_value_stops_the_rehearsal_and_is_named(production):
    done = subprocess.run(
        ['make', '--silent', 'rehearse', f'INVENTORY={production.inventory}'], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert 'REPORT_URL, STRIPE_API_KEY: looks like an address or a key' in done.stderr
    assert 'planted' not in done.stderr and 'reports.example.com' not in done.stderr


@pytest.fixture(scope='module')
def report(production, rehearsals):
    """The report of the rehearsal."""
    settings = yaml.safe_load((production.inventory / 'rehearse.yml').read_text())
    given = {**settings, 'environment': {'STRIPE_API_KEY': 'sk_test_1', 'REPORT_URL': 'http://127.0.0.1:9/'}}
    (production.inventory / 'rehearse.yml').write_text(yaml.safe_dump(given))
    return rehearsals.run(production, 0)


def test_a_healthy_app_has_no_findings_and_loses_no_request(report):
    assert report['findings'] == []
    assert report['lost'] == 0 and report['requests'] > 500, report
    assert set(report['phases']) == {'before', 'deploy', 'after', 'many', 'broken', 'rollback', 'back'}


def test_the_version_before_is_the_one_that_serves_in_production(production, report):
    assert report['versions']['before'] == f'{production.served} (serves in production)'


def test_the_report_has_all_figures(report):
    deploy = report['phases']['deploy']
    assert deploy['requests'] > 20 and deploy['slowest'][0]['ms'] >= 300  # /orders takes 300 ms
    assert 20 < deploy['memory_mb'] < 500 and deploy['cpu_percent'] > 0 and report['memory_growth']
    assert report['seconds']['deploy'] > 2 and report['seconds']['rollback'] > 1
    assert report['start_seconds']['before'] > 0 and report['start_seconds']['new'] > 0
    assert 0 < report['release_mb'] < 5 and 2 < report['environment_mb'] < 100
    assert report['system'] in (read_facts()['app']['os'],)


def test_the_report_is_in_a_file_too(report):
    assert json.loads((CHECKOUT / '.cache/rehearse/shop/report.json').read_text()) == report


def test_no_secret_of_production_is_on_the_machine(report, rehearsals):
    folders = '/etc /home /opt /root /run /srv /tmp /var'
    assert rehearsals.inside(f'grep -rl sk_test_1 {folders} 2>/dev/null || true').startswith('/srv/shop/secrets/')
    assert rehearsals.inside(f'grep -rlE "planted-(secret|stripe)-key|reports[.]example" {folders} 2>/dev/null || true') == ''


def test_the_app_cannot_reach_production(report, rehearsals, machine):
    """It tries while it is imported, by a hard-coded address that the machine reaches before its network is cut."""
    outcome = rehearsals.inside('cat /srv/shop/shared/data/outcome')
    assert outcome and outcome != 'connected'
    visits = 'grep -rh planted-visit /var/log/nginx || true'
    assert machine.inside('sh', '-c', visits) == ''
    # the same request from the same machine with its network
    rehearsals.restore()
    try:
        visit = f"socket.create_connection(('{address(machine.facts)}', 80), 3).sendall(b'GET /planted-visit HTTP/1.0\\r\\n\\r\\n')"
        rehearsals.inside(f'python3 -c "import socket; {visit}"')
        assert 'planted-visit' in machine.inside('sh', '-c', 'sleep 1; ' + visits)
    finally:
        rehearsals.cut()


def test_production_is_unchanged(production, report, machine):
    listing = machine.inside('/usr/local/sbin/shop-release', 'list')
    releases = [line for line in listing.splitlines()[1:] if line.startswith((' ', '*'))]
    assert len(releases) == 1 and production.served in releases[0]
