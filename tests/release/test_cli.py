"""The command: what it prints and ends with, and how it goes on when its caller is gone."""

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import ROOT
from release import cli, config
from release.deploy import Deployment
from release.errors import Failure
from release.history import History
from standins import wait_for


@pytest.fixture
def command(host, values, folder, monkeypatch):
    """Runs shop-release as root would; returns its exit status."""
    (folder / 'deploy.d').mkdir()
    (folder / 'deploy.d/shop.json').write_text(json.dumps(values))
    load, lock = config.load, cli.exclusive_lock
    monkeypatch.setattr(config, 'load', lambda name: load(name, folder / 'deploy.d'))
    monkeypatch.setattr(cli, 'exclusive_lock', lambda path: lock(str(folder / os.path.basename(path))))
    monkeypatch.setattr(os, 'geteuid', lambda: 0)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', [str(folder / 'shop-release'), *arguments])
        return cli.main()

    return run


@pytest.fixture
def shows(capfd):
    """What was printed since it was asked last."""
    return lambda: '\n'.join(capfd.readouterr())


# -- the command line


@pytest.mark.parametrize('arguments', [[], ['run'], ['activate'], ['nonsense'], ['rollback', 'x'], ['serve']])
def test_invalid_command_lines_are_refused(command, arguments, shows):
    with pytest.raises(SystemExit) as caught:
        command(*arguments)
    assert caught.value.code == 2 and 'usage: shop-release' in shows()


def test_help_is_printed(command, shows):
    with pytest.raises(SystemExit) as caught:
        command('--help')
    assert caught.value.code == 0
    shown = shows()
    assert 'shop-release activate ID [--revision TEXT] [--check]' in shown and 'NAME' not in shown


def test_root_is_required(command, monkeypatch, shows):
    monkeypatch.setattr(os, 'geteuid', lambda: 1000)
    assert command('list') == 2
    assert 'shop-release must run as root. Use sudo.' in shows()


def test_options_belong_to_their_command():
    assert cli.parse('shop', ['run', 'flask', '--help']).command == ['flask', '--help']


# -- activate, rollback, list


def test_activate_list_and_rollback(command, host, shows):
    assert command('list') == 0 and 'no release has been deployed on this host' in shows()
    for release in 'ab':
        host.make_release(release)
        # the stand-in's program must be this process's child
        assert Deployment(host.config).activate(release, 'v-' + release) is None
    shows()
    assert command('activate', 'b') == 0 and 'b serves already' in shows()
    assert command('activate', '--check', 'b') == 0 and shows().strip() == 'b serves already'
    assert command('activate', '--check', 'a') == 0 and 'current points to b' in shows()
    assert command('list') == 0
    lines = shows().splitlines()
    assert lines[0].split() == ['RELEASE', 'SINCE', 'REVISION', 'STATE']
    assert lines[1].startswith('* b ') and lines[1].endswith('v-b                 serving')
    assert lines[2].startswith('  a ') and lines[2].endswith('available for rollback')
    assert re.fullmatch(r'This host runs [a-z]+ ?[\d.]*[.]', lines[3])
    assert command('rollback') == 0 and 'a serves again' in shows()


def test_list_shows_every_state(command, host, config, shows):
    history = History(config.root / 'history.json')
    for release in ['a', 'b', 'c']:
        history.record_served([*history.served, release])
    history.record_served(['a', 'b'])
    history.record('f', failed='status 500 好', at='2026-01-01 10:00:00')
    history.record('n', manifest=5)
    config.current.symlink_to(config.releases / 'b')
    assert command('list') == 0
    states = {line[2:14].strip(): line[56:].strip() for line in shows().splitlines()[1:] if line.startswith((' ', '*'))}
    assert states == {
        'b': 'serving',
        'a': 'available for rollback',
        'c': 'rolled back',
        'f': 'failed: status 500 好',
        'n': 'not deployed',
    }


