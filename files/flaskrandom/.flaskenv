# What `flask run` uses on a developer's machine. Comments stand on lines of their own: after a value, some readers take them for a part of it.
FLASK_ENV=development
# Flask 2.3 and newer know only this one
FLASK_DEBUG=1
FLASK_APP=app.py
FLASK_RUN_PORT=8000
