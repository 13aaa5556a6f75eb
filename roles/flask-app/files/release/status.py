"""What runs on this host of the app, for one glance. A section is a function that returns its facts and may name problems."""

import json
import os
import socket
import ssl
import subprocess
import time
from pathlib import Path

from .accounts import call_as
from .errors import Failure
from .health import check_health_as_nginx
from .logs import one_line
from .supervisor import FAILED, STOPPED
from .switch import parse
from .system import stat_fields
from .systemd import properties

ANSWER_TIMEOUT = 5  # seconds
PATIENCE = 2  # seconds for a supervisor that does not answer
SIZE_TIMEOUT = 5  # seconds for each folder
SIZE_ENTRIES = 500000
SIZED = ('releases', 'venvs', 'static', 'shared')
EXPIRY_DAYS = 14  # a certificate that is left so few days should have been renewed
LOW = 0.05  # less of the disk or the memory is a problem


# -- figures


def process_table(proc=Path('/proc')):
    """The fields of /proc/PID/stat of all processes, by process id."""
    found = {int(folder.name): stat_fields(folder.name, proc) for folder in proc.glob('[0-9]*')}
    return {pid: fields for pid, fields in found.items() if fields}


def tree(table, pid):
    """The process ids of a process, its children, and theirs."""
    found, new = set(), {pid} & set(table)
    while new:
        found |= new
        new = {child for child, fields in table.items() if int(fields[1]) in new} - found
    return found


def usage(table, pid, proc=Path('/proc')):
    """What a process uses with its descendants: seconds of uptime, bytes of resident memory, their number."""
    if pid not in table:
        return {}
    up = float((proc / 'uptime').read_text().split()[0]) - int(table[pid][19]) / os.sysconf('SC_CLK_TCK')
    pids = tree(table, pid)
    memory = sum(int(table[one][21]) for one in pids) * os.sysconf('SC_PAGE_SIZE')
    return {'pid': pid, 'uptime': int(up), 'memory': memory, 'processes': len(pids)}


def folder_size(path, seconds=SIZE_TIMEOUT, entries=SIZE_ENTRIES):
    """The bytes that a folder takes on the disk, links not followed; `complete` is false where a limit was reached."""
    deadline, size, left, linked, complete = time.monotonic() + seconds, 0, [str(path)], set(), True
    while left:
        try:
            with os.scandir(left.pop()) as found:
                for entry in found:
                    entries -= 1
                    if entries < 0 or time.monotonic() > deadline:
                        return {'bytes': size, 'complete': False}
                    info = entry.stat(follow_symlinks=False)
                    # a file with several names counts once
                    if info.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                        if info.st_ino in linked:
                            continue
                        linked.add(info.st_ino)
                    size += info.st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
        except FileNotFoundError:
            continue
        except OSError:
            complete = False
    return {'bytes': size, 'complete': complete}


def folder_size_as(user, path):
    """folder_size as the app's account: what the app does to its folders meanwhile, it does to itself."""
    text = call_as(user, lambda: json.dumps(folder_size(path)), SIZE_TIMEOUT + 1)
    return json.loads(text) if text else {'bytes': 0, 'complete': False}


def moment(text):
    """systemd's text for a time; '' for its words for none."""
    return '' if text in ('', 'n/a', '0', 'infinity') else text


# -- sections


def release(deployment, problems):
    """The serving release."""
    current, history = deployment.releases.current(), deployment.history
    if not current:
        problems.append('no release has been deployed on this host')
        return None
    facts = history.facts(current)
    return {'id': current, 'revision': facts.get('revision', ''), 'since': facts.get('at', '')}


def releases(deployment, problems):
    """The other releases on this host that a rollback or a deploy can use, the latest first."""
    history, current = deployment.history, deployment.releases.current()
    known = [r for r in reversed(history.served) if r != current and deployment.releases.folder(r).exists()]
    return [{'id': r, 'revision': history.facts(r).get('revision', ''), 'state': history.state(r, current)} for r in known]


def pending_changes(deployment, problems):
    """What drift would say of the serving release, its program and its processes."""
    current = deployment.releases.current()
    pending = [one_line(text) for text in deployment.pending_changes(current)] if current else []
    problems.extend(pending)
    return pending


def web(deployment, problems):
    """The program: its state, what it uses, and whether it answers."""
    info = deployment.program.info()
    current = deployment.releases.current()
    facts = dict({'state': info.get('statename', 'unknown').lower()}, **usage(process_table(), info.get('pid', 0)))
    if current:
        config, health = deployment.config, deployment.releases.settings(current)['health']
        problem = check_health_as_nginx(config, health, config.bind, ANSWER_TIMEOUT)['problem']
        facts['answer'] = one_line(problem) or 'healthy'
        if problem:
            problems.append('the app does not answer {} as it should: {}'.format(health['path'], one_line(problem)))
    return facts


