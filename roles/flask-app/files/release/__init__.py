"""Deploys releases of one app on this host without losing a request. Installed as the zipapp NAME-release.

A deployment never edits the serving release. The new one starts as a candidate (systemd). Once it is healthy, nginx's
link live.sock switches to its socket. Then the program under supervisor restarts with the release, and gets the traffic
back when it is healthy. `current` only ever leads to a release that was healthy, so a crash at any moment leaves a host
that serves.

Root trusts nothing that the app can write: running releases are read from the kernel, requests are sent as nginx's
account, and no path below /run/NAME/app or a shared folder is opened. Needs Python 3.6 and its standard library only.
"""
