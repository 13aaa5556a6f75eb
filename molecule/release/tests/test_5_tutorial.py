"""Flask's tutorial app deploys with nothing but variables, from a folder and from git, and keeps its data."""

import shutil
import subprocess
import urllib.parse

from conftest import SCENARIO
from machine import play

HOST = 'flaskr.test'
VARIABLES = {
    'flask_app_name': 'flaskr',
    # the other app of the machine has the default site
    'flask_app_domains': [HOST],
    'flask_app_wsgi': 'flaskr:create_app()',
    'flask_app_health_path': '/',
    'flask_app_shared': ['instance'],
    'flask_app_init_commands': ['FLASK_APP=flaskr flask init-db'],
    'flask_app_secrets': {'SECRET_KEY': 'sixteen letters.'},
}


def test_tutorial_keeps_its_data(machine):
    app = machine.folder / 'tutorial'
    shutil.copytree(SCENARIO / 'tutorial', app)
    shutil.copy(SCENARIO / 'app/requirements.txt', app)
    module = app / 'flaskr/__init__.py'
    posts = []
    for version in ('one', 'two', 'three'):
        module.write_text(module.read_text().replace("VERSION = 'one'", f'VERSION = {version!r}').replace("'two'", repr(version)))
        if version == 'three':
            for command in (['init', '-q'], ['add', '.'], ['-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-qm', 'three']):
                subprocess.run(['git', *command], cwd=app, check=True)
            source = {'flask_app_repo': str(app), 'flask_app_version': 'HEAD'}
        else:
            source = {'flask_app_src': str(app)}
        play('playbook.yml', **VARIABLES, **source)
        title = urllib.parse.urlencode({'title': version}).encode()
        assert machine.ask('/create', title, HOST, headers={'Content-Type': 'application/x-www-form-urlencoded'}).status == 204
        posts.append(version)
        assert machine.ask(host=HOST).json() == {'version': version, 'posts': posts, 'secret': 16}
        assert 'sans-serif' in machine.ask('/static/style.css', host=HOST).body
    commit = subprocess.run(['git', 'rev-parse', '--short=12', 'HEAD'], cwd=app, capture_output=True, text=True, check=True)
    run = play('releases.yml', flask_app_name='flaskr')
    assert commit.stdout.strip() in run.output
