"""The socket of a home's resident process: where it lies, and what goes over it.

A caller sends its files 0 to 2, then its request as JSON behind its length. It is answered `+` and then the exit code, or `-` and a reason why it
must run by itself. Meanwhile it may send `!`, which is Ctrl-C; that it is gone is the same.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse.home.home import Home

ACCEPTED, DECLINED, INTERRUPT = b"+", b"-", b"!"
_LENGTH = struct.Struct("!Q")
_LONGEST = 100  # bytes that a socket's address may have: 108 on Linux, 104 elsewhere
_MOST = 16 << 20  # bytes of a request


def file_of(home: Home) -> Path:
    return home.root / ".resident"


@contextmanager
def address(home: Home) -> Iterator[str]:
    """The address of the socket, which may be longer than addresses are: then by way of the open folder. Raises OSError."""
    file = file_of(home)
    if len(os.fsencode(file)) <= _LONGEST:
        yield str(file)
        return
    folder = os.open(home.root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{file.name}"
    finally:
        os.close(folder)


def send_request(line: socket.socket, text: bytes) -> None:
    """Raises OSError."""
    socket.send_fds(line, [_LENGTH.pack(len(text))], [0, 1, 2])
    line.sendall(text)


def receive_request(line: socket.socket) -> tuple[bytes, list[int]]:
    """The request's text, and the caller's files. Raises OSError, ValueError if it is none."""
    head, files, _, _ = socket.recv_fds(line, _LENGTH.size, 3)
    if len(head) != _LENGTH.size or len(files) != 3 or (size := _LENGTH.unpack(head)[0]) > _MOST:
        raise ValueError("no request")
    text = bytearray()
    while len(text) < size:
        if not (part := line.recv(min(1 << 16, size - len(text)))):
            raise ValueError("half a request")
        text += part
    return bytes(text), list(files)
