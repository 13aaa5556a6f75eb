"""make rehearse: what it measures, and what it makes of that."""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools.rehearse import findings, load, machine, measure, report
from tools.rehearse.findings import Outcome
from tools.rehearse.load import Answer
from tools.rehearse.rehearsal import Rehearsal, Result
from tools.rehearse.settings import Request, Settings
from tools.rehearse.versions import Version

ITEMS, ORDERS = Request('/items'), Request('/orders', 'POST')
ROOT = Path(__file__).parents[2]


def answers(phase, number, status=200, request=ITEMS, failure=''):
    failure = failure or (f'status {status}' if status >= 500 else '')
    return [Answer(request, phase, 0.01, status, failure)] * number


def kinds(outcome):
    return [finding.kind for finding in findings.judge(outcome)]


def healthy(*more, **values):
    """An outcome without a fault, and what is added to it."""
    phases = ('before', 'deploy', 'after', 'many', 'broken', 'rollback', 'back')
    return Outcome([*(answer for phase in phases for answer in answers(phase, 20)), *more], **{'start_before': 1, 'start_new': 1, **values})


# -- judgements


def test_a_healthy_app_has_no_findings():
    assert kinds(healthy()) == []


@pytest.mark.parametrize('before, new, found', [(1, 5.5, True), (1, 4.5, False), (4, 7.5, False), (4, 8.5, True), (None, 6, True)])
def test_a_slow_start_is_compared_with_the_version_before(before, new, found):
    assert kinds(healthy(start_before=before, start_new=new)) == ['start'] * found


def test_a_start_near_the_health_timeout_is_slow():
    assert kinds(healthy(start_before=4, start_new=4, health_timeout=6)) == ['start']


def test_workers_that_end_are_a_crash_with_the_logs_words():
    (finding,) = findings.judge(healthy(ended_workers=3, last_words='Worker (pid:7) exited with code 1'))
    assert finding.kind == 'crash' and 'exited with code 1' in finding.text and '3 workers' in finding.text


def test_the_requests_that_a_crash_loses_are_no_further_finding():
    (finding,) = findings.judge(healthy(*answers('many', 2, 502), *answers('broken', 1, 502), ended_workers=1))
    assert finding.kind == 'crash' and '3 requests in the whole rehearsal were lost' in finding.text


def test_workers_that_end_by_max_requests_are_none():
    assert kinds(healthy(ended_workers=3, recycles=True)) == []


def test_lost_requests_are_named_with_their_number():
    (finding,) = findings.judge(healthy(*answers('deploy', 2, 502, ORDERS)))
    assert finding.kind == 'lost' and finding.text.startswith('2 requests were lost during the deploy: POST /orders: 2 with status 502.')


@pytest.mark.parametrize('phase', ['broken', 'rollback'])
def test_requests_must_not_be_lost_in_other_changes_either(phase):
    assert kinds(healthy(*answers(phase, 1, 0, failure='no answer'))) == ['lost']


def test_a_version_before_that_fails_on_the_new_data_is_a_migration_and_nothing_else():
    (finding,) = findings.judge(healthy(*answers('deploy', 9, 500), *answers('back', 5, 500), commands=['flask db upgrade']))
    assert finding.kind == 'migration' and '9 requests failed while it still served' in finding.text and 'flask db upgrade' in finding.text


def test_a_rollback_that_fails_on_the_new_data_is_a_migration():
    outcome = healthy(*answers('deploy', 9, 500), rollback_error='status 500 instead of 200')
    assert kinds(outcome) == ['migration']


def test_a_rollback_that_fails_for_other_reasons_is_a_finding():
    assert kinds(healthy(rollback_error='no answer')) == ['rollback']


def test_errors_of_the_new_version_only():
    assert kinds(healthy(*answers('many', 3, 500, ORDERS))) == ['errors']
    assert kinds(healthy(*answers('before', 3, 500, ORDERS), *answers('many', 3, 500, ORDERS))) == []
    assert kinds(healthy(*answers('many', 3, 404))) == ['errors']


def test_a_version_that_cannot_be_deployed():
    (finding,) = findings.judge(healthy(deploy_error='  no\n module '))
    assert finding.kind == 'deploy' and finding.text.endswith('no module')


# -- memory, starts, workers


def points(of):
    return [(number, int(40000 + of(number))) for number in range(0, 1500, 40)]


def test_a_steady_growth_is_a_leak():
    found = measure.growth(points(lambda number: 4 * number))
    assert found.is_leak and found.slope == pytest.approx(4, abs=0.1)
    assert kinds(healthy(growth=found)) == ['leak']


@pytest.mark.parametrize('of', [
    lambda number: 0, lambda number: min(number, 400) * 20, lambda number: number % 200 * 10, lambda number: number,
])  # fmt: skip
def test_caches_that_fill_and_memory_that_comes_and_goes_are_no_leak(of):
    assert not measure.growth(points(of)).is_leak


def test_too_few_points_say_nothing():
    assert measure.growth([]) is None and measure.growth([(0, 1), (100, 2)]) is None


def sample(masters, workers, ready=(), cpu=0.0):
    return measure.Sample(0, 'many', 0, 1, cpu, 4, list(masters), [list(worker) for worker in workers], list(ready))


def test_workers_that_ended_are_counted_while_the_master_stays():
    one, two, new = [(2, 10), (3, 10)], [(2, 10), (4, 99)], [(8, 100)]
    assert measure.ended_workers([sample([1], one), sample([1], two), sample([7], new)]) == 1


def test_a_start_is_read_once_all_workers_are_ready():
    samples = [sample([1], [(2, 1), (3, 1)], [0.5]), sample([1, 7], [(2, 1)], [9]), sample([1], [(2, 1), (3, 1)], [0.5, 0.7])]
    assert measure.start_time(samples) == 0.7


