"""A build of Python for tests, as uv's standalone ones are packed, from a Python of this computer."""

import hashlib
import json
import os
import platform
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

MINOR = '3.12'
UPSTREAM = 'https://github.com/astral-sh/python-build-standalone/releases/download'
LEFT_OUT = {'test', 'tests', '__pycache__', 'site-packages', 'idlelib', 'share'}


def glibc(ldd):
    """The version of the C library, by what `ldd --version` prints."""
    return tuple(map(int, re.search(r'(\d+)\.(\d+)$', ldd.splitlines()[0]).groups()))


class Build:
    """The archive and a list for uv that names it.

    Attributes:
        version: of the Python, such as 3.12.1.
        key: uv's name for it.
        path: its path below a mirror.
        archive: the file.
    """

    def __init__(self, folder, ldd):
        """Packs a Python that pyenv has built here; skips the test without one, or where the machine cannot run it.

        Args:
            folder: where the archive and the list are written.
            ldd: what `ldd --version` prints on the machine.
        """
        root = Path(os.environ.get('PYENV_ROOT') or Path.home() / '.pyenv')
        found = sorted(root.glob(f'versions/{MINOR}.*/bin/python{MINOR}'))
        if not found:
            pytest.skip(f'needs a Python {MINOR} of pyenv, to make a build of: pyenv install {MINOR}')
        here = subprocess.run(['ldd', '--version'], stdout=subprocess.PIPE, text=True, check=True).stdout
        if glibc(ldd) < glibc(here):
            pytest.skip('needs a machine whose C library is as new as the one that pyenv\'s Python was built with')
        self.prefix = found[-1].parents[1]
        self.version = self.prefix.name
        self.folder, self.key = folder, f'cpython-{self.version}-linux-{platform.machine()}-gnu'
        name = f'cpython-{self.version}+20240101-{platform.machine()}-unknown-linux-gnu-install_only.tar.gz'
        self.path = f'20240101/{name}'
        self.archive = folder / name
        self.pack(self.archive)
        self.list = self.write_list('pythons.json', UPSTREAM)

    def pack(self, archive):
        """Writes the archive; files that others may write are in it, too."""
        prefix = os.fsencode(f'{self.prefix}/lib')

        def changed(entry):
            if LEFT_OUT & set(Path(entry.name).parts) or entry.name.endswith('.a'):
                return None
            entry.uid = entry.gid = 1000
            entry.mode |= 0o022
            return entry

        # where pyenv has put it, the machine has nothing
        program = (self.prefix / f'bin/python{MINOR}').read_bytes()
        relocated = self.folder / 'program'
        relocated.write_bytes(program.replace(prefix + b'\0', b'$ORIGIN/../lib'.ljust(len(prefix), b'\0') + b'\0'))
        relocated.chmod(0o755)
        with tarfile.open(archive, 'w:gz', compresslevel=1) as files:
            for path in sorted(self.prefix.rglob('*')):
                if path.is_dir() and not path.is_symlink():
                    continue
                source = relocated if path == self.prefix / f'bin/python{MINOR}' else path
                files.add(source, f'python/{path.relative_to(self.prefix)}', filter=changed)

    def write_list(self, name, base):
        """Writes a list for uv, with the archive below the URL `base`; returns its path."""
        version = dict(zip(('major', 'minor', 'patch'), map(int, self.version.split('.')), strict=True))
        entry = {
            'name': 'cpython', 'arch': {'family': platform.machine(), 'variant': None}, 'os': 'linux', 'libc': 'gnu', **version,
            'prerelease': '', 'url': f'{base}/{self.path.replace("+", "%2B")}', 'variant': None, 'build': '20240101',
            'sha256': hashlib.sha256(self.archive.read_bytes()).hexdigest(),
        }  # fmt: skip
        path = self.folder / name
        path.write_text(json.dumps({self.key: entry}))
        return path


def app(folder, name):
    """An app that needs a present Flask and Python 3.12, and shows both."""
    found = folder / name
    found.mkdir()
    (found / '.python-version').write_text(f'{MINOR}\n')
    (found / 'requirements.txt').write_text('Flask>=3.1\n')
    (found / 'app.py').write_text(
        'import ssl, sqlite3, sys\nfrom importlib.metadata import version\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n'
        '@app.get("/")\ndef index():\n    return {"python": sys.version.split()[0], "home": sys.base_prefix, "flask": version("flask")}\n'
    )
    return found
