"""A real HTTP server on loopback that takes its time: what the demo's web job fetches from."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any


class Server(socketserver.ThreadingTCPServer):
    """Answers ``GET /<name>`` with the file of that name, each after the same delay, each in a thread of its own.

    It is not `http.server.HTTPServer`, because that one asks the name service for the machine's name at its start,
    which takes seconds on machines without one.

    Attributes:
        peak: the most requests that were open at once.
    """

    daemon_threads = True
    # Closing does not wait for the threads: none of them outlives its answer, and an interrupted demo ends at once.
    block_on_close = False
    allow_reuse_address = True
    # The demo's clients all connect at the same time; the default queue of 5 would make them try again a second later.
    request_queue_size = 1024

    def __init__(self, files: Mapping[str, bytes], delay: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.delay = delay
        self.peak = 0
        self._open = 0
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        """The port that the system chose."""
        return int(self.server_address[1])

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Counts one request as open."""
        with self._lock:
            self._open += 1
            self.peak = max(self.peak, self._open)
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1

    def reset_peak(self) -> None:
        """Starts the count of open requests anew."""
        with self._lock:
            self.peak = self._open

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keeps still: a client that hangs up in the middle, as an interrupted demo does, is no news."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        with server.counted():
            body = server.files.get(self.path.removeprefix("/"))
            time.sleep(server.delay)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

    def log_message(self, format: str, *args: Any) -> None:
        """Keeps still: the demo's own output is enough."""


@contextmanager
def serving(files: Mapping[str, bytes], delay: float) -> Iterator[Server]:
    """Runs a `Server` for the length of a ``with`` block.

    Args:
        files: what is served, by the path after the first slash.
        delay: seconds that each answer takes, on top of the work in it.
    """
    with Server(files, delay) as server:
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="demo-server", daemon=True
        )
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
