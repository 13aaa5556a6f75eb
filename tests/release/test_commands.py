"""Commands of a release run as the app, end in time, and what they print is shown, whatever it is."""

import json
import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import needs_root
from release import commands
from release.errors import Failure, Unhealthy
from release.history import History
from release.releases import Releases
from standins import has_ended, wait_for


@pytest.fixture
def run(config, make_release):
    """Runs a command of a release, and returns what the failure says; '' where there is none."""
    folder = make_release('a')
    settings = Releases(config).settings('a')

    def run_command(command, timeout=5, **values):
        try:
            commands.run_release_command(dict(settings, **values), folder, command, timeout)
        except Unhealthy as failure:
            return str(failure)
        return ''

    return run_command


def test_a_command_succeeds(run, config):
    assert run('echo well > here') == ''
    assert (config.releases / 'a/here').read_text() == 'well\n'


def test_the_releases_path_is_filled_in(run, config):
    folder = config.releases / 'a'
    environment = {'CONFIG': '{release}/config.py', 'OTHER': '{other} ${release} {{release}} {}'}
    assert run('echo "{release}/x $CONFIG $OTHER ${release}" > here', environment=environment) == ''
    expected = '{0}/x {0}/config.py {{other}} ${{release}} {{{0}}} {{}} \n'.format(folder)
    assert (folder / 'here').read_text() == expected


def test_a_failed_command_is_reported(run):
    text = run('echo no table >&2; exit 3')
    assert text == "the command 'echo no table >&2; exit 3' exited with status 3\n\nIts output:\nno table"


def test_a_failed_line_ends_the_command(run):
    assert 'exited with status 1' in run('false; echo on')


def test_a_killed_command_is_reported(run):
    assert 'exited with status -9' in run('kill -9 $$')


@pytest.mark.parametrize(
    'code, shown',
    [
        (r'printf "caf\351"', 'caf\ufffd'),
        (r'printf "\033[31mred\033[0m"', 'red'),
        (r'printf "\344\275\240\345\245\275"', '你好'),
        (r'printf "a\000b\rc"', 'ab\nc'),
    ],
)
def test_output_is_shown_as_plain_text(run, code, shown):
    assert run(code + '; exit 1').partition('Its output:\n')[2] == shown


def test_a_megabyte_of_output_is_read(run):
    text = run('head -c 1000000 /dev/zero | tr "\\0" x; echo; echo the end; exit 1')
    assert text.endswith('\nthe end') and len(text) < 3000


def test_stdin_is_empty(run):
    assert run('read line && exit 5; exit 0') == ''


def test_a_slow_command_is_killed(run):
    started = time.monotonic()
    text = run('trap "" TERM INT HUP; echo begun; sleep 60; echo on', timeout=0.3)
    assert "has not ended in 0.3 s\n\nIts output:\nbegun" in text
    assert time.monotonic() - started < 3


def test_a_command_with_endless_output_is_killed(run):
    assert 'has not ended in 0.3 s' in run('yes', timeout=0.3)


def test_a_command_that_closes_its_output_is_waited_for(run):
    assert 'exited with status 4' in run('exec >&- 2>&-; sleep 0.1; exit 4')


DAEMON = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if os.fork():
    os._exit(0)
if len(sys.argv) > 2:
    os.setsid()
with open(sys.argv[1], 'w') as file:
    file.write(str(os.getpid()))
