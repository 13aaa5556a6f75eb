"""What the app could not do if it were somebody else's."""

import pytest

LIMITS = {
    'NoNewPrivileges': 'yes',
    'ProtectSystem': 'full',
    'ProtectKernelTunables': 'yes',
    'ProtectKernelModules': 'yes',
    'ProtectControlGroups': 'yes',
    'RestrictRealtime': 'yes',
    'LockPersonality': 'yes',
    'SystemCallArchitectures': 'native',
}
SYSTEMD = 'org.freedesktop.systemd1 /org/freedesktop/systemd1'


@pytest.mark.parametrize('unit', ['supervisor', 'flaskrandom-next@x'])
def test_systemd_knows_the_limits(host, unit):
    shown = host.check_output('systemctl show %s --property=%s', unit, ','.join(LIMITS))
    assert dict(line.split('=', 1) for line in shown.splitlines()) == LIMITS
    # systemctl of systemd 237 cannot print it
    path = host.check_output(f'sudo busctl call {SYSTEMD} org.freedesktop.systemd1.Manager LoadUnit s %s', f'{unit}.service').split('"')[1]
    families = f'sudo busctl get-property {SYSTEMD.split()[0]} %s org.freedesktop.systemd1.Service RestrictAddressFamilies'
    kind, only, _, *names = host.check_output(families, path).replace('"', '').split()
    assert (kind, only, set(names)) == ('(bas)', 'true', {'AF_UNIX', 'AF_INET', 'AF_INET6', 'AF_NETLINK'})


def test_the_limits_are_in_force(host):
    """Supervisor was installed by the run, so it has them since its first start."""
    supervisor = host.check_output('systemctl show --property=MainPID --value supervisor')
    gunicorn = host.check_output('sudo supervisorctl pid flaskrandom')
    for process in [supervisor, gunicorn, *host.check_output('pgrep --parent %s', gunicorn).split()]:
        status = dict(line.split(':\t') for line in host.check_output('cat /proc/%s/status', process).splitlines() if ':\t' in line)
        # 2: calls are filtered
        assert (status['NoNewPrivs'], status['Seccomp']) == ('1', '2')


@pytest.fixture
def inside(host):
    """Runs a command as root or another account with the file systems as supervisor and its programs see them."""
    supervisor = host.check_output('systemctl show --property=MainPID --value supervisor')

    def run(command, user='root'):
        return host.run('sudo nsenter --target=%s --mount sudo --user=%s sh -c %s', supervisor, user, command)

    return run


@pytest.mark.parametrize('folder', ['/etc', '/usr', '/boot'])
def test_not_even_root_writes_to_the_system_there(inside, folder):
    assert 'Read-only file system' in inside(f'touch {folder}/x').stderr


CODE = ['/srv/flaskrandom', '/srv/flaskrandom/venvs', '/srv/flaskrandom/current/', '/srv/flaskrandom/current/app.py']


@pytest.mark.parametrize('place', ['/etc', '/usr', *CODE])
def test_the_app_writes_neither_to_the_system_nor_to_code(inside, place):
    assert inside(f'test -e {place}', 'flaskrandom').rc == 0
    assert inside(f'test -w {place}', 'flaskrandom').rc == 1


def test_the_app_writes_to_its_data(host, inside):
    host.run_expect([0], 'sudo install -d -o flaskrandom /srv/flaskrandom/data')
    try:
        assert inside('touch /srv/flaskrandom/data/x /tmp/x && rm /tmp/x', 'flaskrandom').rc == 0
    finally:
        host.run_expect([0], 'sudo rm -r /srv/flaskrandom/data')
