"""make new: environment variables, data, commands, packages and the Python of an app."""

import pytest
from app_tree import app_tree

from tools.new import detect

APP = 'from flask import Flask\nimport os\napp = Flask(__name__)\n'


def look(folder, text='', **files):
    return detect.look(app_tree(folder, {'app.py': APP + text, **{name.replace('__', '/'): text for name, text in files.items()}}))


def names(texts, folder):
    """The paths of flask_app_shared of an app with this text."""
    return look(folder, texts).variables.get('flask_app_shared', ([],))[0]


# how a variable is read: what the app does without it, and its default
READS = {
    "os.environ['X_URL']": (2, ''),
    "os.environ.get('X_URL')": (1, ''),
    "os.getenv('X_URL')": (1, ''),
    "os.getenv('X_URL', 'a')": (0, 'a'),
    "os.getenv('X_URL', None)": (1, ''),
    "os.environ.get('X_URL') or 'a'": (0, ''),
    "int(os.environ.get('X_URL') or 25)": (0, ''),
    "os.getenv('X_URL', 'postgresql://localhost/shop')": (1, 'postgresql://localhost/shop'),
    "os.getenv('X_URL', 'redis://')": (1, 'redis://'),
    "os.getenv('X_URL', 'sqlite:///shop.db')": (0, 'sqlite:///shop.db'),
}


@pytest.mark.parametrize('read', READS)
def test_reads_of_the_environment_are_found(read, tmp_path):
    setting = look(tmp_path, f'a = {read}\n').settings['X_URL']
    assert (setting.need, setting.default) == READS[read]
    assert setting.where == 'app.py:4'


@pytest.mark.parametrize(
    'text, need',
    [
        ("from os import environ\na = environ['X']\n", 2),
        ("from os import environ as e, getenv\na = getenv('X')\n", 1),
        ("from decouple import config\na = config('X')\n", 2),
        ("from decouple import config\na = config('X', default='a')\n", 0),
        ("from environs import Env\nenv = Env()\na = env.str('X')\n", 2),
        ("from environs import Env\nenv = Env()\na = env('X', 'a')\n", 0),
        ("app.config.from_envvar('X')\n", 2),
        ("app.config.from_envvar('X', silent=True)\n", 1),
        ("if os.environ.get('X'):\n    app.config.from_envvar('X')\n", 1),
        ("try:\n    a = os.environ['X']\nexcept KeyError:\n    a = 1\n", 0),
        ("a = make(environ_name='X')\n", 0),
        ("os.environ['X'] = 'a'\n", None),
        ('from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    x: str\n', 2),
        ('from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    x: str = "a"\n', 0),
    ],
)
def test_other_ways_to_read_the_environment(text, need, tmp_path):
    setting = look(tmp_path, text).settings.get('X')
    assert (setting.need if setting else None) == need


def test_the_systems_own_variables_and_those_of_scripts_are_left_out(tmp_path):
    found = look(
        tmp_path, "a = os.environ['HOME'], os.environ['FLASK_DEBUG'], os.environ['PORT']\n", **{'deploy.py': "import os\nos.environ['Y']\n"}
    )
    assert not found.settings


# names of variables: whether a value is generated, and whether it belongs into the vault
KINDS = {
    'SECRET_KEY': (True, True),
    'JWT_SECRET_KEY': (True, True),
    'SECURITY_PASSWORD_SALT': (True, True),
    'SHOP_SECRET': (True, True),
    'FERNET_KEY': (True, True),
    'STRIPE_SECRET_KEY': (False, True),
    'OAUTH_CLIENT_SECRET': (False, True),
    'WEATHER_API_KEY': (False, True),
    'DATABASE_URL': (False, True),
    'MAIL_PASSWORD': (False, True),
    'SECRET_KEY_FILE': (False, True),
    'MAIL_SERVER': (False, False),
    'MONKEY': (False, False),
}