def test_cpu_of_ended_processes_does_not_count_backwards():
    assert measure.cpu_used([sample([], [], cpu=cpu) for cpu in (1, 3, 2, 4)]) == 4


def test_the_sampler_sees_gunicorn_and_its_workers(tmp_path):
    """With processes of this computer that are called gunicorn."""
    script = tmp_path / 'gunicorn'
    script.write_text("import os, time\nfor _ in range(2):\n    os.fork() or time.sleep(60)\ntime.sleep(60)\n")
    process = subprocess.Popen([sys.executable, script], start_new_session=True)
    sampler = subprocess.Popen([sys.executable, ROOT / 'tools/rehearse/sampler.py', tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.5)
        for _ in range(20):
            found = json.loads(sampler.stdout.readline())
            if process.pid in found['masters'] and len(found['workers']) >= 2:
                break
        assert process.pid in found['masters'] and found['pss'] > 1000 and found['processes'] >= 3
    finally:
        sampler.kill()
        sampler.wait()
        os.killpg(process.pid, 9)
        process.wait()


# -- load


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == '/cut':
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort')
        elif self.path != '/nothing':
            self.server.seen.append(dict(self.headers))
            self.send_response(int(self.path[1:]))
            self.end_headers()
            self.wfile.write(b'text')

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as opened:
        opened.seen = []
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        yield opened
        opened.shutdown()


def test_the_load_counts_what_is_lost_and_keeps_its_rate(server):
    requests = [
        Request('/200', headers=(('A', 'b'),)),
        Request('/404', 'POST', body='x'),
        Request('/500'),
        Request('/cut'),
        Request('/nothing'),
    ]
    put = load.Load(server.server_address[1], 'shop.example.com', 'https', requests, 50)
    put.start()
    time.sleep(1)
    put.stop()
    assert 30 < len(put.answers) <= 55
    found = {str(answer.request): (answer.status, answer.failure) for answer in put.answers}
    assert found == {
        'GET /200': (200, ''), 'POST /404': (404, ''), 'GET /500': (500, 'status 500'), 'GET /cut': (0, 'no answer (cut short)'),
        'GET /nothing': (0, 'no answer'),
    }  # fmt: skip
    assert server.seen[0]['Host'] == 'shop.example.com' and server.seen[0]['X-Forwarded-Proto'] == 'https' and server.seen[0]['A'] == 'b'


def test_without_a_server_every_request_is_lost():
    put = load.Load(1, 'x', 'http', [ITEMS], 20)
    put.start()
    time.sleep(0.3)
    put.stop()
    assert {answer.failure for answer in put.answers} == {'no answer (ConnectionRefusedError)'}


def test_a_burst_is_faster_and_ends(server):
    put = load.Load(server.server_address[1], 'x', 'http', [Request('/200')], 5)
    put.start()
    put.phase = 'many'
    started = time.monotonic()
    put.burst(100, 20)
    assert time.monotonic() - started < 15
    put.stop()
    assert sum(answer.phase == 'many' for answer in put.answers) >= 95


# -- report


def test_the_figures_of_a_phase():
    some = [Answer(ITEMS, 'deploy', seconds / 100, 200, '') for seconds in range(1, 101)] + answers('deploy', 2, 502)
    found = report.figures(some, [])
    assert (found['requests'], found['lost'], found['failures']) == (102, 2, {'GET /items: status 502': 2})
    assert (found['p50_ms'], found['p99_ms'], found['slowest'][0]) == (500, 990, {'request': 'GET /items', 'ms': 1000})


@pytest.mark.parametrize('prefix', ['', '/shop'])
def test_the_load_goes_below_the_apps_path(prefix):
    app = SimpleNamespace(variables={'flask_app_health_path': '/health', 'nginx_path_prefix': prefix}, notes=[])
    rehearsal = Rehearsal(app, Settings(paths=[ITEMS, Request('/health')]), (Version('', 'old'), Version('', 'new')), None, print)
    assert rehearsal.requests == [Request(f'{prefix}/health'), Request(f'{prefix}/items')]


def test_the_report_names_findings_figures_and_notes():
    outcome = healthy(*answers('deploy', 2, 502, ORDERS), *answers('before', 1, 404, ORDERS))
    result = Result(system='Debian', seconds={'deploy': 12.3}, late=0.5, outcome=outcome)
    rehearsal = SimpleNamespace(
        result=result, app=SimpleNamespace(name='shop'), before=Version('', 'old'), new=Version('', 'new'), notes=['a note']
    )
    found = report.build(rehearsal, findings.judge(outcome))
    assert json.loads(json.dumps(found)) == found
    assert (found['requests'], found['lost'], found['versions']) == (143, 2, {'before': 'old', 'new': 'new'})
    text = '\n'.join(report.lines(found))
    assert 'FOUND (lost): 2 requests were lost during the deploy' in text and 'seconds to deploy  12.3' in text
    for note in ('a note', 'POST /orders answers 404. Is the path right?', 'This computer was busy'):
        assert f'note: {note}' in text


def test_the_error_of_a_playbook_is_found_in_its_output():
    error = "fatal: [app]: FAILED! =>\n  changed: false\n  msg:\n  - 'no module'\n  - Second line\n"
    output = f'TASK [x]\n{error}\nTASK [y]\nok: [app]\nfatal: [app]: FAILED! => \n  msg: two\n\nPLAY RECAP\n'
    assert machine.error_in(output) == 'no module\nSecond line'
    assert machine.error_in('one\ntwo\n') == 'one\ntwo'
