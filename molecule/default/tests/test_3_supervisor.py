"""The article's chapter 3: supervisor."""

import time

import pytest
from conftest import REQUEST


def status(bash):
    """Returns the program's state in supervisor, and its process id or 0."""
    words = bash('sudo supervisorctl status flaskrandom', fails=True).replace(',', '').split()
    return words[1], int(words[3]) if words[1] == 'RUNNING' else 0


def wait_for(bash, state):
    """Waits until the program is in a state of supervisor's, at most 10 s."""
    for _ in range(50):
        if status(bash)[0] == state:
            return
        time.sleep(0.2)
    raise AssertionError(f'flaskrandom is {status(bash)[0]}, not {state}')


def test_s15_supervisor_is_installed(host):
    assert host.package('supervisor').is_installed
    assert host.service('supervisor').is_running
    assert host.service('supervisor').is_enabled


def test_s16_the_program_has_the_articles_settings(bash, expected):
    lines = bash('cat /etc/supervisor/conf.d/flaskrandom.conf').splitlines()
    assert {
        '[program:flaskrandom]',
        f'command={expected.command}',
        f'directory={expected.folder}/',
        f'user={expected.user}',
        'autostart=true',
        'autorestart=true',
        'stopasgroup=true',
        'killasgroup=true',
    } <= set(lines)


def test_s16_comments_after_values_break_supervisor_3(bash):
    # the article's `user=tfzhang  ## ...`: supervisor 3 takes the comment for a part of the name
    if not bash('supervisord --version').startswith('3.'):
        pytest.skip('supervisor 4 strips such comments')
    answer = bash(
        'd=$(mktemp -d) && cd $d && printf "[supervisord]\nlogfile=$d/log\npidfile=$d/pid\n[program:x]\n'
        'command=/bin/true\nuser=ubuntu  ## the account\n" > x.conf && sudo timeout 5 supervisord -n -c x.conf',
        fails=True,
    )
    assert 'Invalid user name' in answer


def test_s17_reread_and_update_change_nothing(bash):
    assert bash('sudo supervisorctl reread').strip() == 'No config updates to processes'
    assert bash('sudo supervisorctl update').strip() == ''


def test_s18_supervisorctl_shows_the_program_running(bash):
    shown = bash('sudo supervisorctl < /dev/null')
    assert 'flaskrandom' in shown
    assert 'RUNNING' in shown
    assert len(bash('sudo supervisorctl status').splitlines()) == 1


@pytest.mark.parametrize('which', ['gunicorn', 'gunicorn and its workers'])
def test_s19_supervisor_restarts_a_killed_gunicorn(bash, machine, which):
    before = status(bash)[1]
    workers = '' if which == 'gunicorn' else bash(f'pgrep --parent {before}').replace('\n', ' ')
    bash(f'sudo kill -9 {before} {workers}')
    time.sleep(0.5)
    machine.wait(10)
    # on TCP the workers of a killed gunicorn keep the port for a while
    for _ in range(50):
        after = status(bash)[1]
        if after not in (0, before) and len(bash(f'pgrep --parent {after}', fails=True).split()) == 3:
            return
        time.sleep(0.2)
    raise AssertionError(f'no new gunicorn with three workers replaced {before}')


def test_s20_the_app_answers_after_a_restart(host, bash, machine):
    def started():
        return bash("ps -o lstart= -p 1; stat -c %Y /proc/1")

    before = started()
    machine.restart()
    machine.wait(30)
    assert machine.ask('/getrandomstr', REQUEST).status == 200
    for _ in range(30):
        if host.run('true').rc == 0:
            break
        time.sleep(1)
    assert started() != before
    wait_for(bash, 'RUNNING')


@pytest.mark.parametrize('typed', ['sudo supervisorctl %s flaskrandom', 'echo %s flaskrandom | sudo supervisorctl'])
def test_s21_the_program_stops_and_starts(bash, machine, typed):
    bash(typed % 'stop')
    wait_for(bash, 'STOPPED')
    assert machine.ask().status == 502
    bash(typed % 'start')
    wait_for(bash, 'RUNNING')
    machine.wait(10)
