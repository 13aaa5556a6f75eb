"""What the release tool meets on a host: supervisor, systemd, gunicorn and servers that answer badly."""

import contextlib
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import xmlrpc.client
from pathlib import Path
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

from release import system

GUNICORN = '''
import json, os, signal, socket, sys, time
release, bind = json.load(open('.release.json', encoding='utf-8')), sys.argv[1]
how = release.get('beside' if bind.endswith('/app/next.sock') else 'program', {})
body = how.get('body', 'well, from ' + os.path.basename(os.getcwd())).encode()
status = how.get('status', 200)
os.write(1, how.get('says', '').encode('latin-1'))
time.sleep(how.get('delay', 0))
if 'exit' in how:
    sys.exit(how['exit'])

def mark(pid):
    with open('/proc/%d/stat' % pid, 'rb') as file:
        start = file.read().rpartition(b')')[2].split()[19].decode()
    return os.path.join(release['run'], 'app', 'ready-%d-%s' % (pid, start))

if bind.startswith('unix:'):
    path = bind[5:]
    if os.path.lexists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
else:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(('127.0.0.1', int(bind.rpartition(':')[2])))
listener.listen(64)

workers = []

def end(signum, frame):
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    for pid in workers:
        os.waitpid(pid, 0)
        if os.path.exists(marks.get(pid, '')):
            os.remove(marks[pid])
    os._exit(0)

marks, master = {}, os.getpid()
signal.signal(signal.SIGQUIT, end)
signal.signal(signal.SIGTERM, signal.SIG_IGN if how.get('stubborn') else end)
for _ in range(release['workers']):
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        open(mark(os.getpid()), 'w').close()
        died = time.monotonic() + (1000 if workers else how.get('dies', 1000))
        while True:
            if time.monotonic() > died or os.getppid() != master:
                os.remove(mark(os.getpid()))
                os._exit(1)
            listener.settimeout(0.1)
            try:
                connection = listener.accept()[0]
            except socket.timeout:
                continue
            connection.settimeout(5)
            request = b''
            while not request.endswith(b'\\r\\n\\r\\n'):
                piece = connection.recv(1000)
                if not piece:
                    break
                request += piece
            head = 'HTTP/1.1 %d Status\\r\\nContent-Length: %d\\r\\n%s\\r\\n' % (status, len(body), how.get('header', ''))
            connection.sendall(head.encode() + body)
            connection.close()
    workers.append(pid)
    marks[pid] = mark(pid)
while True:
    signal.pause()
'''

