#!/usr/bin/env python3
"""Holds websockets and server-sent events open, comes back when they end, and tells how each one ended.

    clients.py ADDRESS:PORT [--name HOST] --until FILE [--websocket PATH=NUMBER] [--socketio PATH=NUMBER] [--events PATH=NUMBER]

A websocket client sends a text of its own every second and takes the same text, when it comes back, as the
acknowledgement; so does one of Socket.IO, by its acknowledgements. An events client reads. When a connection ends, the
client connects again at once, and every 50 ms until it has an answer.

Prints one JSON object:
    clients        their number by kind
    cuts           [kind, client, time, how, seconds] of every connection that the server ended: the time is in seconds since
                   1970, the last number is how long it took until the client had a message again
    refused        attempts to come back that were not answered as they should be, by kind and reason
    acknowledged   the texts that were acknowledged
    unanswered     the number of texts that were sent and not acknowledged

`how` is `closed` for a websocket that was closed by a frame and then by FIN, or a stream that ended after a whole event and
the last chunk; `reset` for RST; `cut` for FIN without a closing frame or a last chunk; `torn` for FIN within a message.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import collections
import contextlib
import json
import os
import struct
import sys
import time

PERIOD = 1  # seconds between two texts of a client
RETRY = 0.05
ANSWER = 10  # seconds for the server to answer an attempt to connect
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Ended(Exception):
    """The server has ended the connection; the argument is how."""


class Refused(Exception):
    """The answer to an attempt to connect is not the right one."""


class Client:
    """One client: connects, lives until the server ends the connection, and again."""

    kind = ''

    def __init__(self, number: int, path: str, options: argparse.Namespace, report: Report) -> None:
        self.number, self.path, self.options, self.report = number, path, options, report
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter
        self.cut: tuple[float, str] | None = None

    async def read(self, size: int, torn: str = 'torn') -> bytes:
        """Reads some bytes; `torn` is how the connection has ended if they do not come."""
        try:
            return await self.reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise Ended('torn' if error.partial else torn) from None

    async def request(self, fields: str, status: str) -> None:
        """Connects, sends the request, and reads the headers of the answer."""
        address, _, port = self.options.address.rpartition(':')
        self.reader, self.writer = await asyncio.open_connection(address, int(port))
        self.writer.write(f'GET {self.path} HTTP/1.1\r\nHost: {self.options.name or address}\r\n{fields}\r\n'.encode())
        try:
            head = await self.reader.readuntil(b'\r\n\r\n')
        except asyncio.IncompleteReadError:
            raise Refused('no answer') from None
        if head.split()[1].decode() != status:
            raise Refused('status ' + head.split()[1].decode())

    def alive(self) -> None:
        """Notes that a message has come."""
        if self.cut:
            at, how = self.cut
            self.report.cuts.append([self.kind, self.number, at, how, round(time.time() - at, 3)])
            self.cut = None

    async def open(self) -> None:
        """Connects."""
        raise NotImplementedError

    async def live(self) -> None:
        """Reads until the server ends the connection; raises Ended."""
        raise NotImplementedError

    async def run(self) -> None:
        """Comes back until it is cancelled."""
        while True:
            try:
                try:
                    await asyncio.wait_for(self.open(), ANSWER)
                except (Refused, Ended, OSError, asyncio.TimeoutError) as error:
                    self.report.refused[f'{self.kind}: {error if str(error) else type(error).__name__}'] += 1
                    await asyncio.sleep(RETRY)
                    continue
                await self.live()
            except (ConnectionResetError, BrokenPipeError):
                how = 'reset'
            except Ended as error:
                how = str(error)
            finally:
                if hasattr(self, 'writer'):
                    self.writer.close()
            self.cut = self.cut or (time.time(), how)
            if how != 'closed':
                # the worst of the ends before the client is back counts
                self.cut = self.cut[0], how


class Websocket(Client):
    """Speaks RFC 6455, and the app's own protocol: each text is acknowledged by the same text."""

    kind = 'websocket'
    talking = True

    async def open(self) -> None:
        self.talking = True
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = f'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n'
        await self.request(upgrade, '101')

    def send(self, data: str | bytes, kind: int = TEXT) -> None:
        """Sends a frame of less than 126 bytes, masked by zeros."""
        data = data.encode() if isinstance(data, str) else data
        self.writer.write(struct.pack('!BBI', 0x80 | kind, 0x80 | len(data), 0) + data)

    async def message(self) -> str:
        """Reads a text, and answers other frames; raises Ended."""
        while True:
            kind, length = await self.read(2, 'cut')
            if length > 125:
                length = int.from_bytes(await self.read(2 if length == 126 else 8), 'big')
            data = await self.read(length) if length else b''
            if kind & 15 == CLOSE:
                # after this frame, a client sends nothing
                self.talking = False
                self.send(data, CLOSE)
                with contextlib.suppress(asyncio.TimeoutError):
                    if await asyncio.wait_for(self.reader.read(), ANSWER):
                        raise Ended('torn')
                raise Ended('closed')
            if kind & 15 == PING:
                self.send(data, PONG)
            elif kind & 15 == TEXT:
                return data.decode()

    def text(self, text: str) -> str:
        """A text as it is sent."""
        return text

    def acknowledgement(self, message: str) -> str:
        """The text that a message acknowledges, or ''."""
        return message

    async def talk(self) -> None:
        """Sends a text every PERIOD."""
        while self.talking:
            self.report.sent += 1
            self.send(self.text(f'{self.kind}-{self.number}-{self.report.sent}'))
            await asyncio.sleep(PERIOD)

    async def live(self) -> None:
        talk = asyncio.create_task(self.talk())
        try:
            while True:
                if text := self.acknowledgement(await self.message()):
                    self.report.acknowledged.append(text)
                    self.alive()
        finally:
            talk.cancel()


