"""make new: the entry point, gunicorn's settings and the health path, of many kinds of apps."""

import pytest
from app_tree import app_tree

from tools.new import detect

FACTORY = """
    from flask import Flask

    def create_app(config=None):
        app = Flask(__name__)
        return app
"""
NEEDS_NAME = FACTORY.replace('config=None', 'config_name')
APP = 'from flask import Flask\napp = Flask(__name__)\n'
# what an app looks like, and its entry point
KINDS = {
    'object': ({'app.py': APP}, 'app:app'),
    'object of another name': ({'web.py': 'import flask\nsite = flask.Flask(__name__)\n'}, 'web:site'),
    'object in a package': ({'shop/__init__.py': APP}, 'shop:app'),
    'object made in try': ({'main.py': 'from flask import Flask\ntry:\n    app = Flask("x")\nexcept OSError:\n    pass\n'}, 'main:app'),
    'object of a subclass': (
        {'app.py': 'from flask import Flask\nclass Shop(Flask):\n    pass\napplication = Shop("x")\n'},
        'app:application',
    ),
    'wrapped object': ({'app.py': APP + 'from werkzeug.middleware.proxy_fix import ProxyFix\napp = ProxyFix(app)\n'}, 'app:app'),
    'star import': ({'shop/__init__.py': 'from .core import *\n', 'shop/core.py': APP, 'Procfile': 'web: gunicorn shop:app'}, 'shop:app'),
    'factory': ({'shop/__init__.py': FACTORY}, 'shop:create_app()'),
    'factory of a module': ({'shop/__init__.py': '', 'shop/app.py': FACTORY}, 'shop.app:create_app()'),
    'factory that the package shows': ({'shop/__init__.py': 'from .app import create_app\n', 'shop/app.py': FACTORY}, 'shop:create_app()'),
    'factory of another name': ({'shop.py': FACTORY.replace('create_app', 'build')}, 'shop:build()'),
    'make_app': ({'shop.py': FACTORY.replace('create_app', 'make_app')}, 'shop:make_app()'),
    'factory of a factory': (
        {'shop.py': FACTORY + '\n    def make_site():\n        app = create_app()\n        return app\n'},
        'shop:create_app()',
    ),
    'factory with a name of a configuration': (
        {'shop/__init__.py': NEEDS_NAME, 'config.py': "config = {'development': 1, 'production': 2}\n"},
        "shop:create_app('production')",
    ),
    'factory called by a script': (
        {
            'shop/__init__.py': NEEDS_NAME,
            'run.py': 'from shop import create_app\nimport os\napp = create_app(os.getenv("MODE") or "default")\n',
        },
        'run:app',
    ),
    'wsgi.py': ({'shop/__init__.py': FACTORY, 'wsgi.py': 'from shop import create_app\napplication = create_app()\n'}, 'wsgi:application'),
    'wsgi.py of a package': (
        {'shop/__init__.py': FACTORY, 'shop/wsgi.py': 'from . import create_app\napp = create_app()\n'},
        'shop.wsgi:app',
    ),
    'imported object': ({'shop/__init__.py': APP, 'serve.py': 'from shop import app\napp.run()\n'}, 'shop:app'),
    'script that starts a server': (
        {'shop/__init__.py': FACTORY, 'dev.py': 'from shop import create_app\napp = create_app()\napp.run()\n'},
        'shop:create_app()',
    ),
    'FLASK_APP with a file': ({'one.py': APP, 'two.py': APP, '.flaskenv': 'FLASK_APP=two.py\n'}, 'two:app'),
    'FLASK_APP with a factory': (
        {'one.py': APP, 'shop.py': FACTORY, '.flaskenv': 'export FLASK_APP="shop:create_app"\n'},
        'shop:create_app()',
    ),
    'FLASK_APP with a module': ({'one.py': APP, 'two.py': APP, '.flaskenv': 'FLASK_APP=two\n'}, 'two:app'),
    'Procfile': ({'one.py': APP, 'two.py': APP, 'Procfile': 'web: gunicorn -w 2 --bind 0.0.0.0:$PORT two:app --log-file -\n'}, 'two:app'),
    'Procfile with a factory': (
        {'app.py': APP, 'shop.py': FACTORY, 'Procfile': "web: gunicorn 'shop:create_app()'\n"},
        'shop:create_app()',
    ),
    'Procfile of waitress': (
        {'shop.py': FACTORY, 'Procfile': 'web: waitress-serve --port=$PORT --call shop:create_app\n'},
        'shop:create_app()',
    ),
    'Procfile that names nothing': ({'app.py': APP, 'Procfile': 'web: gunicorn missing:app\n'}, 'app:app'),
    'Dockerfile': ({'one.py': APP, 'two.py': APP, 'Dockerfile': 'FROM x\nCMD ["gunicorn", "-b", "0.0.0.0:80", "two:app"]\n'}, 'two:app'),
    'script': ({'one.py': APP, 'two.py': APP, 'boot.sh': 'exec gunicorn \\\n  -b :80 two:app\n'}, 'two:app'),
    'uwsgi.ini': ({'one.py': APP, 'two.py': APP, 'uwsgi.ini': '[uwsgi]\nmodule = two\ncallable = app\n'}, 'two:app'),
    'src': ({'src/shop/__init__.py': FACTORY}, 'shop:create_app()'),
    'src with wsgi.py': (
        {'src/shop/__init__.py': FACTORY, 'src/shop/wsgi.py': 'from shop import create_app\napp = create_app()\n'},
        'shop.wsgi:app',
    ),
    'folder that is no package': (
        {'backend/app.py': APP + 'import models\n', 'backend/models.py': '', 'setup.cfg': ''},
        'app:app',
    ),
    'folder of the Procfile': ({'web/app.py': APP, 'Procfile': 'web: gunicorn --chdir web app:app\n'}, 'app:app'),
    'factory that completes an object': (
        {'shop/__init__.py': APP + 'def create_app():\n    app.config["A"] = 1\n    return app\n'},
        'shop:create_app()',
    ),
    'tests beside it': ({'app.py': APP, 'tests/app.py': APP, 'test_app.py': APP, 'conftest.py': APP}, 'app:app'),
    'broken file beside it': ({'app.py': APP, 'old.py': 'print "2"\n'}, 'app:app'),
    'none': ({'app.py': 'print(1)\n'}, None),
}


