"""The jobs of a release: which timers run after a deploy, a rollback and a removal, and what a job gets."""

import json
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from release import commands, jobs
from release.deploy import Deployment
from release.errors import Failure
from test_deploy import at_rest, deploy

CLEANUP = {'command': 'flask cleanup', 'schedule': '*-*-* 03:00:00', 'timeout': 600, 'catch_up': True, 'environment': {}}


def options(**values):
    return dict(CLEANUP, **values)


@pytest.fixture
def first(host):
    """A host on which the release `a` serves, with two jobs."""
    host.make_release('a', jobs={'cleanup': options(), 'report': options(catch_up=False)}, job_failure_hook='')
    deploy(host, 'a')
    return host


def timers(host):
    """The timers that run and are enabled."""
    names = {path.name for path in (host.services.folder / 'timers').iterdir()}
    return sorted(name[: -len('.enable')] for name in names if name.endswith('.enable') and name[: -len('enable')] + 'restart' in names)


def files(host):
    return sorted(str(path.relative_to(host.config.units)) for path in host.config.units.rglob('*') if path.is_file())


def test_jobs_come_with_the_release(first):
    assert timers(first) == ['shop-job@cleanup.timer', 'shop-job@report.timer'] and at_rest(first)
    text = (first.config.units / 'shop-job@cleanup.timer').read_text()
    assert 'OnCalendar=*-*-* 03:00:00\n' in text and 'Persistent=true\n' in text
    assert 'Persistent=false\n' in (first.config.units / 'shop-job@report.timer').read_text()
    limit = first.config.units / 'shop-job@cleanup.service.d/limit.conf'
    assert 'TimeoutStartSec=600\n' in limit.read_text() and limit.stat().st_mode & 0o777 == 0o644
    assert Deployment(first.config).pending_changes('a') == []


def changes(host):
    """The calls of systemctl that change something."""
    return [line for line in host.services.calls() if line.split()[0] in ('enable', 'disable', 'restart', 'daemon-reload')]


def test_the_same_again_changes_nothing(first):
    before = changes(first)
    deploy(first, 'a')
    assert changes(first) == before


def test_a_release_with_the_same_jobs_touches_no_timer(first):
    before = changes(first)
    first.make_release('b', jobs={'cleanup': options(), 'report': options(catch_up=False)}, job_failure_hook='')
    deploy(first, 'b')
    assert changes(first) == before


def test_jobs_change_with_the_release_and_back(first):
    first.make_release('b', jobs={'cleanup': options(schedule='hourly')}, job_failure_hook='')
    deploy(first, 'b')
    assert timers(first) == ['shop-job@cleanup.timer'] and Deployment(first.config).pending_changes('b') == []
    assert files(first) == ['shop-job@cleanup.service.d/limit.conf', 'shop-job@cleanup.timer']
    assert 'OnCalendar=hourly\n' in (first.config.units / 'shop-job@cleanup.timer').read_text()
    Deployment(first.config).rollback()
    assert timers(first) == ['shop-job@cleanup.timer', 'shop-job@report.timer']


def test_a_release_without_jobs_takes_them_away(first):
    first.make_release('b')
    deploy(first, 'b')
    assert timers(first) == [] and files(first) == [] and not list(first.config.units.glob('*.d'))


def test_a_failed_release_changes_no_job(first):
    first.make_release('b', jobs={}, job_failure_hook='', program={'exit': 1})
    with pytest.raises(Failure):
        deploy(first, 'b')
    assert timers(first) == ['shop-job@cleanup.timer', 'shop-job@report.timer']


def test_drift(first):
    (first.config.units / 'shop-job@cleanup.timer').write_text('OnCalendar=daily\n')
    (first.config.units / 'shop-job@old.timer').write_text('')
    (first.services.folder / 'timers/shop-job@report.timer.restart').unlink()
    (first.services.folder / 'timers/shop-job@report.timer.enable').unlink()
    units = first.config.units
    assert Deployment(first.config).pending_changes('a') == [
        '{}/shop-job@cleanup.timer is not that of a'.format(units),
        '{}/shop-job@old.timer is left'.format(units),
        'shop-job@report.timer does not run',
        'shop-job@report.timer is not enabled',
    ]
    for end in ('enable', 'restart'):
        (first.services.folder / 'timers/shop-job@old.timer.{}'.format(end)).touch()
    program = first.supervisor.process.pid
    deploy(first, 'a')
    assert Deployment(first.config).pending_changes('a') == [] and first.supervisor.process.pid == program
    assert timers(first) == ['shop-job@cleanup.timer', 'shop-job@report.timer']


