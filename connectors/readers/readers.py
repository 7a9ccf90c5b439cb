"""From archived bytes to files DuckDB can read: unpack, decode to UTF-8, check the header, repair what cannot be split.

DuckDB's CSV reader matches columns by position and would load swapped or renamed columns without a word, so the header is
read and compared with the contract first; columns are then addressed by name. Does not belong here: what a file is (kinds.py), packings
(unpacking.py), encodings (decoding.py), headers (headers.py), what becomes of workbooks and the like (rows.py), what a cell means (mapping/).
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectors.archive.archive import Archive, ContentError
from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.rejected_values import shown_bytes, shown_record
from connectors.readers.decoding import decoded, holds_nul
from connectors.readers.headers import StructureError as StructureError
from connectors.readers.headers import check_header, header_of
from connectors.readers.kinds import Kind, Part
from connectors.readers.record import BadRecord
from connectors.readers.rows import contract_of_rows, schema_of, written
from connectors.readers.trimming import trimmed
from connectors.readers.unpacking import Unpacked, unpacked
from warehouse.messages.messages import Message
from warehouse.tables.identifiers import BLANKS

_BLOCK = 1 << 20
_REPAIRED_AT_ONCE = 8 << 20  # bytes of a file up to which it is repaired without a scan
RAW = 10_000  # letters kept of a record or a cell that cannot be read
ROW_NUMBER, SPOILT = "__row_no", "__spoilt"
NO_HEADERS: Mapping[str, tuple[str, ...]] = {}


@dataclass
class Readable:
    """A delivery's file(s), in UTF-8, with a checked header."""

    files: list[Path]
    header: tuple[str, ...]
    contract: SourceContract  # to read them by: the delivery's, or one for records that were written as CSV
    parquet: bool = False
    types: tuple[str, ...] = ()  # of Parquet columns: a scan over several files would cast them all to the first one's
    # carries __row_no and __spoilt (cells that were emptied) as its last columns, because broken records were taken out
    numbered: bool = False
    alone: bool = False  # must not be scanned together with other files
    bad: list[BadRecord] = field(default_factory=list)
    left_out: tuple[str, ...] = ()  # members of the archive that are no extract
    below: tuple[Message, ...] = ()  # what lines below the records were left out, by the contract's footer


def unpack(
    archive: Archive,
    sha256: str,
    contract: SourceContract,
    scratch: Path,
    file_name: str,
    emptiable: Mapping[str, tuple[str, ...]] = NO_HEADERS,
) -> Readable:
    """Bring a delivery's bytes into `scratch`, ready for DuckDB; `emptiable` as in `repair`. Raises StructureError, ArchiveError."""
    return ready(received(archive, sha256, contract, scratch, file_name), contract, scratch, file_name, emptiable)


def ready(
    found: Unpacked,
    contract: SourceContract,
    scratch: Path,
    file_name: str,
    emptiable: Mapping[str, tuple[str, ...]] = NO_HEADERS,
) -> Readable:
    """Unpacked files, ready for DuckDB: what it would refuse or misread is taken out (`repair`). Raises StructureError."""
    readable = as_received(found, contract, scratch, file_name)
    if readable.parquet or readable.numbered:
        return readable
    if any(holds_nul(path) for path in readable.files):
        repair(readable, contract, emptiable)  # such letters would be loaded
    elif not all(_quotes_pair(path, contract) for path in readable.files):
        # DuckDB says so only where it scans few files (see _quotes_pair): a large file is scanned alone, others are mended at once
        readable.alone = len(readable.files) == 1 and readable.files[0].stat().st_size > _REPAIRED_AT_ONCE
        if not readable.alone:
            repair(readable, contract, emptiable)
    return readable


def received(archive: Archive, sha256: str, contract: SourceContract, scratch: Path, file_name: str) -> Unpacked:
    """Bring a delivery's bytes into `scratch`, verified against their hash and unpacked. Raises StructureError, ArchiveError."""
    whole = scratch / "content"
    digest = hashlib.sha256()
    with archive.open(sha256) as stream, whole.open("wb") as target:
        while block := stream.read(_BLOCK):
            digest.update(block)
            target.write(block)
    if digest.hexdigest() != sha256:
        damaged = str(archive.path(sha256))
        raise ContentError("refusal.archived_bytes_changed", sha256=sha256, file=file_name, path=damaged)
    return unpacked(whole, scratch, file_name, contract)


