"""Prepares the database; a release command."""

import sqlite3

with sqlite3.connect('data/app.db') as database:
    database.execute('CREATE TABLE IF NOT EXISTS items (name TEXT)')
    database.execute("INSERT INTO items VALUES ('one')")
