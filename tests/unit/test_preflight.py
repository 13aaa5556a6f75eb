"""The look at the host finds each folder on the way that accounts other than root can change."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

VARIABLES = Path(__file__).parents[2] / 'roles/preflight/vars/main.yml'
NOBODY = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='only root can give folders to accounts')


def found(*paths):
    """The folders that the shell's look finds on the way to paths."""
    script = yaml.safe_load(VARIABLES.read_text())['__preflight_trust']
    start, _, rest = script.partition('{{')
    script = start + ' '.join(f"'{path}'" for path in paths) + rest.partition('}}')[2]
    done = subprocess.run(['sh', '-euc', script], stdout=subprocess.PIPE, text=True, check=True, timeout=10)
    return [line.split(' ', 2)[2] for line in done.stdout.splitlines()]


@pytest.fixture
def root():
    """A folder that only root can change, with all those above it: not in /tmp."""
    with tempfile.TemporaryDirectory(dir='/srv' if os.path.isdir('/srv') else '/opt') as folder:
        os.chmod(folder, 0o755)
        (Path(folder) / 'a/b').mkdir(parents=True)
        yield Path(folder)


def test_folders_of_root_are_fine_and_so_is_what_is_missing(root):
    assert found(root / 'a/b', root / 'a/missing/too') == []


@pytest.mark.parametrize('mode', [0o775, 0o757, 0o1777])
def test_modes(root, mode):
    (root / 'a').chmod(mode)
    assert found(root / 'a/b') == [str(root / 'a')]
    assert found(root / 'a/b/missing') == [str(root / 'a')]


def test_owners(root):
    os.chown(root / 'a', NOBODY, NOBODY)
    assert found(root / 'a/b') == [str(root / 'a')]


def test_where_a_link_leads(root):
    (root / 'link').symlink_to('a/other/../b')
    (root / 'a/other').mkdir(mode=0o755)
    assert found(root / 'link/x') == []
    os.chown(root / 'a', NOBODY, NOBODY)
    assert str(root / 'a') in found(root / 'link/x')
    os.chown(root / 'a', 0, 0)
    os.lchown(root / 'link', NOBODY, NOBODY)
    assert found(root / 'link/x') == [str(root / 'link')]


def test_links_in_a_circle_end(root):
    (root / 'one').symlink_to('two')
    (root / 'two').symlink_to('one')
    assert found(root / 'one/x') == []
