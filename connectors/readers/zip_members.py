"""What is in a zip archive: which members are the extract, which are not and are left out, and how much may come out of it.

The extract is known by its header. What has none of the contract's columns, beside a member that has them, is left out and reported: a
readme, a document, an archive in the archive. Bytes are counted while they are unpacked; the archive's own figures are not trusted.
Does not belong here: decoding members (decoding.py).
"""

from __future__ import annotations

import codecs
import csv
import errno
import lzma
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.detection import harmless
from connectors.personal_data.safe_names import safe_name
from connectors.readers.headers import HEADER_LETTERS, StructureError, listed

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # the second: an archive of nothing
MEMBERS = 1_000  # our proposals, as the next
UNPACKED = 8 << 30  # bytes
RATIO, ANYHOW = 100, 16 << 20  # so many times its size may come of an archive, and so many bytes of any
_DIRECTORY = 1 << 20  # bytes of the archive's list of members
_BLOCK, _SMALL = 1 << 20, 1 << 12
_SAMPLE = 20  # records looked at, of a member without a header
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OF_SYSTEMS = {".ds_store", "thumbs.db", "desktop.ini"}
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


@dataclass(frozen=True)
class Unpacked:
    """The members that are the extract, in order of their names, and the names of those left out as they may be shown."""

    files: list[tuple[str, Path]]
    left_out: tuple[str, ...]


def unpacked(whole: Path, scratch: Path, file_name: str, contract: SourceContract) -> Unpacked:
    """Unpack the extract. Raises StructureError."""
    with _opened(whole, file_name) as bundle:
        found = sorted((i for i in bundle.infolist() if not i.is_dir()), key=lambda i: i.filename)
        named = [i for i in found if not _of_a_system(i.filename)]
        twice = sorted(n for n, times in Counter(i.filename for i in named).items() if times > 1)
        if twice:
            raise StructureError("refusal.members_of_one_name", file=file_name, names=_listed(twice))
        chosen = _chosen(bundle, named, contract, file_name)
        limit = min(max(RATIO * whole.stat().st_size, ANYHOW), UNPACKED)
        files = []
        for index, info in enumerate(chosen):
            target = scratch / f"member{index}"
            limit -= _copy(bundle, info, target, limit, file_name)
            files.append((f"{file_name}/{safe_name(info.filename)}", target))
    return Unpacked(files, tuple(safe_name(i.filename) for i in named if i not in chosen))


def _listed(names: Iterable[str]) -> Any:
    return listed(map(safe_name, names))


@contextmanager
def _opened(whole: Path, file_name: str) -> Iterator[zipfile.ZipFile]:
    count, directory = _declared_sizes(whole)
    if count > MEMBERS or directory > _DIRECTORY:
        raise StructureError("refusal.too_many_members", file=file_name, most=MEMBERS)
    try:
        with zipfile.ZipFile(whole) as bundle:
            if len(bundle.infolist()) > MEMBERS:
                raise StructureError("refusal.too_many_members", file=file_name, most=MEMBERS)
            yield bundle
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        OSError,
        RuntimeError,
        struct.error,
        ValueError,
    ) as error:
        # RuntimeError: encrypted, or packed by a method that Python does not know; ValueError: names and times that are none
        if is_machine_fault(error) or isinstance(error, StructureError):
            raise
        raise StructureError("refusal.zip_unreadable", file=file_name, error=harmless(error)) from error


def _declared_sizes(whole: Path) -> tuple[int, int]:
    """How many members an archive says it has, and the bytes of their list; 0 where it does not say. Reading that list takes memory."""
    with whole.open("rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(max(size - (1 << 16) - 98, 0))
        tail = handle.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) < at + 22:
            return 0, 0
        count, directory = struct.unpack("<HL", tail[at + 10 : at + 16])
        if tail[max(at - 20, 0) : at][:4] == b"PK\x06\x07" and (count == 0xFFFF or directory == 0xFFFFFFFF):
            (place,) = struct.unpack("<Q", tail[at - 12 : at - 4])
            if place + 56 <= size:
                handle.seek(place)
                record = handle.read(56)
                if record[:4] == b"PK\x06\x06":
                    count, directory = struct.unpack("<QQ", record[32:48])
    return count, directory


