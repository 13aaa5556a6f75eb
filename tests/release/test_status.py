"""What `status` gathers and shows, and that nothing an app does to its files or processes harms it."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from conftest import needs_root
from release import overview, status
from release.deploy import Deployment
from standins import end_process, wait_for

OPTIONS = {
    'command': 'true', 'count': 2, 'stop_signal': 'TERM', 'stop_timeout': 1, 'settle_time': 0, 'start_retries': 3, 'single': False,
    'overlap': False, 'environment': {}, 'address_space': 0,
}  # fmt: skip


@pytest.fixture
def deployment(host):
    """An app with two releases, of which `b` serves with workers."""
    deployment = Deployment(host.config)
    host.make_release('a')
    deployment.activate('a', 'v1')
    host.make_release('b', processes={'worker': OPTIONS})
    deployment.activate('b', 'v2')
    return deployment


def section(name, deployment):
    """A section's facts and its problems."""
    problems = []
    return getattr(status, name)(deployment, problems), problems


# -- all of it


def test_a_healthy_app_has_no_problem(deployment):
    facts = status.gather(deployment)
    assert facts['problems'] == [] and facts['pending_changes'] == [] and facts['app'] == 'shop'
    assert facts['release']['id'] == 'b' and facts['release']['revision'] == 'v2' and facts['release']['since']
    assert facts['releases'] == [{'id': 'a', 'revision': 'v1', 'state': 'available for rollback'}]
    assert facts['web']['state'] == 'running' and facts['web']['answer'] == 'healthy'
    # gunicorn and its two workers
    assert facts['web']['processes'] == 3 and facts['web']['memory'] > 1000000 and 0 <= facts['web']['uptime'] < 60
    assert [(one['name'], one['type'], one['release'], one['state']) for one in facts['processes']] == [
        ('worker.1', 'worker', 'b', 'running'),
        ('worker.2', 'worker', 'b', 'running'),
    ]
    assert facts['certificate'] is None
    assert json.loads(json.dumps(facts)) == facts


def test_the_text_of_a_healthy_app(deployment):
    lines = overview.lines(status.gather(deployment))
    rows = {line.split()[0]: line for line in lines}
    assert lines[0].startswith('release') and ' b v2, since 20' in lines[0]
    assert rows['others'].endswith(' a v1') and 'running, pid ' in rows['web'] and rows['web'].endswith('3 processes, healthy')
    assert 'running' in rows['worker.1'] and rows['drift'].split()[1] == 'none' and 'certificate' not in rows


def test_a_process_that_supervisor_gave_up_is_the_first_thing_that_is_shown(host, deployment):
    host.supervisor.groups['shop.worker@b']['worker.2'] = 'FATAL', 0
    facts = status.gather(deployment)
    assert facts['problems'] == ['the process shop.worker@b:worker.2 is in the state fatal']
    lines = overview.lines(facts)
    assert lines[:2] == ['problems:', '- the process shop.worker@b:worker.2 is in the state fatal']
    assert any(line.startswith('worker.2 ') and 'FATAL' in line for line in lines)


def test_a_program_that_does_not_run_or_answer_is_a_problem(host, deployment):
    end_process(host.supervisor.process.pid, host.services.folder / 'gunicorn')
    host.supervisor.process.wait()
    facts = status.gather(deployment)
    assert facts['web']['state'] == 'fatal' and 'pid' not in facts['web']
    assert any(text.startswith('the app does not answer / as it should: no answer') for text in facts['problems'])
    assert any(line.startswith('web ') and 'FATAL, no answer' in line for line in overview.lines(facts))


def test_a_host_without_a_release(host):
    facts = status.gather(Deployment(host.config))
    assert facts['problems'] == ['no release has been deployed on this host']
    assert facts['release'] is None and facts['pending_changes'] == [] and 'answer' not in facts['web']
    assert overview.lines(facts)[1] == '- no release has been deployed on this host'


def test_a_section_that_fails_leaves_the_others(host, deployment, monkeypatch):
    monkeypatch.setattr(status, 'process_table', lambda: {}['gone'])
    monkeypatch.setattr(status.os, 'statvfs', lambda path: os.stat('/nothing/here'))
    facts = status.gather(deployment)
    assert facts['web'] is None and facts['disk'] is None and facts['release']['id'] == 'b' and facts['memory']
    assert [text.partition(':')[0] for text in facts['problems']] == ['web', 'processes', 'disk']


def test_a_supervisor_that_does_not_answer_is_a_problem_soon(host, deployment, monkeypatch):
    monkeypatch.setattr(status, 'PATIENCE', 0.1)
    host.supervisor.raw = b'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'
    started = time.monotonic()
    facts = status.gather(deployment)
    assert time.monotonic() - started < 10
    assert facts['processes'] is None and facts['release']['id'] == 'b'
    assert any(text.startswith('processes: supervisor does not answer') for text in facts['problems'])


