"""The acts of a hostile app, and the error that a deploy must report after each.

host/prelude.py is prepended to scripts and code, and defines the names that they use.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

NONE = MappingProxyType({})


class Act(NamedTuple):
    """One act against one deployment.

    Attributes:
        before: a script that runs as the app's account before the deploy.
        during: a script that runs as the app's account in a loop until the deploy has ended.
        code: code of the new release, executed at import, as the candidate and then under supervisor.
        serving: code of the previous release, executed at import.
        settings: additional settings of the new release, or of the previous one if `serving` is given.
        failure: pattern that the output must match if the deploy fails.
        may: allowed results of the deploy, 'succeed', 'fail' or 'either'.
        rollback: whether a rollback must work too, during the act.
        harms_itself: whether the app's site may be down until the act has ended.
        tried: whether it was successful against an earlier version of this project.
        short: whether it is part of the short run, HOSTILE=short.
    """

    before: str = ''
    during: str = ''
    code: str = ''
    serving: str = ''
    settings: Mapping = NONE
    failure: str = ''
    may: str = 'succeed'
    rollback: bool = False
    harms_itself: bool = False
    tried: bool = False
    short: bool = False


def health(code):
    """Returns code of a release with this body of its health view."""
    return 'def act():\n    ' + code.replace('\n', '\n    ') + "\napp.view_functions['health'] = act\n"


# Replace both sockets, and all markers that could make a process appear ready.
SOCKETS = "for name in ('next', 'flaskrandom'):\n    put(f'{RUN}/{name}.sock', %s)\n"
MARKS = """
for pid in own_pids() + [1, os.getppid(), 4194304]:
    put(f'{RUN}/master-{pid}', %(make)s)
    put(f'{RUN}/ready-{pid}', %(make)s)
