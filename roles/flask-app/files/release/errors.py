"""Errors with messages for the user."""


class Failure(Exception):
    """A deployment failed; the message says why and what to do."""


class Unhealthy(Failure):
    """The release is the cause: it does not start or answer, or one of its commands failed."""
