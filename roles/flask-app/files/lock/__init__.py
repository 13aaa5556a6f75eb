"""Locks an app's packages for a host, on the controller: what the app's own files say becomes one lock with hashes."""
