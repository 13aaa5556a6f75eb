"""What puts a renewed certificate in place repeats a reload that failed."""

import os
import subprocess
from pathlib import Path

import pytest
import self_signed_certificate

FILES = Path(__file__).parents[2] / 'roles/tls/files'


class Host:
    """A folder with what certbot has got, and a systemctl that fails while a file `broken` is there."""

    def __init__(self, folder):
        self.folder = folder
        for name in ('certbot', 'web', 'bin'):
            (folder / name).mkdir()
        systemctl = folder / 'bin/systemctl'
        systemctl.write_text(f'#!/bin/sh\necho "$*" >>{folder}/reloads\ntest ! -e {folder}/broken\n')
        systemctl.chmod(0o755)
        self.pem, self.issued = folder / 'web/site.pem', folder / 'issued'
        self.renew()

    def renew(self):
        """Puts a new certificate where certbot keeps it."""
        made = self.folder / 'made.pem'
        self_signed_certificate.create(str(made), ['a.example'])
        for name in ('privkey.pem', 'fullchain.pem'):
            (self.folder / 'certbot' / name).write_text(made.read_text())

    def install(self):
        """Runs the script; returns whether it succeeded, and what it said."""
        done = subprocess.run(
            ['sh', FILES / 'install-certificate.sh', self.folder / 'certbot', self.pem, 'nginx', self.issued],
            env=os.environ | {'PATH': f'{self.folder}/bin:{os.environ["PATH"]}'},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode == 0, done.stdout

    @property
    def reloads(self):
        return (self.folder / 'reloads').read_text().splitlines()


@pytest.fixture
def certified(tmp_path):
    host = Host(tmp_path)
    assert host.install() == (True, f'installed {host.pem}\n')
    return host


def test_what_is_in_place_is_left_alone(certified):
    assert certified.install() == (True, '')
    assert certified.reloads == ['reload nginx']
    assert certified.issued.exists()
    assert [path.name for path in certified.pem.parent.iterdir()] == ['site.pem']


def test_a_reload_that_failed_is_repeated_until_it_succeeds(certified):
    certified.renew()
    (certified.folder / 'broken').touch()
    assert [certified.install()[0] for _ in range(2)] == [False, False]
    (certified.folder / 'broken').unlink()
    assert certified.install() == (True, f'installed {certified.pem}\n')
    assert certified.install() == (True, '')
    assert len(certified.reloads) == 4


def test_a_certificate_that_no_server_could_use_stays_away(certified):
    before = certified.pem.read_text()
    for name in ('privkey.pem', 'fullchain.pem'):
        (certified.folder / 'certbot' / name).write_text('garbage')
    assert not certified.install()[0]
    assert certified.pem.read_text() == before
    assert certified.reloads == ['reload nginx']