# -- memory of processes


def test_usage_counts_descendants():
    code = "import subprocess, sys; subprocess.call([sys.executable, '-c', 'import time; time.sleep(60)'])"
    process = subprocess.Popen([sys.executable, '-c', code], start_new_session=True)
    try:
        facts = wait_for(lambda: (lambda f: f if f['processes'] == 2 else None)(status.usage(status.process_table(), process.pid)))
        assert facts['pid'] == process.pid and facts['memory'] > 2000000 and facts['uptime'] < 60
    finally:
        end_process(process.pid, 'subprocess')
        process.wait()
    assert status.usage(status.process_table(), process.pid) == {} and status.usage({}, 0) == {}


def test_a_loop_of_parents_ends():
    assert status.tree({1: [b'S', b'2'], 2: [b'S', b'1'], 3: [b'S', b'9']}, 1) == {1, 2}


# -- jobs

SHOW = """#!/bin/sh
for unit; do :; done
case $unit in
*bad.timer|*good.timer) printf 'LastTriggerUSec=Sat 2026-01-03 03:00:00 UTC\\nNextElapseUSecRealtime=Sun 2026-01-04 03:00:00 UTC\\n' ;;
*timer) printf 'LastTriggerUSec=n/a\\nNextElapseUSecRealtime=\\n' ;;
*bad.service) printf 'ActiveState=failed\\nResult=timeout\\n' ;;
*now.service) printf 'ActiveState=activating\\nResult=success\\n' ;;
*) printf 'ActiveState=inactive\\nResult=success\\n' ;;
esac
"""


def test_the_last_and_next_runs_of_jobs(host, deployment, services, make_release, config):
    make_release('c', jobs={name: {'schedule': 'daily'} for name in ('bad', 'good', 'new', 'now')})
    config.current.unlink()
    config.current.symlink_to(config.releases / 'c')
    (services.folder / 'systemctl').write_text(SHOW)
    facts, problems = section('jobs', deployment)
    assert [(one['name'], one['result']) for one in facts] == [
        ('bad', 'failed (timeout)'),
        ('good', 'succeeded'),
        ('new', ''),
        ('now', 'running'),
    ]
    assert problems == ['the job bad has failed: timeout'] and facts[0]['schedule'] == 'daily'
    shown = dict(overview.jobs(facts))
    assert shown['job.good'] == 'succeeded, last Sat 2026-01-03 03:00:00 UTC, next Sun 2026-01-04 03:00:00 UTC'
    assert shown['job.new'] == 'not run yet' and shown['job.now'] == 'running'


# -- the database and the like


def test_a_service_that_does_not_run_is_a_problem(deployment, monkeypatch):
    states = {'postgresql@15-main.service': 'active', 'shop-redis.service': 'failed'}
    deployment.config.services = {'redis': 'shop-redis.service', 'postgresql': 'postgresql@15-main.service'}
    monkeypatch.setattr(status, 'properties', lambda unit, *names: {'ActiveState': states[unit]})
    facts, problems = section('services', deployment)
    assert problems == ['redis does not run (shop-redis.service: failed)']
    assert overview.services(facts) == [
        ('postgresql', 'active, postgresql@15-main.service'),
        ('redis', 'FAILED, shop-redis.service'),
    ]


# -- the certificate


@pytest.fixture
def certificate(folder, config, deployment):
    """Makes a certificate that is valid for some days."""
    if not shutil.which('openssl'):
        pytest.skip('needs openssl')

    def make(days):
        path = folder / 'site.pem'
        command = ['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=shop', '-days', str(days)]
        done = subprocess.run([*command, '-keyout', str(path), '-out', str(folder / 'c.pem')], stderr=subprocess.DEVNULL)
        assert done.returncode == 0
        with open(str(path), 'a') as file:
            file.write((folder / 'c.pem').read_text())
        config.certificate = str(path)
        return section('certificate', deployment)

    return make


def test_the_days_of_a_certificate_are_counted(certificate):
    facts, problems = certificate(60)
    assert facts['days'] in (59, 60) and problems == []
    assert overview.certificate(facts) == [('certificate', '{} days left, until {}'.format(facts['days'], facts['until']))]
    facts, problems = certificate(5)
    assert facts['days'] in (4, 5) and problems == ['the certificate expires in {} days'.format(facts['days'])]


def test_an_expired_certificate_is_a_problem(certificate, monkeypatch):
    now = time.time()
    monkeypatch.setattr(status.time, 'time', lambda: now + 10 * 86400)
    assert certificate(5)[1] == ['the certificate has expired']


