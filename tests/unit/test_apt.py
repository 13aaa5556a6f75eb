"""What apt and dpkg print decides whether they are run again, and what people are told. Recorded from apt 2.6.1 and dpkg 1.21."""

import pytest
from ansible.errors import AnsibleFilterError
from load_plugin import load

apt = load('plugins/filter/apt.py')

COMMAND = "'/usr/bin/apt-get -y -o \"Dpkg::Options::=--force-confdef\" install 'broken'' failed: "
# what the module `apt` or dpkg returned, whether it is retried, and words of the line that people read
ERRORS = {
    'lists locked': (
        {'msg': 'Failed to lock apt for exclusive operation: Failed to lock directory /var/lib/apt/lists/: E:Could not get lock '
                '/var/lib/apt/lists/lock. It is held by process 30164 (python3)'},
        True, ['Could not get lock', 'sudo fuser -v /var/lib/dpkg/lock-frontend'],
    ),
    'dpkg locked': (
        {'msg': f'{COMMAND}E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 44 (apt-get)\nE: Unable to acquire '
                'the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n'},
        True, ['E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 44', 'sudo fuser'],
    ),
    'dpkg locked, by dpkg': (
        {'msg': 'non-zero return code', 'stderr': 'dpkg: error: dpkg frontend lock was locked by another process with pid 31466\n'
         'Note: removing the lock file is always wrong, can damage the locked area\nand the entire system.'},
        True, ['dpkg: error: dpkg frontend lock was locked by another process with pid 31466. Another program', 'sudo fuser'],
    ),
    'database locked, by dpkg': (
        {'msg': 'non-zero return code', 'stderr': 'dpkg: error: dpkg database lock was locked by another process with pid 30873\n'},
        True, ['sudo fuser'],
    ),
    'no network': (
        {'msg': 'Failed to update apt cache: unknown reason', 'attempts': 4},
        True, ['Failed to update apt cache: unknown reason. Does the host resolve names', 'mirrors_bundle'],
    ),
    'no network, five times': (
        {'msg': f'{COMMAND}E: Failed to fetch http://a.example/nginx.deb  Could not resolve \'a.example\'\n', 'attempts': 5},
        False, ['Does the host resolve names'],
    ),
    'no such package': (
        {'msg': "No package matching 'no-such-package-x' is available"}, False, ['/etc/apt/sources.list must name', 'universe'],
    ),
    'held': (
        {'msg': f'{COMMAND}E: Held packages were changed and -y was used without --allow-change-held-packages.\n'},
        False, ['E: Held packages were changed', 'apt-mark unhold NAME'],
    ),
    'broken': (
        {'msg': f'{COMMAND}E: Sub-process /usr/bin/dpkg returned an error code (1)\n',
         'stderr': 'dpkg: error processing package broken (--configure):\n installed broken package post-installation script subprocess '
                   'returned error exit status 2\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n'},
        False, ['dpkg: error processing package broken (--configure); ', 'returned error exit status 2; E: Sub-process',
                '. On the host, `sudo dpkg --configure -a`'],
    ),
    'unmet': (
        {'msg': f"{COMMAND}E: Unmet dependencies. Try 'apt --fix-broken install' with no packages (or specify a solution).\n"},
        False, ['`sudo apt --fix-broken install` repairs that'],
    ),
    'something else': ({'msg': 'MODULE FAILURE'}, False, ['MODULE FAILURE. On the host, `sudo apt install nginx ufw` shows']),
}  # fmt: skip


@pytest.mark.parametrize('case', ERRORS)
def test_errors(case):
    result, retried, words = ERRORS[case]
    assert apt.should_retry(result) is retried
    line = apt.error(result, ['nginx', 'ufw'])
    assert all(word in line for word in words), line
    assert 'Dpkg::Options' not in line and '\n' not in line


BIONIC = (
    '# http://archive.example/ubuntu is a comment\n'
    'deb http://archive.example/ubuntu bionic main\ndeb-src [arch=amd64] http://archive.example/ubuntu/ bionic main\n'
    'deb http://security.example/ubuntu bionic-security main\n'
)
BULLSEYE = 'deb http://archive.example/debian bullseye main\ndeb http://security.example/debian-security bullseye-security main\n'
BOOKWORM = (
    'Types: deb deb-src\nURIs: mirror+file:///etc/apt/mirrors/debian.list\nSuites: bookworm bookworm-updates\nComponents: main\n\n'
    'Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian-security.list\nSuites: bookworm-security\nComponents: main\n'
)
TRIXIE = (
    'Types: deb\nURIs: http://archive.example/debian https://other.example/debian\nSuites: trixie\n\n'
    'Types: deb\nURIs: http://archive.example/debian-security\nSuites: trixie-security\n'
)
PORTS = 'Types: deb\nURIs: http://ports.example/ubuntu-ports/\nSuites: noble noble-updates\n'
SOURCES = {
    'bionic': (BIONIC, 'ubuntu', ['/dists/bionic/InRelease']),
    'bullseye': (BULLSEYE, 'debian', ['/dists/bullseye/InRelease', '-security/dists/bullseye-security/InRelease']),
    'bookworm': (BOOKWORM, 'debian', ['/dists/bookworm/InRelease', '-security/dists/bookworm-security/InRelease']),
    'trixie': (TRIXIE, 'debian', ['/dists/trixie/InRelease', '-security/dists/trixie-security/InRelease']),
    'ports': (PORTS, 'ubuntu-ports', ['/dists/noble/InRelease']),
}


@pytest.mark.parametrize('case', SOURCES)
def test_sources_name_the_mirror(case):
    text, archive, probes = SOURCES[case]
    assert apt.archive(text) == archive
    assert apt.probes(text) == probes
    [url] = apt.mirrors(['http://u:p@m.example/{archive}/'], text)
    assert url == f'http://u:p@m.example/{archive}'
    found = apt.use_mirror(text, url, archive)
    beside = '-security' if archive == 'debian' else ''
    urls = [word for line in found.splitlines() if line[0:1] != '#' for word in line.split() if ':/' in word]
    assert set(urls) == {f'http://m.example/{archive}', f'http://m.example/{archive}{beside}'}
    # everything else stays as it is
    assert [len(line.split()) for line in found.splitlines()] == [
        len(line.split()) - ('other.example' in line) for line in text.splitlines()
    ]
    for security in [line for line in found.splitlines() if 'bullseye-security' in line]:
        assert security == 'deb http://m.example/debian-security bullseye-security main'


def test_hosts_without_lists_are_refused():
    with pytest.raises(AnsibleFilterError, match='mirrors_apt'):
        apt.probes('# nothing\n')


def test_passwords_are_written_as_apt_reads_them():
    assert apt.auth('https://user:a%2Fb%40+@m.example:8443/debian') == 'machine m.example:8443 login user password a/b@+\n'
    assert apt.auth('http://user:x@m.example/debian') == (
        'machine http://m.example login user password x\nmachine m.example login user password x\n'
    )