def run_job(host, job, monkeypatch):
    """What a job executes: the account, the folder, the command and the variables."""
    found = {}
    monkeypatch.setattr(commands.os, 'chdir', lambda path: found.update(folder=path))
    monkeypatch.setattr(commands, 'become', lambda user: found.update(user=user))
    monkeypatch.setattr(commands.os, 'execve', lambda path, command, variables: found.update(command=command, variables=variables))
    Deployment(host.config).jobs.execute(job)
    return found


def test_a_job_runs_in_the_serving_release(first, account, monkeypatch):
    found = run_job(first, 'cleanup', monkeypatch)
    assert found['folder'] == str(first.config.releases / 'a') and found['user'] == account
    assert found['command'] == [b'/bin/sh', b'-c', b'flask cleanup'] and found['variables'][b'PROCESS_NAME'] == b'cleanup'
    assert (first.config.run / 'jobs/cleanup').read_text() == 'a'


def test_an_unknown_job_is_refused(first):
    with pytest.raises(Failure) as caught:
        Deployment(first.config).jobs.execute('x')
    assert str(caught.value) == 'The release a has no job x.'


def test_a_release_of_a_running_job_is_not_pruned(first, monkeypatch):
    run_job(first, 'cleanup', monkeypatch)
    unit = first.services.folder / 'units/shop-job@cleanup.service'
    unit.mkdir()
    for name in 'bcde':
        first.make_release(name)
        deploy(first, name)
    Deployment(first.config).prune()
    assert 'a' in first.releases and 'b' not in first.releases
    unit.rmdir()
    Deployment(first.config).prune()
    assert 'a' not in first.releases


@pytest.fixture
def hook():
    """A server that notes what is posted to it, and refuses the first request."""
    got, refused = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers['Content-Length'])).decode()))
            self.send_response(204 if refused else 500)
            refused.append(True)
            self.end_headers()

        def log_request(self, *arguments):
            pass

    server = HTTPServer(('127.0.0.1', 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield 'http://127.0.0.1:{}/x'.format(server.server_port), got
    server.shutdown()
    server.server_close()


def failing(host, hook, result):
    """A host whose job has ended with a result."""
    host.make_release('a', jobs={'cleanup': options()}, job_failure_hook=hook)
    deploy(host, 'a')
    (host.config.run / 'jobs').mkdir()
    (host.config.run / 'jobs/cleanup').write_text('a')
    (host.services.folder / 'units/shop-job@cleanup.service').mkdir()
    Deployment(host.config).jobs.ended('cleanup', result)


def test_a_failure_is_posted(host, hook, capsys, monkeypatch):
    monkeypatch.setattr(jobs, 'HOOK_PAUSE', 0)
    url, got = hook
    failing(host, url, 'timeout')
    assert len(got) == 2 and got[1].pop('host') and got[1] == {'app': 'shop', 'job': 'cleanup', 'release': 'a', 'result': 'timeout'}
    assert capsys.readouterr().out.endswith('the hook for failed jobs: status 204\n')


def test_a_failure_calls_a_command(host, tmp_path):
    failing(host, 'echo "$APP $JOB $RELEASE $RESULT" >{}/told'.format(tmp_path), 'exit-code')
    assert (tmp_path / 'told').read_text() == 'shop cleanup a exit-code\n'


def test_a_job_that_fails_at_once_is_told_too(host, tmp_path):
    host.make_release('a', jobs={'cleanup': options()}, job_failure_hook='echo "$JOB $RELEASE" >{}/told'.format(tmp_path))
    deploy(host, 'a')
    Deployment(host.config).jobs.ended('cleanup', 'exit-code')
    assert (tmp_path / 'told').read_text() == 'cleanup a\n'


def test_a_success_calls_nothing(host, tmp_path):
    failing(host, 'touch {}/told'.format(tmp_path), 'success')
    assert not (tmp_path / 'told').exists()


def test_a_hook_that_does_not_answer(host, capsys, monkeypatch):
    monkeypatch.setattr(jobs, 'HOOK_PAUSE', 0)
    failing(host, 'http://127.0.0.1:1/', 'exit-code')
    assert 'the hook for failed jobs: ' in capsys.readouterr().out


def test_all_jobs_end(first, monkeypatch):
    run_job(first, 'cleanup', monkeypatch)
    sleep = subprocess.Popen(['sleep', '60'])
    unit = first.services.folder / 'units/shop-job@cleanup.service'
    unit.mkdir()
    (unit / 'pid').write_text(str(sleep.pid))
    thread = Thread(target=sleep.wait)
    thread.start()
    Deployment(first.config).stop_all()
    thread.join(5)
    assert sleep.returncode == -15 and timers(first) == [] and files(first) == []