@pytest.mark.parametrize('name', KINDS)
def test_only_secrets_of_the_app_itself_are_generated(name, tmp_path):
    setting = look(tmp_path, f"a = os.environ['{name}']\n").settings[name]
    assert (setting.generated, setting.private) == KINDS[name]


def test_a_secret_that_only_the_code_sets_is_said(tmp_path):
    found = look(tmp_path, "app.config['SECRET_KEY'] = 'dev'\n")
    assert not found.settings
    assert 'SECRET_KEY is written in app.py:4' in ' '.join(found.unsure)


def test_settings_by_prefix_get_a_secret(tmp_path):
    assert list(look(tmp_path / 'a', 'app.config.from_prefixed_env()\n').settings) == ['FLASK_SECRET_KEY']
    assert list(look(tmp_path / 'b', "app.config.from_prefixed_env('SHOP')\n").settings) == ['SHOP_SECRET_KEY']
    loop = 'def load(app, prefix):\n    for key, value in os.environ.items():\n        pass\nload(app, prefix="SHOP_")\n'
    assert list(look(tmp_path / 'c', loop).settings) == ['SHOP_SECRET_KEY']


def test_settings_by_computed_names_get_a_secret(tmp_path):
    for place, text in enumerate(
        [
            'app.config.from_mapping(os.environ)\n',
            'for key in app.config:\n    if key in os.environ:\n        app.config[key] = os.environ[key]\n',
        ]
    ):
        found = look(tmp_path / str(place), "app.config.update(SECRET_KEY='dev')\n" + text)
        assert list(found.settings) == ['SECRET_KEY']
        assert 'SECRET_KEY of app.py:4 is taken for one' in ' '.join(found.unsure)


def test_configurations_of_developers_count_for_nothing(tmp_path):
    text = "class DevConfig:\n    U = 'sqlite:////' + os.path.join(os.path.dirname(__file__), 'dev.db')\n"
    assert names(text + text.replace('Dev', 'Prod').replace('dev.db', 'prod.db'), tmp_path) == ['prod.db']


def test_the_configuration_for_production_is_chosen(tmp_path):
    text = "config = {'development': 1, 'production': 2}\napp.config.from_object(config[os.getenv('FLASK_CONFIG') or 'development'])\n"
    assert look(tmp_path, text).environment['FLASK_CONFIG'][0] == 'production'


# how a path is made, and what of the app's folder is shared
PATHS = {
    "U = 'sqlite:///' + os.path.join(os.path.abspath(os.path.dirname(__file__)), 'app.db')": ['app.db'],
    "here = os.path.dirname(__file__)\nU = f'sqlite:///{here}/data/shop.db'": ['data/shop.db'],
    "from pathlib import Path\nU = 'sqlite:///' + str(Path(__file__).resolve().parent / 'app.db')": ['app.db'],
    "U = 'sqlite:///{}'.format(os.path.join(app.instance_path, 'app.db'))": ['instance'],
    "U = os.getenv('DATABASE_URL', 'sqlite:///app.db')": ['instance'],
    "U = os.environ.get('DATABASE_URL') or 'sqlite:///app.db'": ['instance'],
    "U = 'sqlite:///:memory:'": [],
    "U = 'sqlite://'": [],
    "app.config['UPLOAD_FOLDER'] = 'static/uploads'": ['static/uploads'],
    "UPLOAD_FOLDER = os.path.join(app.root_path, 'uploads')": ['uploads'],
    "UPLOAD_FOLDER = '/var/uploads'": [],
    "class Config:\n    base = os.path.dirname(__file__)\n    UPLOADED_PHOTOS_DEST = os.path.join(base, 'photos')": ['photos'],
    "def logs():\n    if not os.path.exists('logs'):\n        os.mkdir('logs')": ['logs'],
    "from logging.handlers import RotatingFileHandler\nRotatingFileHandler('logs/shop.log')": ['logs'],
    "import sqlite3\ndef db():\n    return sqlite3.connect('shop.db')": ['shop.db'],
    "other = Flask('x', instance_relative_config=True)": ['instance'],
    "a = 'sqlite:///data/a.db'\nos.makedirs('instance/data')": ['instance'],
    "app.config['CACHE'] = os.getenv('CACHE', os.path.join(app.root_path, 'cache'))\nos.makedirs(app.config['CACHE'])": ['cache'],
    "class Config:\n    ROOT = os.path.dirname(__file__)\nU = 'sqlite:///' + os.path.join(Config.ROOT, 'a.db')": ['a.db'],
}


