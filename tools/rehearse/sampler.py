"""Runs on the machine as the app's account and prints the state of the app's processes twice a second.

sampler.py RUN, where RUN is the folder with the workers' markers. One JSON object a line: `pss` (kB; each page of memory
that processes share counts once), `cpu` (seconds), `processes` (their number), `masters` (process ids), `workers` (process
id and start of each), `ready` (seconds from a master's start until each worker had imported the app).
"""

import json
import os
import sys
import time

HERTZ = os.sysconf('SC_CLK_TCK')


def read(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def processes():
    """The account's processes that are gunicorn or descend from it: process id to parent, start in ticks and CPU in ticks."""
    found, commands = {}, {}
    for name in os.listdir('/proc'):
        try:
            if name.isdigit() and os.stat('/proc/' + name).st_uid == os.getuid():
                fields = read('/proc/{}/stat'.format(name)).rpartition(')')[2].split()
                found[int(name)] = (int(fields[1]), int(fields[19]), int(fields[11]) + int(fields[12]))
                commands[int(name)] = read('/proc/{}/cmdline'.format(name))
        except OSError:
            pass  # it has ended

    def belongs(pid):
        return pid in found and ('gunicorn' in commands.get(pid, '') or belongs(found[pid][0]))

    return {pid: facts for pid, facts in found.items() if belongs(pid)}


def memory(pid):
    """The proportional share of a process in kB, or its resident memory on a kernel without smaps_rollup."""
    for path, name in (('smaps_rollup', 'Pss:'), ('status', 'VmRSS:')):
        try:
            for line in read('/proc/{}/{}'.format(pid, path)).splitlines():
                if line.startswith(name):
                    return int(line.split()[1])
        except OSError:
            pass
    return 0


def sample(run):
    """The object that the module's docstring describes."""
    found = processes()
    masters = [pid for pid, facts in found.items() if facts[0] not in found]
    workers = [(pid, facts[1]) for pid, facts in found.items() if facts[0] in masters]
    booted = time.time() - float(read('/proc/uptime').split()[0])
    ready = []
    for pid, start in workers:
        try:
            marked = os.stat(os.path.join(run, 'ready-{}-{}'.format(pid, start))).st_mtime
            ready.append(round(marked - booted - found[found[pid][0]][1] / HERTZ, 2))
        except OSError:
            pass  # it has not imported the app yet
    return {
        'pss': sum(memory(pid) for pid in found),
        'cpu': sum(facts[2] for facts in found.values()) / HERTZ,
        'processes': len(found),
        'masters': masters,
        'workers': workers,
        'ready': ready,
    }


if __name__ == '__main__':
    while True:
        print(json.dumps(sample(sys.argv[1])), flush=True)
        time.sleep(0.5)
