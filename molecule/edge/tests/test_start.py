"""After a restart of the machine. The last file, for what prepare.yml set in the kernel is gone."""

import subprocess
import time

from conftest import FACTS


def test_the_firewall_is_back_after_a_restart(host, neighbour, request):
    def started():
        return host.run('ps -o lstart= -p 1; stat -c %%Y /proc/1').stdout

    before = started()
    subprocess.run([FACTS['engine'], 'restart', '--time=5', FACTS['container']], check=True, capture_output=True)
    deadline = time.monotonic() + 60
    while host.run('systemctl is-active ssh ufw nginx').rc != 0:
        assert time.monotonic() < deadline, host.run('systemctl list-jobs; systemctl status ssh ufw nginx').stdout
        time.sleep(0.5)
    assert started() not in ('', before)
    states = request.getfixturevalue('reached')('inet')
    assert {port for port, state in states.items() if state != 'silent'} == {22, 80, 9000, 9001}