SYSTEMCTL = '''#!/bin/sh
# Units are folders: `pid` of one that was started, `restarts`, `failed`, `ending` (so many looks at it are left).
state={state}/units
echo "$*" >>{state}/calls
for unit; do :; done
if [ -e {state}/fails-$1 ]; then cat {state}/fails-$1 >&2; exit 1; fi
[ ! -e {state}/slow-$1 ] || exec sleep 60
[ ! -e {state}/warns ] || echo "Warning: $1 is not what it was." >&2
pid() {{ cat "$state/$1/pid" 2>/dev/null; }}
alive() {{ case $(cat "/proc/$(pid "$1" | grep . || echo none)/stat" 2>/dev/null) in ''|*') Z '*) return 1;; esac; }}
active() {{
  if [ ! -e "$state/$1" ]; then echo inactive
  elif [ -e "$state/$1/failed" ]; then echo failed
  elif [ -e "$state/$1/inactive" ]; then echo inactive
  elif [ -e "$state/$1/ending" ]; then echo deactivating
  elif alive "$1"; then echo active
  else echo activating; fi
}}
case "$1 $unit" in
enable*.timer|restart*.timer)
  for timer; do [ "$timer" = "$1" ] || touch "{state}/timers/$timer.$1"; done
  exit ;;
disable*.timer) rm "{state}/timers/$unit.enable" "{state}/timers/$unit.restart"; exit ;;
show*.timer)
  echo "ActiveState=$([ -e "{state}/timers/$unit.restart" ] && echo active || echo inactive)"
  echo "UnitFileState=$([ -e "{state}/timers/$unit.enable" ] && echo enabled || echo disabled)"
  exit ;;
esac
case $1 in
show)
  echo "ActiveState=$(active "$unit")"
  echo "MainPID=$(pid "$unit" || echo 0)"
  echo "NRestarts=$(cat "$state/$unit/restarts" 2>/dev/null || echo 0)"
  echo "NeedDaemonReload=$([ -e {state}/changed ] && echo yes || echo no)"
  if [ -s "$state/$unit/ending" ]; then sed -i 1d "$state/$unit/ending"; fi
  if [ -e "$state/$unit/ending" ] && [ ! -s "$state/$unit/ending" ]; then rm -r "${{state:?}}/$unit"; fi ;;
list-units)
  for path in "$state"/shop-next@*; do
    [ ! -e "$path" ] || echo "${{path##*/}} loaded $(active "${{path##*/}}") running release of shop"
  done ;;
daemon-reload) rm -f {state}/changed ;;
start)
  release=${{unit#*@}} release=${{release%.service}}
  mkdir "$state/$unit"
  cd "{releases}/$release" || exit 1
  setsid {python} {state}/gunicorn "unix:{run}/app/next.sock" >>"{state}/$unit.log" 2>&1 </dev/null &
  echo $! >"$state/$unit/pid" ;;
stop)
  [ -e "$state/$unit" ] || exit 0
  [ ! -e "$state/$unit/ending" ] || exit 0
  kill "$(pid "$unit")" 2>/dev/null
  while alive "$unit"; do sleep 0.02; done
  if [ -e {state}/leaves-failed ]; then touch "$state/$unit/failed"; else rm -r "${{state:?}}/$unit"; fi ;;
kill) kill -QUIT "$(pid "$unit")" 2>/dev/null || true ;;
reset-failed) rm -r "${{state:?}}/$unit" ;;
esac
'''

JOURNALCTL = '''#!/bin/sh
echo "journalctl $*" >>{state}/calls
[ ! -e {state}/slow-journal ] || exec sleep 60
case $1 in _SYSTEMD_UNIT=*) cat "{state}/${{1#*=}}.log" ;; esac
'''

NOTED = '''#!/bin/sh
echo "${{0##*/}} $*" >>{state}/calls
'''


