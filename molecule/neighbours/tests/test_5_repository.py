"""An app in a folder of a private repository, with data of every kind, its configuration in the release, and what it is told."""

import os
import shutil
import subprocess

import pytest
from conftest import APP, MACHINE

SOURCE = """
import json, os, sqlite3
from flask import Flask

app = Flask(__name__)
config = {}
with open(os.environ['CONFIG']) as file:
    exec(file.read(), config)


def database():
    connection = sqlite3.connect('app.db')
    connection.execute('pragma journal_mode=wal')
    connection.execute('create table if not exists t (x)')
    return connection


@app.route('/health')
def health():
    return 'ok'


@app.route('/')
def index():
    with database() as rows:
        count = rows.execute('select count(*) from t').fetchone()[0]
    release = os.path.dirname(os.environ['CONFIG'])
    return json.dumps({'setting': config['NAME'], 'rows': count, 'data': os.listdir('.data'),
                       'here': release == os.getcwd(), 'mark': os.environ['MARK'] == release + '/mark'})


@app.route('/', methods=['POST'])
def add():
    with database() as rows:
        rows.execute('insert into t values (1)')
    open('.data/note', 'w').close()
    if not os.path.lexists(os.readlink('local.py')):
        os.symlink('/etc/shadow', os.readlink('local.py'))
    return 'added'
"""
COMMANDS = ['test -f {release}/config.py; echo {release} >.data/at']
SHARED = ['app.db', '.data', 'local.py']


class Kit:
    """The app and its repository on the machine, which is opened by a key."""

    def __init__(self, neighbours, folder):
        self.neighbours, self.folder = neighbours, folder
        self.url = f"ssh://{MACHINE['user']}@{MACHINE['address']}:{MACHINE['port']}/home/{MACHINE['user']}/kit.git"
        backend = folder / 'backend'
        shutil.copytree(APP, backend)
        (backend / 'migrations').mkdir()
        (backend / 'migrations/env.py').touch()
        self.git('init', '--quiet')
        self.commit('one')

    def git(self, *command, **environment):
        who = ['-c', 'user.name=me', '-c', 'user.email=me@a.example']
        subprocess.run(['git', *who, '-C', self.folder, *command], check=True, env=os.environ | environment)

    def commit(self, name, source=SOURCE):
        (self.folder / 'backend/config.py').write_text(f'NAME = {name!r}\n')
        (self.folder / 'backend/app.py').write_text(source)
        self.git('add', '.')
        self.git('commit', '--quiet', f'--message={name}')
        self.git('tag', name)

    def push(self):
        ssh = f"{os.environ['GIT_SSH_COMMAND']} -i {MACHINE['identity_file']} -o IdentitiesOnly=yes"
        self.git('push', '--quiet', '--tags', self.url, 'HEAD:refs/heads/main', GIT_SSH_COMMAND=ssh)

    def inventory(self, version, **variables):
        """The app at a version."""
        app = {
            'flask_app_name': 'kit', 'flask_app_repo': self.url, 'flask_app_repo_path': 'backend', 'flask_app_version': version,
            'flask_app_repo_key': MACHINE['identity_file'], 'flask_app_domains': ['kit.test'], 'flask_app_health_path': '/health',
            'flask_app_workers': 1, 'flask_app_shared': SHARED, 'flask_app_environment': {'CONFIG': '{release}/config.py'},
            'flask_app_gunicorn': {'raw_env': ['MARK={release}/mark']}, **variables,
        }  # fmt: skip
        return self.neighbours.inventory('kit', {'kit': app})

    def answer(self):
        return self.neighbours.ask('kit.test').json()


@pytest.fixture(scope='module')
def kit(neighbours, tmp_path_factory):
    """The app, deployed at its version one; with what the first run printed."""
    machine = [MACHINE['engine'], 'exec', MACHINE['container'], 'sh', '-euc']
    user = MACHINE['user']
    install = f'apt-get -qq update; apt-get -qq install git; sudo -u {user} git init -q --bare ~{user}/kit.git'
    subprocess.run([*machine, install], check=True, capture_output=True)
    known = os.environ['MOLECULE_EPHEMERAL_DIRECTORY'] + '/known_hosts'
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('GIT_SSH_COMMAND', f'ssh -o UserKnownHostsFile={known} -o BatchMode=yes')
        app = Kit(neighbours, tmp_path_factory.mktemp('kit'))
        app.commit('two')
        app.commit('bad', "open('logs.txt', 'w')\n" + SOURCE)
        app.push()
        app.output = neighbours.play('playbook.yml', app.inventory('one'))[1]
        yield app


def test_the_first_release_serves_and_finds_its_configuration(kit):
    assert kit.answer() == {'setting': 'one', 'rows': 0, 'data': [], 'here': True, 'mark': True}


def test_the_run_says_that_nothing_migrates_the_database(kit):
    assert 'flask_app_release_commands: [flask db upgrade]' in ' '.join(kit.output.split())


def test_data_lives_on_across_releases(kit, neighbours, root):
    assert neighbours.ask('kit.test', method='POST').status == 200
    neighbours.play('playbook.yml', kit.inventory('two', flask_app_release_commands=COMMANDS))
    found = kit.answer()
    assert found['setting'] == 'two' and found['rows'] == 1 and found['here'] and sorted(found['data']) == ['at', 'note']
    assert root('cat /srv/kit/shared/.data/at') == root('readlink -f /srv/kit/current')
    assert 'app.db-wal' in root('ls /srv/kit/shared/.files/app.db')
    owners = root('stat -c "%U %a" /srv/kit/shared/.files /srv/kit/shared/.files/app.db /srv/kit/shared/.data')
    assert owners.split('\n') == ['root 755', 'kit 750', 'kit 750']


def test_root_reads_no_shared_file(kit, root):
    """The app has put a link to /etc/shadow there before this release was compiled."""
    assert root('readlink /srv/kit/shared/.files/local.py/local.py') == '/etc/shadow'
    assert root('ls /srv/kit/current/__pycache__ | grep -c local', fails=True) == '0'


def test_a_run_that_changes_nothing_changes_nothing(kit, neighbours):
    changed, output = neighbours.play('playbook.yml', kit.inventory('two', flask_app_release_commands=COMMANDS))
    assert not any(changed.values()), output


def test_an_app_that_may_not_write_is_told_what_to_share(kit, neighbours):
    output = neighbours.play('playbook.yml', kit.inventory('bad'), fails=True)[1]
    assert 'flask_app_shared: [logs.txt]' in ' '.join(output.split())
    assert kit.answer()['setting'] == 'two'


def test_a_rollback_has_its_own_path(kit, neighbours):
    neighbours.play('rollback.yml', kit.inventory('two'))
    assert kit.answer() == {'setting': 'one', 'rows': 1, 'data': kit.answer()['data'], 'here': True, 'mark': True}


def test_a_removal_keeps_the_data_until_it_is_told(kit, neighbours, root):
    neighbours.play('remove.yml', kit.inventory('one'))
    assert root('ls -A /srv/kit/shared').split() == ['.data', '.files']
    neighbours.play('remove.yml', kit.inventory('one'), '-e', '{"remove_data": true}')
    assert root('ls -d /srv/kit', fails=True).startswith('ls: cannot access')
