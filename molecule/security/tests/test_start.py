"""The firewall after a restart of the machine. The last file, because the restart undoes prepare.yml's kernel settings."""

import time


def test_the_firewall_is_active_after_a_restart(machine, host, second_machine, request):
    def run(command):
        """Returns what a command printed; None if it failed or there is no connection yet."""
        try:
            result = host.run(command)
        except RuntimeError:
            return None
        return result.stdout if result.rc == 0 else None

    started = 'ps -o lstart= -p 1; stat -c %Y /proc/1'
    before = run(started)
    machine.restart()
    deadline = time.monotonic() + 60
    while run('systemctl is-active ssh ufw nginx') is None:
        assert time.monotonic() < deadline, run('systemctl list-jobs; systemctl status ssh ufw nginx || true')
        time.sleep(0.5)
    assert before and run(started) not in (None, before)
    states = request.getfixturevalue('scan')('inet')
    assert {port for port, state in states.items() if state != 'silent'} == {22, 80, 9000, 9001}
