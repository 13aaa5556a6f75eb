#!/usr/bin/python3
"""A program that was on the machine before: answers with the body of the request."""

import http.server
import json
import socketserver


class Handler(http.server.BaseHTTPRequestHandler):
    """Returns the request's body as JSON."""

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
    """Answers requests in parallel."""

    request_queue_size = 128


Server(('127.0.0.1', 7000), Handler).serve_forever()
