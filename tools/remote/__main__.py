"""Runs the command line: python -m tools.remote --help."""

import sys

from .cli import main

sys.exit(main())
