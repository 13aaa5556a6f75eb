"""Commands over ssh on an app's host: `make run` and `make logs`."""
