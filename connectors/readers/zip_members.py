"""What is in a zip archive: which members are the extract, which are not and are left out, and how much may come out of it.

The extract is known by its header, or by the contract's pattern `members`. What has none of the contract's columns, beside a member that has
them, is left out and reported: a readme, a document, an archive in the archive. Does not belong here: other packings (unpacking.py), decoding
members (decoding.py).
"""

from __future__ import annotations

import codecs
import csv
import fnmatch
import lzma
import struct
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.detection import harmless
from connectors.personal_data.safe_names import safe_name
from connectors.readers import limits
from connectors.readers.headers import HEADER_LETTERS, StructureError, check_header, listed
from connectors.readers.kinds import START, WHOLE, Kind, Other, Packing, Part, Seen, part, seen
from connectors.readers.limits import Budget, is_machine_fault, poured
from connectors.readers.rows import header_in
from connectors.readers.trimming import records_from

_DIRECTORY = 1 << 20  # bytes of the archive's list of members
_SAMPLE = 20  # records looked at, of a member without a header
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OF_SYSTEMS = {".ds_store", "thumbs.db", "desktop.ini"}
_TEXTS = (".csv", ".txt", ".tsv")
_ENCRYPTED = 0x1  # of a member's flags


def unpacked(
    whole: Path, scratch: Path, file_name: str, contract: SourceContract, most: int | None = None
) -> tuple[list[Part], tuple[str, ...]]:
    """Unpack the extract: its members in order of their names, and the names of those left out as they may be shown.

    `most`: bytes of a text that are wanted. Raises StructureError.
    """
    with opened(whole, file_name) as packed:
        found = sorted((i for i in packed.infolist() if not i.is_dir()), key=lambda i: i.filename)
        named = [i for i in found if not _of_a_system(i.filename)]
        twice = sorted(n for n, times in Counter(i.filename for i in named).items() if times > 1)
        if twice:
            raise StructureError("refusal.members_of_one_name", file=file_name, names=_listed(twice))
        if any(i.flag_bits & _ENCRYPTED for i in named):
            raise StructureError("refusal.encrypted_archive", file=file_name)
        archive = _Archive(packed, scratch, file_name, contract, Budget(whole.stat().st_size, file_name), most)
        chosen = archive.matching(named) if contract.layout.members else archive.known_by_header(named)
        parts = [archive.part(info) for info in chosen]
    return parts, tuple(safe_name(i.filename) for i in named if i not in chosen)


def _listed(names: Iterable[str]) -> Any:
    return listed(map(safe_name, names))


@contextmanager
def opened(whole: Path, file_name: str) -> Iterator[zipfile.ZipFile]:
    """An archive, of no more members than any has. What is wrong with it is a StructureError, also while its members are read."""
    count, directory = _declared_sizes(whole)
    if count > limits.MEMBERS or directory > _DIRECTORY:
        raise StructureError("refusal.too_many_members", file=file_name, most=limits.MEMBERS)
    with readable_zip(file_name), zipfile.ZipFile(whole) as packed:
        if len(packed.infolist()) > limits.MEMBERS:
            raise StructureError("refusal.too_many_members", file=file_name, most=limits.MEMBERS)
        yield packed


@contextmanager
def readable_zip(file_name: str) -> Iterator[None]:
    """What is found wrong with a zip inside is a StructureError; faults of this machine are not."""
    try:
        yield
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
        # RuntimeError: packed by a method that Python does not know; ValueError: names and times that are none
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