def test_failures_exit_with_1(command, shows):
    assert command('activate', 'nothing') == 1
    assert 'There is no complete release nothing' in shows()
    assert command('rollback') == 1
    assert 'There is nothing to roll back' in shows()


def test_check_on_a_broken_host(command, host, shows):
    host.supervisor.faults['reloadConfig'] = [92]
    assert command('activate', '--check', 'a') == 0
    assert 'supervisor refused reloadConfig' in shows()


def test_missing_settings_fail(command, folder, shows):
    (folder / 'deploy.d/shop.json').unlink()
    assert command('list') == 1 and 'Deploy the app again.' in shows()


def test_a_damaged_history_fails(command, host, config, shows):
    (config.root / 'history.json').write_text('{')
    for arguments in [['list'], ['rollback'], ['activate', 'a'], ['activate', '--check', 'a']]:
        assert command(*arguments) == 1 and 'history.json is damaged' in shows()


# -- status and logs


def test_status_tells_of_problems_by_its_exit_status(command, host, shows):
    assert command('status') == 2 and shows().splitlines()[:2] == ['problems:', '- no release has been deployed on this host']
    host.make_release('a')
    assert Deployment(host.config).activate('a') is None
    shows()
    assert command('status') == 0 and shows().startswith('release')
    assert command('status', '--json') == 0 and json.loads(shows())['release']['id'] == 'a'


def test_logs_are_shown(command, folder, shows):
    (folder / 'shop.log').write_text('one\ntwo\n')
    assert command('logs', '--grep', 'tw') == 0 and 'web          | two' in shows()
    assert command('logs', '--since', 'x') == 1 and '--since must be a time' in shows()


# -- run and serve


@pytest.fixture
def serving(config, make_release):
    make_release('a')
    config.current.symlink_to(config.releases / 'a')


@pytest.mark.parametrize('code, status', [('exit 0', 0), ('exit 7', 7), ('kill -TERM $$', 143), ('kill -9 $$', 137)])
def test_run_exits_like_its_command(command, serving, code, status):
    assert command('run', 'sh', '-c', code) == status


def test_run_works_in_the_release(command, serving, config, shows):
    assert command('run', 'pwd') == 0
    assert shows().strip() == str(config.releases / 'a')


def test_run_of_a_missing_command_fails(command, serving, shows):
    assert command('run', 'no-such-command') == 1
    assert 'no-such-command' in shows()


def test_run_without_a_release_fails(command, shows):
    assert command('run', 'true') == 1
    assert 'There is no complete release' in shows()


def test_run_without_stdin(command, serving, monkeypatch):
    monkeypatch.setattr(sys, 'stdin', None)
    assert command('run', 'true') == 0


def test_run_on_a_terminal_gets_its_own_terminal(command, serving, folder, monkeypatch):
    done = []
    master, slave = pty.openpty()
    with open(slave) as terminal:
        monkeypatch.setattr(sys, 'stdin', terminal)
        monkeypatch.setenv('TERM', 'xterm')
        monkeypatch.delenv('INVOCATION_ID', raising=False)

        def execvp(*arguments):
            done.append(arguments)
            raise OSError('gone')

        monkeypatch.setattr(os, 'execvp', execvp)
        assert command('run', 'flask', 'shell') == 1
        assert done[0][0] == 'systemd-run' and '--pty' in done[0][1] and '--setenv=TERM=xterm' in done[0][1]
        assert done[0][1][-4:] == [str(folder / 'shop-release'), 'run', 'flask', 'shell']
        monkeypatch.setenv('INVOCATION_ID', 'x')
        assert command('run', 'true') == 0 and len(done) == 1
    os.close(master)


def test_serve_starts_gunicorn(command, serving, config, monkeypatch):
    done, before = [], os.getcwd()
    monkeypatch.setattr(cli.commands, 'become', lambda user: None)
    monkeypatch.setattr(os, 'execv', lambda path, arguments: done.append(path))
    assert command('serve', 'a') == 0
    os.chdir(before)
    assert done == [str(config.releases / 'a/bin/gunicorn')]
    assert command('serve', 'b') == 1


