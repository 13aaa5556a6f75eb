"""What ends a rehearsal before its report."""


class Stopped(Exception):
    """The rehearsal cannot be carried out; the text says why and what to do."""
