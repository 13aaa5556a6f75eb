"""Packs a Python package into one executable file on the controller."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from ansible import constants
from ansible.plugins.action import ActionBase

# -I: nothing from the environment or the working folder is imported; -S: no site-packages, and no .pth file runs
SHEBANG = b'#!/usr/bin/python3 -IS\n'


def pack(package: Path, main: str) -> bytes:
    """An executable zip archive that depends on nothing but the package: same files, same bytes.

    Args:
        package: folder of the package.
        main: `module:function` below the package; what the function returns is the exit status.

    Returns:
        The archive's bytes.
    """
    module, function = main.split(':')
    start = f'import sys\nfrom {package.name}.{module} import {function}\nsys.exit({function}())\n'
    contents = {f'{package.name}/{path.name}': path.read_text(encoding='utf-8') for path in sorted(package.glob('*.py'))}
    buffer = io.BytesIO()
    # stored, because compressed bytes differ between versions of zlib
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_STORED) as archive:
        for name, text in {'__main__.py': start, **contents}.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return SHEBANG + buffer.getvalue()


class ActionModule(ActionBase):
    """Action `zipapp`: writes the archive to a file on the controller.

    Arguments: `package` (its folder) and `main` (`module:function`).
    Returns: `path` of the archive.
    """

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Packs the package; see the class."""
        result = super().run(tmp, task_vars)
        package = Path(self._task.args['package'])
        path = Path(constants.DEFAULT_LOCAL_TMP) / f'{package.name}.pyz'
        path.write_bytes(pack(package, self._task.args['main']))
        result.update(changed=False, path=str(path))
        return result
