"""A TCP proxy on loopback that unplugs: after so many bytes from the server the connection is reset, or goes silent."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Self


class CuttingProxy:
    """`port` leads to the server's `to`. `cut_after`: bytes from the server that get through on each connection; None: all of them.

    `in_all`: so many on all connections together, new ones included. `passed`: how many got through since the last `cut`.
    """

    def __init__(self, to: int, cut_after: int | None = None, *, silent: bool = False, in_all: bool = False):
        self.to, self.cut_after, self.silent, self.in_all = to, cut_after, silent, in_all
        self.cuts = self.passed = 0
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for one in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                one.close()

    def cut(self, after: int | None) -> None:
        """From now on, so many bytes."""
        with self._lock:
            self.passed, self.cut_after = 0, after

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self.to))
                self._open += [client, server]
                threading.Thread(target=self._there, args=(client, server), daemon=True).start()
                threading.Thread(target=self._back, args=(server, client), daemon=True).start()

    def _there(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := client.recv(65536):
                server.sendall(block)
        _close(client, server)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        own = 0
        with contextlib.suppress(OSError):
            while block := server.recv(65536):
                allowed, cut = self._allowed(own, len(block))
                own += allowed
                client.sendall(block[:allowed])
                if cut and self.silent:
                    return
                if cut:
                    # reset, not an orderly end: as a cable that is pulled. Nothing is sent while the other thread reads there
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.shutdown(socket.SHUT_RD)
                    client.close()
                    break
        _close(server, client)

    def _allowed(self, own: int, count: int) -> tuple[int, bool]:
        """How many of so many bytes get through, and whether that is the end."""
        with self._lock:
            left = None if self.cut_after is None else max(0, self.cut_after - (self.passed if self.in_all else own))
            allowed = count if left is None else min(count, left)
            self.passed += allowed
            cut = left is not None and allowed >= left
            self.cuts += cut
            return allowed, cut


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            one.close()