@pytest.mark.parametrize('text', PATHS)
def test_what_the_app_writes_to_is_shared(text, tmp_path):
    assert names(text + '\n', tmp_path) == PATHS[text]


def test_a_database_beside_the_package_of_old_flask_sqlalchemy(tmp_path):
    files = {'shop/__init__.py': APP + "U = 'sqlite:///shop.db'\n", 'requirements.txt': 'Flask-SQLAlchemy==2.5.1\n'}
    assert detect.look(app_tree(tmp_path, files)).variables['flask_app_shared'][0] == ['shop/shop.db']


def test_a_folder_with_files_of_the_app_is_not_shared(tmp_path):
    found = look(tmp_path, "UPLOAD_FOLDER = 'uploads'\n", uploads__logo='x')
    assert 'flask_app_shared' not in found.variables
    assert 'uploads (UPLOAD_FOLDER of app.py:4) has files of the app' in ' '.join(found.unsure)


def test_another_folder_is_chosen_where_the_app_has_files(tmp_path):
    text = "app.config['DATA'] = os.getenv('SHOP_DATA', 'data')\nos.makedirs(app.config['DATA'])\n"
    found = look(tmp_path, text, data__countries='x')
    assert found.variables['flask_app_shared'][0] == ['shop_data']
    assert found.environment['SHOP_DATA'][0] == '{release}/shop_data'
    assert 'instead of data (app.py:5 makes it), which has files of the app' in found.environment['SHOP_DATA'][1]


@pytest.mark.parametrize(
    'packages, text, wanted',
    [
        ('flask-whooshee', '', ['whooshee']),
        ('flask-whooshee', "app.config['WHOOSHEE_DIR'] = '/dev/shm/index'\n", []),
        ('flask-session', "app.config['SESSION_TYPE'] = 'filesystem'\n", ['flask_session']),
        ('flask-session', "app.config['SESSION_TYPE'] = 'redis'\n", []),
    ],
)
def test_folders_of_packages_are_shared(packages, text, wanted, tmp_path):
    assert look(tmp_path, text, **{'requirements.txt': packages}).variables.get('flask_app_shared', ([],))[0] == wanted


def test_a_database_outside_the_app_is_said(tmp_path):
    assert 'has its database in /tmp/shop.db' in ' '.join(look(tmp_path, "U = 'sqlite:////tmp/shop.db'\n").unsure)


def commands(found):
    return [found.variables.get(f'flask_app_{kind}_commands', ([],))[0] for kind in ('init', 'release')]


def test_migrations_run_for_each_release(tmp_path):
    files = {'migrations__env.py': '', 'requirements.txt': 'flask-migrate\n'}
    assert commands(look(tmp_path, **files)) == [[], ['FLASK_APP=app flask db upgrade']]


def test_migrations_of_alembic_alone(tmp_path):
    assert commands(look(tmp_path, **{'alembic.ini': '', 'requirements.txt': 'alembic\n'})) == [[], ['alembic upgrade head']]


def test_migrations_of_a_package_in_src(tmp_path):
    files = {'src/shop/__init__.py': APP, 'src/shop/migrations/env.py': '', 'requirements.txt': 'flask-migrate\n'}
    assert commands(detect.look(app_tree(tmp_path, files))) == [
        [],
        ['PYTHONPATH=src FLASK_APP=shop flask db upgrade -d src/shop/migrations'],
    ]


