"""The machine with the hostile app: deploys with the release tool and the playbook, and the judge there."""

import base64
import hashlib
import json
import os
import re
import secrets
import shutil
import textwrap
import time
from typing import NamedTuple

from acts import NONE
from machine import CHECKOUT, Machine, Run, read_facts
from packages import build_package

SCENARIO = CHECKOUT / 'molecule/hostile_app'
PRELUDE = (SCENARIO / 'host/prelude.py').read_text()
SHORT = os.environ.get('HOSTILE') == 'short'
# Seconds. An activation waits for the candidate, for requests at two sockets, for the program's stop and start, and for its own undoing.
LIMIT = 90
HEALTH_LIMIT = 15
PLAYBOOK_LIMIT = 150


class Outcome(NamedTuple):
    """The result of a deploy.

    Attributes:
        status: the exit status.
        output: what it printed.
        seconds: how long it took.
        release: the release that was deployed.
    """

    status: int
    output: str
    seconds: float
    release: str


class Victim(Machine):
    """The machine with the hostile app.

    Attributes:
        testinfra: the connection to it.
        folder: for the apps that are deployed.
        token: the secret that no output and no readable file may contain.
    """

    def __init__(self, testinfra, folder):
        super().__init__(next(iter(read_facts().values())))
        self.testinfra = testinfra
        self.folder = folder
        # longer than a file name can be, like a private key
        self.token = secrets.token_hex(200)

    # -- commands

    def root(self, command, fails=False):
        """Runs a command as root; returns what it printed without errors. It must succeed, unless it `fails`."""
        done = self.testinfra.run('sudo bash -c %s', command)
        assert fails or done.rc == 0, command + '\n' + done.stdout + done.stderr
        return done.stdout.strip()

    def write(self, path, content, owner='root', mode='0644'):
        """Writes a file, not through a link that an act may have left there."""
        data = base64.b64encode(content if isinstance(content, bytes) else content.encode()).decode()
        self.root(f'rm -rf {path}; echo {data} | base64 -d >{path} && chown {owner}: {path} && chmod {mode} {path}')

    def judge(self, *arguments):
        """Runs host/judge.py; returns what it printed."""
        return self.root(f'python3 -I /opt/hostile/judge.py {" ".join(arguments)}')

    def as_app(self, script, new, repeat=False):
        """Runs a script as the app's account, once or repeatedly in the background. `new` is the release that is deployed."""
        script = textwrap.dedent(script)
        if repeat:
            body = textwrap.indent(script, '        ')
            script = f'while True:\n    with contextlib.suppress(OSError):\n{body}\n    time.sleep(0.03)\n'
        self.write('/opt/hostile/act.py', f'{PRELUDE}\nNEW = {new!r}\n{script}')
        command = 'runuser -u flaskrandom -- /usr/bin/python3 -I /opt/hostile/act.py'
        self.root(f'cd /; {command} </dev/null >/dev/null 2>&1 & sleep 0.3' if repeat else f'cd /; timeout 30 {command} >/dev/null')

    def code(self, code, release, new):
        """Makes a release run code when it is imported. `new` is the release that is deployed."""
        body = textwrap.indent(textwrap.dedent(code), '    ')
        text = f'{PRELUDE}\nNEW = {new!r}\nif RELEASE == {release!r}:\n{body}\n'
        self.write('/srv/flaskrandom/shared/instance/act.py', text, owner='flaskrandom')

    # -- state

    def current(self):
        """Returns the release that the link current leads to."""
        return self.root('basename $(readlink /srv/flaskrandom/current)')

    def serves(self, seconds=8):
        """Returns the release that answers through nginx, or what is wrong after some seconds."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = self.ask()
                if answer.status == 200:
                    return answer.body
                problem = f'status {answer.status}'
            except OSError as error:
                problem = str(error)
            if time.monotonic() > deadline:
                return problem
            time.sleep(0.3)

    # -- deploys

    def create_release(self, release, **settings):
        """Creates a release as a copy of the current one, with other settings."""
        self.root(
            f"""set -e; cd /srv/flaskrandom/releases
            cp -a {self.current()} {release}
            python3 -I - {release}/.release.json <<'END'
import json, sys
path = sys.argv[1]
with open(path) as file:
    settings = json.load(file)
settings.update(gunicorn={{}}, commands=[])
settings['health']['timeout'] = {HEALTH_LIMIT}
settings.update(json.loads({json.dumps(json.dumps(settings))}))
with open(path, 'w') as file:
    json.dump(settings, file)
