#!/usr/bin/python3
"""Somebody else's program: answers with what it was sent."""

import http.server
import json
import socketserver


class Handler(http.server.BaseHTTPRequestHandler):
    """Says in its answer what the request's body was."""

    def do_GET(self):
        """Answers any request."""
        text = self.rfile.read(int(self.headers.get('Content-Length') or 0)).decode()
        body = json.dumps({'echo': text}).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Answers many at once."""

    request_queue_size = 128


Server(('127.0.0.1', 7000), Handler).serve_forever()
