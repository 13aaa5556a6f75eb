"""The app that is deployed under load. Each answer names the release and what the app knows about the client."""

import os
import time

import flask

try:
    from importlib.metadata import version
except ImportError:  # Python 3.6 and 3.7
    from importlib_metadata import version

RELEASE = 'one'
FLASK = version('flask')

app = flask.Flask(__name__)


def answer():
    return flask.jsonify(
        release=RELEASE,
        flask=FLASK,
        setting=os.environ.get('SETTING', ''),
        address=flask.request.remote_addr,
        scheme=flask.request.scheme,
        echo=flask.request.get_data(as_text=True),
    )


@app.route('/', methods=['GET', 'POST'])
def index():
    return answer()


@app.route('/slow', methods=['GET', 'POST'])
def slow():
    time.sleep(0.1)
    return answer()


@app.route('/health')
def health():
    return 'well'