"""
# A forged line of /proc/net/unix: a connection that waits to be accepted at the app's socket.
WAITING = "b'\\0\\n0: 3 0 0 1 02 1 ' + os.fsencode(RUN) + b'/flaskrandom.sock'"

COLOURS = r"""
os.write(1, b'\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00\x01\x08\x7f\n')
os.write(1, '中文日志 数据库连接失败\n'.encode() + '界'.encode()[:2] + b'\xff\xfe\n')
os.write(1, '的'.encode() * 3000 + b'\n')
os.write(2, b'caf\xe9 \xc3\n')
"""
FAIL_SUPERVISED = 'if SUPERVISED:\n    raise RuntimeError("not under supervisor")\n'
LONG_LINE = "if once(SUPERVISED):\n    for _ in range(100):\n        os.write(1, b'x' * 1000000)\n    os.write(1, b'\\n')\n"

TOOL = {
    # -- files in place of ready markers
    'marks-are-links-to-a-secret': Act(during=MARKS % {'make': 'link(SECRET)'}, rollback=True, tried=True, short=True),
    'marks-are-fifos': Act(during=MARKS % {'make': 'os.mkfifo'}, rollback=True, tried=True),
    'marks-are-folders': Act(before="put(f'{RUN}/ready-x', os.mkdir)\nput(f'{RUN}/master-x', os.mkdir)\n", rollback=True, tried=True),
    'marks-are-endless': Act(before=MARKS % {'make': "link('/dev/zero')"}),
    'marks-are-forged': Act(during=MARKS % {'make': 'file(NEW)'}, tried=True, short=True),
    'marks-are-hard-links': Act(
        before="""
            for number, path in enumerate((SECRET, '/etc/passwd', '/etc/shadow', ROOT + '/history.json', RELEASES)):
                for folder in (RUN, SHARED, SHARED + '/instance'):
                    put(f'{folder}/master-{number}', lambda to: os.link(path, to))
        """
    ),
    'thousands-of-files': Act(
        before="""
            for number in range(5000):
                for name in ('ready-%d', 'master-%d', '%d.sock', '\\udcff\\n%d'):
                    put(f'{RUN}/{name}' % number, file('x'))
        """,
        rollback=True,
    ),
    # -- files in place of its sockets
    'sockets-are-folders': Act(
        before="for name in ('next', 'flaskrandom'):\n    put(f'{RUN}/{name}.sock', lambda path: os.makedirs(path + '/a/b'))\n",
        failure='next.sock|not a socket',
        may='either',
        harms_itself=True,
    ),
    'sockets-are-fifos': Act(before=SOCKETS % 'os.mkfifo', failure='next.sock|not a socket', may='either', harms_itself=True),
    'sockets-are-links-to-nothing': Act(
        before=SOCKETS % "link('/nonexistent/socket')", failure='next.sock|answer|gunicorn exited', may='either', harms_itself=True
    ),
    # root must not connect to a socket that the app has chosen
    'sockets-lead-to-one-of-root': Act(
        during=SOCKETS % 'link(GUARD)', failure='answer|refuse|denied', may='either', harms_itself=True, short=True
    ),
    'live-link-leads-to-one-of-root': Act(
        during="""
            for folder in {RUN, '/run/flaskrandom'}:
                for name in ('live.sock', 'standby.sock', 'live.sock.new', 'current'):
                    put(f'{folder}/{name}', link(GUARD))
        """,
        failure='answer|refuse|denied',
        may='either',
        harms_itself=True,
    ),
    'socket-accepts-and-never-answers': Act(
        during="""
            put(f'{RUN}/next.sock', lambda path: globals().setdefault('kept', []).append(listening(path)))
        """,
        failure='answer|time|already in use',
        may='either',
        harms_itself=True,
    ),
    'folder-of-sockets-is-closed': Act(
        before='os.chmod(RUN, 0)', failure='Permission denied|denied|answer', may='either', harms_itself=True
    ),
    # -- odd names
    'process-names-are-cut': Act(
        before="orphan(lambda: (rename(b'\\xff\\xe4) R 1 1\\n'), time.sleep(60)))\norphan(lambda: (rename(b'\\n\\n) '), time.sleep(60)))\n",
        code="rename(b'\\xe7) S 1 \\xff\\n')\n",
        rollback=True,
        tried=True,
        short=True,
    ),
    'socket-names-are-odd': Act(
        before="""
            orphan(lambda: ([listening(name) for name in (
                b'\\0\\n\\xff odd', b'\\0' + bytes(range(1, 100)), os.fsencode(RUN) + b'/\\xff\\n.sock', b'/tmp/\\n\\xe7.sock',
            )], time.sleep(60)))
            time.sleep(0.5)
            with open('/proc/net/unix', 'rb') as sockets:
                assert sockets.read().count(b'\\xff') == 2
        """,
        rollback=True,
        tried=True,
    ),
    'socket-names-forge-waiting-connections': Act(
        before=f'orphan(lambda: (listening({WAITING}), time.sleep(60)))\n',
    ),
    # -- its output
    'log-is-coloured-cut-chinese': Act(code=COLOURS, rollback=True),
    # healthy as the candidate, but not under supervisor
    'log-is-coloured-and-supervised-fails': Act(
        code=COLOURS + FAIL_SUPERVISED, failure='not under supervisor', may='fail', tried=True, short=True
    ),
    'log-is-coloured-and-candidate-fails': Act(code=COLOURS + 'raise RuntimeError("not today")\n', failure='not today', may='fail'),
    'log-is-one-line-of-100-MB': Act(code=LONG_LINE, failure='workers have imported|answer', may='either'),
    'log-is-one-line-of-100-MB-and-supervised-fails': Act(
        code='if SUPERVISED:\n    ' + LONG_LINE.replace('\n', '\n    ') + '\n' + FAIL_SUPERVISED,
        failure='could not run as|not under supervisor|gave up|workers',
        may='fail',
    ),
    # -- commands of the release
    'command-prints-latin-1': Act(settings={'commands': [r"printf 'caf\351 \344\366\n'"]}, tried=True),
    'command-prints-latin-1-and-fails': Act(
        settings={'commands': [r"printf 'caf\351 no table \033[31m\n'; exit 3"]}, failure='no table', may='fail'
    ),
    'command-prints-100-MB-and-fails': Act(
        settings={'commands': ["head -c 100000000 /dev/zero | tr '\\0' x; echo no table; exit 3"]},
        failure='no table',
        may='fail',
    ),
    'command-leaves-a-daemon': Act(settings={'commands': ["setsid sh -c 'trap \"\" TERM HUP; sleep 90' & echo begun"]}),
    'command-never-ends': Act(settings={'commands': ["trap '' TERM; while :; do sleep 1; done"]}, failure='not ended', may='fail'),
    # -- responses of its health check
    # may count as healthy, if only the beginning is read
    'health-never-ends': Act(
        code=health("return flask.Response(b'x' * 65536 for _ in iter(int, 1))"), failure='answer|time|long|large', may='either'
    ),
    'health-drips': Act(
        code=health("return flask.Response(time.sleep(1) or b'x' for _ in iter(int, 1))"), failure='answer|time|late', may='fail'
    ),
    'health-is-200-MB': Act(
        code=health("return flask.Response(b'x' * 1000000 for _ in range(200))"), failure='answer|time|large|long', may='either'
    ),
    'health-is-malformed': Act(
        code=health(
            "flask.request.environ['gunicorn.socket'].sendall("
            "b'HTTP/1.1 200 \\xff\\x1b[31m\\r\\nA\\x00B\\r\\nContent-Length: -7\\r\\nTransfer-Encoding: \\xe9\\r\\n\\r\\n')\nos._exit(0)"
        ),
        failure='answer|worker|header|status',
        may='either',
    ),
    'health-is-not-http': Act(
        code=health("flask.request.environ['gunicorn.socket'].sendall(b'\\x1b[31m\\x00 \\xff\\r\\n\\r\\n')\nos._exit(0)"),
        failure='answer|worker',
        may='fail',
    ),
    'health-is-endless-headers': Act(
        code=health(
            "sock = flask.request.environ['gunicorn.socket']\nsock.sendall(b'HTTP/1.1 200 OK\\r\\n')\n"
            "while True:\n    sock.sendall(b'A: ' + b'b' * 60000 + b'\\r\\n')"
        ),
        failure='answer|header|time',
        may='fail',
    ),
    'health-leads-elsewhere': Act(code=health("return flask.redirect('http://127.0.0.1:22/')"), failure='status 302|redirect', may='fail'),
    # -- processes
    'serving-workers-are-stopped': Act(before='for pid in gunicorns()[1]:\n    os.kill(pid, signal.SIGSTOP)\n', harms_itself=True),
    'serving-master-is-stopped': Act(before='for pid in gunicorns()[0]:\n    os.kill(pid, signal.SIGSTOP)\n', harms_itself=True),
    'candidate-stops-its-master': Act(code='if not SUPERVISED:\n    threading.Timer(4, os.kill, [os.getppid(), signal.SIGSTOP]).start()\n'),
    'candidate-is-never-ready': Act(
        # it creates ready markers itself
        code="if not SUPERVISED:\n    for pid in own_pids():\n        put(f'{RUN}/ready-{pid}', file(''))\n    time.sleep(60)\n",
        failure='workers|answer',
        may='fail',
    ),
    'children-outlive-and-ignore-term': Act(code='orphan(lambda: time.sleep(90))\n', rollback=True),
    'children-accept-when-the-master-is-gone': Act(
        serving="""
            def squat(master=os.getppid()):
                while os.path.exists('/proc/%d' % master):
                    time.sleep(0.05)
                for fd in os.listdir('/proc/self/fd'):
                    with contextlib.suppress(OSError):
                        held = socket.socket(fileno=int(fd))
                        while held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                            held.accept()
            orphan(squat)
        """
    ),
    # so /proc/PID/cwd of the serving master points to the new release
    'serving-master-goes-to-the-new-release': Act(
        serving="""
            rename(b'gunicorn')
            def go():
                while True:
                    with contextlib.suppress(OSError):
                        os.chdir(f'{RELEASES}/{NEW}')
                    time.sleep(0.02)
            threading.Thread(target=go, daemon=True).start()
        """,
        settings={'gunicorn': {'preload_app': True}},
    ),
    # -- forbidden access
    'forbidden-writes': Act(
        before="""
            def allowed(what, work):
                try:
                    work()
                except OSError:
                    return
                with open(f'{WITNESS}/allowed', 'a') as notes:
                    notes.write('allowed: %s\\n' % what)

            mine = os.path.realpath(ROOT + '/current')
            secrets = ROOT + '/secrets'
            files = [f'{mine}/app.py', f'{mine}/.release.json', f'{mine}/bin/gunicorn', f'{mine}/lib', ROOT + '/history.json',
                     '/usr/local/sbin/flaskrandom-release', '/etc/supervisor/conf.d/flaskrandom.conf', '/etc/passwd']
            for folder in ('tmpfiles.d', 'systemd/system', 'flask-host'):
                files += [path for path in glob.glob(f'/etc/{folder}/*') if os.path.realpath(path) != '/dev/null']
            for path in files:
                allowed('write ' + path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_APPEND)))
                allowed('remove ' + path, lambda: os.rename(path, path + '.x') or os.rename(path + '.x', path))
            for folder in [ROOT, RELEASES, ROOT + '/venvs', secrets, mine, '/etc/flask-host', '/run/flaskrandom', '/run', '/etc',
                           '/usr/local/sbin', '/etc/supervisor/conf.d', '/etc/systemd/system', '/run/systemd/system']:
                allowed('create in ' + folder, lambda: os.symlink(SECRET, folder + '/x') or os.unlink(folder + '/x'))
            for path in (ROOT + '/current', '/run/flaskrandom/live.sock', '/run/flaskrandom/app', SHARED):
                allowed('replace ' + path, lambda: os.rename(path, path + '.x') or os.rename(path + '.x', path))
            for path in [SECRET, '/etc/shadow', secrets + '/key'] + glob.glob('/etc/flask-host/deploy.d/*'):
                allowed('read ' + path, lambda: open(path).close())
            for path in (GUARD, '/run/supervisor.sock', '/run/systemd/private'):
                allowed('connect to ' + path, lambda: socket.socket(socket.AF_UNIX).connect(path))
            for pid in (1, os.getppid()):
                if os.stat('/proc/%d' % pid).st_uid != os.getuid():
                    allowed('signal', lambda: os.kill(pid, 0))
        """,
        short=True,
    ),
    'disks-are-full': Act(
        # all that the account can fill, including the file system of gunicorn's heartbeat files
        before="""
            for folder, size in (('/dev/shm', 200), (RUN, 100), (SHARED + '/instance', 100)):
                with contextlib.suppress(OSError), open(folder + '/filler', 'wb') as filler:
                    for _ in range(size):
                        filler.write(b'x' * 1000000)
        """
    ),
}

# Acts against the roles, which need a run of the playbook.
WITNESS = """
import os
with open('/var/tmp/witness/%d-%d' % (os.geteuid(), os.getpid()), 'w') as witness:
    witness.write('%d as {name}' % os.geteuid())