def _of_a_system(name: str) -> bool:
    """Files that operating systems add by themselves."""
    path = PurePosixPath(name)
    return "__MACOSX" in path.parts or path.name.startswith("._") or path.name.lower() in _OF_SYSTEMS


def _chosen(
    bundle: zipfile.ZipFile, named: list[zipfile.ZipInfo], contract: SourceContract, file_name: str
) -> list[zipfile.ZipInfo]:
    """The members that are the extract."""
    heads = {info.filename: _head(bundle, info, contract) for info in named}
    known = {*contract.headers, *(c.header for c in contract.columns if c.header)}
    fitting = [i for i in named if heads[i.filename] and known & {*heads[i.filename][0]}]
    if fitting:
        widths = {len(heads[i.filename][0]) for i in fitting} - {1}
        for info in named:
            records = [r for r in heads[info.filename] if r]
            if info not in fitting and 3 * sum(len(r) in widths for r in records) > 2 * len(records):
                raise StructureError(
                    "refusal.member_without_header",
                    file=file_name,
                    member=safe_name(info.filename),
                    contract=contract.id,
                )
        return fitting
    texts = [i for i in named if i.filename.lower().endswith((".csv", ".txt", ".tsv"))]
    if len(texts) == 1:
        return texts  # what is wrong with it shows in its header
    if texts:
        names = _listed(i.filename for i in texts)
        raise StructureError("refusal.no_member_fits", file=file_name, contract=contract.id, names=names)
    holds = {"code": "archive.holds", "names": _listed(i.filename for i in named)} if named else ""
    raise StructureError("refusal.archive_without_csv", file=file_name, holds=holds)


def _head(bundle: zipfile.ZipFile, info: zipfile.ZipInfo, contract: SourceContract) -> list[list[str]]:
    """The first records of a member, as far as it is text; its first is the header if it has one."""
    with bundle.open(info) as source:
        start = source.read(_SMALL)
        if len(start) == _SMALL and b"\n" not in start and b"\r" not in start:
            start += source.read(HEADER_LETTERS)
    encoding = contract.encoding
    if b"\0" in start and not encoding.lower().startswith(("utf-16", "utf-32")) and start[:2] not in _MARKS:
        return []  # no text
    if start[:2] in _MARKS:
        encoding = "utf-16"  # whether the contract has it so is seen to when it is decoded
    elif start.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    try:
        text = start.decode(encoding, "replace").removeprefix("\ufeff")
    except UnicodeError:
        text = start.decode("utf-16-le", "replace")
    lines = text.splitlines(keepends=True)
    if len(start) >= _SMALL and len(lines) > 1:
        lines.pop()  # cut
    records: list[list[str]] = []
    try:
        for record in csv.reader(lines, delimiter=contract.delimiter, quotechar=contract.quote or None):
            records.append([cell.strip() for cell in record])
            if len(records) == _SAMPLE:
                break
    except csv.Error:
        pass  # no text, or none that can be split
    return records


def _copy(bundle: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, limit: int, file_name: str) -> int:
    """Unpack a member, counting. Returns its bytes. Raises StructureError beyond the limit."""
    # what is packed by another method is unpacked as a whole from each block read: small ones keep that small
    block_size = _BLOCK if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) else _SMALL
    size = 0
    with bundle.open(info) as source, target.open("wb") as sink:
        while block := source.read(block_size):
            size += len(block)
            if size > limit:
                raise StructureError("refusal.unpacks_too_large", file=file_name, ratio=RATIO, most=UNPACKED >> 30)
            sink.write(block)
    return size
