"""Runs the command that holds a machine's lock for as long as a process of this computer lives.

Reads one JSON object from stdin: `command` (words), `first` (text that the command gets before all else, such as sudo's password) and
`process` (the id of the process). The command inherits stdout and stderr and gets a line every ten seconds.
"""

import json
import os
import subprocess
import sys
import time

INTERVAL = 10  # seconds from line to line
PACE = 0.5  # seconds from one look at the process to the next


def lives(process):
    """Whether a process lives; one that has ended and that its parent has not asked about yet does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f'/proc/{process}/stat', encoding='utf-8', errors='replace') as stream:
            return stream.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return not os.path.exists('/proc/self/stat')


def main():
    """Runs the command; see above."""
    given = json.load(sys.stdin)
    command = subprocess.Popen(given['command'], stdin=subprocess.PIPE)
    # what the command says is for others, who see its end only if nobody else has its output
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    due = 0
    try:
        command.stdin.write(given['first'].encode())
        while lives(given['process']) and command.poll() is None:
            if time.monotonic() >= due:
                command.stdin.write(b'\n')
                command.stdin.flush()
                due = time.monotonic() + INTERVAL
            time.sleep(PACE)
        command.stdin.close()
        command.wait(PACE)
    except (BrokenPipeError, subprocess.TimeoutExpired):
        command.kill()
    sys.exit(command.wait())


if __name__ == '__main__':
    main()