# -- a process of its own


def test_run_detached_returns_the_exit_status():
    assert cli.run_detached(lambda: None) == 0
    assert cli.run_detached(lambda: 5) == 5


@pytest.mark.parametrize(
    'error, said',
    [
        (Failure('mend it 好'), 'mend it 好'),
        (Failure('\udcff'), '?'),
        (OSError(28, 'No space'), 'OSError: [Errno 28] No space'),
        (subprocess.TimeoutExpired('x', 5), "TimeoutExpired: Command 'x' timed out after 5 seconds"),
    ],
)
def test_run_detached_reports_errors(error, said, shows):
    def fails():
        raise error

    assert cli.run_detached(fails) == 1
    assert shows().strip() == said


def test_run_detached_reports_a_kill(shows):
    assert cli.run_detached(lambda: os.kill(os.getpid(), signal.SIGKILL)) == 1
    assert 'The deployment was killed by signal 9. Deploy again, which completes it.' in shows()


CALLER = """
import signal, sys, time
# nohup, or a shell in the background, may have these tests ignore them
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {package!r})
from release import cli
from release.system import print_line

def work():
    open({folder!r} + '/begun', 'w').close()
    time.sleep(0.3)
    print_line('nobody listens')
    open({folder!r} + '/done', 'w').close()

sys.exit(cli.run_detached(work))
"""


def caller(folder):
    code = CALLER.format(package=str(Path(cli.__file__).parents[1]), folder=str(folder))
    process = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, start_new_session=True)
    wait_for((folder / 'begun').exists)
    return process


@pytest.mark.parametrize('number', [signal.SIGHUP, signal.SIGKILL, signal.SIGINT])
def test_work_continues_when_its_caller_is_killed(folder, number):
    process = caller(folder)
    # what a terminal that closes, or Ctrl-C on it, does
    assert process.pid > 1 and os.getpgid(process.pid) == process.pid
    os.killpg(process.pid, number)
    said = process.stdout.readline() if number == signal.SIGINT else b''
    process.stdout.close()
    assert process.wait() == (1 if number == signal.SIGINT else -number)
    assert number != signal.SIGINT or said == b'the deployment continues in the background\n'
    assert wait_for((folder / 'done').exists)


def test_an_interrupted_caller_reports_it(monkeypatch, shows):
    real = os.waitpid

    def interrupted(pid, options):
        real(pid, options)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'waitpid', interrupted)
    assert cli.run_detached(lambda: None) == 1
    assert shows().strip() == 'the deployment continues in the background'


# -- one at a time


def test_the_lock_waits_for_its_holder(folder, shows):
    path, order = str(folder / 'lock'), []
    with cli.exclusive_lock(path):
        pass
    with open(path, 'w') as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        def release():
            time.sleep(0.2)
            order.append('other')
            fcntl.flock(other, fcntl.LOCK_UN)

        thread = threading.Thread(target=release)
        thread.start()
        with cli.exclusive_lock(path):
            order.append('this')
        thread.join()
    assert order == ['other', 'this'] and shows().strip() == 'waiting for another deployment of this app'


def test_the_lock_is_released_when_its_holder_is_killed(folder):
    path = str(folder / 'lock')

    def work():
        with cli.exclusive_lock(path):
            os.kill(os.getpid(), signal.SIGKILL)

    assert cli.run_detached(work) == 1
    with cli.exclusive_lock(path):
        pass


def test_the_package_needs_only_the_standard_library(tmp_path):
    # nothing but the package and the standard library, as in its archive
    code = "import sys; sys.argv[0] = 'shop-release'; sys.path.insert(0, {!r}); from release.cli import main; sys.exit(main())"
    command = [sys.executable, '-IS', '-c', code.format(str(Path(cli.__file__).parents[1])), 'list']
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=str(tmp_path))
    assert done.returncode == (1 if ROOT else 2)
    assert (b'Cannot read /etc/flask-host/deploy.d/shop.json' if ROOT else b'must run as root') in done.stderr
