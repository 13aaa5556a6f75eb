"""What acts against the host need: the machine, deploys of the release tool and of the playbook, and a judge on the host."""

import base64
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import subprocess
import tarfile
import textwrap
import time
import urllib.request
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from acts import NONE

CHECKOUT = Path(os.environ['MOLECULE_PROJECT_DIRECTORY'])
SCENARIO = CHECKOUT / 'molecule/hostile_app'
PRELUDE = (SCENARIO / 'host/prelude.py').read_text()
SHORT = os.environ.get('HOSTILE') == 'short'
# A hand-over waits for: the candidate, requests at two sockets, the program's stop and start, and its way back.
LIMIT = 90
HEALTH_LIMIT = 15
PLAYBOOK_LIMIT = 150

pytest_plugins = ['pytest_load']


class Outcome(NamedTuple):
    """What became of a deploy."""

    status: int
    output: str
    seconds: float
    release: str  # the one that it was about


class Host:
    """The machine, seen by the tests as root and as the app's account."""

    def __init__(self, testinfra, folder):
        self.testinfra = testinfra
        self.folder = folder
        facts = yaml.safe_load((Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY']) / 'instance_config.yml').read_text())[0]
        self.url = f'http://127.0.0.1:{facts["http_port"]}'
        # longer than a file's name may be, as a private key is
        self.token = secrets.token_hex(200)

    # -- commands

    def root(self, command, fails=False):
        """Runs a command as root; returns what it printed."""
        done = self.testinfra.run('sudo bash -c %s', command)
        assert fails or done.rc == 0, command + '\n' + done.stdout + done.stderr
        return done.stdout.strip()

    def write(self, path, content, owner='root', mode='0644'):
        """Writes a file; never through a link that an act has left there."""
        data = base64.b64encode(content if isinstance(content, bytes) else content.encode()).decode()
        self.root(f'rm -rf {path}; echo {data} | base64 -d >{path} && chown {owner}: {path} && chmod {mode} {path}')

    def judge(self, *arguments):
        return self.root(f'python3 -I /opt/hostile/judge.py {" ".join(arguments)}')

    def as_app(self, script, new, repeat=False):
        """Runs a script as the app's account, once or again and again in the background."""
        script = textwrap.dedent(script)
        if repeat:
            body = textwrap.indent(script, '        ')
            script = f'while True:\n    with contextlib.suppress(OSError):\n{body}\n    time.sleep(0.03)\n'
        self.write('/opt/hostile/act.py', f'{PRELUDE}\nNEW = {new!r}\n{script}')
        command = 'runuser -u flaskrandom -- /usr/bin/python3 -I /opt/hostile/act.py'
        self.root(f'cd /; {command} </dev/null >/dev/null 2>&1 & sleep 0.3' if repeat else f'cd /; timeout 30 {command} >/dev/null')

    def code(self, code, release, new):
        """Lets one release run code when it is imported."""
        body = textwrap.indent(textwrap.dedent(code), '    ')
        text = f'{PRELUDE}\nNEW = {new!r}\nif RELEASE == {release!r}:\n{body}\n'
        self.write('/srv/flaskrandom/shared/instance/act.py', text, owner='flaskrandom')

    # -- what is there

    def current(self):
        return self.root('basename $(readlink /srv/flaskrandom/current)')

    def serves(self, seconds=8):
        """The release that answers through nginx, or what is wrong."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(self.url, timeout=5) as answer:
                    return answer.read().decode()
            except OSError as error:
                problem = str(error)
            if time.monotonic() > deadline:
                return problem
            time.sleep(0.3)

    # -- deploys

    def lay_out(self, release, **settings):
        """Makes a release out of the serving one."""
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
        """Runs the release tool, with a limit for its time and its memory."""
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
        """Runs the playbook with the app and further files in its folder; returns its Outcome."""
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
        started = time.monotonic()
        done = subprocess.run(
            ['ansible-playbook', '-i', os.environ['MOLECULE_INVENTORY_FILE'], 'playbook.yml', '-e',
             json.dumps({'flask_app_src': str(app), **variables})],
            cwd=CHECKOUT, env={**os.environ, 'ANSIBLE_FORCE_COLOR': 'false'}, timeout=PLAYBOOK_LIMIT + 30,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='backslashreplace',
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, time.monotonic() - started, self.current())

    def package(self, kind):
        """Puts a package on the host that writes a witness as soon as Python lets it; returns its line of a lock."""
        if not kind:
            return ''
        witness = "import os; open('/var/tmp/witness/%d-%d' % (os.geteuid(), os.getpid()), 'w').write('%d as {}' % os.geteuid())\n"
        data = io.BytesIO()
        if kind == 'wheel':
            name = 'evil-1.0-py3-none-any.whl'
            with zipfile.ZipFile(data, 'w') as wheel:
                wheel.writestr('evil.py', '')
                wheel.writestr('evil.pth', witness.format('.pth'))
                wheel.writestr('evil-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n')
                wheel.writestr('evil-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
                wheel.writestr('evil-1.0.dist-info/RECORD', 'evil.py,,\nevil.pth,,\nevil-1.0.dist-info/RECORD,,\n')
        else:
            name = 'evil-1.0.tar.gz'
            setup = witness.format('setup.py') + 'from setuptools import setup\nsetup(name="evil", version="1.0", py_modules=["evil"])\n'
            with tarfile.open(fileobj=data, mode='w:gz') as source:
                for path, text in {
                    'setup.py': setup,
                    'evil.py': '',
                    'PKG-INFO': 'Metadata-Version: 1.1\nName: evil\nVersion: 1.0\n',
                }.items():
                    entry = tarfile.TarInfo('evil-1.0/' + path)
                    entry.size = len(text)
                    source.addfile(entry, io.BytesIO(text.encode()))
        self.write('/opt/hostile/' + name, data.getvalue())
        digest = hashlib.sha256(data.getvalue()).hexdigest()
        self.root(
            # the index that pip goes to by itself
            'systemctl stop index 2>/dev/null; index=$(runuser -u flaskrandom -- /srv/flaskrandom/current/bin/python -c '
            '"from pip._internal.models.index import PyPI; print(PyPI.simple_url)"); '
            f'systemd-run --unit=index python3 -I /opt/hostile/index.py {name} "$index"'
        )
        return f'evil==1.0 --hash=sha256:{digest}\n'

    # -- before and after an act

    def prepare(self):
        """Brings the judge, the secret and root's socket to the host."""
        self.root('mkdir -p /opt/hostile')
        for name in ('judge.py', 'guard.py', 'index.py'):
            self.write('/opt/hostile/' + name, (SCENARIO / 'host' / name).read_text())
        self.write('/root/secret', self.token, mode='0600')
        self.root('systemctl stop guard 2>/dev/null; systemd-run --unit=guard python3 -I /opt/hostile/guard.py')

    def begin(self):
        """Notes what must stay as it is."""
        self.root(
            'rm -rf /var/tmp/witness /opt/hostile/guard.log; mkdir -m 1777 /var/tmp/witness; touch /opt/hostile/guard.log;'
            # judge.py sees by it who reads the file
            'touch -a -d "3 days ago" /root/secret'
        )
        self.judge('snapshot')

    def harm(self, outcome):
        """What an act has done that no app may do; a text each."""
        found = self.judge('harm', self.token[:40]).splitlines()
        if self.token[:40] in outcome.output:
            found.append('the output shows the secret')
        if re.search(r'[\x00-\x08\x0b-\x1f\x7f]', outcome.output):
            found.append('the output has control characters')
        if len(outcome.output) > 300_000:
            found.append(f'the output has {len(outcome.output)} characters')
        return found

    def reset(self, fallback):
        """Ends all that an act has left; if the current release does not serve then, another is made the current one."""
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


@pytest.fixture(scope='session')
def machine(tmp_path_factory):
    return tmp_path_factory.mktemp('hostile')


@pytest.fixture(scope='module')
def victim(host, machine):
    """The machine, with the hostile app on it."""
    victim = Host(host, machine)
    victim.prepare()
    first = victim.playbook('tame')
    assert first.status == 0, first.output
    return victim
