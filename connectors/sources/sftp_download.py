"""A file of an SFTP server, read as fast as the line gives it: many large requests at once, over a channel of its own, in little memory.

paramiko's own way of reading ahead keeps what has come in a table that it searches for every block: a file of 1 GB took it minutes and its
own size in memory. Only what reading a file needs of the protocol is here (draft-ietf-secsh-filexfer-02): open, read, close. Does not
belong here: listing and asking for sizes (sftp.py, by paramiko).
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from paramiko import Transport

REQUEST = 255 << 10  # bytes: the most that OpenSSH gives at once
AT_ONCE = 16  # requests under way
WINDOW, PACKET = 16 << 20, (256 << 10) - 2048  # of the channel: bytes under way, bytes in one packet
_LARGEST = REQUEST + 1024  # of a packet; a server that announces more is not one
_INIT, _VERSION, _OPEN, _CLOSE, _READ, _STATUS, _HANDLE, _DATA = 1, 2, 3, 4, 5, 101, 102, 103
_END = 1
_ERRORS = {2: errno.ENOENT, 3: errno.EACCES}


class NotSftpError(OSError):
    """The server said something that the protocol does not allow."""


def download(transport: Transport, name: str, size: int, target: BinaryIO, timeout: float) -> None:
    """Write `size` bytes of a file into an empty one. Raises OSError, EOFError (the file or the line ended before), TimeoutError."""
    channel = transport.open_session(window_size=WINDOW, max_packet_size=PACKET, timeout=timeout)
    try:
        channel.settimeout(timeout)
        channel.invoke_subsystem("sftp")
        conversation = _Conversation(channel)
        conversation.send(_INIT, struct.pack(">I", 3))
        conversation.answer(_VERSION)
        path = os.fsencode(name)
        conversation.send(_OPEN, struct.pack(">II", 0, len(path)) + path + struct.pack(">II", 1, 0))
        handle = conversation.answer(_HANDLE)[4:]
        for offset, content in _content(conversation, handle, size):
            target.seek(offset)
            target.write(content)
        conversation.send(_CLOSE, struct.pack(">I", 0) + handle)
    finally:
        channel.close()


def _content(conversation: _Conversation, handle: bytes, size: int) -> Iterator[tuple[int, memoryview]]:
    """(offset, bytes) of all parts of a file, as they come. What a server gives less than it was asked for is asked for again."""
    wanted = ((start, min(REQUEST, size - start)) for start in range(0, size, REQUEST))
    under_way: dict[int, tuple[int, int]] = {}
    number = 0

    def ask(start: int, length: int) -> None:
        nonlocal number
        number += 1
        under_way[number] = (start, length)
        conversation.send(_READ, struct.pack(">I", number) + handle + struct.pack(">QI", start, length))

    while True:
        while len(under_way) < AT_ONCE and (following := next(wanted, None)):
            ask(*following)
        if not under_way:
            return
        answer = conversation.answer(_DATA)
        told, length = struct.unpack(">II", answer[:8])
        if told not in under_way or not 0 < length <= under_way[told][1] or len(answer) != 8 + length:
            raise NotSftpError(errno.EPROTO, "the server gave something that it was not asked for")
        start, asked = under_way.pop(told)
        yield start, memoryview(answer)[8:]
        if length < asked:
            ask(start + length, asked - length)


class _Conversation:
    """Packets there and back."""

    def __init__(self, channel: object):
        self._channel = channel
        self._come = bytearray()

    def send(self, kind: int, body: bytes) -> None:
        self._channel.sendall(struct.pack(">IB", 1 + len(body), kind) + body)  # type: ignore[attr-defined]

    def answer(self, expected: int) -> bytes:
        """The body of the next packet. Raises OSError for one that says that something did not work."""
        length = int.from_bytes(self._take(4), "big")
        if not 0 < length <= _LARGEST:
            raise NotSftpError(errno.EPROTO, "the server does not speak SFTP")
        packet = self._take(length)
        if packet[0] == _STATUS and len(packet) >= 13:
            code, told = struct.unpack(">II", packet[5:13])
            if code == _END:
                raise EOFError("the file ended before its size")
            raise OSError(_ERRORS.get(code, errno.EIO), packet[13 : 13 + told].decode("utf-8", "replace"))
        if packet[0] != expected:
            raise NotSftpError(errno.EPROTO, "the server does not speak SFTP")
        return packet[1:]

    def _take(self, count: int) -> bytes:
        while len(self._come) < count:
            block = self._channel.recv(WINDOW)  # type: ignore[attr-defined]
            if not block:
                raise EOFError("the line ended")
            self._come += block
        taken = bytes(memoryview(self._come)[:count])
        del self._come[:count]
        return taken