def test_the_procfiles_release_command(tmp_path):
    found = look(tmp_path, Procfile='release: flask db upgrade && flask seed\nweb: gunicorn app:app\nworker: celery -A app worker\n')
    assert commands(found) == [[], ['FLASK_APP=app flask db upgrade']]
    assert 'Procfile also runs `flask seed`' in ' '.join(found.unsure)
    assert found.variables['flask_app_processes'] == ({'worker': {'command': 'celery -A app worker', 'stop_timeout': 600}}, 'Procfile')
    assert found.missing == []


def test_a_command_that_makes_the_tables_runs_once(tmp_path):
    text = "import click\n@click.command('init-db')\ndef init():\n    db.create_all()\n"
    assert commands(look(tmp_path, text)) == [['FLASK_APP=app flask init-db'], []]


def test_migrations_make_the_tables_alone(tmp_path):
    text = "import click\n@click.command('init-db')\ndef init():\n    db.create_all()\n"
    files = {'migrations__env.py': '', 'requirements.txt': 'flask-migrate\n'}
    assert commands(look(tmp_path, text, **files)) == [[], ['FLASK_APP=app flask db upgrade']]


def test_tables_that_each_start_makes_are_made_before_all_workers_do(tmp_path):
    assert commands(look(tmp_path, 'with app.app_context():\n    db.create_all()\n')) == [[], ['FLASK_APP=app flask routes']]


def test_tables_that_a_function_of_the_factory_makes(tmp_path):
    files = {
        'shop/__init__.py': 'from flask import Flask\nfrom .db import setup\ndef create_app():\n    app = Flask("x")\n'
        '    setup(app)\n    return app\n',
        'shop/db.py': 'def setup(app):\n    db.create_all()\n',
    }
    assert commands(detect.look(app_tree(tmp_path, files))) == [[], ['FLASK_APP=shop flask routes']]


def test_tables_that_something_else_makes_are_said(tmp_path):
    found = look(tmp_path, 'def install():\n    db.create_all()\n')
    assert commands(found) == [[], []]
    assert 'app.py:5 makes the tables, but not when the app starts' in ' '.join(found.unsure)


def test_tables_that_only_a_script_makes_are_made_once(tmp_path):
    init, release = commands(look(tmp_path, "db = 1\nif __name__ == '__main__':\n    db.create_all()\n    app.run()\n"))
    assert init == ["python -c 'from app import app as made, db; made.app_context().push(); db.create_all()'"]
    assert release == []


# the file with the packages, and its text
LOCKS = {
    'uv.lock': '[[package]]\nname = "celery"\nversion = "5.6.2"\n',
    'poetry.lock': '[[package]]\nname = "celery"\nversion = "5.6.2"\n',
    'pdm.lock': '[[package]]\nname = "celery"\nversion = "5.6.2"\n',
    'pylock.toml': '[[packages]]\nname = "celery"\nversion = "5.6.2"\n',
    'Pipfile.lock': '{"default": {"celery": {"version": "==5.6.2"}}}',
    'requirements.txt': '# lock\nCelery[redis]==5.6.2 \\\n    --hash=sha256:1\n-e .\n',
    'pyproject.toml': '[project]\nname = "a"\ndependencies = ["celery[redis]>=5"]\n',
    'setup.py': 'from setuptools import setup\nsetup(name="a", install_requires=["celery>=5"])\n',
}


def test_old_packages_are_built_and_an_old_flask_gets_a_file(tmp_path):
    files = {'requirements.txt': 'Flask==0.12.2\nSQLAlchemy==1.2.8\nMarkupSafe==1.1.1\nFlask-Migrate==2.1.1\n', 'migrations/env.py': ''}
    app = look(tmp_path, **files)
    assert app.variables['flask_app_build_packages'] == (['build-essential', 'python3-dev'], 'for markupsafe, sqlalchemy')
    assert app.variables['flask_app_release_commands'][0] == ['FLASK_APP=app.py flask db upgrade']


