#!/usr/bin/python3
"""index.py NAME INDEX: a package index with one file of /opt/hostile, the package evil; others are redirected to INDEX."""

import http.server
import sys

NAME, INDEX = sys.argv[1:]
PAGE = '<!DOCTYPE html><a href="/{0}">{0}</a>'.format(NAME).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        package = self.path.strip('/').rpartition('/')[2]
        if self.path == '/' + NAME:
            with open('/opt/hostile/' + NAME, 'rb') as file:
                self.answer(200, file.read(), 'Content-Type', 'application/octet-stream')
        elif package == 'evil':
            self.answer(200, PAGE, 'Content-Type', 'text/html')
        else:
            self.answer(302, b'', 'Location', INDEX.rstrip('/') + '/' + package + '/')

    do_HEAD = do_GET

    def answer(self, status, body, header, value):
        self.send_response(status)
        self.send_header(header, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(body)


http.server.HTTPServer(('127.0.0.1', 8099), Handler).serve_forever()
