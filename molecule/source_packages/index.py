"""A package index: python3 index.py FOLDER INDEX. What FOLDER lacks is fetched from INDEX. Each request is logged."""

import os
import socketserver
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

FOLDER, INDEX = sys.argv[1:]


class Index(BaseHTTPRequestHandler):
    """Answers as PEP 503 says, and gives uv to pip only."""

    def do_GET(self):
        """Lists a package's files or sends one."""
        _, kind, name = (self.path.rstrip('/') + '/').split('/')[:3]
        own = [file for file in os.listdir(FOLDER) if file.startswith(name + '-')]
        try:
            if name == 'uv' and not self.headers['User-Agent'].startswith('pip/'):
                self.send_error(404)
            elif kind == 'files':
                with open(os.path.join(FOLDER, os.path.basename(name)), 'rb') as file:
                    self.answer('application/octet-stream', file.read())
            elif own:
                self.answer('text/html', ''.join(f'<a href="/files/{file}">{file}</a>' for file in own).encode())
            else:
                url = INDEX + self.path[len('/simple') :]
                request = urllib.request.Request(url, headers={'Accept': self.headers.get('Accept', '*/*')})
                with urllib.request.urlopen(request) as found:
                    self.answer(found.headers['Content-Type'], found.read())
        except urllib.error.HTTPError as error:
            self.send_error(error.code)

    def answer(self, kind, body):
        """Sends an answer."""
        self.send_response(200)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(socketserver.ThreadingMixIn, HTTPServer):
    """A thread a request."""

    daemon_threads = True


Server(('', 18092), Index).serve_forever()
