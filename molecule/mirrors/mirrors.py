"""Forwarding mirrors: python3 mirrors.py HASH ARCHIVE INDEX. HASH: SHA-256 of the Authorization header to ask for.

What is below /pythons comes from the folder /opt/pythons.
"""

import hashlib
import shutil
import socketserver
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

AUTHORIZATION, ARCHIVE, INDEX = sys.argv[1:]
SLOW, PRIVATE = 18081, 18082


class Mirror(BaseHTTPRequestHandler):
    """Forwards /simple to the index, all else but /pythons to the archive."""

    def do_GET(self):
        """Answers a request, or asks for the password."""
        if self.server.server_port == SLOW:
            time.sleep(60)
        if hashlib.sha256(self.headers.get('Authorization', '').encode()).hexdigest() != AUTHORIZATION:
            self.send_response(401)
            self.send_header('WWW-Authenticate', 'Basic realm="mirror"')
            self.end_headers()
            return
        if self.path.startswith('/pythons/'):
            self.send_file(Path('/opt') / urllib.parse.unquote(self.path).lstrip('/'))
            return
        url = INDEX + self.path[len('/simple') :] if self.path.startswith('/simple/') else ARCHIVE + self.path
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers={'Accept': self.headers.get('Accept', '*/*')})) as answer:
                body = answer.read()
                self.send_response(200)
                self.send_header('Content-Type', answer.headers['Content-Type'])
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)
        except urllib.error.HTTPError as error:
            self.send_error(error.code)

    def send_file(self, path):
        """Answers with a file."""
        if not path.is_file():
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header('Content-Length', str(path.stat().st_size))
        self.end_headers()
        with path.open('rb') as file:
            shutil.copyfileobj(file, self.wfile)


class Server(socketserver.ThreadingMixIn, HTTPServer):
    """A thread a request."""

    daemon_threads = True


threading.Thread(target=Server(('', SLOW), Mirror).serve_forever, daemon=True).start()
Server(('', PRIVATE), Mirror).serve_forever()
