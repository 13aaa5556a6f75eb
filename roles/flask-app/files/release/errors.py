"""What can go wrong, for the person who reads it."""


class Failure(Exception):
    """What went wrong and what to do about it."""


class Unhealthy(Failure):
    """The release itself is at fault: it does not start, answer or migrate."""
