"""Runs the command line: python -m tools.new --help."""

import sys

from .cli import main

sys.exit(main())