@pytest.mark.parametrize('kind', KINDS)
def test_the_entry_point_is_found(kind, tmp_path):
    files, wsgi = KINDS[kind]
    found = detect.look(app_tree(tmp_path, files))
    assert found.variables.get('flask_app_wsgi', (None,))[0] == wsgi
    gunicorn = {'folder that is no package': {'pythonpath': 'backend'}, 'folder of the Procfile': {'chdir': 'web'}}
    expected = {'pythonpath': 'src'} if kind.startswith('src') else gunicorn.get(kind, {})
    assert found.variables.get('flask_app_gunicorn', ({},))[0] == expected


def test_what_could_be_another_entry_point_is_said(tmp_path):
    found = detect.look(app_tree(tmp_path, {'shop.py': APP, 'blog.py': APP}))
    assert 'shop:app would be possible too' in ' '.join(found.unsure)


@pytest.mark.parametrize(
    'command, settings, workers',
    [
        ('gunicorn app:app -k gevent --timeout=90', {'worker_class': 'gevent', 'timeout': 90}, None),
        ('gunicorn --threads 8 -w4 app:app', {'threads': 8}, 4),
        ('gunicorn -w $WEB_CONCURRENCY app:app', None, None),
        ('cd src && gunicorn app:app', {'chdir': 'src'}, None),
    ],
)
def test_gunicorns_options_are_kept(command, settings, workers, tmp_path):
    files = {'Procfile': f'web: {command}\n', ('src/' if 'src' in command else '') + 'app.py': APP, 'requirements.txt': 'gevent\n'}
    found = detect.look(app_tree(tmp_path, files)).variables
    assert found.get('flask_app_gunicorn', (None,))[0] == settings
    assert found.get('flask_app_workers', (None,))[0] == workers


FACTORY = 'from flask import Flask\ndef create_app():\n    app = Flask("shop")\n    return app\n'
MAIN = 'def main():\n    app = create_app()\n    app.register_blueprint(bp)\n    serve(app)\n'


@pytest.mark.parametrize(
    'files, named',
    [
        ({'shop/__init__.py': FACTORY, 'shop/main.py': 'from . import create_app\n' + MAIN}, 'shop/main.py:2: main()'),
        ({'shop/web.py': APP + 'def setup(config):\n    @app.route("/")\n    def home():\n        return ""\n    return app\n'},
         'shop/web.py:3: setup()'),
        ({'shop/web.py': APP + '@app.route("/")\ndef home():\n    return ""\n'}, ''),
        ({'shop/web.py': APP + 'def setup():\n    app.register_blueprint(bp)\nsetup()\n'}, ''),
        ({'shop/web.py': APP + 'def setup(app):\n    app.register_blueprint(bp)\n'}, ''),
    ],
)  # fmt: skip
def test_routes_that_only_a_server_of_the_apps_own_adds_are_said(files, named, tmp_path):
    said = [text for text in detect.look(app_tree(tmp_path, files)).unsure if 'gives the app its routes' in text]
    assert [text.partition(' gives')[0] for text in said] == ([named] if named else [])


GEVENT_WEBSOCKET = 'geventwebsocket.gunicorn.workers.GeventWebSocketWorker'
THREADS = {'worker_class': 'gthread', 'threads': 500}


@pytest.mark.parametrize(
    'packages, settings',
    [
        ('', THREADS),
        ('gevent\n', {'worker_class': 'gevent'}),
        ('gevent\ngevent-websocket\n', {'worker_class': GEVENT_WEBSOCKET}),
    ],
)
def test_socketio_gets_one_worker(packages, settings, tmp_path):
    found = detect.look(app_tree(tmp_path, {'app.py': APP, 'requirements.txt': 'Flask_SocketIO==5.3.6\n' + packages})).variables
    assert found['flask_app_workers'][0] == 1
    assert found['flask_app_gunicorn'][0] == settings


