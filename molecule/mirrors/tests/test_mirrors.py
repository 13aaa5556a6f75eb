"""What a run with a dead mirror, a slow one and one with a password left behind."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

FOLDER = Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY'])
CHECKOUT = Path(os.environ['MOLECULE_PROJECT_DIRECTORY'])
AUTH = '/etc/apt/auth.conf.d/flask-host.conf'
SECRETS = ['sesame/open', 'sesame%2Fopen', 'cmVhZGVyOnNlc2FtZS9vcGVu']
PORTS = (18080, 18081)


@pytest.fixture(scope='module')
def log():
    """All that the runs printed, with -vvv."""
    return (FOLDER / 'run.log').read_text()


def lists(host):
    return host.check_output('cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true')


def test_the_app_serves(host):
    facts = yaml.safe_load((FOLDER / 'instance_config.yml').read_text())[0]
    subprocess.run(['curl', '--fail', '--silent', f'http://127.0.0.1:{facts["http_port"]}/'], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize('port', PORTS)
@pytest.mark.parametrize('path', ['/debian', '/simple'])
def test_the_run_says_which_mirror_does_not_answer(host, log, port, path):
    if path == '/debian' and '/ubuntu' in lists(host):
        path = '/ubuntu'
    assert f'http://127.0.0.1:{port}{path} does not answer' in log


def test_apt_fetches_from_the_third_and_nowhere_else(host):
    found = [line for line in lists(host).splitlines() if '://' in line and not line.startswith('#')]
    assert found
    assert all('http://127.0.0.1:18082/' in line and '@' not in line for line in found)
    assert '127.0.0.1:18082' in host.check_output('apt-cache policy nginx')


def test_the_host_fetched_uv_from_the_third_and_installed_by_it(host):
    assert 'GET /simple/uv/' in host.check_output('sudo journalctl --unit=mirrors --output=cat')
    assert host.check_output('stat --format="%a %U" /opt/flask-host/uv-*/uv') == '755 root'
    assert host.check_output('cat /srv/flaskrandom/current/lib/python3*/site-packages/[Ff]lask-*/INSTALLER') == 'uv'


def test_only_root_reads_the_password(host):
    assert host.file(AUTH).mode == 0o600 and host.file(AUTH).user == 'root'


@pytest.mark.parametrize('secret', SECRETS)
def test_the_password_is_nowhere_else_on_the_host(host, secret):
    # before this search is in the list itself
    host.run_expect([0, 5], 'sudo systemctl stop watch')
    host.run_expect([0], 'sudo grep -aF -e --require-hashes /var/log/processes')
    grep = 'sudo grep -rlaF --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev -e %s /'
    found = set(host.run(grep, secret).stdout.split())
    # sudo logs this search itself
    assert {path for path in found if not path.startswith('/var/log/journal/')} <= {AUTH}
    journal = host.check_output('sudo journalctl --no-pager --quiet')
    assert not [line for line in journal.splitlines() if secret in line and 'grep' not in line]


@pytest.mark.parametrize('secret', SECRETS)
def test_the_password_is_in_no_output_and_no_file_of_the_controller(log, secret):
    assert secret not in log
    folders = [FOLDER, CHECKOUT / '.cache', Path.home() / '.ansible', Path.home() / '.cache/pip', Path.home() / '.cache/uv']
    found = subprocess.run(['grep', '-rlsF', '-e', secret, *folders], stdout=subprocess.PIPE, text=True, check=False)
    # where Molecule wrote its configuration down
    assert not [line for line in found.stdout.split() if '/inventory/' not in line and not line.endswith('/molecule.yml')]


def test_without_mirrors_the_hosts_own_lists_come_back(host):
    saved = host.check_output('cd /etc/apt; find . -name "*.flask-host.save" -exec sha256sum {} +').replace('.flask-host.save', '')
    assert saved
    done = subprocess.run(
        ['ansible-playbook', '-i', FOLDER / 'inventory', 'playbook.yml', '--tags=mirrors', '-e', '{"mirrors_apt": []}'],
        cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert host.run_expect([0], 'cd /etc/apt; echo %s | sha256sum --check', saved)
    assert host.check_output('find /etc/apt -name "*flaskrandom*"') == ''
