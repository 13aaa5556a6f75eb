"""The release command: makes the table."""

import os

import psycopg2

with psycopg2.connect(os.environ['DATABASE_URL']) as connection, connection.cursor() as cursor:
    cursor.execute('CREATE TABLE IF NOT EXISTS notes (text text)')
    print('migrated')
