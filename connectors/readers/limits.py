"""How much may come out of what is packed: counted while it is unpacked, because nothing that an archive says of itself is believed.

And which errors on the way are no fault of what is unpacked. Does not belong here: how a packing is opened (unpacking.py, zip_members.py).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from connectors.archive.archive import ArchiveError
from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.detection import harmless
from connectors.readers.headers import StructureError
from warehouse.home.keys import MissingKeyError

MEMBERS = 1_000  # of an archive; our proposals, as the next
UNPACKED = 8 << 30  # bytes
RATIO, ANYHOW = 100, 16 << 20  # so many times its size may come of an archive, and so many bytes of any
BLOCK, SMALL = 1 << 20, 1 << 12


_MACHINE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
}


def is_machine_fault(error: BaseException) -> bool:
    """Whether it is this machine's fault, a full disk or no right to write, and no delivery's: that is to be mended and run again."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _MACHINE)


@contextmanager
def read_or_refused(file_name: str, contract: SourceContract) -> Iterator[None]:
    """Whatever goes wrong while a file is read refuses the file: raised as StructureError. What is no fault of the file's stays as it is."""
    try:
        yield
    except (StructureError, ArchiveError, MissingKeyError):
        raise
    except Exception as error:
        if is_machine_fault(error):
            raise
        kind = type(error).__name__
        raise StructureError(
            "refusal.unreadable", file=file_name, kind=kind, error=harmless(error), contract=contract.id
        ) from error


class Budget:
    """What may still come out of one packed file."""

    def __init__(self, packed: int, file_name: str):
        self.left, self.file_name = min(max(RATIO * packed, ANYHOW), UNPACKED), file_name

    def take(self, size: int) -> None:
        """Count so many bytes. Raises StructureError beyond the limit."""
        self.left -= size
        if self.left < 0:
            raise StructureError("refusal.unpacks_too_large", file=self.file_name, ratio=RATIO, most=UNPACKED >> 30)


def poured(
    source: object,
    target: Path,
    budget: Budget,
    start: bytes = b"",
    *,
    most: int | None = None,
    block_size: int = BLOCK,
) -> None:
    """Write what comes out of a packing (`start`, already read, and the rest of `source`), counting it.

    `most`: bytes after which nothing more is kept; all of it is read and counted nevertheless, and so known to be whole.
    """
    stream, kept = cast(BinaryIO, source), 0
    with target.open("wb") as sink:
        block = start or stream.read(block_size)
        while block:
            budget.take(len(block))
            if most is None or kept < most:
                sink.write(block)
                kept += len(block)
            block = stream.read(block_size)
