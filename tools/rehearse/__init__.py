"""Rehearses a deploy on a machine of its own: python -m tools.rehearse --help."""
