"""Runs the command line: python -m tools.rehearse --help."""

import sys

from .cli import main

sys.exit(main())
