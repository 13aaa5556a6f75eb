"""Judges what a rehearsal measured: each finding is one plain line with what to do."""

from __future__ import annotations

import collections
from dataclasses import dataclass, field

from .load import Answer
from .measure import Growth
from .settings import Request

AFTER = ('after', 'many')  # the phases in which the new version alone serves
CHANGES = {'deploy': 'during the deploy', 'broken': 'during the deploy that failed on purpose', 'rollback': 'during the rollback'}
SLOWER = 2  # times the start of the version before


@dataclass
class Outcome:
    """What a rehearsal measured.

    Attributes:
        answers: of all requests.
        start_before, start_new: seconds of the versions' starts, None if unknown.
        start_limit: seconds that a start may take.
        health_timeout: flask_app_health_timeout.
        ended_workers: workers of the new version that ended by themselves.
        last_words: what gunicorn's log says about the last of them.
        recycles: whether flask_app_gunicorn has max_requests, so that workers end on purpose.
        growth: of the new version's memory, None if unknown.
        deploy_error, rollback_error: '' if they succeeded.
        broken_served: whether the release that fails on purpose got traffic.
        commands: flask_app_release_commands.
    """

    answers: list[Answer]
    start_before: float | None = None
    start_new: float | None = None
    start_limit: float = 5
    health_timeout: int = 30
    ended_workers: int = 0
    last_words: str = ''
    recycles: bool = False
    growth: Growth | None = None
    deploy_error: str = ''
    rollback_error: str = ''
    broken_served: bool = False
    commands: list[str] = field(default_factory=list)

    @property
    def crashes(self) -> bool:
        """Whether workers of the new version end, and not on purpose."""
        return bool(self.ended_workers) and not self.recycles

    def lost(self, *phases: str) -> list[Answer]:
        """The lost requests of some phases, but for those that failed before the deploy too."""
        failing = {answer.request for answer in self.answers if answer.phase == 'before' and answer.failure}
        return [answer for answer in self.answers if answer.phase in phases and answer.failure and answer.request not in failing]


@dataclass(frozen=True)
class Finding:
    """A fault of the new version.

    Attributes:
        kind: deploy, start, crash, leak, migration, lost, errors, rollback or broken.
        text: what was seen, and what to do.
    """

    kind: str
    text: str


def counted(answers: list[Answer]) -> str:
    """Lost requests in words: `GET /items: 12 with status 500`."""
    counts = collections.Counter((answer.request, answer.failure) for answer in answers)
    words = [f'{request}: {number} with {failure}' for (request, failure), number in counts.most_common(3)]
    return '; '.join(words) + (f' and {len(counts) - 3} more kinds' if len(counts) > 3 else '')


def plural(number: int, word: str) -> str:
    """`1 request`, `2 requests`."""
    return f'{number} {word}' + ('' if number == 1 else 's')


def first_line(text: str) -> str:
    """An error on one line, not too long."""
    words = ' '.join(text.split())
    return words if len(words) < 400 else words[:400] + ' ...'


def start(outcome: Outcome) -> list[Finding]:
    """A new version that starts slowly."""
    new, old = outcome.start_new, outcome.start_before
    limit = max(outcome.start_limit, SLOWER * (old or 0))
    if new is None or (new <= limit and new <= outcome.health_timeout / 2):
        return []
    compared = f'the version before {old:.1f} s' if old is not None else 'the version before is unknown'
    reason = f'more than {limit:.1f} s' if new > limit else 'more than half of flask_app_health_timeout'
    return [
        Finding(
            'start',
            f'The new version needs {new:.1f} s to start ({compared}), {reason}: after a crash or a reboot it is away for so long. '
            'Do less while modules are imported, or allow it with `start` in rehearse.yml.',
        )
    ]


def crash(outcome: Outcome) -> list[Finding]:
    """Workers that end by themselves; the requests that are lost with them are no further findings."""
    if not outcome.crashes:
        return []
    sent = sum(answer.phase in AFTER for answer in outcome.answers)
    lost = len([answer for answer in outcome.lost(*AFTER, *CHANGES) if answer.status != 500])
    also = f' {plural(lost, "request")} in the whole rehearsal were lost, most likely with them.' if lost else ''
    said = f' The log says: {outcome.last_words}.' if outcome.last_words else ''
    return [
        Finding(
            'crash',
            f"{plural(outcome.ended_workers, 'worker')} of the new version ended in {sent} requests, and gunicorn started others."
            f"{also}{said} "
            "Look for what ends the process in the app's log: os._exit, a crash of a C extension, memory, or gunicorn's timeout.",
        )
    ]


