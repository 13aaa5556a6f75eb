"""Websockets and listening sockets of gunicorn's workers, without gunicorn."""

import importlib.util
import os
import selectors
import socket
import time
import types
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / 'roles/flask-app/files/connections.py'


@pytest.fixture(scope='module')
def connections():
    spec = importlib.util.spec_from_file_location('connections', FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_closed_websocket_is_no_reset_for_a_client_that_goes_on_sending(connections):
    client, server = socket.socketpair()
    with client:
        client.sendall(b'unread')
        client.shutdown(socket.SHUT_WR)
        connections.WebSocket(server).close()
        assert client.recv(1) == b''


def test_a_client_that_does_not_close_holds_a_websocket_for_a_moment_only(connections, monkeypatch):
    monkeypatch.setattr(connections, 'LINGER', 0.1)
    client, server = socket.socketpair()
    with client:
        connections.WebSocket(server).close()
        assert client.recv(1) == b''
        with pytest.raises(BrokenPipeError):
            client.send(b'more')


def test_a_worker_knows_the_name_of_a_socket_that_it_has_closed(connections):
    """gunicorn asks for it before it serves a connection."""
    listener = socket.create_server(('127.0.0.1', 0))
    name = listener.getsockname()
    worker = types.SimpleNamespace(sockets=[listener], handle=lambda listener, client, address: (listener.getsockname(), client, address))
    connections.serve_accepted(worker)
    listener.close()
    assert worker.handle(listener, 'client', 'address') == (name, 'client', 'address')


def test_connections_are_ended_one_after_the_other(connections, monkeypatch):
    """400 clients that come back at the same moment would keep other requests waiting."""
    monkeypatch.setattr(connections, 'CLOSING', 0.1)
    worker = types.SimpleNamespace(alive=True, ppid=os.getppid())
    app = connections.LongConnections(None, worker, 0)
    ends = []
    with selectors.DefaultSelector() as selector:
        for _ in range(50):
            client, server = socket.socketpair()
            app.watch(connections.WebSocket(server)).begun.set()
            selector.register(client, selectors.EVENT_READ)
        worker.alive = False
        while len(ends) < 50:
            for key, _ in selector.select(5):
                ends.append(time.monotonic())
                assert key.fileobj.recv(4096) == connections.GOING_AWAY
                selector.unregister(key.fileobj)
                key.fileobj.close()
    assert 0.3 < ends[-1] - ends[0] < 3
