"""Sends an app's own requests to the rehearsal machine, at a limited rate, and notes what becomes of each."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from dataclasses import dataclass

from .settings import Request

TIMEOUT = 30  # seconds for an answer
IN_FLIGHT = 8  # requests at the same time; more wait, so that an app with slow pages is not overloaded
FASTEST = 100  # requests a second of a burst


class Broken(Exception):
    """An answer is incomplete."""


@dataclass(frozen=True)
class Answer:
    """What became of a request.

    Attributes:
        request: what was asked.
        phase: of the rehearsal when it was sent.
        seconds: until its answer, or until it failed.
        status: of the answer, 0 if there was none.
        failure: why it is lost: `status 502`, `no answer (...)`; '' if it was answered.
    """

    request: Request
    phase: str
    seconds: float
    status: int
    failure: str


def encode(request: Request, host: str, scheme: str) -> bytes:
    """The bytes of a request on a connection of its own."""
    headers = {'Host': host, 'Connection': 'close', 'User-Agent': 'rehearse'}
    if scheme == 'https':
        headers['X-Forwarded-Proto'] = 'https'
    if request.body or request.method in ('POST', 'PUT', 'PATCH'):
        headers['Content-Length'] = str(len(request.body.encode()))
    headers.update(request.headers)
    lines = ''.join(f'{name}: {value}\r\n' for name, value in headers.items())
    return f'{request.method} {request.path} HTTP/1.1\r\n{lines}\r\n{request.body}'.encode()


def status_of(raw: bytes, method: str) -> int:
    """The status of a complete answer.

    Raises:
        Broken: it is none.
    """
    head, separator, body = raw.partition(b'\r\n\r\n')
    first, *fields = head.decode('latin-1').split('\r\n')
    words = first.split()
    if not separator or len(words) < 2 or not words[0].startswith('HTTP/') or not words[1].isdigit():
        raise Broken('no answer' if not raw else 'cut short')
    values = {name.strip().lower(): value.strip() for name, _, value in (field.partition(':') for field in fields)}
    if method != 'HEAD' and values.get('content-length', str(len(body))) != str(len(body)):
        raise Broken('cut short')
    if values.get('transfer-encoding') == 'chunked' and not body.endswith(b'0\r\n\r\n'):
        raise Broken('cut short')
    return int(words[1])


class Load:
    """Requests from a thread of their own, until stop().

    Attributes:
        answers: what became of the requests so far.
        late: the largest delay of this program's own schedule in seconds.
        phase: of the rehearsal, noted with each request.
    """

    def __init__(self, port: int, host: str, scheme: str, requests: list[Request], rate: float):
        self.port, self.host, self.scheme, self.rate = port, host, scheme, rate
        self.requests = itertools.cycle(requests)
        self.answers: list[Answer] = []
        self.phase = 'before'
        self.late = 0.0
        self.burst_left = 0
        self.stopping = False
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> None:
        """Starts the requests."""
        self.thread.start()

    def stop(self) -> None:
        """Ends the load after the answers to the last requests."""
        self.stopping = True
        if self.thread.is_alive():
            self.thread.join(TIMEOUT + 5)

    def burst(self, requests: int, seconds: float) -> None:
        """Sends a number of requests as fast as they are answered, but not faster than FASTEST, for some seconds at most."""
        deadline = time.monotonic() + seconds
        self.burst_left = requests
        while self.burst_left > 0 and time.monotonic() < deadline and self.thread.is_alive():
            time.sleep(0.1)
        self.burst_left = 0

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        free = asyncio.Semaphore(IN_FLIGHT)
        running: set[asyncio.Task] = set()
        due = clock()
        while not self.stopping:
            await asyncio.sleep(max(0, due - clock()))
            self.late = max(self.late, clock() - due)
            await free.acquire()
            self.burst_left = max(0, self.burst_left - 1)
            task = asyncio.create_task(self._one(next(self.requests), self.phase, free))
            running.add(task)
            task.add_done_callback(running.discard)
            # from now, because the wait for a free place is the app's
            due = max(due, clock() - 1 / self.rate) + 1 / (FASTEST if self.burst_left else self.rate)
        if running:
            await asyncio.wait(running)

    async def _one(self, request: Request, phase: str, free: asyncio.Semaphore) -> None:
        """Sends one request and notes its answer."""
        started, status, failure = time.monotonic(), 0, ''
        try:
            status = await asyncio.wait_for(self._ask(request), TIMEOUT)
            failure = f'status {status}' if status >= 500 else ''
        except (Broken, OSError, asyncio.TimeoutError) as error:
            said = str(error) if isinstance(error, Broken) else type(error).__name__
            failure = said if said == 'no answer' else f'no answer ({said})'
        finally:
            free.release()
        self.answers.append(Answer(request, phase, time.monotonic() - started, status, failure))

    async def _ask(self, request: Request) -> int:
        """The status of the answer to a request."""
        reader, writer = await asyncio.open_connection('127.0.0.1', self.port)
        try:
            writer.write(encode(request, self.host, self.scheme))
            return status_of(await reader.read(-1), request.method)
        finally:
            writer.close()
