"""An app with a database and, where it has one, a Redis."""

import os

import flask
import psycopg2
import redis

RELEASE = 'one'
app = flask.Flask(__name__)
queue = redis.from_url(os.environ['REDIS_URL']) if 'REDIS_URL' in os.environ else None


def execute(*query):
    """Runs a query; returns its rows."""
    with psycopg2.connect(os.environ['DATABASE_URL']) as connection, connection.cursor() as cursor:
        cursor.execute(*query)
        return cursor.fetchall()


@app.route('/', methods=['GET', 'POST'])
def index():
    if flask.request.method == 'POST':
        text = flask.request.get_data(as_text=True)
        execute('INSERT INTO notes VALUES (%s) RETURNING text', [text])
        if queue:
            queue.rpush('notes', text)
    queued = [text.decode() for text in queue.lrange('notes', 0, -1)] if queue else None
    return flask.jsonify(release=RELEASE, notes=[text for (text,) in execute('SELECT text FROM notes')], queued=queued)


@app.route('/health')
def health():
    return RELEASE
