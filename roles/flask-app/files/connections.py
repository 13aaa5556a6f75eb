"""Websockets and streams of a worker: they may go on for `graceful_timeout` when it has to stop, and then end properly.

Used by .gunicorn.py, beside which a release has it as .connections.py. Without it, gunicorn kills them wherever they are:
a client would get a part of a message, or wait for a connection that is gone. A websocket ends with a frame that says so,
which its client answers, so that nothing of the client's is unread when the connection is closed. An answer without a
length ends after a whole event. All else is gunicorn's.
"""
import contextlib
import itertools
import os
import socket
import threading
import time

POLL = 0.2  # seconds
SPREAD = 1  # seconds over which connections are ended at most, so that their clients do not come back all at once
CLOSING = 2  # seconds for a client to answer that its websocket is closed
LINGER = 0.5  # seconds for a client, or nginx, to close its side too
# a frame of the type `close` with the code 1001, `going away`
GOING_AWAY = b'\x88\x02\x03\xe9'
# answers that are whole after each event: by content type, how an event ends
EVENTS = {'text/event-stream': (b'\n\n', b'\r\r', b'\r\n\r\n'), 'application/x-ndjson': b'\n', 'application/jsonl': b'\n'}


class WebSocket:
    """The socket of a websocket. Libraries write each message by one call."""

    def __init__(self, sock):
        self.sock = sock
        self.lock = threading.Lock()
        self.begun = threading.Event()
        self.closed = threading.Event()
        self.ending = self.ended = False

    def __getattr__(self, name):
        return getattr(self.sock, name)

    def sendall(self, data):
        """Writes a message, or nothing after the last one."""
        with self.lock:
            if not self.ended:
                self.sock.sendall(data)
                # the first is the answer to the request
                self.begun.set()

    def send(self, data):
        """Writes a message, all of it: gevent's own `send` may write a part."""
        self.sendall(data)
        return len(data)

    def end(self):
        """Tells the client that the server goes away. What it sends before it has answered is still read."""
        self.begun.wait()
        with self.lock:
            self.ended = True
            self.sock.sendall(GOING_AWAY)
        time.sleep(CLOSING)
        self.sock.shutdown(socket.SHUT_WR)
        time.sleep(LINGER)
        self.sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        """Closes the connection when the other side has closed it too: bytes that nobody has read would reset it."""
        deadline = time.monotonic() + LINGER
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(LINGER)
            while self.sock.recv(65536) and time.monotonic() < deadline:
                pass
        self.sock.close()
        self.closed.set()

    def finish(self):
        """Lets the library's own thread close the connection. After the app has returned, gunicorn would do it at once."""
        if self.begun.is_set() and not self.closed.wait(LINGER):
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
            self.closed.wait(LINGER)


class Stream:
    """The chunks of an answer without a length."""

    def __init__(self, chunks, sock, content_type, is_chunked, closed):
        self.source = chunks
        # for an empty chunk gunicorn sends the headers, so that a client is not left without any
        self.chunks = itertools.chain([b''], chunks)
        self.sock = sock
        self.event_end = EVENTS.get(content_type.partition(';')[0].strip().lower(), b'')
        self.is_chunked = is_chunked
        self.closed = closed
        self.lock = threading.Lock()
        self.last = None  # bytes that the client has
        self.in_app = self.ending = self.ended = False

    def __iter__(self):
        return self

    def __next__(self):
        with self.lock:
            self.in_app = True
            self.end_if_whole()
            if self.ended:
                raise StopIteration
        chunk = next(self.chunks)
        with self.lock:
            self.in_app = False
            if self.ended:
                raise StopIteration
            self.last = ((self.last or b'') + chunk)[-4:]
        return chunk

    def end_if_whole(self):
        """Ends the answer if it has to end, the client has whole events, and the next one is not there yet."""
        if not (self.ending and self.in_app) or self.ended or self.last is None:
            return
        if self.last and self.event_end and not self.last.endswith(self.event_end):
            return
        self.ended = True
        # the last chunk; an answer that is no series of events is not complete, and its client must notice
        if self.event_end and self.is_chunked:
            self.sock.sendall(b'0\r\n\r\n')
        self.sock.shutdown(socket.SHUT_RDWR)

    def end(self):
        """Ends the answer, now or when the event that is being written is whole."""
        with self.lock:
            self.end_if_whole()

    def close(self):
        """Closes the app's own iterator."""
        self.closed(self)
        if hasattr(self.source, 'close'):
            self.source.close()


