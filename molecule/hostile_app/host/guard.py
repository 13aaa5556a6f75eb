#!/usr/bin/python3
"""A socket that only root may use, like Docker's: logs the account of each client, and answers like a healthy app."""

import os
import socket
import struct

PATH, LOG = '/run/guard.sock', '/opt/hostile/guard.log'

if os.path.exists(PATH):
    os.unlink(PATH)
os.umask(0o177)
server = socket.socket(socket.AF_UNIX)
server.bind(PATH)
server.listen(64)
while True:
    client, _ = server.accept()
    _, uid, _ = struct.unpack('3i', client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    with open(LOG, 'a') as log:
        log.write('{}\n'.format(uid))
    client.settimeout(1)
    try:
        client.recv(4096)
        client.sendall(b'HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nwell')
    except OSError:
        pass
    client.close()