def as_received(found: Unpacked, contract: SourceContract, scratch: Path, file_name: str) -> Readable:
    """Files with every record as it came: texts decoded, what is neither text nor Parquet written as CSV. Raises StructureError."""
    parts, first = found.parts, found.parts[0]
    for one in parts:
        if _way(one) != _way(first):
            raise StructureError("refusal.members_differ", file=file_name, member=one.name, first=first.name)
    if _way(first) is None:
        target = scratch / "rows"
        rows = written(parts, contract, target, file_name)
        read_by = contract_of_rows(contract)
        readable = Readable([target], rows.header, read_by, numbered=True, bad=rows.bad, below=rows.below)
    elif first.kind == Kind.PARQUET:
        readable = _tables(parts, contract, file_name)
    else:
        readable = _texts(parts, contract, file_name)
    readable.left_out = found.left_out
    return readable


def _way(one: Part) -> Kind | None:
    """How a file gets to DuckDB: as it is, or, None, written anew."""
    return one.kind if one.kind in (Kind.CSV, Kind.PARQUET) else None


def _tables(parts: Sequence[Part], contract: SourceContract, file_name: str) -> Readable:
    schemas = [schema_of(one) for one in parts]
    for one, schema in zip(parts, schemas, strict=True):
        check_header(tuple(schema.names), contract, one.name)
        if (schema.names, schema.types) != (schemas[0].names, schemas[0].types):
            raise StructureError("refusal.members_differ", file=file_name, member=one.name, first=parts[0].name)
    header, types = tuple(schemas[0].names), tuple(map(str, schemas[0].types))
    return Readable([one.path for one in parts], header, contract, parquet=True, types=types)


def _texts(parts: Sequence[Part], contract: SourceContract, file_name: str) -> Readable:
    readable: Readable | None = None
    for one in parts:
        text = text_of(one, contract)
        if readable is None:
            readable = Readable([], text.header, contract)
        elif text.header != readable.header:
            raise StructureError("refusal.members_differ", file=file_name, member=one.name, first=parts[0].name)
        readable.files.append(text.path)
        readable.below += text.below
    assert readable is not None
    return readable


@dataclass(frozen=True)
class Text:
    """A CSV file in UTF-8 of header and records, its header checked, and what is to be told of lines that were left out."""

    path: Path
    header: tuple[str, ...]
    below: tuple[Message, ...]


def text_of(one: Part, contract: SourceContract, *, beginning: bool = False) -> Text:
    """A file of CSV, decoded, and trimmed to its records. `beginning`: no more of it is there. Raises StructureError."""
    utf8 = decoded(one.path, contract.encoding, one.name, beginning=beginning)
    found = trimmed(utf8, contract, one.name, beginning=beginning)
    header = header_of(found.path, contract, one.name)
    check_header(header, contract, one.name, found.path)
    return Text(found.path, header, found.below)


def _quotes_pair(path: Path, contract: SourceContract) -> bool:
    """Whether every quote of a file opens a cell, closes one, or is doubled inside one.

    A quote left open takes in all that follows. DuckDB refuses such a file, but not in a scan of more than two files for
    each of its threads: there the rest of the file is lost without a word. Counted from 0, quotes of even number must stand at
    the beginning of a cell or right after the one before, and their number must be even; anything else is suspect.
    """
    if not contract.quote:
        return True
    import numpy as np

    quote, delimiter = contract.quote.encode()[0], contract.delimiter.encode()[-1]
    seen, before = 0, b"\n"
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK >> 2):  # small blocks are used again, large ones cost the pages of each
            if quote not in block:
                before = block[-1:]
                continue
            letters = np.frombuffer(before + block, np.uint8)
            places = np.flatnonzero(letters[1:] == quote)  # each the index of the letter before it
            preceding = letters[places[seen % 2 :: 2]]
            if not np.isin(preceding, [quote, delimiter, 10, 13]).all():
                return False
            seen, before = seen + len(places), block[-1:]
    return seen % 2 == 0


def repair(readable: Readable, contract: SourceContract, emptiable: Mapping[str, tuple[str, ...]] = NO_HEADERS) -> None:
    """Take records that cannot be split out of files DuckDB would refuse, and number the others. Slow; for broken files only.

    `emptiable`: headers whose cells are emptied where bytes are not of the encoding, with the columns made of each. Headers that the
    contract does not take may be emptied too, without a finding; a bad byte anywhere else costs the record.
    """
    taken = contract.read_from(readable.header)
    columns_of = {h: emptiable.get(h, ()) for h in readable.header if h in emptiable or h not in taken}
    row_no = 0
    for path in readable.files:
        clean = path.with_suffix(".clean")
        with clean.open("w", encoding="utf-8", newline="") as target:
            # before Python 3.13 the writer quotes only those line ends that it writes itself: hence both
            writer = csv.writer(target, lineterminator="\r\n", **_csv_format(contract))
            writer.writerow([*readable.header, ROW_NUMBER, SPOILT])
            found = records(path, contract)
            next(found)  # the header, checked before
            for record, raw in found:
                row_no += 1
                repaired = _repaired(row_no, record, raw, readable.header, columns_of)
                if isinstance(repaired, BadRecord):
                    readable.bad.append(repaired)
                else:
                    writer.writerow(repaired)
        clean.replace(path)
    readable.numbered = True