time.sleep(20)
"""


@pytest.mark.parametrize('status', [0, 3])
def test_daemons_of_a_command_are_killed(run, folder, status):
    (folder / 'daemon').write_text(DAEMON)
    started = time.monotonic()
    command = '{} -S -E {}/daemon {}/pid apart; while [ ! -s {}/pid ]; do sleep 0.01; done; echo done; exit {}'
    text = run(command.format(sys.executable, folder, folder, folder, status))
    assert time.monotonic() - started < 4
    assert text == '' if not status else text.endswith('done')
    os.kill(int((folder / 'pid').read_text()), signal.SIGKILL)


def test_children_of_a_slow_command_are_killed(run, folder):
    (folder / 'daemon').write_text(DAEMON)
    assert 'has not ended' in run('{} -S -E {}/daemon {}/pid; sleep 60'.format(sys.executable, folder, folder), timeout=0.5)
    assert wait_for(lambda: has_ended((folder / 'pid').read_text()))


# -- what it runs with


def test_commands_get_the_apps_environment(run, config, folder, account):
    (folder / 'secrets.json').write_text(json.dumps({'KEY': 'geheim 密'}), encoding='utf-8')
    values = {'environment': {'NUMBER': 5, 'NAME': 'ü'}, 'secrets': str(folder / 'secrets.json')}
    assert run('env >found', **values) == ''
    found = (config.releases / 'a/found').read_text(encoding='utf-8').splitlines()
    for line in ['NUMBER=5', 'NAME=ü', 'KEY=geheim 密', 'LANG=C.UTF-8', 'USER=' + account, 'HOME=' + str(config.root)]:
        assert line in found
    assert 'PATH={}/a/bin:/usr/local/bin:/usr/bin:/bin'.format(config.releases) in found
    assert not [line for line in found if line.startswith(('PYTEST', 'SUDO'))]


LOCALE = """
import sys
sys.path.insert(0, {folder!r})
from release import commands
commands.become = lambda user: None
settings = {{'home': '/', 'user': 'x', 'secrets': '', 'environment': {{'NAME': '\\u597d'}}}}
sys.exit(commands.start(settings, '/', ['/bin/sh', '-c', 'echo \\u4f60 $NAME']).wait())
"""


def test_any_text_works_in_any_locale():
    # as Python 3.6 is in the POSIX locale
    code = LOCALE.format(folder=str(Path(commands.__file__).parents[1]))
    environment = {'LC_ALL': 'C', 'PYTHONCOERCECLOCALE': '0'}
    assert subprocess.check_output([sys.executable, '-X', 'utf8=0', '-c', code], env=environment) == '你 好\n'.encode()


@needs_root
def test_commands_run_as_the_app(run, config, folder):
    folder.chmod(0o777)
    command = 'id -u >{0}/id; id -G >>{0}/id; umask >>{0}/id'.format(folder)
    assert run(command, user='nobody') == ''
    account = pwd.getpwnam('nobody')
    assert (folder / 'id').read_text().split() == [str(account.pw_uid), str(account.pw_gid), '0022']
    assert (folder / 'id').stat().st_uid == account.pw_uid


def test_a_missing_account_fails(run, monkeypatch):
    def fails(user):
        raise KeyError(user)

    monkeypatch.setattr(commands, 'become', fails)
    with pytest.raises(subprocess.SubprocessError):
        run('true')


# -- once for a release, once for a host


@pytest.fixture
def prepare(config, make_release):
    def prepared(release='a'):
        commands.prepare(Releases(config), History(config.root / 'history.json'), release, 5)
        found = config.root / 'log'
        return found.read_text().split() if found.exists() else []

    return prepared


def note(config, text):
    return 'echo {} >>{}/log'.format(text, config.root)


def test_commands_run_once(config, make_release, prepare, capsys):
    make_release('a', init_commands=[note(config, 'init')], commands=[note(config, 'a')])
    make_release('b', init_commands=[note(config, 'init')], commands=[note(config, 'b')])
    assert prepare('a') == ['init', 'a'] and prepare('a') == ['init', 'a']
    assert prepare('b') == ['init', 'a', 'b']
    assert 'a$ ' + note(config, 'init') in capsys.readouterr().out


def test_failed_commands_run_again(config, make_release, prepare):
    make_release('a', init_commands=[note(config, 'init')], commands=['test -e {}/there'.format(config.root), note(config, 'a')])
    for _ in range(2):
        with pytest.raises(Unhealthy):
            prepare()
    (config.root / 'there').write_text('')
    assert prepare() == ['init', 'a']


def test_commands_before_a_failed_one_are_recorded(config, make_release, prepare):
    make_release('a', init_commands=[note(config, 'one'), 'exit 1'])
    with pytest.raises(Unhealthy):
        prepare()
    assert History(config.root / 'history.json').initialized == [note(config, 'one')]


# -- the candidate


def test_serve_becomes_gunicorn(config, make_release, monkeypatch):
    folder = make_release('a')
    became, done = [], []
    monkeypatch.setattr(commands, 'become', became.append)
    monkeypatch.setattr(os, 'execv', lambda *arguments: done.append((arguments, os.getcwd())))
    before = os.getcwd()
    commands.serve(config, Releases(config), 'a')
    os.chdir(before)
    gunicorn = str(folder / 'bin/gunicorn')
    assert done == [((gunicorn, [gunicorn, '-c', '.gunicorn.py', '-b', 'unix:{}/app/next.sock'.format(config.run)]), str(folder))]
    assert len(became) == 1


def test_serve_of_a_missing_release_fails(config):
    with pytest.raises(Failure):
        commands.serve(config, Releases(config), 'a')