@pytest.mark.parametrize(
    'pin, wanted',
    [
        ('MarkupSafe==2.1.1', ['build-essential', 'python3-dev']),
        ('lxml==4.9.1', ['build-essential', 'python3-dev', 'libxml2-dev', 'libxslt1-dev']),
        ('MarkupSafe==3.0.2', None),
        ('MarkupSafe>=2', None),
    ],
)
def test_versions_without_wheels_for_new_pythons_can_be_built(pin, wanted, tmp_path):
    assert look(tmp_path, **{'requirements.txt': pin}).variables.get('flask_app_build_packages', (None,))[0] == wanted


PO = {'shop__translations__de__LC_MESSAGES__messages.po': '', 'shop__translations__fr__LC_MESSAGES__messages.po': ''}


@pytest.mark.parametrize(
    'packages, made, wanted',
    [
        ('flask-babel==4.0.0', {}, ['pybabel compile -d shop/translations']),
        ('flask-babel==4.0.0', {name[:-2] + 'mo': '' for name in PO}, None),
        ('flask==3.0.0', {}, None),
    ],
)
def test_translations_are_compiled(packages, made, wanted, tmp_path):
    app = look(tmp_path, **{'requirements.txt': packages}, **PO, **made)
    assert app.variables.get('flask_app_build_commands', (None,))[0] == wanted


def test_a_build_of_node_is_said(tmp_path):
    app = look(tmp_path, **{'web__package.json': '{"scripts": {"build": "vite build"}}', 'package.json': '{"scripts": {"test": "x"}}'})
    (said,) = [text for text in app.unsure if 'package.json' in text]
    assert said.startswith('web/package.json has a script `build`') and '"cd web && npm ci && npm run build' in said


COMPOSE = """
services:
  web: {command: gunicorn app:app}
  jobs: {command: [celery, -A, shop.tasks, worker]}
  beat: {command: celery -A shop.tasks beat -l info}
  flower: {command: celery -A shop.tasks flower}
  db: {image: postgres}
"""
BEAT = {'command': 'celery -A shop.tasks beat -l info --schedule .celery/beat', 'single': True}
JOBS = {'command': 'celery -A shop.tasks worker', 'stop_timeout': 600}


@pytest.mark.parametrize(
    'files, wanted, why',
    [
        ({'docker-compose.yml': COMPOSE}, {'jobs': JOBS, 'beat': BEAT}, 'docker-compose.yml'),
        ({'Procfile': 'web: x\njobs: celery -A shop.tasks worker\n', 'compose.yaml': COMPOSE}, {'jobs': JOBS}, 'Procfile'),
        ({'worker.sh': '#!/bin/sh\nexec rq worker jobs\n'}, {'worker': {'command': 'rq worker jobs', 'stop_timeout': 600}}, 'worker.sh'),
        ({'Procfile': 'mail: huey_consumer jobs.huey\n'},
         {'mail': {'command': 'huey_consumer jobs.huey', 'stop_timeout': 600, 'stop_signal': 'INT'}}, 'Procfile'),
        ({'Procfile': 'clock: python clock.py\n'}, {'clock': {'command': 'python clock.py'}}, 'Procfile'),
        ({'jobs.py': 'from celery import Celery\nqueue = Celery("a")\n', 'requirements.txt': 'celery'},
         {'worker': {'command': 'celery -A jobs:queue worker', 'stop_timeout': 600}}, 'jobs.py has the Celery object'),
        ({'jobs.py': 'from app import app\nqueue = app.extensions["celery"]\n', 'requirements.txt': 'celery'},
         {'worker': {'command': 'celery -A jobs:queue worker', 'stop_timeout': 600}}, 'jobs.py has the Celery object'),
        ({'docker-compose.yml': 'services: [x'}, None, None),
    ],
)  # fmt: skip
def test_other_processes_are_found(files, wanted, why, tmp_path):
    found = look(tmp_path, **files)
    assert found.variables.get('flask_app_processes') == ((wanted, why) if wanted else None)
    assert (found.variables.get('flask_app_shared', ([],))[0] == ['.celery']) == (BEAT in (wanted or {}).values())