def processes(deployment, problems):
    """The processes beside gunicorn, by supervisor's names."""
    table, found = process_table(), []
    for group, infos in sorted(deployment.processes.loaded().items()):
        for info in sorted(infos, key=lambda info: info['name']):
            kind, release = parse(group)
            facts = {'name': info['name'], 'type': kind, 'release': release, 'state': info['statename'].lower()}
            facts.update(usage(table, info['pid']))
            if info['state'] in FAILED + (STOPPED,):
                facts['why'] = one_line(info['spawnerr'] or info['description'])
            found.append(facts)
    return found


def jobs(deployment, problems):
    """The jobs of the serving release: their last and next run, and what became of the last; '' before the first."""
    found = []
    for job, options in sorted(deployment.jobs.options(deployment.releases.current()).items()):
        timer = properties(deployment.jobs.unit(job, 'timer'), 'LastTriggerUSec', 'NextElapseUSecRealtime')
        service = properties(deployment.jobs.unit(job), 'ActiveState', 'Result')
        last, following = (moment(timer.get(name, '')) for name in ('LastTriggerUSec', 'NextElapseUSecRealtime'))
        runs = service.get('ActiveState') in ('activating', 'active', 'deactivating')
        failed = not runs and service.get('Result', 'success') != 'success'
        result = 'running' if runs else 'failed ({})'.format(service['Result']) if failed else 'succeeded' if last else ''
        if failed:
            problems.append('the job {} has failed: {}'.format(job, service['Result']))
        found.append({'name': job, 'schedule': options['schedule'], 'result': result, 'last': last, 'next': following})
    return found


def services(deployment, problems):
    """The app's database and the like: their units' states."""
    found = []
    for service, unit in sorted(deployment.config.services.items()):
        state = properties(unit, 'ActiveState').get('ActiveState', 'unknown')
        if state != 'active':
            problems.append('{} does not run ({}: {})'.format(service, unit, state))
        found.append({'name': service, 'unit': unit, 'state': state})
    return found


def certificate(deployment, problems):
    """The days that are left of the site's certificate; nothing without TLS."""
    path = deployment.config.certificate
    if not path:
        return None
    command = ['openssl', 'x509', '-noout', '-enddate', '-in', path]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10)
    text = one_line(done.stdout.decode('utf-8', 'replace'))
    if done.returncode:
        raise Failure('cannot read {}: {}'.format(path, text))
    ends = ssl.cert_time_to_seconds(text.partition('=')[2])
    days = int((ends - time.time()) // 86400)
    if days < EXPIRY_DAYS:
        problems.append('the certificate expires in {} days'.format(days) if days >= 0 else 'the certificate has expired')
    return {'days': days, 'until': time.strftime('%Y-%m-%d', time.gmtime(ends))}


def disk(deployment, problems):
    """What the app's folders take, and what is left of their file system."""
    config = deployment.config
    sizes = {name: folder_size_as(config.user, config.root / name) for name in SIZED if (config.root / name).is_dir()}
    info = os.statvfs(str(config.root))
    if info.f_bavail < info.f_blocks * LOW:
        problems.append('the disk of {} is almost full'.format(config.root))
    if info.f_files and info.f_favail < info.f_files * LOW:
        problems.append('the file system of {} has almost no inodes left'.format(config.root))
    return {'folders': sizes, 'free': info.f_bavail * info.f_frsize, 'total': info.f_blocks * info.f_frsize}


def memory(deployment, problems, path='/proc/meminfo'):
    """The machine's memory."""
    lines = (line.split() for line in Path(path).read_text().splitlines())
    values = {fields[0].rstrip(':'): int(fields[1]) * 1024 for fields in lines}
    facts = {'available': values['MemAvailable'], 'total': values['MemTotal']}
    if facts['available'] < facts['total'] * LOW:
        problems.append('the machine has almost no memory left')
    return facts


SECTIONS = (release, releases, pending_changes, web, processes, jobs, services, certificate, disk, memory)


def gather(deployment):
    """The facts of all sections by name, with `app`, `host`, `time` and `problems`. A section that fails is a problem, and None."""
    problems = []
    deployment.program.patience = deployment.processes.supervisor.patience = PATIENCE
    facts = {'app': deployment.config.name, 'host': socket.gethostname(), 'time': int(time.time()), 'problems': problems}
    for section in SECTIONS:
        try:
            facts[section.__name__] = section(deployment, problems)
        except (Failure, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            facts[section.__name__] = None
            problems.append('{}: {}'.format(section.__name__, one_line(str(error) or repr(error))))
    # several sections may fail for the same reason
    facts['problems'] = list(dict.fromkeys(problems))
    return facts
