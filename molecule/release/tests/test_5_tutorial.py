"""Flask's tutorial app is deployed by variables alone, from a folder and from git, and keeps its data."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request

from conftest import SCENARIO

VARIABLES = {
    'flask_app_name': 'flaskr',
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
        run = machine.start('playbook.yml', **VARIABLES, **source)
        assert run.wait() == 0, run.output
        title = urllib.parse.urlencode({'title': version}).encode()
        assert urllib.request.urlopen(machine.url + '/create', title, timeout=10).status == 204
        posts.append(version)
        assert json.loads(machine.get()) == {'version': version, 'posts': posts, 'secret': 16}
        assert 'sans-serif' in machine.get('/static/style.css')
    commit = subprocess.run(['git', 'rev-parse', '--short=12', 'HEAD'], cwd=app, capture_output=True, text=True, check=True)
    run = machine.start('releases.yml', flask_app_name='flaskr')
    assert run.wait() == 0
    assert commit.stdout.strip() in run.output
