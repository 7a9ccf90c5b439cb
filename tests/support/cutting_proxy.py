"""A line that breaks: TCP passed on to a server on loopback, and cut after so many bytes have come from there."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_BLOCK = 4096


@dataclass
class Line:
    """The line to a server. `passed`: bytes that came from there since `mend` or `cut_after`; `silent`: it goes dead and is not reset."""

    port: int = 0
    passed: int = 0
    limit: int | None = None
    silent: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cut_after(self, count: int) -> None:
        """From now on so many bytes more come; then every connection is reset, and every new one too."""
        with self._lock:
            self.passed, self.limit = 0, count

    def mend(self) -> None:
        with self._lock:
            self.passed, self.limit = 0, None

    def allowed(self, count: int) -> int:
        """How many of so many bytes may pass; they count as passed."""
        with self._lock:
            allowed = count if self.limit is None else max(0, min(count, self.limit - self.passed))
            self.passed += allowed
            return allowed


@contextmanager
def line_to(port: int) -> Iterator[Line]:
    """A line to a port of 127.0.0.1, at another port of it."""
    line = Line()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as server:
                there = threading.Thread(target=_there, args=(self.request, server), daemon=True)
                there.start()
                while block := _received(server):
                    allowed = line.allowed(len(block))
                    try:
                        self.request.sendall(block[:allowed])
                    except OSError:
                        break
                    if allowed < len(block) and line.silent:
                        there.join()
                    elif allowed < len(block):
                        _reset(self.request, there)
                    if allowed < len(block):
                        break
                for one in (self.request, server):
                    _shut(one)
                there.join(5)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        line.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield line
        finally:
            server.shutdown()
            thread.join()


def _there(client: socket.socket, server: socket.socket) -> None:
    while block := _received(client):
        try:
            server.sendall(block)
        except OSError:
            return
    _shut(server, socket.SHUT_WR)


def _received(one: socket.socket) -> bytes:
    try:
        return one.recv(_BLOCK)
    except OSError:
        return b""


def _shut(one: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    try:
        one.shutdown(how)
    except OSError:
        return


def _reset(one: socket.socket, reader: threading.Thread) -> None:
    """Close in the way of a line that broke: not an end, a reset. While somebody reads from it, nothing would be sent."""
    _shut(one, socket.SHUT_RD)
    reader.join(5)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()
