"""Builds the hostile package, as a wheel or as source."""

import io
import tarfile
import zipfile


def build_package(kind):
    """Builds the package evil, which writes a witness as soon as its code runs.

    Args:
        kind: 'wheel' or 'source'.

    Returns:
        The name of the file and its bytes.
    """
    witness = "import os; open('/var/tmp/witness/%d-%d' % (os.geteuid(), os.getpid()), 'w').write('%d as {}' % os.geteuid())\n"
    data = io.BytesIO()
    if kind == 'wheel':
        name = 'evil-1.0-py3-none-any.whl'
        with zipfile.ZipFile(data, 'w') as wheel:
            wheel.writestr('evil.py', '')
            wheel.writestr('evil.pth', witness.format('.pth'))
            wheel.writestr('evil-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n')
            wheel.writestr('evil-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
            wheel.writestr('evil-1.0.dist-info/RECORD', 'evil.py,,\nevil.pth,,\nevil-1.0.dist-info/RECORD,,\n')
    else:
        name = 'evil-1.0.tar.gz'
        setup = witness.format('setup.py') + 'from setuptools import setup\nsetup(name="evil", version="1.0", py_modules=["evil"])\n'
        with tarfile.open(fileobj=data, mode='w:gz') as source:
            for path, text in {
                'setup.py': setup,
                'evil.py': '',
                'PKG-INFO': 'Metadata-Version: 1.1\nName: evil\nVersion: 1.0\n',
            }.items():
                entry = tarfile.TarInfo('evil-1.0/' + path)
                entry.size = len(text)
                source.addfile(entry, io.BytesIO(text.encode()))
    return name, data.getvalue()