@dataclass
class _Archive:
    """An opened archive, and what has been taken out of it."""

    packed: zipfile.ZipFile
    scratch: Path
    file_name: str
    contract: SourceContract
    budget: Budget
    most: int | None

    def __post_init__(self) -> None:
        self._seen = dict[str, Seen]()
        self._paths = dict[str, Path]()  # of members that are unpacked already

    def matching(self, named: Sequence[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
        """The members whose name or path is of the contract's pattern."""
        pattern = unicodedata.normalize("NFC", self.contract.layout.members)
        chosen = []
        for info in named:
            path = unicodedata.normalize("NFC", info.filename)
            if fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(PurePosixPath(path).name, pattern):
                chosen.append(info)
        if not chosen:
            names, contract = _listed(i.filename for i in named), self.contract.id
            raise StructureError(
                "refusal.no_member_matches", file=self.file_name, pattern=pattern, contract=contract, names=names
            )
        return chosen

    def known_by_header(self, named: Sequence[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
        """The members that have columns of the contract; if none has, the only one that may be the extract: its header says what is wrong."""
        kinds = {i.filename: self.seen(i) for i in named}
        declared = self.contract.format
        tables = [
            i for i in named if isinstance(k := kinds[i.filename], Kind) and k != Kind.CSV and declared in ("", k)
        ]
        texts = [i for i in named if kinds[i.filename] == Kind.CSV and declared in ("", Kind.CSV)]
        fitting = self._fitting_texts(texts)
        if fitting:
            both = [i for i in tables if self._has_header(i, whole=True)]
            self._refuse_kinds([*fitting, *both] if both else [])
            return fitting
        fitting = [i for i in tables if self._has_header(i)]
        self._refuse_kinds(fitting if len({kinds[i.filename] for i in fitting}) > 1 else [])
        if fitting:
            return fitting
        called = [i for i in texts if i.filename.lower().endswith(_TEXTS)]
        if len(candidates := [*called, *tables]) == 1:
            return candidates
        if candidates:
            names = _listed(i.filename for i in candidates)
            raise StructureError("refusal.no_member_fits", file=self.file_name, contract=self.contract.id, names=names)
        if len(named) == 1 and isinstance(kinds[named[0].filename], Packing | Other):
            return list(named)  # it is said what it is instead
        holds = {"code": "archive.holds", "names": _listed(i.filename for i in named)} if named else ""
        raise StructureError("refusal.archive_without_extract", file=self.file_name, holds=holds)

    def _refuse_kinds(self, members: Sequence[zipfile.ZipInfo]) -> None:
        if members:
            raise StructureError(
                "refusal.members_of_kinds",
                file=self.file_name,
                names=_listed(i.filename for i in members),
                contract=self.contract.id,
            )

    def _fitting_texts(self, named: Sequence[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
        heads = {info.filename: self._head(info) for info in named}
        known = {*self.contract.headers, *(c.header for c in self.contract.columns if c.header)}
        fitting = [i for i in named if heads[i.filename] and known & {*heads[i.filename][0]}]
        widths = {len(heads[i.filename][0]) for i in fitting} - {1}
        for info in named if fitting else ():
            records = [r for r in heads[info.filename] if r]
            if info not in fitting and 3 * sum(len(r) in widths for r in records) > 2 * len(records):
                raise StructureError(
                    "refusal.member_without_header",
                    file=self.file_name,
                    member=safe_name(info.filename),
                    contract=self.contract.id,
                )
        return fitting

    def _has_header(self, info: zipfile.ZipInfo, *, whole: bool = False) -> bool:
        """Whether a workbook or the like has columns of the contract, or all of them."""
        one, contract = self.part(info), self.contract
        try:
            header = header_in(one, contract)
            if whole:
                check_header(header, contract, one.name)
        except StructureError:
            return False
        return bool({*contract.headers, *(c.header for c in contract.columns if c.header)} & {*header})

    def seen(self, info: zipfile.ZipInfo) -> Seen:
        """What a member is. One whose beginning does not tell is unpacked."""
        if info.filename not in self._seen:
            with self.packed.open(info) as source:
                start = source.read(START)
            path = self.scratch / "start"
            if start.startswith(WHOLE):
                path = self._unpack(info, None)
            else:
                path.write_bytes(start)
            self._seen[info.filename] = seen(path, self.contract)
        return self._seen[info.filename]

    def part(self, info: zipfile.ZipInfo) -> Part:
        """A member, unpacked. Raises StructureError if it is nothing that is read."""
        name, kind = f"{self.file_name}/{safe_name(info.filename)}", self.seen(info)
        if isinstance(kind, Packing | Other):
            return part(kind, self.scratch, self.contract, name)
        path = self._paths.get(info.filename) or self._unpack(info, self.most if kind == Kind.CSV else None)
        return part(kind, path, self.contract, name)

    def _unpack(self, info: zipfile.ZipInfo, most: int | None) -> Path:
        path = self._paths[info.filename] = self.scratch / f"member{len(self._paths)}"
        # what is packed by another method is unpacked as a whole from each block read: small ones keep that small
        plain = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        with self.packed.open(info) as source:
            poured(source, path, self.budget, most=most, block_size=limits.BLOCK if plain else limits.SMALL)
        return path

    def _head(self, info: zipfile.ZipInfo) -> list[list[str]]:
        """A member's header if it has one, and its first records, as far as it is text."""
        with self.packed.open(info) as source:
            start = source.read(limits.SMALL)
            if len(start) == limits.SMALL and (self.contract.layout.header_row > 1 or not {10, 13} & {*start}):
                start += source.read(HEADER_LETTERS)
        encoding = self.contract.encoding
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
        if len(start) >= limits.SMALL and len(lines) > 1:
            lines.pop()  # cut
        records: list[list[str]] = []
        try:
            for record in records_from(lines, self.contract):
                records.append([cell.strip() for cell in record])
                if len(records) == _SAMPLE:
                    break
        except csv.Error:
            pass  # no text, or none that can be split
        return records