def _repaired(
    row_no: int, record: list[str], raw: str, header: tuple[str, ...], columns_of: Mapping[str, tuple[str, ...]]
) -> list[str | int] | BadRecord:
    """A record with its number and the list of its emptied cells, or why it is left out.

    `columns_of`: headers whose cells may be emptied, with the columns made of each.
    """
    if len(record) == len(header) + 1 and not record[-1]:
        record = record[:-1]  # a delimiter at the end of the line, as DuckDB allows it
    spoilt = [n for n, cell in enumerate(record) if _foreign(cell)]
    if "\0" in raw:
        return BadRecord(row_no, "encoding", shown_record(raw, "the letter NUL stands in it"))
    if len(record) == len(header) and all(header[n] in columns_of for n in spoilt):
        cells = [
            {"column_name": column, "rule": "encoding", "raw": shown_bytes(record[n])}
            for n in spoilt
            for column in columns_of[header[n]]
        ]
        # as hexadecimal digits: whatever quotes and delimiters there are, nothing of it can be taken for one
        emptied = json.dumps(cells).encode().hex() if cells else ""
        return [*("" if n in spoilt else cell for n, cell in enumerate(record)), row_no, emptied]
    if _foreign(raw):
        return BadRecord(row_no, "encoding", shown_record(raw, "bytes that are not of the encoding"))
    many = f"{len(record):,} cells, the header has {len(header):,}" if record else "its cells cannot be told apart"
    return BadRecord(row_no, "columns", shown_record(raw, many))


def _foreign(text: str) -> bool:
    """Whether a text holds bytes that are not of the encoding."""
    return any("\udc80" <= c <= "\udcff" for c in text)


def records(path: Path, contract: SourceContract) -> Iterator[tuple[list[str], str]]:
    """The header, then every record of a file that counts for a row's number: its cells, none if it cannot be split, and its lines.

    Lines without anything in any cell are no records: blank ones, and the delimiters alone that spreadsheets leave behind. A cell is
    nothing if it has no letter to be seen or is one of the contract's words for nothing.
    Bytes that are not UTF-8 come as surrogates (`surrogateescape`).
    """
    csv_format = _csv_format(contract)
    padded = re.compile(f"(^|{re.escape(contract.delimiter)}) +{re.escape(contract.quote or chr(0))}")
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as source:
        lines = _Lines(source)
        yield next(csv.reader(lines, **csv_format)), "".join(lines.used)
        reader = csv.reader(lines, strict=True, **csv_format)
        while True:
            lines.used.clear()
            try:
                record = next(reader, None)
                if record and padded.search("".join(lines.used)):
                    record = _unpadded(record, lines.used, contract.quote, csv_format)
            except (csv.Error, ValueError):
                # a quote that is never closed takes in what follows: only its first line is at fault, the others are read anew
                lines.give_back_all_but_first()
                yield [], "".join(lines.used)
            else:
                if record is None:
                    return
                if any(cell.strip(BLANKS) and cell not in contract.missing for cell in record):
                    yield record, "".join(lines.used)


def _csv_format(contract: SourceContract) -> dict[str, Any]:
    quoting = {"quotechar": contract.quote} if contract.quote else {"quotechar": None, "quoting": csv.QUOTE_NONE}
    return {"delimiter": contract.delimiter, **quoting}


def _unpadded(record: list[str], lines: list[str], quote: str, csv_format: Mapping[str, Any]) -> list[str]:
    """DuckDB allows blanks before an opening quote; Python takes them, and the quotes, for letters of the cell."""
    (skipped,) = csv.reader(lines, strict=True, skipinitialspace=True, **csv_format)
    if len(record) != len(skipped):
        return skipped
    return [s if cell.lstrip(" ").startswith(quote) else cell for cell, s in zip(record, skipped, strict=True)]


class _Lines:
    """Lines of a file, keeping those the CSV reader used for its last record."""

    def __init__(self, source: Iterator[str]):
        self.source, self.used = source, list[str]()
        self.again = deque[str]()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.again.popleft() if self.again else next(self.source)
        self.used.append(line)
        return line

    def give_back_all_but_first(self) -> None:
        self.again.extendleft(reversed(self.used[1:]))
        del self.used[1:]
