"""The app that is rehearsed. The tests add a fault to its next version."""

import os
import socket
import sqlite3
import time

import flask

COLUMN = 'name'
app = flask.Flask(__name__)

# production's address, hard-coded as some apps have it
PRODUCTION = ''
if PRODUCTION:
    try:
        socket.create_connection((PRODUCTION, 80), 3).sendall(b'GET /planted-visit HTTP/1.0\r\n\r\n')
        outcome = 'connected'
    except OSError as error:
        outcome = str(error)
    with open('data/outcome', 'w') as file:
        file.write(outcome)


@app.route('/health')
def health():
    return 'well'


@app.route('/items')
def items():
    with sqlite3.connect('data/app.db') as database:
        return flask.jsonify(list(database.execute(f'SELECT {COLUMN} FROM items')))


@app.route('/orders', methods=['POST'])
def orders():
    time.sleep(0.3)
    return flask.jsonify(flask.request.get_json())


@app.route('/secret')
def secret():
    return os.environ['SECRET_KEY']
