"""Small apps as folders of files, for the tests of `make new`."""

import textwrap
from pathlib import Path


def app_tree(folder: Path, files: dict) -> Path:
    """Writes files into a folder and returns it.

    Args:
        folder: made where it is missing.
        files: their texts by path; common indentation is taken away.
    """
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(textwrap.dedent(text))
    return folder