@pytest.mark.parametrize(
    'packages, command, settings',
    [
        ('flask-sock\n', '', THREADS),
        ('simple-websocket\ngevent\n', '', {'worker_class': 'gevent'}),
        ('flask-sock\n', 'gunicorn --threads 8 app:app', {'threads': 8}),
    ],
)
def test_websockets_get_workers_that_hold_many_connections(packages, command, settings, tmp_path):
    files = {'app.py': APP, 'requirements.txt': packages, 'Procfile': f'web: {command}\n'}
    found = detect.look(app_tree(tmp_path, files)).variables
    assert found['flask_app_gunicorn'][0] == settings and 'flask_app_workers' not in found


def test_server_sent_events_are_not_buffered(tmp_path):
    view = '\n@{}.route("{}")\ndef {}():\n    return Response(made(), mimetype="text/event-stream")\n'
    blueprint = 'from flask import Blueprint\nbp = Blueprint("bp", __name__, url_prefix="/live")\napp.register_blueprint(bp)\n'
    text = APP + blueprint + view.format('bp', '/news', 'news') + view.format('app', '/rooms/<name>', 'room')
    found = detect.look(app_tree(tmp_path, {'app.py': text})).variables
    assert found['nginx_stream_paths'][0] == ['/live/news', '/rooms/']
    assert found['flask_app_gunicorn'][0] == THREADS


VIEW = '\n@app.route({})\ndef {}():\n    return ""\n'
HOME = VIEW.format("'/'", 'home')
LOGIN = VIEW.format("'/login', methods=['GET', 'POST']", 'login')
PATHS = {
    'home': (HOME + VIEW.format("'/about'", 'about'), '/'),
    'health': (HOME + VIEW.format("'/api/health'", 'health'), '/api/health'),
    'healthz before ping': (HOME + VIEW.format("'/ping'", 'ping') + VIEW.format("'/healthz'", 'healthz'), '/healthz'),
    'health for posts only': (HOME + VIEW.format("'/health', methods=['POST']", 'health'), '/'),
    'health with an argument': (HOME + VIEW.format("'/health/<name>'", 'health'), '/'),
    'get': ('\n@app.get("/status")\ndef status():\n    return ""\n', '/status'),
    'home for members': (HOME.replace('def home', '@login_required\ndef home') + LOGIN, '/login'),
    'home that sends away': (
        HOME.replace('return ""', 'if "user" not in session:\n        return redirect("/login")\n    return ""') + LOGIN,
        '/login',
    ),
    'login that sends members home': (
        HOME.replace('def home', '@login_required\ndef home')
        + LOGIN.replace('return ""', 'if current_user.is_authenticated:\n        return redirect("/")\n    return ""'),
        '/login',
    ),
    'home that redirects': (HOME.replace('return ""', 'return redirect(url_for("about"))') + VIEW.format("'/about'", 'about'), '/about'),
    'nothing but logout': (VIEW.format("'/logout'", 'logout'), '/'),
    'path of an enumeration': (
        'from enum import Enum\nclass Paths(Enum):\n    up = "healthz"\n    def __str__(self):\n        return self.value\n'
        + HOME + VIEW.format("f'/{Paths.up}'", 'up'), '/healthz'),
    'add_url_rule': ('\ndef health():\n    return ""\napp.add_url_rule("/health", view_func=health)\n', '/health'),
}


@pytest.mark.parametrize('kind', PATHS)
def test_the_health_path_is_found(kind, tmp_path):
    views, path = PATHS[kind]
    found = detect.look(app_tree(tmp_path, {'app.py': APP + views}))
    assert found.variables['flask_app_health_path'][0] == path
    certain = kind.startswith('health') or kind in ('home', 'add_url_rule', 'path of an enumeration')
    assert any('flask_app_health_path' in text for text in found.unsure) == (not certain)


def test_an_app_that_only_redirects_is_healthy_with_that(tmp_path):
    views = HOME.replace('return ""', 'return redirect(url_for("docs"))')
    found = detect.look(app_tree(tmp_path, {'app.py': APP + views}))
    assert found.variables['flask_app_health_path'][0] == '/'
    assert found.variables['flask_app_health_status'] == (302, 'app.py:4, which redirects')
    assert any('flask_app_health_status is 302' in text for text in found.unsure)


def test_prefixes_of_blueprints_count(tmp_path):
    files = {
        'shop/__init__.py': """
            from flask import Flask

            def create_app():
                app = Flask(__name__)
                from .api import bp as api_bp
                app.register_blueprint(api_bp, url_prefix='/api')
                return app
        """,
        'shop/api/__init__.py': 'from flask import Blueprint\nbp = Blueprint("api", __name__)\nfrom . import routes\n',
        'shop/api/routes.py': 'from shop.api import bp\n\n@bp.route("/health")\ndef health():\n    return ""\n',
    }
    assert detect.look(app_tree(tmp_path, files)).variables['flask_app_health_path'][0] == '/api/health'
