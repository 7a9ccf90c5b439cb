"""Archived content that is encrypted: AES-256-GCM over frames, so that no extract is ever held whole, and none can be cut or joined.

A file is a header, `QALAENC` and version 1, the id of the key, 32 random bytes, and frames of 1 MiB, the last one shorter or as long. Each file
has a key of its own, derived from the archive's key and those random bytes; a frame's nonce is its number and whether it is the last; what
authenticates it are header and nonce, and at the last frame the SHA-256 of the content, under which the file is kept. So a frame changed, left
out, put elsewhere or into another file, a file cut at whatever place or put under another name is told and not read. Where the files are, and
which are encrypted, does not belong here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from warehouse.home.keys import Key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"QALAENC\x01"
FRAME = 1 << 20  # bytes of a frame before it is encrypted
TAG = 16
_ID, _SALT = 16, 32
HEAD = len(MAGIC) + _ID + _SALT


class SealError(ValueError):
    """A file is not encrypted content, is not whole, was changed, or has the name of another."""


class Encrypting:
    """A file to write to: what is written goes encrypted into `target`. Whole after `finish`."""

    def __init__(self, target: IO[bytes], key: Key):
        salt = secrets.token_bytes(_SALT)
        self._target, self._head = target, MAGIC + key.id.encode("ascii") + salt
        self._cipher, self._number, self._left = _cipher(key, salt), 0, bytearray()
        target.write(self._head)

    def write(self, block: bytes) -> int:
        self._left += block
        while len(self._left) > FRAME:  # not if equal: a last frame is never empty
            self._frame(bytes(self._left[:FRAME]))
            del self._left[:FRAME]
        return len(block)

    def finish(self, sha256: str) -> None:
        """Write the last frame; `sha256` is that of the content, as it will be asked for."""
        self._frame(bytes(self._left), bytes.fromhex(sha256))

    def _frame(self, plain: bytes, last: bytes = b"") -> None:
        nonce = _nonce(self._number, last=bool(last))
        self._target.write(self._cipher.encrypt(nonce, plain, self._head + last))
        self._number += 1


class Decrypting:
    """A file to read from: the content of an encrypted file, every frame authenticated before a byte of it is given out.

    `find`: id → key. Raises SealError, at the last frame if the content is not that of `sha256`, and what `find` raises.
    """

    def __init__(self, source: IO[bytes], find: Callable[[str], Key], sha256: str):
        self._source, self._head = source, source.read(HEAD)
        key = find(_key_id(self._head))
        self._cipher, self._sha256 = _cipher(key, self._head[-_SALT:]), bytes.fromhex(sha256)
        self._number, self._next, self._left = 0, source.read(FRAME + TAG), b""
        if not self._next:
            raise SealError("it was cut after its head")

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, all that are left if negative; none at the end."""
        found = [self._left]
        held = len(self._left)
        while (size < 0 or held < size) and self._next:
            found.append(self._frame())
            held += len(found[-1])
        whole = b"".join(found)
        cut = held if size < 0 else size
        self._left = whole[cut:]
        return whole[:cut]

    def _frame(self) -> bytes:
        from cryptography.exceptions import InvalidTag

        sealed, self._next = self._next, self._source.read(FRAME + TAG)
        last = not self._next
        try:
            plain = self._cipher.decrypt(
                _nonce(self._number, last=last), sealed, self._head + (self._sha256 if last else b"")
            )
        except (InvalidTag, ValueError):
            raise SealError(
                f"frame {self._number + 1} was changed, cut or moved, or the file is not that of this name"
            ) from None
        self._number += 1
        return plain


def key_id(source: IO[bytes]) -> str:
    """The id of the key that an encrypted file was made with. Raises SealError."""
    return _key_id(source.read(HEAD))


def _key_id(head: bytes) -> str:
    if len(head) != HEAD or not head.startswith(MAGIC[:-1]):
        raise SealError("it is no encrypted file, or was cut in its head")
    if not head.startswith(MAGIC):
        raise SealError(f"it is of version {head[len(MAGIC) - 1]}, which this qala does not know")
    return head[len(MAGIC) : -_SALT].decode("ascii", "replace")


def _cipher(key: Key, salt: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key.derived(f"file {salt.hex()}"))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
