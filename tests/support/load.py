#!/usr/bin/env python3
"""Sends requests to a web server at a constant rate and counts those that do not get the right answer.

    load.py URL [--rate 500] [--seconds 9] [--slow /slow] [--until FILE] [--at ADDRESS:PORT] [--moved]

Open loop: requests start on schedule, also while earlier ones are waiting, so a stall shows as slow requests instead of fewer
ones. Each has its own connection; every second one is a POST whose body the JSON answer must contain as `echo`; every
fiftieth goes to the slow path. A latency is measured from the scheduled start. Certificates are not verified, because tests
change them during the load.

Prints one JSON object:
    requests, failed   the number of requests, and of those without the right answer
    failures           kind (such as "status 502" or "ConnectionResetError") to number of requests
    releases           the answers' `release` to number of requests
    p50, p99, p999, max    latency of the answered requests, milliseconds
    gap                    the longest time without a right answer, milliseconds
    late               the largest delay of this program's own schedule, milliseconds

Exit status: 0 when no request failed, else 1.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import math
import os
import ssl
import sys
from typing import NamedTuple
from urllib.parse import urlsplit

REQUEST_TIMEOUT = 30  # seconds


class WrongAnswer(Exception):
    """The answer is not the right one."""


class Target(NamedTuple):
    """The destination of the requests.

    Attributes:
        name: the Host header and server name.
        address, port: where the connection is made.
        tls: the TLS context, or None for plain HTTP.
        moved: whether a redirect to https is a right answer, too.
    """

    name: str
    address: str
    port: int
    tls: ssl.SSLContext | None
    moved: bool


async def request(target: Target, path: str, body: bytes | None) -> dict:
    """Sends one request on a new connection.

    Args:
        target: the server.
        path: of the request.
        body: what to POST; None makes it a GET.

    Returns:
        The JSON object of the answer.

    Raises:
        WrongAnswer: the status is not 200, the answer is truncated or no JSON object, or `echo` differs from the body.
        OSError: the connection failed or broke.
    """
    method = 'GET' if body is None else 'POST'
    head = f'{method} {path} HTTP/1.1\r\nHost: {target.name}\r\nConnection: close\r\n'
    if body is not None:
        head += f'Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n'
    tls = {'ssl': target.tls, 'server_hostname': target.name} if target.tls else {}
    reader, writer = await asyncio.open_connection(target.address, target.port, **tls)
    try:
        writer.write(head.encode() + b'\r\n' + (body or b''))
        raw = await reader.read(-1)
    finally:
        writer.close()
    if not raw:
        raise WrongAnswer('empty answer')
    headers, _, content = raw.partition(b'\r\n\r\n')
    status, *fields = headers.decode('latin-1').split('\r\n')
    if target.moved and status.split()[1:2] == ['301'] and '\nlocation: https://' in headers.decode('latin-1').lower():
        return {'release': 'moved'}
    if status.split()[1:2] != ['200']:
        raise WrongAnswer('status ' + ' '.join(status.split()[1:2]))
    lengths = [int(value) for name, _, value in (field.partition(':') for field in fields) if name.lower() == 'content-length']
    if lengths != [len(content)]:
        raise WrongAnswer('answer cut short')
    try:
        answer = json.loads(content)
    except ValueError:
        raise WrongAnswer('answer is not JSON') from None
    if answer.get('echo') != (body or b'').decode():
        raise WrongAnswer('echo differs')
    return answer


class Load:
    """A run of requests and its results."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.failures: collections.Counter[str] = collections.Counter()
        self.releases: collections.Counter[str] = collections.Counter()
        self.late = 0.0
        self.gap = 0.0
        self.answered = 0.0

    async def one(self, number: int, due: float, target: Target, slow: str) -> None:
        """Sends request `number` and counts its result. `due` is its scheduled start, in the loop's seconds."""
        clock = asyncio.get_running_loop().time
        self.late = max(self.late, clock() - due)
        body = f'body {number}'.encode() if number % 2 else None
        # 25 and 50 in turn, so that both methods use the slow path
        path = slow if number % 50 == (number // 50) % 2 else '/'
        try:
            answer = await asyncio.wait_for(request(target, path, body), REQUEST_TIMEOUT)
        except WrongAnswer as error:
            self.failures[str(error)] += 1
        except (OSError, asyncio.TimeoutError) as error:
            self.failures[type(error).__name__] += 1
        else:
            self.latencies.append(clock() - due)
            self.note_gap(clock())
            self.releases[str(answer.get('release'))] += 1

    def note_gap(self, now: float) -> None:
        """Updates the longest time without a right answer; `now` is in the loop's seconds."""
        self.gap = max(self.gap, now - self.answered)
        self.answered = now

    async def run(self, target: Target, rate: float, seconds: float, slow: str, until: str) -> None:
        """Sends `rate` requests a second, for some seconds or until a file exists, and waits for their answers."""
        clock = asyncio.get_running_loop().time
        start = self.answered = clock()
        running = set()
        for number in range(math.ceil(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(0, due - clock()))
            if until and number % 50 == 0 and os.path.exists(until):
                break
            task = asyncio.create_task(self.one(number, due, target, slow))
            running.add(task)
            task.add_done_callback(running.discard)
        if running:
            await asyncio.wait(running)
        self.note_gap(clock())

    def summary(self) -> dict:
        """Returns the object that the module's docstring describes."""
        ordered = sorted(self.latencies)

        def at(share: float) -> float | None:
            return round(ordered[math.ceil(share * len(ordered)) - 1] * 1000, 1) if ordered else None

        failed = sum(self.failures.values())
        return {
            'requests': len(ordered) + failed,
            'failed': failed,
            'failures': dict(self.failures),
            'releases': dict(self.releases),
            'p50': at(0.5),
            'p99': at(0.99),
            'p999': at(0.999),
            'max': at(1),
            'gap': round(self.gap * 1000, 1),
            'late': round(self.late * 1000, 1),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('url')
    parser.add_argument('--rate', type=float, default=500, help='requests a second')
    parser.add_argument('--seconds', type=float, default=9, help='the longest duration')
    parser.add_argument('--slow', default='/slow', help='the path of every fiftieth request')
    parser.add_argument('--until', default='', help='stop when this file exists')
    parser.add_argument('--at', default='', help="the address of the URL's host, if it cannot be resolved")
    parser.add_argument('--moved', action='store_true', help='a redirect to https is a right answer, too')
    arguments = parser.parse_args()
    url = urlsplit(arguments.url)
    tls = None
    if url.scheme == 'https':
        tls = ssl.create_default_context()
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    at = urlsplit(f'//{arguments.at or url.netloc}')
    target = Target(url.hostname, at.hostname, at.port or (443 if tls else 80), tls, arguments.moved)
    load = Load()
    asyncio.run(load.run(target, arguments.rate, arguments.seconds, arguments.slow, arguments.until))
    print(json.dumps(load.summary()))
    return 1 if load.failures else 0


if __name__ == '__main__':
    sys.exit(main())
