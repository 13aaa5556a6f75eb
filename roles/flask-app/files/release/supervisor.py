"""supervisor, and the app's program under it."""

import time
import xmlrpc.client

from .errors import Failure, Unhealthy
from .health import POLL_INTERVAL, UnixConnection

CALL_TIMEOUT = 10  # seconds
RESTART_TIMEOUT = 20  # seconds to wait for a restart of supervisor
# supervisor's codes of faults and states
SHUTTING_DOWN, BAD_NAME, ALREADY_STARTED, NOT_RUNNING, ALREADY_ADDED = 6, 10, 60, 70, 90
STOPPED, STARTING, RUNNING, BACKOFF, EXITED, FATAL, UNKNOWN = 0, 10, 20, 30, 100, 200, 1000
ENDED = (STOPPED, EXITED, FATAL, UNKNOWN)
FAILED = (BACKOFF, EXITED, FATAL, UNKNOWN)


class Transport(xmlrpc.client.Transport):
    """XML-RPC over a unix socket."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def make_connection(self, host):
        return UnixConnection(self.path, CALL_TIMEOUT)


class Supervisor:
    """supervisor's XML-RPC interface, used for an app. Every method raises Failure if it refuses or does not answer in time.

    Attributes:
        patience: seconds to wait for a supervisor that restarts; None for RESTART_TIMEOUT.
    """

    patience = None

    def __init__(self, name, socket_path):
        self.name = name
        self.socket_path = socket_path
        self.rpc = xmlrpc.client.ServerProxy('http://localhost', Transport(socket_path)).supervisor

    def call(self, method, *arguments, harmless=()):
        """Calls a method of supervisor; returns None for one of the harmless faults."""
        deadline = time.monotonic() + (RESTART_TIMEOUT if self.patience is None else self.patience)
        while True:
            try:
                return getattr(self.rpc, method)(*arguments)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode in harmless:
                    return None
                if fault.faultCode != SHUTTING_DOWN:
                    raise Failure('supervisor refused {} for {}: {}'.format(method, self.name, fault.faultString))
                problem = fault.faultString
            # xmlrpc.client raises many types of exceptions for a damaged answer
            except Exception as error:
                problem = repr(error)
            if time.monotonic() > deadline:
                raise Failure(
                    'supervisor does not answer at {} ({}). Check it with `systemctl status supervisor`.'.format(self.socket_path, problem)
                )
            time.sleep(POLL_INTERVAL)


class Program(Supervisor):
    """The app's program."""

    def __init__(self, name, socket_path, stop_timeout):
        super().__init__(name, socket_path)
        self.stop_timeout = stop_timeout

    def info(self):
        """supervisor's information on the program: `state`, `statename`, `pid` and more; {} if it does not know it."""
        return self.call('getProcessInfo', self.name, harmless=[BAD_NAME]) or {}

    def pid(self):
        """The process id of the program, or 0 if it does not run."""
        return self.info().get('pid', 0)

    def state(self):
        """supervisor's name of the program's state, in lower case."""
        return self.info().get('statename', 'unknown').lower()

    def starting_pid(self):
        """The process id, or 0 before it has started; Unhealthy when supervisor has given up."""
        info = self.info()
        if info.get('state', UNKNOWN) in (EXITED, FATAL, UNKNOWN):
            raise Unhealthy('supervisor gave up: {}'.format(info.get('spawnerr') or info.get('description') or 'unknown program'))
        return info['pid']

    def pending_change(self):
        """'added' or 'changed' if the program's configuration is not loaded yet, else ''."""
        added, changed, _ = self.call('reloadConfig')[0]
        return 'added' if self.name in added else 'changed' if self.name in changed else ''

    def stop(self):
        """Stops the program gracefully and waits until it has ended."""
        self.call('stopProcess', self.name, False, harmless=[NOT_RUNNING, BAD_NAME])
        deadline = time.monotonic() + self.stop_timeout
        while self.info().get('state', STOPPED) not in (STOPPED, EXITED, FATAL, UNKNOWN):
            if time.monotonic() > deadline:
                raise Failure('supervisor has not stopped {} in {} s.'.format(self.name, self.stop_timeout))
            time.sleep(POLL_INTERVAL)

    def restart(self):
        """Stops the program, loads its configuration and starts it."""
        pending = self.pending_change()
        self.stop()
        if pending == 'changed':
            self.call('removeProcessGroup', self.name, harmless=[BAD_NAME])
        if pending:
            self.call('addProcessGroup', self.name, harmless=[ALREADY_ADDED])
        self.call('startProcess', self.name, False, harmless=[ALREADY_STARTED])