def test_a_worker_that_the_apps_own_files_do_not_start_is_proposed(tmp_path):
    files = {'jobs.py': 'from celery import Celery\nqueue = Celery("a")\n', 'Dockerfile': 'CMD gunicorn app:app\n'}
    found = look(tmp_path, **{'requirements.txt': 'celery', **files})
    assert 'flask_app_processes' not in found.variables
    assert 'flask_app_processes: {worker: {command: celery -A jobs:queue worker}}' in ' '.join(found.unsure)


@pytest.mark.parametrize(
    'files, wanted',
    [
        ({'static/a.css': ''}, {'/static': 'static'}),
        ({'app.py': APP.replace('__name__', '__name__, static_folder="b", static_url_path="/a"'), 'b/a.css': ''}, {'/a': 'b'}),
        ({'app.py': APP.replace('__name__', '__name__, static_folder="../x"'), 'x/a.css': ''}, None),
        ({'app.py': APP.replace('__name__', '__name__, static_url_path=""'), 'static/a.css': ''}, None),
        ({'app.py': '', 'shop/__init__.py': APP, 'shop/static/a.css': ''}, {'/static': 'shop/static'}),
        ({'shop/__init__.py': APP, 'shop/static/a.css': '', 'static/a.css': ''}, None),
        ({}, None),
    ],
)
def test_static_files_are_found(files, wanted, tmp_path):
    found = detect.look(app_tree(tmp_path, {'app.py': APP, **files}))
    assert found.variables.get('flask_app_static', (None,))[0] == wanted


def test_a_worker_with_variables_is_left_to_the_user(tmp_path):
    found = look(tmp_path, **{'run.sh': 'celery -A $APP worker\n', 'requirements.txt': 'celery'})
    assert 'flask_app_processes' not in found.variables
    assert 'run.sh starts run by `celery -A $APP worker`, whose variables are not known here' in str(found.unsure)


@pytest.mark.parametrize('lock', LOCKS)
def test_packages_are_known_by_each_kind_of_lock(lock, tmp_path):
    found = look(tmp_path, **{lock: LOCKS[lock]})
    assert found.packages == lock
    said = 'celery is among the packages, but no file starts a worker. If one is needed, flask_app_processes: {worker: {command: celery'
    assert said in str(found.unsure)


def test_included_requirements_and_debians_packages(tmp_path):
    found = look(
        tmp_path, **{'requirements.txt': '-r requirements/prod.txt\n', 'requirements__prod.txt': 'psycopg2==2.9\n-r ../../../etc/x\n'}
    )
    assert found.variables['flask_app_packages'] == (['libpq5'], 'for psycopg2')
    assert found.variables['flask_app_build_packages'] == (['build-essential', 'python3-dev', 'libpq-dev'], 'for psycopg2')
    assert 'PostgreSQL' in ' '.join(found.unsure)
    bundled = look(tmp_path / 'b', **{'requirements.txt': 'psycopg[binary]\n'})
    assert not {'flask_app_packages', 'flask_app_build_packages'} & set(bundled.variables)


@pytest.mark.parametrize(
    'text, wanted',
    [
        ("import subprocess\nsubprocess.run(['git', 'log'])\n", ['git']),
        ("from subprocess import check_output as run\nrun('convert a b', shell=True)\n", ['imagemagick']),
        ("import subprocess\ndef sh(command):\n    return subprocess.run(command)\nsh(f'pandoc {app.name}')\n", ['pandoc']),
        ("os.system('gs -q')\n", ['ghostscript']),
        ("import subprocess\nsubprocess.run(['ls'])\nprint('git log')\n", None),
    ],
)
def test_programs_that_the_app_runs_are_installed(text, wanted, tmp_path):
    found = look(tmp_path, text).variables.get('flask_app_packages')
    assert (found and found[0]) == wanted
    assert found is None or ' runs' in found[1]


