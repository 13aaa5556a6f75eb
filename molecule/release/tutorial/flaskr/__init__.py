"""A short version of Flask's tutorial: a package with a factory, a database in the instance folder, a command."""

import os
import sqlite3
from pathlib import Path

import click
import flask

VERSION = 'one'


def create_app():
    app = flask.Flask(__name__)
    app.config['SECRET_KEY'] = os.environ['SECRET_KEY']
    database = Path(app.instance_path) / 'flaskr.sqlite'

    @app.route('/')
    def index():
        with sqlite3.connect(str(database)) as connection:
            posts = [title for (title,) in connection.execute('SELECT title FROM post ORDER BY id')]
        return flask.jsonify(version=VERSION, posts=posts, secret=len(app.config['SECRET_KEY']))

    @app.route('/create', methods=['POST'])
    def create():
        with sqlite3.connect(str(database)) as connection:
            connection.execute('INSERT INTO post (title) VALUES (?)', [flask.request.form['title']])
        return '', 204

    @app.cli.command('init-db')
    def init_db():
        with sqlite3.connect(str(database)) as connection:
            connection.executescript('DROP TABLE IF EXISTS post; CREATE TABLE post (id INTEGER PRIMARY KEY, title TEXT NOT NULL);')
        click.echo('Initialized the database.')

    return app
