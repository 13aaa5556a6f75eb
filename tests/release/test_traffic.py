"""The links that nginx follows."""

import contextlib
import os
import socket
import threading
import time

import pytest
from release.config import Config
from release.system import unix_sockets
from release.traffic import CANDIDATE, Traffic
from standins import wait_for


@pytest.fixture
def traffic(config):
    return Traffic(config)


@pytest.fixture
def listener(config):
    made = []

    def listen(name, backlog=5):
        made.append(socket.socket(socket.AF_UNIX))
        made[-1].bind(str(config.run / name))
        made[-1].listen(backlog)
        return made[-1]

    yield listen
    for one in made:
        one.close()


def seconds(function, *arguments):
    started = time.monotonic()
    function(*arguments)
    return time.monotonic() - started


def test_without_links_there_is_no_traffic(traffic):
    assert traffic.live() == '' and traffic.program == 'app/shop.sock'
    traffic.switch(traffic.program)
    assert traffic.live() == 'app/shop.sock'


def test_other_files_in_the_place_of_links(traffic, config):
    (config.run / 'live.sock').write_text('')
    assert traffic.live() == ''
    traffic.switch(CANDIDATE)
    assert traffic.live() == CANDIDATE


def test_ports_have_no_links(values, config):
    traffic = Traffic(Config('shop', dict(values, bind='0.0.0.0:5000')))
    traffic.switch(CANDIDATE)
    assert traffic.program == '' and traffic.live() == '' and os.listdir(str(config.run)) == ['app']


def test_the_standby_link(traffic, config):
    traffic.clear_standby()
    traffic.set_standby()
    assert os.readlink(str(config.run / 'standby.sock')) == CANDIDATE
    traffic.clear_standby()
    assert not (config.run / 'standby.sock').is_symlink()


def test_a_dead_socket_needs_no_drain(traffic, config):
    config.drain = 5
    traffic.switch(traffic.program)
    assert seconds(traffic.switch, CANDIDATE) < 1


def test_an_idle_socket_is_drained_at_once(traffic, config, listener):
    config.drain = 5
    listener('app/shop.sock')
    traffic.switch(traffic.program)
    assert seconds(traffic.switch, CANDIDATE) < 2


def test_switching_to_the_same_socket_changes_nothing(traffic, config, listener):
    config.drain = 5
    listener(CANDIDATE)
    traffic.switch(CANDIDATE)
    inode = (config.run / 'live.sock').lstat().st_ino
    traffic.switch(CANDIDATE)
    assert (config.run / 'live.sock').lstat().st_ino == inode


@pytest.fixture
def crowd(config):
    """Makes connections that wait at a socket, more than its queue holds."""
    clients = []

    def connect(name, number):
        def wait():
            client = socket.socket(socket.AF_UNIX)
            clients.append(client)
            with contextlib.suppress(ConnectionRefusedError):
                client.connect(str(config.run / name))

        threads = [threading.Thread(target=wait, daemon=True) for _ in range(number)]
        for thread in threads:
            thread.start()
        wait_for(lambda: unix_sockets(config.run / name)[1])
        return threads

    yield connect
    for client in clients:
        client.close()


def test_waiting_connections_are_drained(traffic, config, listener, crowd):
    config.drain = 5
    server = listener('app/shop.sock', 0)
    traffic.switch(traffic.program)
    threads = crowd('app/shop.sock', 4)

    def accept():
        time.sleep(0.3)
        for _ in threads:
            server.accept()[0].close()

    threading.Thread(target=accept).start()
    assert 0.25 < seconds(traffic.switch, CANDIDATE) < 4
    for thread in threads:
        thread.join()


def test_a_hanging_worker_does_not_block_the_drain(traffic, config, listener, crowd):
    server = listener('app/shop.sock', 0)
    traffic.switch(traffic.program)
    threads = crowd('app/shop.sock', 3)
    assert config.drain <= seconds(traffic.switch, CANDIDATE) < 2
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for thread in threads:
        thread.join(5)
