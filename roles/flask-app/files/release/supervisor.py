"""The app's program under supervisor."""

import time
import xmlrpc.client

from .errors import Failure, Unhealthy
from .health import PAUSE, UnixConnection

CALL_TIMEOUT = 10  # seconds for one answer of supervisor
PATIENCE = 20  # seconds that supervisor may need to restart
# supervisor's numbers for its faults and states
SHUTTING_DOWN, BAD_NAME, ALREADY_STARTED, NOT_RUNNING, ALREADY_ADDED = 6, 10, 60, 70, 90
STOPPED, EXITED, FATAL, UNKNOWN = 0, 100, 200, 1000


class Transport(xmlrpc.client.Transport):
    """XML-RPC over a unix socket."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def make_connection(self, host):
        return UnixConnection(self.path, CALL_TIMEOUT)


class Program:
    """The app's program. Every method raises Failure when supervisor does not answer in time, or refuses."""

    def __init__(self, name, socket_path, stop_timeout):
        self.name = name
        self.socket_path = socket_path
        self.stop_timeout = stop_timeout
        self.rpc = xmlrpc.client.ServerProxy('http://localhost', Transport(socket_path)).supervisor

    def call(self, method, *arguments, harmless=()):
        """Calls a method of supervisor; returns None where it answers with one of the harmless faults."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return getattr(self.rpc, method)(*arguments)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode in harmless:
                    return None
                if fault.faultCode != SHUTTING_DOWN:
                    raise Failure('supervisor refuses {} for {}: {}'.format(method, self.name, fault.faultString))
                problem = fault.faultString
            # a damaged answer makes xmlrpc.client raise nearly anything
            except Exception as error:
                problem = repr(error)
            if time.monotonic() > deadline:
                raise Failure(
                    'supervisor does not answer at {} ({}). Look at it with `systemctl status supervisor`.'.format(
                        self.socket_path, problem
                    )
                )
            time.sleep(PAUSE)

    def info(self):
        """What supervisor says of the program: `state`, `statename`, `pid` and more; {} where it does not know it."""
        return self.call('getProcessInfo', self.name, harmless=[BAD_NAME]) or {}

    def pid(self):
        """The process id while the program runs, else 0."""
        return self.info().get('pid', 0)

    def state(self):
        """What supervisor calls the program's state, in small letters."""
        return self.info().get('statename', 'unknown').lower()

    def starting_pid(self):
        """The process id, or 0 while there is none yet; Unhealthy when supervisor has given up."""
        info = self.info()
        if info.get('state', UNKNOWN) in (EXITED, FATAL, UNKNOWN):
            raise Unhealthy('supervisor gave up: {}'.format(info.get('spawnerr') or info.get('description') or 'unknown program'))
        return info['pid']

    def pending(self):
        """'added' or 'changed' when the program's file is not in force yet, else ''."""
        added, changed, _ = self.call('reloadConfig')[0]
        return 'added' if self.name in added else 'changed' if self.name in changed else ''

    def stop(self):
        """Stops the program gracefully and waits for its end."""
        self.call('stopProcess', self.name, False, harmless=[NOT_RUNNING, BAD_NAME])
        deadline = time.monotonic() + self.stop_timeout
        while self.info().get('state', STOPPED) not in (STOPPED, EXITED, FATAL, UNKNOWN):
            if time.monotonic() > deadline:
                raise Failure('supervisor has not stopped {} in {} s.'.format(self.name, self.stop_timeout))
            time.sleep(PAUSE)

    def restart(self):
        """Stops the program, takes its file as it is now, and starts it."""
        pending = self.pending()
        self.stop()
        if pending == 'changed':
            self.call('removeProcessGroup', self.name, harmless=[BAD_NAME])
        if pending:
            self.call('addProcessGroup', self.name, harmless=[ALREADY_ADDED])
        self.call('startProcess', self.name, False, harmless=[ALREADY_STARTED])
