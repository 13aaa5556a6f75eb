"""The report of a rehearsal, as an object for JSON and as text."""

from __future__ import annotations

import math
from collections.abc import Iterator

from . import measure
from .findings import Finding
from .load import Answer
from .rehearsal import Rehearsal

PHASES = {
    'before': 'the version before',
    'deploy': 'the deploy',
    'after': 'the new version',
    'many': 'many requests',
    'broken': 'a failing deploy',
    'rollback': 'the rollback',
    'back': 'the version before, again',
}
SLOWEST = 3  # requests that are named
LATE = 0.2  # seconds behind its schedule after which the load is called late


def figures(answers: list[Answer], samples: list) -> dict:
    """The figures of a phase."""
    times = sorted(answer.seconds for answer in answers if not answer.failure)
    failures: dict[str, int] = {}
    for answer in answers:
        if answer.failure:
            kind = f'{answer.request}: {answer.failure}'
            failures[kind] = failures.get(kind, 0) + 1
    slowest: dict[str, float] = {}
    for answer in answers:
        if not answer.failure:
            slowest[str(answer.request)] = max(answer.seconds, slowest.get(str(answer.request), 0))
    cpu = measure.cpu_used(samples)
    return {
        'requests': len(answers),
        'lost': sum(failures.values()),
        'failures': failures,
        'p50_ms': at(times, 0.5),
        'p99_ms': at(times, 0.99),
        'slowest': [{'request': request, 'ms': round(seconds * 1000, 1)} for request, seconds in worst(slowest)],
        'memory_mb': round(max((sample.pss for sample in samples), default=0) / 1024, 1),
        'cpu_percent': round(100 * cpu / (samples[-1].at - samples[0].at), 1) if len(samples) > 1 else 0.0,
        'cpu_ms_per_request': round(1000 * cpu / len(answers), 2) if answers else 0.0,
    }


def worst(slowest: dict[str, float]) -> list[tuple[str, float]]:
    """The slowest requests with their times, the slowest first."""
    return sorted(slowest.items(), key=lambda item: -item[1])[:SLOWEST]


def at(times: list[float], share: float) -> float | None:
    """A percentile of sorted times, in milliseconds."""
    return round(times[math.ceil(share * len(times)) - 1] * 1000, 1) if times else None


def build(rehearsal: Rehearsal, findings: list[Finding]) -> dict:
    """The report as an object."""
    result, outcome = rehearsal.result, rehearsal.result.outcome
    phases = {
        phase: figures(
            [answer for answer in outcome.answers if answer.phase == phase], [sample for sample in result.samples if sample.phase == phase]
        )
        for phase in PHASES
    }
    growth = outcome.growth
    notes = list(rehearsal.notes)
    if result.late > LATE:
        notes.append(f'This computer was busy: requests were sent up to {result.late:.1f} s late, so judge times with care.')
    notes += [f'{request} answers {status}. Is the path right?' for request, status in refused(outcome.answers)]
    notes += [f'The version before fails already: {text}' for text in phases['before']['failures']]
    if outcome.recycles:
        notes.append('flask_app_gunicorn has max_requests: ended workers count as intended, and a leak is hidden.')
    return {
        'app': rehearsal.app.name,
        'system': result.system,
        'versions': {'before': rehearsal.before.name, 'new': rehearsal.new.name},
        'findings': [{'kind': finding.kind, 'text': finding.text} for finding in findings],
        'requests': sum(phase['requests'] for phase in phases.values()),
        'lost': sum(phase['lost'] for phase in phases.values()),
        'phases': {phase: values for phase, values in phases.items() if values['requests']},
        'seconds': result.seconds,
        'start_seconds': {'before': outcome.start_before, 'new': outcome.start_new},
        'release_mb': result.release_mb,
        'environment_mb': result.environment_mb,
        'memory_growth': {
            'kb_per_request': round(growth.slope, 2),
            'correlation': round(growth.correlation, 2),
            'requests': growth.requests,
        } if growth else None,
        'notes': notes,
    }  # fmt: skip


def refused(answers: list[Answer]) -> list[tuple]:
    """The requests that the version before answers with a status from 400 to 499."""
    found = {answer.request: answer.status for answer in answers if answer.phase == 'before' and 400 <= answer.status < 500}
    return list(found.items())


def lines(report: dict) -> Iterator[str]:
    """The report as text, line by line."""
    yield f"{report['app']} was rehearsed on {report['system']}."
    yield f"  before  {report['versions']['before']}"
    yield f"  new     {report['versions']['new']}"
    yield ''
    yield f"  {'':26} {'requests':>8} {'lost':>5} {'p50 ms':>8} {'p99 ms':>8} {'slowest ms':>10} {'memory MB':>9} {'CPU %':>6}"
    for phase, values in report['phases'].items():
        slowest = values['slowest'][0]['ms'] if values['slowest'] else '-'
        times = [shown(values['p50_ms']), shown(values['p99_ms'])]
        yield (
            f"  {PHASES[phase]:26} {values['requests']:>8} {values['lost']:>5} {times[0]:>8} {times[1]:>8} {slowest:>10} "
            f"{values['memory_mb']:>9} {values['cpu_percent']:>6}"
        )
    yield ''
    slow: dict[str, float] = {}
    for entry in (entry for values in report['phases'].values() for entry in values['slowest']):
        slow[entry['request']] = max(entry['ms'], slow.get(entry['request'], 0))
    yield '  slowest answers    ' + ', '.join(f'{request} {milliseconds} ms' for request, milliseconds in worst(slow))
    starts = report['start_seconds']
    yield f"  seconds to deploy  {report['seconds'].get('deploy', '-')}, to roll back {report['seconds'].get('rollback', '-')}"
    yield f"  seconds to start   {shown(starts['before'])} before, {shown(starts['new'])} new"
    yield f"  size               {report['release_mb']} MB of release, {report['environment_mb']} MB of packages"
    growth = report['memory_growth']
    if growth:
        yield f"  memory growth      {growth['kb_per_request']} kB a request, over {growth['requests']} requests"
    if report['notes']:
        yield ''
        yield from (f'  note: {note}' for note in report['notes'])
    yield ''
    if not report['findings']:
        yield 'No findings.'
    for finding in report['findings']:
        yield f"FOUND ({finding['kind']}): {finding['text']}"


def shown(value: object) -> str:
    """A figure, or a dash where there is none."""
    return '-' if value is None else str(value)
