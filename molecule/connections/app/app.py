"""An app with long connections: flask-sock, Flask-SocketIO and server-sent events."""

import os
import time

import flask
import flask_sock
import flask_socketio

RELEASE = os.path.basename(os.path.dirname(os.path.realpath(__file__)))

app = flask.Flask(__name__)
sock = flask_sock.Sock(app)
socketio = flask_socketio.SocketIO(app, async_mode=os.environ.get('ASYNC_MODE'))


def note(text):
    """Appends a line to a file in the shared folder; short lines are never mixed up."""
    file = os.open(os.path.join('data', 'texts'), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        os.write(file, (text + '\n').encode())
    finally:
        os.close(file)
    return text


@app.route('/', methods=['GET', 'POST'])
def index():
    return flask.jsonify(release=RELEASE, echo=flask.request.get_data(as_text=True))


@app.route('/slow', methods=['GET', 'POST'])
def slow():
    time.sleep(0.1)
    return index()


@app.route('/busy')
def busy():
    """Takes the worker for 30 ms, in which it does nothing else."""
    end = time.monotonic() + 0.03
    while time.monotonic() < end:
        pass
    return index()


@sock.route('/ws')
def websocket(ws):
    while True:
        ws.send(note(ws.receive()))


@sock.route('/bye')
def bye(ws):
    """Closes the websocket after the first text."""
    ws.receive()


@socketio.on('text')
def text(data):
    return note(data)


@app.route('/events')
def events():
    """One event every second; an event is written in two parts, so that a cut between them shows."""

    def made():
        while True:
            yield f'data: {RELEASE}\n'
            time.sleep(0.05)
            yield '\n'
            time.sleep(1)

    return flask.Response(made(), mimetype='text/event-stream')


@app.route('/silent')
def silent():
    """Events that do not come."""

    def made():
        yield 'data: first\n\n'
        time.sleep(3600)

    return flask.Response(made(), mimetype='text/event-stream')


@app.route('/headers')
def headers():
    return flask.jsonify(dict(flask.request.headers))


@app.route('/lines')
def lines():
    def made():
        for number in range(4):
            yield f'{number}\n'
            time.sleep(0.5)

    return flask.Response(made(), mimetype='text/plain')