def wait_for(holds, seconds=5):
    """Waits until a function returns something true, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < deadline, 'not in {} s'.format(seconds)
        time.sleep(0.01)


def has_ended(pid):
    """Whether a process runs no more, also where nobody has asked for its end yet."""
    return system.stat_fields(pid)[:1] in ([], [b'Z'])


def end_process(pid, command):
    """Kills a process that these tests have started, and its children, if it is still there.

    Args:
        pid: of the leader of a group of its own.
        command: a path in its command line. No other process is killed: a number in a file may be any, and that of a group
            1 stands for all processes of the machine.
    """
    with contextlib.suppress(OSError):
        ours = os.fsencode(str(command)) in Path('/proc/{}/cmdline'.format(pid)).read_bytes()
        if ours and pid > 1 and os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)


class Server:
    """A server on a unix socket; a function answers each connection in a thread."""

    def __init__(self, path, answer):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError):
                    answer(self.request)

        class Listener(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
            request_queue_size = 50
            # threads of the slow end when they are told so
            block_on_close = False

        self.server = Listener(str(path), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


NUMBERS = {'STOPPED': 0, 'STARTING': 10, 'RUNNING': 20, 'BACKOFF': 30, 'STOPPING': 40, 'EXITED': 100, 'FATAL': 200}


class Supervisor(SimpleXMLRPCDispatcher):
    """supervisor's XML-RPC interface, and the program of one app.

    Attributes:
        calls: the names of the methods that were called.
        faults: method to a list of fault codes that it answers with first.
        raw: bytes that are sent instead of every answer.
        added, changed: what reloadConfig says of the program.
        state: of the program where no process says it.
        programs: folder of the files that name groups of processes.
        groups: the loaded groups of processes beside the program, each with the state of its processes by name.
        behaviour: what processes of a type, or of a group, do: `dies` as it starts, or `stays` for so many seconds when it is
            told to stop.
        events: what happened to groups, in order.
    """

    def __init__(self, path, command=None, folder=None, log=None, programs=None):
        super().__init__(allow_none=True)
        self.programs, self.groups, self.behaviour, self.events = programs, {}, {}, []
        self.loaded_texts = {}
        self.command, self.folder, self.log = command, folder, log
        self.calls, self.faults, self.raw = [], {}, None
        self.added, self.changed, self.known = [], [], True
        self.state, self.process = 'STOPPED', None
        self.stays_stopping = False
        dispatcher = self

        class Handler(SimpleXMLRPCRequestHandler):
            disable_nagle_algorithm = False

            def do_POST(self):
                if dispatcher.raw is None:
                    super().do_POST()
                else:
                    self.rfile.read(int(self.headers['Content-Length']))
                    self.wfile.write(dispatcher.raw)

            def log_request(self, *arguments):
                pass

        class Listener(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
            block_on_close = False
            logRequests = False
            _marshaled_dispatch = dispatcher._marshaled_dispatch

        self.server = Listener(str(path), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def _dispatch(self, method, parameters):
        name = method.rpartition('.')[2]
        self.calls.append(name)
        if self.faults.get(name):
            raise xmlrpc.client.Fault(self.faults[name].pop(0), 'FAULT of ' + name)
        return getattr(self, name)(*parameters)

    def sections(self):
        """The groups that files name, each with its text."""
        text = ''.join(path.read_text() for path in Path(str(self.programs)).glob('*.conf')) if self.programs else ''
        return {part.partition(']')[0]: part for part in text.split('[program:')[1:]}

    def does(self, group):
        """What processes of a group do."""
        return self.behaviour.get(group, self.behaviour.get(group.partition('.')[2].partition('@')[0], {}))

    def reloadConfig(self):
        sections = self.sections()
        changed = [group for group in sections if group in self.groups and self.loaded_texts[group] != sections[group]]
        return [[self.added, self.changed + changed, []]]

    def getAllProcessInfo(self):
        found = [self.getProcessInfo('shop')] if self.known else []
        now = time.monotonic()
        for group, processes in self.groups.items():
            for number, (state, until) in processes.items():
                if state == 'STARTING' and now > until:
                    state = 'BACKOFF' if self.does(group).get('dies') else 'RUNNING'
                elif state == 'STOPPING' and now > until:
                    state = 'STOPPED'
                if state != processes[number][0]:
                    self.events.append('{}:{} {}'.format(group, number, state.lower()))
                processes[number] = state, until
                found.append({
                    'group': group, 'name': number, 'state': NUMBERS[state], 'statename': state, 'spawnerr': '',
                    'pid': self.does(group).get('pid', 0),
                    'description': 'Exited too quickly' if state == 'BACKOFF' else '',
                })
        return found

    def stop_process(self, group, name):
        if name not in self.groups.get(group, {}):
            raise xmlrpc.client.Fault(10, 'BAD_NAME: ' + group)
        self.events.append('stop ' + group)
        self.groups[group][name] = 'STOPPING', time.monotonic() + self.does(group).get('stays', 0)
        return True

    def getProcessInfo(self, name):
        if not self.known:
            raise xmlrpc.client.Fault(10, 'BAD_NAME: ' + name)
        if self.process and self.process.poll() is not None:
            self.process, self.state = None, 'FATAL'
        state = 'RUNNING' if self.process else self.state
        if state == 'STOPPING' and not self.stays_stopping:
            self.state = 'STOPPED'
        return {
            'name': name,
            'group': name,
            'state': NUMBERS[state],
            'statename': state,
            'pid': self.process.pid if self.process else 0,
            'spawnerr': '',
            'description': 'Exited too quickly (process log may have details)' if state == 'FATAL' else '',
        }

    def stopProcess(self, name, wait):
        if ':' in name:
            return self.stop_process(*name.split(':'))
        if not self.process:
            raise xmlrpc.client.Fault(70, 'NOT_RUNNING: ' + name)
        self.process.terminate()
        self.process.wait()
        self.process, self.state = None, 'STOPPING'
        return True

    def startProcess(self, name, wait):
        if not self.command:
            self.state = 'RUNNING'
            return True
        with open(str(self.log), 'ab') as log:
            self.process = subprocess.Popen(self.command, cwd=str(self.folder), stdout=log, stderr=log, start_new_session=True)
        return True

    def removeProcessGroup(self, name):
        if '.' in name:
            assert all(state in ('STOPPED', 'EXITED', 'FATAL') for state, _ in self.groups[name].values()), 'STILL_RUNNING'
            self.events.append('remove ' + name)
            del self.groups[name]
            return True
        self.changed = []
        self.known = False
        return True

    def addProcessGroup(self, name):
        if '.' in name:
            text = self.sections()[name]
            count = int(text.partition('numprocs=')[2].partition('\n')[0])
            kind = name.partition('.')[2].partition('@')[0]
            self.groups[name] = {'{}.{}'.format(kind, n): ('STARTING', time.monotonic() + 0.05) for n in range(1, count + 1)}
            self.loaded_texts[name] = text
            self.events.append('add ' + name)
            return True
        self.added = []
        self.known = True
        return True

    def end(self):
        if self.process:
            end_process(self.process.pid, self.command[-2])
            self.process.wait()
        self.server.shutdown()
        self.server.server_close()


class Systemd:
    """A folder with systemctl and its like, which keep their state in files there."""

    def __init__(self, folder, config):
        self.folder = folder
        (folder / 'units').mkdir(parents=True)
        (folder / 'timers').mkdir()
        values = {'state': folder, 'releases': config.releases, 'run': config.run, 'python': sys.executable + ' -S -E'}
        scripts = {
            'systemctl': SYSTEMCTL,
            'journalctl': JOURNALCTL,
            'systemd-tmpfiles': NOTED,
            'systemd-run': NOTED,
        }
        for name, text in scripts.items():
            (folder / name).write_text(text.format(**values))
            (folder / name).chmod(0o755)
        (folder / 'gunicorn').write_text(GUNICORN)

    def unit(self, release):
        return self.folder / 'units' / 'shop-next@{}.service'.format(release)

    def set(self, name, text=''):
        """Switches something of the scripts on: `fails-VERB`, `slow-VERB`, `slow-journal`, `warns`, `changed`, `leaves-failed`."""
        (self.folder / name).write_text(text)

    def clear(self, name):
        (self.folder / name).unlink()

    def add(self, release, **files):
        """Makes a unit that no command has started."""
        self.unit(release).mkdir()
        for name, text in files.items():
            (self.unit(release) / name).write_text(text)

    def calls(self):
        path = self.folder / 'calls'
        return path.read_text().splitlines() if path.exists() else []

    def running(self):
        return sorted(path.name.partition('@')[2][: -len('.service')] for path in (self.folder / 'units').iterdir())

    def end(self):
        for path in self.folder.glob('units/*/pid'):
            end_process(int(path.read_text() or 0), self.folder / 'gunicorn')


class Host:
    """A host with one app."""

    def __init__(self, config, services, make_release):
        self.config, self.services, self.make_release = config, services, make_release
        command = [sys.executable, '-S', '-E', str(services.folder / 'gunicorn'), config.bind]
        self.supervisor = Supervisor(config.supervisor_socket, command, config.current, config.log, config.programs)

    @property
    def current(self):
        return os.path.basename(os.readlink(str(self.config.current))) if self.config.current.is_symlink() else ''

    @property
    def live(self):
        return os.readlink(str(self.config.run / 'live.sock'))

    @property
    def releases(self):
        return sorted(path.name for path in self.config.releases.iterdir())

    def get(self, link='live.sock'):
        """What the app answers to a client now."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(Path(str(self.config.run)) / link))
            client.sendall(b'GET / HTTP/1.1\r\n\r\n')
            text = b''
            while True:
                piece = client.recv(1000)
                if not piece:
                    return text.partition(b'\r\n\r\n')[2].decode()
                text += piece

    def end(self):
        self.supervisor.end()