def leak(outcome: Outcome) -> list[Finding]:
    """Memory that grows with the requests."""
    growth = outcome.growth
    if not growth or not growth.is_leak or outcome.ended_workers:
        return []
    until = 512 * 1024 / growth.slope
    return [
        Finding(
            'leak',
            f'Memory grows by {growth.slope:.1f} kB with each request: from {growth.first:.0f} to {growth.last:.0f} MB in '
            f'{growth.requests} requests, 512 MB more after {until:.0f}. Look for lists, dictionaries and caches that only grow; '
            'until then, flask_app_gunicorn: {max_requests: 1000} restarts the workers now and then.',
        )
    ]


def migration(outcome: Outcome) -> tuple[list[Finding], set[Request]]:
    """A version before that fails on the data of the new one; also the requests that fail for this reason."""
    back = [answer for answer in outcome.lost('back') if answer.status >= 500]
    if outcome.rollback_error and not outcome.deploy_error:
        back += [answer for answer in outcome.lost('deploy') if answer.status >= 500]
    if not back:
        return [], set()
    spoilt = {answer.request for answer in back}
    during = [answer for answer in outcome.lost('deploy') if answer.request in spoilt and answer.status >= 500]
    also = f', and {plural(len(during), "request")} failed while it still served during the deploy' if during else ''
    how = f'{"does not become healthy" if outcome.rollback_error else "fails"} after a rollback ({counted(back)})'
    commands = f' Its release commands: {"; ".join(outcome.commands)}.' if outcome.commands else ''
    return [
        Finding(
            'migration',
            f'The version before cannot live with the data of the new one: it {how}{also}.{commands} Change the database in two '
            'releases: the first adds what is new, a later one removes what no older version uses (docs/releases.md).',
        )
    ], spoilt


def lost(outcome: Outcome, spoilt: set[Request]) -> list[Finding]:
    """Requests that a change of the release lost."""
    found: list[Finding] = []
    if outcome.crashes:
        return found
    for phase, words in CHANGES.items():
        answers = [answer for answer in outcome.lost(phase) if not (answer.request in spoilt and answer.status >= 500)]
        if answers:
            found.append(
                Finding(
                    'lost',
                    f'{plural(len(answers), "request")} {"was" if len(answers) == 1 else "were"} lost {words}: {counted(answers)}. '
                    'A worker must finish its request after SIGTERM: leave that signal to gunicorn, '
                    'and set flask_app_graceful_timeout above the longest request.',
                )
            )
    return found


def errors(outcome: Outcome) -> list[Finding]:
    """Requests that the new version answers with errors."""
    answers = outcome.lost(*AFTER)
    if outcome.crashes:
        # the crash explains the others
        answers = [answer for answer in answers if answer.status == 500]
    found = [Finding('errors', f'The new version fails: {counted(answers)}. See its log.')] if answers else []
    earlier = {answer.request: answer.status for answer in outcome.answers if answer.phase == 'before' and 0 < answer.status < 400}
    changed = {
        answer.request: answer.status
        for answer in outcome.answers
        if answer.phase in AFTER and 400 <= answer.status < 500 and answer.request in earlier
    }
    found += [
        Finding('errors', f'The new version answers {request} with {status}, the version before with {earlier[request]}.')
        for request, status in changed.items()
    ]
    return found


def judge(outcome: Outcome) -> list[Finding]:
    """All findings."""
    if outcome.deploy_error:
        found = [Finding('deploy', f'The new version cannot be deployed: {first_line(outcome.deploy_error)}')]
        return found + lost(outcome, set())
    moved, spoilt = migration(outcome)
    found = start(outcome) + crash(outcome) + leak(outcome) + moved + lost(outcome, spoilt) + errors(outcome)
    if outcome.broken_served:
        found.append(Finding('broken', 'A release that fails its health check got traffic. Please report this.'))
    if outcome.rollback_error and not moved:
        found.append(
            Finding(
                'rollback',
                f'The version before does not come back: {first_line(outcome.rollback_error)} '
                'If the new one changes data, do it in two releases.',
            )
        )
    return found
