"""A build command that tries harmful things, and writes what worked into the release."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path('/srv/flaskrandom')


def attempt(action):
    """The result of an action, or the type of its error."""
    try:
        return f'done: {action()}'
    except Exception as error:  # each kind is what a test looks for
        return type(error).__name__


seen = {
    'uid': os.getuid(),
    'folder': os.getcwd(),
    'environment': dict(os.environ),
    'read secrets': attempt(lambda: list((ROOT / 'secrets').iterdir())),
    'read releases': attempt(lambda: list((ROOT / 'releases').iterdir())),
    'write the commands': attempt(lambda: (ROOT / '.build/run').write_text('')),
    'replace the commands': attempt(lambda: (ROOT / '.build/run').unlink()),
    'write environment': attempt(lambda: (Path('bin').resolve() / 'sneaky').write_text('')),
    'write /etc': attempt(lambda: Path('/etc/cron.d/sneaky').write_text('')),
    'sudo': attempt(lambda: subprocess.check_output(['sudo', '-n', 'id', '-u'])),
    'commands': [attempt(lambda path=path: path.read_text()) for path in Path('/proc').glob('[0-9]*/cmdline')],
}
Path('seen.json').write_text(json.dumps(seen))
subprocess.Popen(['setsid', 'sleep', '1234'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
