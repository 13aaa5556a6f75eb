"""The article's chapter 1.3: Bruno tests the API."""

import shutil
import subprocess
from pathlib import Path

COLLECTION = Path(__file__).parents[3] / 'tests/bruno'


def test_s11_bruno_gets_both_answers(machine):
    assert shutil.which('npm'), 'npm is needed to run Bruno: install Node.js 18 or newer'
    if not (COLLECTION / 'node_modules/.bin/bru').exists():
        subprocess.run(['npm', 'ci', '--silent'], cwd=COLLECTION, check=True)
    bruno = subprocess.run(
        ['npx', 'bru', 'run', '--env-var', f'base_url={machine.url}'],
        cwd=COLLECTION,
        capture_output=True,
        text=True,
        check=False,
    )
    assert bruno.returncode == 0, bruno.stdout + bruno.stderr
    assert '2 passed' in bruno.stdout
