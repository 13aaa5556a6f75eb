"""The tests here run under every Python that the app supports (see ./run).

So they use nothing but the app's own packages, pytest and the standard library.
"""

import sys
from pathlib import Path

import pytest

APP_FOLDER = Path(__file__).resolve().parents[2] / "files" / "flaskrandom"
sys.path.insert(0, str(APP_FOLDER))


@pytest.fixture(scope="session")
def app_folder():
    return APP_FOLDER


@pytest.fixture(scope="session")
def client():
    from app import app

    return app.test_client()
