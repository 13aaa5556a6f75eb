"""Writes the inventory of an app: `make new`. Reads the app's files and runs none of its code."""
