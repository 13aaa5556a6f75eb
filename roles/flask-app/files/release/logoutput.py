"""Prints the app's logs, and what is new in them."""

import os
import select
import signal
import subprocess
import sys

from .logs import plain_lines
from .logview import collect, parse_since, sources

PIECE = 1 << 16  # bytes read at once, and shown of a line that does not end


class Output:
    """Prints lines with their sources, those that contain a text."""

    def __init__(self, chosen, text):
        self.width = max(len(source.label) for source in chosen)
        self.text = text
        self.stream = sys.stdout.buffer

    def show(self, label, line):
        """Prints a line, unless it does not contain the text."""
        if self.text in line:
            self.stream.write('{:{}} | {}\n'.format(label, self.width, line).encode('utf-8', 'replace'))

    def follow(self, chosen):
        """Prints what is new in some logs until it is interrupted or nobody reads it any more."""
        poll, processes, rests = select.poll(), {}, {}
        # the other end has gone, for instance with its ssh connection
        poll.register(self.stream.fileno(), 0)
        try:
            for source in chosen:
                process = subprocess.Popen(
                    source.follow(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
                processes[process.stdout.fileno()] = process, source.label
                poll.register(process.stdout, select.POLLIN)
            while processes:
                for descriptor, _ in poll.poll():
                    if descriptor not in processes:
                        return
                    piece = os.read(descriptor, PIECE)
                    if not piece:
                        poll.unregister(descriptor)
                        processes.pop(descriptor)[0].wait()
                        continue
                    whole, end, rest = (rests.get(descriptor, b'') + piece).rpartition(b'\n')
                    # a line without an end is shown in parts
                    rests[descriptor], whole = (rest, whole) if len(rest) < PIECE else (b'', whole + end + rest)
                    for line in plain_lines(whole):
                        self.show(processes[descriptor][1], line)
                self.stream.flush()
        finally:
            for process, _ in processes.values():
                process.kill()
                process.wait()


def show(deployment, since='', grep='', process='', follow=False):
    """Prints the app's logs; see `NAME-release logs --help`."""
    chosen = sources(deployment, process)
    output = Output(chosen, grep)
    begin = parse_since(since) if since else None
    # its children end with it, also where it was started in the background, which ignores SIGINT
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        for label, line in collect(chosen, begin):
            output.show(label, line)
        output.stream.flush()
        if follow:
            output.follow(chosen)
    except KeyboardInterrupt:
        # the usual end of following
        return 0 if follow else 130
    except BrokenPipeError:
        # or Python complains at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.stream.fileno())
    return 0
