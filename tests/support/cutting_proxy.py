"""A TCP proxy on loopback that unplugs: after so many bytes from the server the connection is reset, or goes silent."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Self


class CuttingProxy:
    """`port` leads to the server's `to`. `cut_after`: bytes from the server that get through on each connection; None: all of them."""

    def __init__(self, to: int, cut_after: int | None = None, *, silent: bool = False):
        self.to, self.cut_after, self.silent = to, cut_after, silent
        self.cuts = 0
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

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self.to))
                self._open += [client, server]
                threading.Thread(target=self._copy, args=(client, server, None), daemon=True).start()
                threading.Thread(target=self._copy, args=(server, client, self.cut_after), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        left = limit
        with contextlib.suppress(OSError):
            while block := source.recv(65536 if left is None else max(1, min(65536, left))):
                target.sendall(block)
                left = None if left is None else left - len(block)
                if left is not None and left <= 0:
                    self.cuts += 1
                    if self.silent:
                        return
                    # reset, not an orderly end: as a cable that is pulled
                    target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                one.close()