@pytest.mark.parametrize(
    'file, text, version, hint',
    [
        ('.python-version', '3.12.4\n', '3.12', ('', '')),
        ('.python-version', '# ours\n3.10\n3.12\n', '3.10', ('', '')),
        ('.python-version', 'cpython@3.12', '3.12', ('', '')),
        ('.python-version', '3.6', None, ('', '')),
        ('.python-version', 'pypy3.10', None, ('', '')),
        ('runtime.txt', 'python-3.11.2', None, ('runtime.txt asks for Python 3.11', '3.11')),
        ('pyproject.toml', '[project]\nrequires-python = ">=3.12"\n', '3.12', ('', '')),
        ('pyproject.toml', '[project]\nrequires-python = ">=3.13,<3.15"\n', '3.13', ('', '')),
        ('runtime.txt', 'python-3.6.5', None, ('', '')),
        ('pyproject.toml', '[project]\nrequires-python = ">=3.11"\n', None, ('pyproject.toml asks for Python >=3.11', '3.12')),
        ('pyproject.toml', '[tool.poetry.dependencies]\npython = "^3.10"\n', None, ('pyproject.toml asks for Python ^3.10', '3.12')),
        (
            'pyproject.toml',
            '[project]\nrequires-python = ">=3.8.1,<3.11"\n',
            None,
            ('pyproject.toml asks for Python >=3.8.1,<3.11', '3.10'),
        ),
        ('pyproject.toml', '[tool.poetry.dependencies]\npython = "~3.13"\n', '3.13', ('', '')),
        ('setup.py', 'setup(python_requires=">=3.9")\n', None, ('setup.py asks for Python >=3.9', '3.12')),
        ('Pipfile', '[requires]\npython_version = "3.10"\n', None, ('Pipfile asks for Python 3.10', '3.10')),
    ],
)
def test_the_python_that_the_app_asks_for(file, text, version, hint, tmp_path):
    found = look(tmp_path, **{file: text})
    assert found.variables.get('flask_app_python', (None,))[0] == version
    assert found.python == hint


POSTGRESQL = "URL = os.environ['DATABASE_URL']\n"
REDIS = "QUEUE = os.getenv('REDIS_URL', 'redis://')\n"


@pytest.mark.parametrize(
    'code, packages, wanted',
    [
        (POSTGRESQL, 'psycopg2-binary==2.9', ['postgresql']),
        (POSTGRESQL, 'psycopg[binary]', ['postgresql']),
        (POSTGRESQL + REDIS, 'psycopg2\nrq', ['postgresql', 'redis']),
        (REDIS, 'redis', ['redis']),
        # another server's, or another variable's
        (POSTGRESQL, 'pymysql', None),
        (POSTGRESQL, 'pg8000', None),
        ('', 'psycopg2\nredis', None),
    ],
)
def test_services_are_made_for_an_app_that_can_reach_them(code, packages, wanted, tmp_path):
    found = look(tmp_path, code, **{'requirements.txt': packages})
    assert found.variables.get('flask_app_services', (None,))[0] == wanted
    # nobody is asked for what is set
    made = {'postgresql': 'DATABASE_URL', 'redis': 'REDIS_URL'}
    assert not {made[service] for service in wanted or []} & set(found.settings)
    assert ('address of a server' in str(found.unsure)) == (wanted is None)


def test_clients_that_need_another_form_of_the_address_are_named(tmp_path):
    found = look(tmp_path, POSTGRESQL + REDIS, **{'requirements.txt': 'psycopg[binary]\nsqlalchemy\ncelery[redis]\nredis\n'})
    assert found.variables['flask_app_services'][0] == ['postgresql', 'redis']
    assert 'postgresql+psycopg://' in str(found.unsure) and 'Celery needs another form of it' in str(found.unsure)