"""
# Writes a witness file, then replaces itself by the standard library's module of the same name.
MODULE = (
    WITNESS
    + """
import importlib, sys
if __name__ not in ('__main__', 'sitecustomize', 'usercustomize'):
    here, name = os.path.dirname(os.path.abspath(__file__)), __name__
    kept, sys.path[:] = sys.path[:], [path for path in sys.path if path and os.path.abspath(path) != here]
    del sys.modules[name]
    sys.modules[name] = importlib.import_module(name)
    sys.path[:] = kept
"""
)
MODULES = ('compileall', 'filecmp', 'json', 'py_compile', 'struct', 'concurrent', 'sitecustomize', 'usercustomize', 'pip', 'runpy')


class Deploy(NamedTuple):
    """One act against a run of the playbook.

    Attributes:
        before, failure, may, tried, short: see Act.
        files: files by name, added to the app's folder on the controller; a text that begins with 'link:' becomes a link.
        variables: extra variables of the playbook.
        twice: whether the playbook runs with these variables before the act too.
        package: 'wheel' or 'source': adds a package of this kind to requirements.txt, which writes a witness file when possible.
    """

    before: str = ''
    files: Mapping = NONE
    variables: Mapping = NONE
    twice: bool = False
    package: str = ''
    failure: str = ''
    may: str = 'succeed'
    tried: bool = False
    short: bool = False


# Replaces a shared folder; if that is denied, the deploy must succeed.
REPLACE = "put('/srv/flaskrandom/shared/{path}', {make})\n"
INDEX = 'http://127.0.0.1:8099/simple'  # see host/index.py
THREE_LEVELS = {'flask_app_shared': ['instance', 'a/lib/systemd']}

PLAYBOOK = {
    'shared-folder-leads-to-systemd': Deploy(
        before="""
            with contextlib.suppress(OSError):
                os.rename(SHARED + '/instance', SHARED + '/x')
            put(SHARED + '/instance', link('/run/systemd/system'))
        """,
        failure='shared/instance',
        may='either',
        tried=True,
        short=True,
    ),
    'shared-folder-is-a-fifo': Deploy(before=REPLACE.format(path='instance', make='os.mkfifo'), failure='shared/instance', may='either'),
    'shared-folder-of-three-levels-leads-away-at-the-first': Deploy(
        before=REPLACE.format(path='a', make="link('/var')"), variables=THREE_LEVELS, twice=True, failure='shared/a', may='either'
    ),
    'shared-folder-of-three-levels-leads-away-at-the-second': Deploy(
        before=REPLACE.format(path='a/lib', make="link('/var/lib')"), variables=THREE_LEVELS, twice=True, failure='shared/a', may='either'
    ),
    'shared-folder-of-three-levels-leads-away-at-the-last': Deploy(
        before=REPLACE.format(path='a/lib/systemd', make="link('/var/lib/systemd')"),
        variables=THREE_LEVELS,
        twice=True,
        failure='shared/a',
        may='either',
    ),
    'modules-of-the-app': Deploy(
        files={
            **{f'{name}.py': MODULE.format(name=name) for name in MODULES},
            '.env': 'PYTHONPATH=.\n',
            '.flaskenv': 'PYTHONPATH=.\n',
        },
        variables={'flask_app_environment': {'PYTHONPATH': '.'}, 'flask_app_release_commands': ['python -m compileall -q app.py']},
        tried=True,
        short=True,
    ),
    'links-in-the-source': Deploy(
        files={'secret.py': 'link:/root/secret', 'etc': 'link:/etc', 'static/passwd': 'link:/etc/passwd', 'loop': 'link:loop'},
        failure='link',
        may='either',
    ),
    'pth-of-a-package': Deploy(package='wheel', variables={'python_venv_indexes': [INDEX]}, tried=True),
    'source-package': Deploy(package='source', variables={'python_venv_indexes': [INDEX]}, failure='evil', may='fail', tried=True),
}
