"""The limits that systemd sets for supervisor and the app."""

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
def test_units_have_the_limits(host, unit):
    shown = host.check_output('systemctl show %s --property=%s', unit, ','.join(LIMITS))
    assert dict(line.split('=', 1) for line in shown.splitlines()) == LIMITS
    # systemctl of systemd 237 cannot print this list
    path = host.check_output(f'sudo busctl call {SYSTEMD} org.freedesktop.systemd1.Manager LoadUnit s %s', f'{unit}.service').split('"')[1]
    families = f'sudo busctl get-property {SYSTEMD.split()[0]} %s org.freedesktop.systemd1.Service RestrictAddressFamilies'
    kind, only, _, *names = host.check_output(families, path).replace('"', '').split()
    assert (kind, only, set(names)) == ('(bas)', 'true', {'AF_UNIX', 'AF_INET', 'AF_INET6', 'AF_NETLINK'})


def test_the_limits_are_in_force(host):
    """Supervisor has them from its first start, because the run installed it."""
    supervisor = host.check_output('systemctl show --property=MainPID --value supervisor')
    gunicorn = host.check_output('sudo supervisorctl pid flaskrandom')
    for process in [supervisor, gunicorn, *host.check_output('pgrep --parent %s', gunicorn).split()]:
        status = dict(line.split(':\t') for line in host.check_output('cat /proc/%s/status', process).splitlines() if ':\t' in line)
        # 2: system calls are filtered
        assert (status['NoNewPrivs'], status['Seccomp']) == ('1', '2')


@pytest.fixture
def inside(host):
    """Runs a command in the mount namespace of supervisor and its programs, as root or another account."""
    supervisor = host.check_output('systemctl show --property=MainPID --value supervisor')

    def run(command, user='root'):
        return host.run('sudo nsenter --target=%s --mount sudo --user=%s sh -c %s', supervisor, user, command)

    return run


@pytest.mark.parametrize('folder', ['/etc', '/usr', '/boot'])
def test_the_system_is_read_only_even_for_root(inside, folder):
    assert 'Read-only file system' in inside(f'touch {folder}/x').stderr


CODE = ['/srv/flaskrandom', '/srv/flaskrandom/venvs', '/srv/flaskrandom/current/', '/srv/flaskrandom/current/app.py']


@pytest.mark.parametrize('place', ['/etc', '/usr', *CODE])
def test_the_app_cannot_write_to_the_system_or_its_code(inside, place):
    assert inside(f'test -e {place}', 'flaskrandom').rc == 0
    assert inside(f'test -w {place}', 'flaskrandom').rc == 1


def test_the_app_can_write_its_data(host, inside):
    host.run_expect([0], 'sudo install -d -o flaskrandom /srv/flaskrandom/data')
    try:
        assert inside('touch /srv/flaskrandom/data/x /tmp/x && rm /tmp/x', 'flaskrandom').rc == 0
    finally:
        host.run_expect([0], 'sudo rm -r /srv/flaskrandom/data')
