"""From a delivered file to the files in it: gzip, zstd, zip, and bundles of several files. Packed once, save in a bundle.

What comes out is counted while it is unpacked (limits.py), and read to its end: what was cut or changed on the way is refused. Does not belong
here: which members of a zip are the extract (zip_members.py), reading what came out (readers.py).
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from connectors.archive import bundle
from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.detection import harmless
from connectors.personal_data.safe_names import safe_name
from connectors.readers import zip_members
from connectors.readers.headers import StructureError
from connectors.readers.kinds import START, WHOLE, Kind, Packing, Part, Seen, part, seen
from connectors.readers.limits import BLOCK, Budget, poured

_ZSTD, _SKIPPED = 0xFD2FB528, 0x184D2A50  # how frames begin: of data, and of nothing


@dataclass(frozen=True)
class Unpacked:
    """The files that are the extract, in the order in which they are read, and the names of those left out, as they may be shown."""

    parts: list[Part]
    left_out: tuple[str, ...] = ()


def unpacked(whole: Path, scratch: Path, file_name: str, contract: SourceContract, most: int | None = None) -> Unpacked:
    """Unpack a delivery into `scratch`. What is not packed is its own only part, where it is.

    `most`: bytes of a CSV file that are wanted, if it is only looked at. Raises StructureError.
    """
    if not whole.stat().st_size:
        raise StructureError("refusal.empty_file", file=file_name)
    found = seen(whole, contract)
    if found == Packing.BUNDLE:
        return _of_bundle(whole, scratch, file_name, contract, most)
    return _packed_once(found, whole, scratch, file_name, contract, most)


def _packed_once(
    found: Seen, whole: Path, scratch: Path, file_name: str, contract: SourceContract, most: int | None
) -> Unpacked:
    if found == Packing.ZIP:
        return Unpacked(*zip_members.unpacked(whole, scratch, file_name, contract, most))
    if found not in (Packing.GZIP, Packing.ZSTD):
        return Unpacked([part(found, whole, contract, file_name)])
    target, stream = scratch / "unpacked", _gzip if found == Packing.GZIP else _zstd
    with stream(whole, file_name) as source:
        start = _read(source, START)
        text = False
        if not start.startswith(WHOLE):
            target.write_bytes(start)
            text = seen(target, contract) == Kind.CSV
        poured(source, target, Budget(whole.stat().st_size, file_name), start, most=most if text else None)
    if not target.stat().st_size:
        raise StructureError("refusal.empty_file", file=file_name)
    return Unpacked([part(seen(target, contract), target, contract, file_name)])


def _of_bundle(whole: Path, scratch: Path, file_name: str, contract: SourceContract, most: int | None) -> Unpacked:
    """Every file of a bundle is the extract: somebody has delivered each of them."""
    parts, left_out = list[Part](), list[str]()
    with zip_members.readable_zip(file_name), bundle.opened(whole) as (members, packed):
        for number, one in enumerate(members, 1):
            name = f"{file_name}/{safe_name(one.name)}"
            folder = scratch / f"file{number}"
            folder.mkdir()
            path, digest = folder / "content", hashlib.sha256()
            with packed.open(one.member) as source, path.open("wb") as sink:
                while block := source.read(BLOCK):
                    digest.update(block)
                    sink.write(block)
            if digest.hexdigest() != one.sha256:
                raise StructureError("refusal.bundle_changed", file=name)
            if not one.bytes:
                raise StructureError("refusal.empty_file", file=name)
            found = _packed_once(seen(path, contract), path, folder, name, contract, most)
            parts += found.parts
            left_out += found.left_out
    return Unpacked(parts, tuple(left_out))


def _read(source: BinaryIO, size: int) -> bytes:
    """So many bytes, or all there are: a packing gives them as they come."""
    found = b""
    while len(found) < size and (block := source.read(size - len(found))):
        found += block
    return found


@contextmanager
def _gzip(whole: Path, file_name: str) -> Iterator[BinaryIO]:
    """The members of a gzip file, one after the other, each tried against its checksum."""
    try:
        with gzip.open(whole) as stream:
            yield stream  # type: ignore[misc]
    except EOFError:
        raise StructureError("refusal.packed_cut", file=file_name, what=Packing.GZIP) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise StructureError(
            "refusal.packed_broken", file=file_name, what=Packing.GZIP, error=harmless(error)
        ) from None


@contextmanager
def _zstd(whole: Path, file_name: str) -> Iterator[BinaryIO]:
    """The frames of a zstd file, one after the other. A cut one would be taken for its end: frames are counted first."""
    if not _frames_end(whole):
        raise StructureError("refusal.packed_cut", file=file_name, what=Packing.ZSTD)
    try:
        with (
            whole.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as stream,
        ):
            yield stream
    except zstandard.ZstdError as error:
        raise StructureError(
            "refusal.packed_broken", file=file_name, what=Packing.ZSTD, error=harmless(error)
        ) from None


def _frames_end(whole: Path) -> bool:
    """Whether the last block of the last frame is there, as the frames' own figures say (RFC 8878, 3.1); nothing is unpacked."""
    size = whole.stat().st_size
    with whole.open("rb") as handle:
        while (head := handle.read(18)) and handle.tell() <= size:
            begin = handle.tell() - len(head)
            if len(head) < 6:
                return False
            magic = int.from_bytes(head[:4], "little")
            if magic & 0xFFFFFFF0 == _SKIPPED:
                handle.seek(begin + 8 + int.from_bytes(head[4:8], "little"))
                continue
            if magic != _ZSTD:
                return True  # what follows is no frame: unpacking says so
            descriptor = head[4]
            single, dictionary = descriptor >> 5 & 1, (0, 1, 2, 4)[descriptor & 3]
            content = (single, 2, 4, 8)[descriptor >> 6]
            handle.seek(begin + 5 + (1 - single) + dictionary + content)
            last = False
            while not last:
                block = int.from_bytes(three := handle.read(3), "little")
                if len(three) < 3:
                    return False
                last, kind, length = bool(block & 1), block >> 1 & 3, block >> 3
                handle.seek(1 if kind == 1 else length, 1)
            if descriptor >> 2 & 1:
                handle.seek(4, 1)
        return handle.tell() <= size
