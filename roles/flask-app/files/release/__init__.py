"""Deploys releases of one app on this host without losing a request. Ships as NAME-release, one zipapp a host and app.

A hand-over never edits what serves. The release starts beside it as a candidate (systemd), and once it is healthy,
nginx's link live.sock moves to its socket. Then the program under supervisor restarts with the release, proves healthy
as well and gets the traffic back. `current` moves only to a proven release, so a crash at any moment leaves a host
that serves.

Root trusts nothing that the app can write: what runs is read from the kernel, requests are sent as nginx's account,
and no path below /run/NAME/app or a shared folder is opened. Runs on Python 3.6, with its library only.
"""