def test_a_damaged_certificate_is_a_problem(folder, config, deployment):
    (folder / 'site.pem').write_text('nonsense')
    config.certificate = str(folder / 'site.pem')
    facts = status.gather(deployment)
    assert facts['certificate'] is None and any(text.startswith('certificate: ') for text in facts['problems'])


# -- the disk


def test_folders_are_counted_without_following_links(folder):
    (folder / 'x/y').mkdir(parents=True)
    (folder / 'x/y/big').write_bytes(b'x' * 100000)
    os.link(str(folder / 'x/y/big'), str(folder / 'x/again'))
    (folder / 'x/out').symlink_to('/usr')
    (folder / 'x/loop').symlink_to('.')
    found = status.folder_size(folder / 'x')
    assert found['complete'] and 100000 <= found['bytes'] < 150000


def test_sizes_stop_at_their_limits(folder):
    for number in range(50):
        (folder / str(number)).write_text('x')
    assert status.folder_size(folder, entries=50)['complete']
    assert not status.folder_size(folder, entries=20)['complete']
    assert not status.folder_size(folder, seconds=0)['complete']
    facts = {'folders': {'shared': {'bytes': 5000, 'complete': False}}, 'free': 2000, 'total': 123456789}
    assert overview.disk(facts) == [('disk', 'shared at least 5.0 kB, 2.0 kB of 123 MB free')]


def test_a_folder_that_is_gone_has_no_size(folder):
    assert status.folder_size(folder / 'nothing') == {'bytes': 0, 'complete': True}


@needs_root
def test_sizes_are_read_as_the_apps_account(folder):
    (folder / 'closed').mkdir(mode=0o700)
    (folder / 'closed/file').write_bytes(b'x' * 100000)
    assert status.folder_size_as('', folder)['complete']
    assert status.folder_size_as('nobody', folder) == {'bytes': status.folder_size(folder, entries=1)['bytes'], 'complete': False}


def test_a_reader_that_is_killed_leaves_the_size_unknown(folder, monkeypatch):
    monkeypatch.setattr(status, 'SIZE_TIMEOUT', -0.9)
    monkeypatch.setattr(status, 'folder_size', lambda path: time.sleep(60))
    assert status.folder_size_as('', folder) == {'bytes': 0, 'complete': False}


def test_a_full_disk_is_a_problem(deployment, monkeypatch):
    class Full:
        f_bavail, f_blocks, f_frsize, f_favail, f_files = 4, 100, 4096, 1, 1000

    monkeypatch.setattr(status.os, 'statvfs', lambda path: Full)
    facts, problems = section('disk', deployment)
    assert facts['free'] == 16384 and set(facts['folders']) == {'releases', 'venvs'}
    assert len(problems) == 2 and 'is almost full' in problems[0] and 'inodes' in problems[1]


def test_little_memory_is_a_problem(folder):
    problems = []
    (folder / 'meminfo').write_text('MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 40 kB\nHugePages_Total: 0\n')
    assert status.memory(None, problems, str(folder / 'meminfo')) == {'available': 40960, 'total': 1024000}
    assert problems == ['the machine has almost no memory left']
    assert overview.memory({'available': 40960, 'total': 1024000}) == [('memory', '41.0 kB of 1.0 MB available')]


# -- text


@pytest.mark.parametrize(
    'number, shown', [(0, '0 B'), (999, '999 B'), (1000, '1.0 kB'), (123456, '123 kB'), (12345678, '12.3 MB'), (5 * 10**15, '5000 TB')]
)
def test_sizes_are_short(number, shown):
    assert overview.size(number) == shown


@pytest.mark.parametrize('seconds, shown', [(0, '0 s'), (59, '59 s'), (60, '1 min'), (3660, '1 h 1 min'), (90000, '1 d 1 h')])
def test_durations_are_short(seconds, shown):
    assert overview.duration(seconds) == shown


def test_processes_of_two_releases_are_told_apart():
    one = {'name': 'worker.1', 'type': 'worker', 'state': 'running', 'release': 'a'}
    assert overview.processes([one]) == [('worker.1', 'running')]
    assert overview.processes([one, dict(one, release='b', state='stopping')])[1] == ('worker.1', 'STOPPING of b')


def test_what_an_app_says_is_shown_as_one_plain_line(host, deployment):
    host.supervisor.groups['shop.worker@b']['worker.1'] = 'FATAL', 0
    info = host.supervisor.getAllProcessInfo
    host.supervisor.getAllProcessInfo = lambda: [dict(one, description='a\nproblems:') for one in info()]
    facts, _ = section('processes', deployment)
    assert facts[0]['why'] == 'a problems:'
