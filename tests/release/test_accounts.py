"""Work as another account ends in time, whatever it does."""

import os
import pwd
import signal
import time

import pytest
from conftest import ROOT, needs_root
from release.accounts import RESULT_LIMIT, call_as


def test_the_result_is_returned():
    assert call_as('', lambda: 'well 好', 5) == 'well 好'


def test_work_runs_in_another_process():
    assert call_as('', lambda: str(os.getpid()), 5) != str(os.getpid())


def test_long_results_are_truncated():
    assert call_as('', lambda: 'x' * (RESULT_LIMIT + 10), 5) == 'x' * RESULT_LIMIT


def test_undecodable_bytes_are_replaced():
    assert call_as('', lambda: '\udcff', 5) == '?'


@pytest.mark.parametrize('fault', [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_an_exception_returns_nothing(fault, capfd):
    def fails():
        raise fault()

    assert call_as('', fails, 5) == ''
    assert capfd.readouterr() == ('', '')


def test_a_killed_process_returns_nothing():
    assert call_as('', lambda: os.kill(os.getpid(), signal.SIGKILL), 5) == ''


def test_a_process_that_does_not_end_is_killed():
    def stays():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(60)

    started = time.monotonic()
    assert call_as('', stays, 0.1) == ''
    assert time.monotonic() - started < 5
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_no_file_descriptor_leaks():
    before = os.listdir('/proc/self/fd')
    for _ in range(3):
        call_as('', lambda: '', 5)
    assert len(os.listdir('/proc/self/fd')) == len(before)


def test_a_missing_account_returns_nothing():
    assert call_as('no-such-account', lambda: 'done', 5) == ''


def rights():
    with open('/proc/self/status') as file:
        lines = dict(line.rstrip().split(':\t', 1) for line in file if ':\t' in line)
    return '{Uid} / {Gid} / {Groups} / {CapEff}'.format(**lines)


@needs_root
def test_root_drops_all_privileges():
    account = pwd.getpwnam('nobody')
    uids, gids = '\t'.join([str(account.pw_uid)] * 4), '\t'.join([str(account.pw_gid)] * 4)
    found = call_as('nobody', rights, 5)
    assert found.startswith('{} / {} / '.format(uids, gids)) and found.endswith(' / ' + '0' * 16)
    assert found.split(' / ')[2].split() == [str(account.pw_gid)]


@needs_root
def test_the_umask_is_the_default(folder):
    folder.chmod(0o777)
    before = os.umask(0o077)

    def work():
        (folder / 'x').write_text('')
        return oct((folder / 'x').stat().st_mode)

    assert call_as('nobody', work, 5) == '0o100644'
    os.umask(before)


@pytest.mark.skipif(ROOT, reason='needs an account without rights')
def test_without_root_another_account_returns_nothing():
    assert call_as('root', lambda: 'done', 5) == ''
