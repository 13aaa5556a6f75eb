"""Fetches the wheels of a lock for another Python: wheels.py LOCK VERSION MACHINE FOLDER, such as 3.6.9 x86_64.

pip chooses the wheels for the Python that it is told, but the lines of a lock for the one that it runs on. So the lines are
chosen here. pip's own settings come by its environment, and it compares every wheel with its hashes.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

GLIBC = 27  # 2.27 is Ubuntu 18.04's, the oldest


def lines_for(lock: str, version: str, machine: str) -> str:
    """The lines of a lock that count for a Python, without their conditions.

    Args:
        lock: text of the lock.
        version: of that Python, in full.
        machine: its architecture, as uname says it.

    Returns:
        A lock for this Python only.
    """
    environment = {
        'implementation_name': 'cpython',
        'os_name': 'posix',
        'platform_machine': machine,
        'platform_python_implementation': 'CPython',
        'platform_system': 'Linux',
        'python_full_version': version,
        'python_version': '.'.join(version.split('.')[:2]),
        'sys_platform': 'linux',
    }
    chosen = []
    for line in re.sub(r'\\\n', ' ', lock).splitlines():
        text, *hashes = re.split(r'\s(?=--hash=)', re.sub(r'(^|\s)#.*', '', line).strip())
        if text and not text.startswith('-'):
            requirement = Requirement(text)
            if not requirement.marker or requirement.marker.evaluate(environment):
                requirement.marker = None
                chosen.append(' '.join([str(requirement), *map(str.strip, hashes)]))
    return '\n'.join(chosen) + '\n'


def options_for(version: str, machine: str) -> list[str]:
    """pip's options that make it choose wheels for a Python on Linux."""
    major, minor = map(int, version.split('.')[:2])
    abi = f'cp{major}{minor}' + ('m' if (major, minor) < (3, 8) else '')
    platforms = [f'manylinux_2_{minor}_{machine}' for minor in range(GLIBC, 4, -1)]
    platforms += [f'manylinux{name}_{machine}' for name in ('2014', '2010', '1')] + [f'linux_{machine}']
    return [
        '--only-binary=:all:',
        '--implementation=cp',
        f'--python-version={version}',
        *(f'--abi={name}' for name in (abi, 'abi3', 'none')),
        *(f'--platform={name}' for name in platforms),
    ]


def main(lock: str, version: str, machine: str, folder: str) -> int:
    """Fetches the wheels into a folder; returns pip's exit code."""
    with tempfile.NamedTemporaryFile('w', suffix='.txt') as chosen:
        chosen.write(lines_for(Path(lock).read_text(), version, machine))
        chosen.flush()
        pip = [sys.executable, '-I', '-m', 'pip', 'download', '--quiet', '--no-input', '--require-hashes', '--no-deps']
        return subprocess.call([*pip, *options_for(version, machine), f'--dest={folder}', f'--requirement={chosen.name}'])


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