class SocketIO(Websocket):
    """Speaks Socket.IO over a websocket; the event is called `text`."""

    kind = 'socketio'

    async def open(self) -> None:
        await super().open()
        if not (await self.message()).startswith('0{'):
            raise Refused('no open packet')
        self.send('40')
        if not (await self.message()).startswith('40'):
            raise Refused('no connect packet')

    def text(self, text: str) -> str:
        return f'420["text","{text}"]'

    def acknowledgement(self, message: str) -> str:
        if message == '2':
            self.send('3')
        return json.loads(message[3:])[0] if message.startswith('430') else ''


class Events(Client):
    """Reads server-sent events."""

    kind = 'events'

    async def open(self) -> None:
        await self.request('Accept: text/event-stream\r\n', '200')

    async def live(self) -> None:
        body = b''
        while True:
            try:
                size = int(await self.reader.readuntil(b'\r\n'), 16)
            except asyncio.IncompleteReadError as error:
                raise Ended('torn' if error.partial or body else 'cut') from None
            chunk = (await self.read(size + 2))[:-2]
            if not size:
                raise Ended('torn' if body else 'closed')
            *events, body = (body + chunk).split(b'\n\n')
            if events:
                self.alive()


class Report:
    """What the clients have seen."""

    def __init__(self) -> None:
        self.cuts: list[list] = []
        self.refused: collections.Counter[str] = collections.Counter()
        self.acknowledged: list[str] = []
        self.sent = 0


async def run(options: argparse.Namespace) -> dict:
    """Runs the clients until the file is there; returns what the module's docstring describes."""
    report = Report()
    clients = []
    for kind in (Websocket, SocketIO, Events):
        for path, _, number in (entry.rpartition('=') for entry in getattr(options, kind.kind)):
            clients += [kind(place, path, options, report) for place in range(int(number))]
    tasks = []
    for client in clients:
        tasks.append(asyncio.create_task(client.run()))
        await asyncio.sleep(0.005)
    while not os.path.exists(options.until):
        await asyncio.sleep(0.1)
    while tasks:
        for task in tasks:
            task.cancel()
        # again, because Python before 3.12 loses some cancellations of `wait_for`
        tasks = list((await asyncio.wait(tasks, timeout=0.5))[1])
    return {
        'clients': collections.Counter(client.kind for client in clients),
        'cuts': report.cuts + [[client.kind, client.number, *client.cut, None] for client in clients if client.cut],
        'refused': report.refused,
        'acknowledged': report.acknowledged,
        'unanswered': report.sent - len(report.acknowledged),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('address')
    parser.add_argument('--name', default='', help='the Host header')
    parser.add_argument('--until', required=True, help='stop when this file exists')
    for kind in (Websocket, SocketIO, Events):
        parser.add_argument(f'--{kind.kind}', action='append', default=[], metavar='PATH=NUMBER')
    print(json.dumps(asyncio.run(run(parser.parse_args()))))
    return 0


if __name__ == '__main__':
    sys.exit(main())
