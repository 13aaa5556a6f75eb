"""A hostile app: when it is imported it runs instance/act.py, which the tests write."""

import os

import flask

# read before the act, which may change the working directory
RELEASE = os.path.basename(os.getcwd())

app = flask.Flask(__name__)


@app.route('/')
def index():
    return RELEASE


@app.route('/health')
def health():
    return 'well'


if os.path.exists('instance/act.py'):
    with open('instance/act.py') as file:
        exec(compile(file.read(), 'act.py', 'exec'))
