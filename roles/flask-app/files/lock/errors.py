"""What goes wrong in a way that the user can mend."""


class LockError(Exception):
    """The app's packages cannot be locked; the text says why and what to do."""