END
            touch {release} {release}/.manifest.json"""
        )

    def tool(self, *arguments, release):
        """Runs the release tool with limited time and memory; returns the Outcome."""
        started = time.monotonic()
        status = self.root(
            f'cd /; timeout --kill-after=1 {LIMIT} prlimit --as=1500000000 '
            f'flaskrandom-release {" ".join(arguments)} </dev/null >/opt/hostile/output 2>&1; echo $?'
        )
        seconds = time.monotonic() - started
        size = int(self.root('stat -c %s /opt/hostile/output'))
        output = self.testinfra.run('sudo base64 /opt/hostile/output').stdout if size < 1_000_000 else ''
        assert output or not size, f'the release tool printed {size} bytes'
        return Outcome(int(status), base64.b64decode(output).decode('utf-8', 'backslashreplace'), seconds, release)

    def playbook(self, name, files=NONE, variables=NONE, package=''):
        """Deploys with the playbook.

        Args:
            name: of the app's folder.
            files, variables, package: see acts.Deploy.

        Returns:
            The Outcome.
        """
        app = self.folder / name / 'app'
        shutil.copytree(SCENARIO / 'app', app)
        lock = (CHECKOUT / 'molecule/release/app/requirements.txt').read_text()
        (app / 'requirements.txt').write_text(lock + self.package(package))
        (app / 'name.txt').write_text(name)
        for file, text in files.items():
            path = app / file
            path.parent.mkdir(exist_ok=True)
            if text.startswith('link:'):
                path.symlink_to(text[len('link:') :])
            else:
                path.write_text(text)
        run = Run('playbook.yml', flask_app_src=str(app), **variables)
        run.wait(PLAYBOOK_LIMIT + 30)
        return Outcome(run.status, run.output, run.seconds, self.current())

    def package(self, kind):
        """Serves a package on the host that writes a witness as soon as its code runs; returns its line for requirements.txt."""
        if not kind:
            return ''
        name, data = build_package(kind)
        self.write('/opt/hostile/' + name, data)
        digest = hashlib.sha256(data).hexdigest()
        self.root(
            # pip's default index
            'systemctl stop index 2>/dev/null; index=$(runuser -u flaskrandom -- /srv/flaskrandom/current/bin/python -c '
            '"from pip._internal.models.index import PyPI; print(PyPI.simple_url)"); '
            f'systemd-run --unit=index python3 -I /opt/hostile/index.py {name} "$index"'
        )
        return f'evil==1.0 --hash=sha256:{digest}\n'

    # -- before and after an act

    def prepare(self):
        """Copies the judge to the host, creates the secret and starts the guard of root's socket."""
        self.root('mkdir -p /opt/hostile')
        for name in ('judge.py', 'guard.py', 'index.py'):
            self.write('/opt/hostile/' + name, (SCENARIO / 'host' / name).read_text())
        self.write('/root/secret', self.token, mode='0600')
        self.root('systemctl stop guard 2>/dev/null; systemd-run --unit=guard python3 -I /opt/hostile/guard.py')

    def begin(self):
        """Records the state that must not change."""
        self.root(
            'rm -rf /var/tmp/witness /opt/hostile/guard.log; mkdir -m 1777 /var/tmp/witness; touch /opt/hostile/guard.log;'
            # judge.py detects reads of the file by this time
            'touch -a -d "3 days ago" /root/secret'
        )
        self.judge('snapshot')

    def harm(self, outcome):
        """Returns what an act did that no app may do, a text each."""
        found = self.judge('harm', self.token[:40]).splitlines()
        if self.token[:40] in outcome.output:
            found.append('the output shows the secret')
        if re.search(r'[\x00-\x08\x0b-\x1f\x7f]', outcome.output):
            found.append('the output has control characters')
        if len(outcome.output) > 300_000:
            found.append(f'the output has {len(outcome.output)} characters')
        return found

    def reset(self, fallback):
        """Ends everything that an act left. If the current release does not serve then, `fallback` becomes the current one."""
        self.root(
            r"""
            for process in /proc/[0-9]*; do
              if tr '\0' ' ' 2>/dev/null <"$process/cmdline" | grep -q 'flaskrandom-release \(activate\|rollback\)'; then
                kill -9 "${process#/proc/}"
              fi
            done
            supervisorctl stop flaskrandom
            systemctl kill --signal=KILL 'flaskrandom-next@*'
            systemctl stop 'flaskrandom-next@*'
            systemctl reset-failed 'flaskrandom-next@*'
            pkill -KILL -u flaskrandom
            run=/run/flaskrandom; rest=flaskrandom.sock
            if [ -d $run/app ]; then chmod 0750 $run/app; rest=app/flaskrandom.sock; find $run/app -mindepth 1 -delete
            else find $run -mindepth 1 -delete; fi
            rm -f $run/standby.sock /dev/shm/filler /tmp/*.sock
            find /srv/flaskrandom/shared -mindepth 1 -delete
            install -d -o flaskrandom -g flaskrandom -m 0750 /srv/flaskrandom/shared/instance
            systemd-tmpfiles --create /etc/tmpfiles.d/*flaskrandom.conf
            ln -sfn $rest $run/live.sock
            truncate -s 0 /var/log/supervisor/flaskrandom.log; rm -f /var/log/supervisor/flaskrandom.log.*
            supervisorctl start flaskrandom
            """,
            fails=True,
        )
        self.judge('restore')
        if self.serves(20) != self.current():
            self.root(
                f'ln -sfn /srv/flaskrandom/releases/{fallback} /srv/flaskrandom/current; supervisorctl restart flaskrandom', fails=True
            )
            assert self.serves(20) == fallback