class Listener:
    """A listening socket that knows its name, also when it is closed."""

    def __init__(self, sock):
        self.sock = sock
        self.name = sock.getsockname()

    def __getattr__(self, name):
        return getattr(self.sock, name)

    def getsockname(self):
        """Returns its path, or address and port."""
        return self.name


def serve_accepted(worker):
    """Lets an asynchronous worker serve what it accepted before it stopped: gunicorn asks the closed socket for its name and fails."""
    handle = worker.handle
    listeners = {sock: Listener(sock) for sock in worker.sockets}
    worker.handle = lambda sock, client, address: handle(listeners[sock], client, address)


class LongConnections:
    """A WSGI app with its open websockets and streams."""

    def __init__(self, app, worker, graceful_timeout):
        self.app = app
        self.worker = worker
        self.graceful_timeout = graceful_timeout
        self.open = set()
        self.is_watched = False

    def __call__(self, environ, start_response):
        if environ.get('HTTP_UPGRADE', '').lower() == 'websocket':
            return self.websocket(environ, start_response)
        fields = {}

        def start(status, headers, *more):
            fields.update((name.lower(), value) for name, value in headers)
            # nginx would wait for more of them
            if fields.get('content-type', '').startswith('text/event-stream') and 'x-accel-buffering' not in fields:
                headers = headers + [('X-Accel-Buffering', 'no')]
            return start_response(status, headers, *more)

        chunks = self.app(environ, start)
        # the second is of gevent's own server, which gevent-websocket uses
        sock = environ.get('gunicorn.socket') or getattr(getattr(start_response, '__self__', None), 'socket', None)
        if not fields or 'content-length' in fields or not sock or environ['REQUEST_METHOD'] == 'HEAD':
            return chunks
        if isinstance(chunks, (list, tuple, environ.get('wsgi.file_wrapper', list))):
            return chunks
        is_chunked = environ['SERVER_PROTOCOL'] == 'HTTP/1.1'
        return self.watch(Stream(chunks, sock, fields.get('content-type', ''), is_chunked, self.open.discard))

    def websocket(self, environ, start_response):
        """Serves a request that may become a websocket, by gevent-websocket or another library."""
        if environ.get('wsgi.websocket'):
            handler = environ['wsgi.websocket'].handler
            connection = self.watch(WebSocket(handler.socket))
            connection.begun.set()
            connection.closed.set()
            environ['wsgi.websocket'].raw_write = connection.sendall
            # it takes a client's address, which is empty on a unix socket, for its identity
            handler.client_address = handler.client_address or str(id(connection))
            handler.server.clients.setdefault(handler.client_address, connection)
        elif 'gunicorn.socket' in environ:
            connection = environ['gunicorn.socket'] = self.watch(WebSocket(environ['gunicorn.socket']))
        else:
            return self.app(environ, start_response)
        try:
            return self.app(environ, start_response)
        finally:
            self.open.discard(connection)
            connection.finish()

    def watch(self, connection):
        """Notes a connection that has to end when the worker stops."""
        self.open.add(connection)
        if not self.is_watched:
            self.is_watched = True
            threading.Thread(target=self.end_all, daemon=True).start()
        return connection

    def end_all(self):
        """Waits until the worker has to stop, and for `graceful_timeout`. Then ends what is still open."""
        while self.worker.alive and os.getppid() == self.worker.ppid:
            time.sleep(POLL)
        time.sleep(self.graceful_timeout)
        while True:
            ending = [connection for connection in list(self.open) if not connection.ending]
            begun = time.monotonic()
            for number, connection in enumerate(ending):
                time.sleep(max(0, begun + number * min(0.01, SPREAD / len(ending)) - time.monotonic()))
                connection.ending = True
                # each in a thread of its own, because a client may be slow to read
                threading.Thread(target=self.end, args=[connection], daemon=True).start()
            time.sleep(POLL)

    @staticmethod
    def end(connection):
        """Ends a connection that its client or its app may be closing, too."""
        with contextlib.suppress(OSError):
            connection.end()
