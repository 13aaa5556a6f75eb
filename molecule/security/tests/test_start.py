"""After a restart of the machine. The last file, for what prepare.yml set in the kernel is gone."""

import subprocess
import time

from conftest import FACTS


def test_the_firewall_is_back_after_a_restart(host, neighbour, request):
    def run(command):
        """What it printed; None if it failed, or if there is no connection yet."""
        try:
            result = host.run(command)
        except RuntimeError:
            return None
        return result.stdout if result.rc == 0 else None

    started = 'ps -o lstart= -p 1; stat -c %Y /proc/1'
    before = run(started)
    subprocess.run([FACTS['engine'], 'restart', '--time=5', FACTS['container']], check=True, capture_output=True)
    deadline = time.monotonic() + 60
    while run('systemctl is-active ssh ufw nginx') is None:
        assert time.monotonic() < deadline, run('systemctl list-jobs; systemctl status ssh ufw nginx || true')
        time.sleep(0.5)
    assert before and run(started) not in (None, before)
    states = request.getfixturevalue('reached')('inet')
    assert {port for port, state in states.items() if state != 'silent'} == {22, 80, 9000, 9001}
