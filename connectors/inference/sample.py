"""A sample of a system's file: its encoding, delimiter, header and cells, found by the means by which extracts are read.

For the first version of a contract (`qala new`): what a contract would say is tried out, never sniffed in a way of its own. Does not belong
here: what the cells mean (inference.py).
"""

from __future__ import annotations

import codecs
import csv
import re
import shutil
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.inference.where_rows_are import LAST, LINES, YEAR, layout_of
from connectors.mapping.layout import Layout
from connectors.mapping.source_contract import SourceColumn, SourceContract
from connectors.personal_data.detection import harmless, scrubbed
from connectors.readers.decoding import decoded
from connectors.readers.headers import HEADER_CELLS, StructureError, header_of
from connectors.readers.kinds import Kind, Part
from connectors.readers.readers import records
from connectors.readers.rows import rows_of
from connectors.readers.trimming import trimmed
from connectors.readers.unpacking import unpacked
from kpi_definitions.nearest import no_file
from warehouse.sql import literal, quoted

LARGEST = 64 << 20  # bytes of a sample; our proposal, as the next
RECORDS = 5_000  # that are looked at
FIELDS_OF = 200  # of them those whose fields are looked for
_ENCODINGS = ("kz1048", "cp1251", "cp866")  # of 8 bits, in the order they are tried
_DELIMITERS = (";", ",", "\t", "|")
_COLUMNS = 256  # of a sheet, among which names that repeat are looked for
_WHOLE = 0.98  # share of records with as many cells as the header, for a delimiter to be the file's
_BLOCK = 1 << 20
_WORKBOOKS = (Kind.XLSX, Kind.XLS, Kind.ODS)
_DATA = re.compile(r"[\d\s.,:;+/-]+")  # what a header's name is not


class SampleError(StructureError):
    """A sample from which no contract can be begun; its text is for the one who gave it, and recorded nowhere."""

    def __init__(self, text: str):
        ValueError.__init__(self, text)


@dataclass(frozen=True)
class Sample:
    """A file as it is read: `cells` by header, the texts of up to RECORDS records."""

    name: str
    header: tuple[str, ...]
    cells: Mapping[str, list[str | None]]
    encoding: str = "utf-8"
    delimiter: str = ","
    types: Mapping[str, str] = field(default_factory=dict)  # of Parquet: by header, DuckDB's type
    broken: int = 0  # records that cannot be split
    doubts: tuple[str, ...] = ()
    kind: Kind = Kind.CSV
    layout: Layout = field(default_factory=Layout)

    @property
    def records(self) -> int:
        return len(next(iter(self.cells.values()), []))

    def loaded(self, con: duckdb.DuckDBPyConnection) -> None:
        """Make the cells a table `sample` of a connection: texts, as the first gate has them."""
        texts = pa.table({h: pa.array(values, pa.string()) for h, values in self.cells.items()})
        con.register("sample_cells", texts)
        con.execute("CREATE OR REPLACE TEMP TABLE sample AS SELECT * FROM sample_cells")
        con.unregister("sample_cells")


def read_sample(file: Path, scratch: Path) -> Sample:
    """Read a sample; what is unpacked and decoded lies in `scratch`. Raises SampleError or StructureError."""
    if not file.is_file():
        raise SampleError(no_file(file))
    if file.stat().st_size > LARGEST:
        raise SampleError(f"{file.name}: a sample has at most {LARGEST >> 20} MB; take the header and the first lines")
    whole = Path(shutil.copyfile(file, scratch / "content"))
    draft = _draft(",", "utf-8")
    try:
        found = unpacked(whole, scratch, file.name, draft)
    except StructureError as error:
        raise SampleError(f"{error}; of an archive, unpack it and name one of its files as the sample") from None
    one = found.parts[0]
    if one.kind == Kind.PARQUET:
        return _parquet(one.path, one.name)
    if one.kind != Kind.CSV:
        return _rows(one, draft, *(_in_sheets(one) if one.kind in _WORKBOOKS else (Layout(), [])))
    encoding, doubts = _encoding(one.path, one.name)
    text = decoded(one.path, encoding, one.name)
    return _text(text, one.name, encoding, doubts)


def _draft(delimiter: str, encoding: str) -> SourceContract:
    """A contract that asks for nothing: what the readers need to read by."""
    return SourceContract(
        "sample", "1", "sample", "sample", (), (), encoding=encoding, delimiter=delimiter, other_headers="ignore"
    )


def _encoding(path: Path, name: str) -> tuple[str, tuple[str, ...]]:
    """The encoding, and what is doubtful about it. An 8-bit page is taken if its letters are plausible (decoding.py)."""
    with path.open("rb") as handle:
        start = handle.read(2)
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16", ()
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as handle:
            while block := handle.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8", ()
    for encoding in _ENCODINGS:
        try:
            decoded(path, encoding, name)
        except StructureError:
            continue
        return encoding, ()
    return "cp1251", (
        "encoding: neither UTF-8 nor plausible as KZ-1048, windows-1251 or CP866; ask the system's people",
    )


def _text(path: Path, name: str, encoding: str, doubts: tuple[str, ...]) -> Sample:
    best: tuple[float, int, Sample] | None = None
    problem: StructureError | None = None
    for delimiter in _DELIMITERS:
        try:
            one = _split(path, name, _draft(delimiter, encoding))
        except StructureError as error:
            problem = error
            continue
        share = one.records / max(1, one.records + one.broken)
        rank = (float(share >= _WHOLE and len(one.header) > 1), len(one.header))
        if best is None or rank > best[:2]:
            best = (*rank, one)
    if best is None:
        raise problem or SampleError(f"{name}: no header can be read")
    found = best[2]
    if found.broken:
        doubts = (
            *doubts,
            f"{found.broken:,} of {found.broken + found.records:,} records cannot be split: is the delimiter or the quote another?",
        )
    _refuse_data(found.header, name)
    return replace(found, doubts=(*found.doubts, *doubts))


def _split(path: Path, name: str, contract: SourceContract) -> Sample:
    """The file as it is split by the draft's delimiter, where its rows are."""
    layout, asked = _in_text(path, contract)
    contract = replace(contract, layout=layout)
    path = trimmed(path, contract, name).path
    header = header_of(path, contract, name)
    rows: list[list[str]] = []
    broken = 0
    for record in _records(path, contract):
        if len(record) == len(header) + 1 and not record[-1]:
            record.pop()  # a delimiter at the end of the line
        if len(record) == len(header):
            rows.append(record)
        else:
            broken += 1
    cells: dict[str, list[str | None]] = {
        h: [row[n] or None for row in rows] for n, h in enumerate(header) if h and header.index(h) == n
    }
    return Sample(name, header, cells, contract.encoding, contract.delimiter, {}, broken, tuple(asked), layout=layout)


def _in_text(path: Path, contract: SourceContract) -> tuple[Layout, list[str]]:
    """Where in a text the rows are."""
    with path.open(encoding="utf-8", errors="replace", newline="") as source:
        lines = csv.reader(source, delimiter=contract.delimiter, quotechar=contract.quote)
        try:
            head = list(islice(lines, LINES))
            return layout_of(head, deque(lines, LAST), sheet=False)
        except csv.Error:  # told by who reads it as a whole
            return Layout(), []


def _records(path: Path, contract: SourceContract) -> Iterator[list[str]]:
    return (cells for cells, _ in islice(records(path, contract), 1, RECORDS + 1))


def _in_sheets(one: Part) -> tuple[Layout, list[str]]:
    """Where in a workbook the rows are: in the sheet with most cells."""
    from connectors.readers.workbooks import sheets

    best, many = (0, "", Layout(), list[str]()), 0
    for sheet, lines in sheets(one.path, one.name):
        head = list(islice(lines, LINES))
        tail = deque(lines, LAST)
        cells = sum(bool(cell.strip()) for line in (*head, *tail) for cell in line)
        many += bool(cells)
        if cells > best[0]:
            best = (cells, sheet, *layout_of(head, tail, sheet=True))
    _, sheet, layout, doubts = best
    if many < 2:
        return layout, doubts
    return replace(layout, sheet=sheet), [
        f"is {sheet} the sheet that is meant, of {many} with something in them?",
        *doubts,
    ]


def _rows(one: Part, contract: SourceContract, layout: Layout, doubts: Sequence[str]) -> Sample:
    """A workbook, JSON or XML as it is read."""
    if one.kind in (Kind.JSON, Kind.JSONL):
        contract = _with_fields(one, contract)
    contract = replace(contract, layout=layout)
    rows = rows_of(one, contract)
    if one.kind in _WORKBOOKS and len(set(rows.header)) < len(rows.header):
        rows = rows_of(one, _told_apart(rows.header, contract))
    if not rows.header:
        raise SampleError(
            f"{one.name}: the fields of {one.kind} are named by the contract, which has to be begun by hand: copy the first lines of another and "
            "write each field's way as physicalName (docs/reference/file-formats.md), then: qala try FILE --contract PATH"
        )
    _refuse_data(rows.header, one.name)
    found = [record.cells for record in islice(rows.records, RECORDS)]
    whole = [cells for cells in found if len(cells) == len(rows.header)]
    cells = {h: [row[n] or None for row in whole] for n, h in enumerate(rows.header)}
    broken = len(found) - len(whole)
    return Sample(one.name, rows.header, cells, broken=broken, doubts=tuple(doubts), kind=one.kind, layout=layout)


def _with_fields(one: Part, contract: SourceContract) -> SourceContract:
    """The draft with a column for each field of the first records: in JSON a header is what a contract names."""
    from connectors.readers.json_rows import fields_of

    fields = fields_of(one.path, replace(contract, format=one.kind), one.name, FIELDS_OF)[:HEADER_CELLS]
    return replace(contract, columns=tuple(SourceColumn(f"c{n}", f, None, {}) for n, f in enumerate(fields)))


def _told_apart(header: tuple[str, ...], contract: SourceContract) -> SourceContract:
    """The draft with a column for each name that repeats, by the letter of its column in the sheet."""
    from connectors.readers.workbooks import letters

    twice = {h for h in header if header.count(h) > 1}
    named = [f"{name} [{letters(n)}]" for name in sorted(twice) for n in range(_COLUMNS)]
    return replace(contract, columns=tuple(SourceColumn(f"c{n}", h, None, {}) for n, h in enumerate(named)))


def _refuse_data(header: tuple[str, ...], name: str) -> None:
    """Raises SampleError where the first line holds data: they must not get into a contract as names of columns."""
    years = not all(YEAR.fullmatch(h) for h in header)  # a column may be called 2025, where others have words
    wrong = [
        n
        for n, h in enumerate(header, 1)
        if h and (scrubbed(h) != h or (_DATA.fullmatch(h) and not (years and YEAR.fullmatch(h))))
    ]
    if wrong:
        places = ", ".join(map(str, wrong[:10]))
        raise SampleError(
            f"{name}: its first line has data where names of columns should be (place {places}); give the sample its header"
        )
    twice = sorted({h for h in header if header.count(h) > 1})
    if twice:
        raise SampleError(
            f"{name}: the header repeats {', '.join(map(repr, twice[:5]))}; give each column a name of its own"
        )


def _parquet(path: Path, name: str) -> Sample:
    try:
        header = tuple(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise SampleError(f"{name}: the Parquet file cannot be read ({harmless(error)})") from None
    with duckdb.connect() as con:
        source = f"FROM read_parquet({literal(str(path))}) LIMIT {RECORDS}"
        types = {str(c[0]): str(c[1]) for c in con.execute(f"DESCRIBE SELECT * {source}").fetchall()}
        listed = ", ".join(f"CAST({quoted(h)} AS VARCHAR)" for h in header)
        rows = con.execute(f"SELECT {listed} {source}").fetchall()
    cells: dict[str, list[str | None]] = {h: [row[n] for row in rows] for n, h in enumerate(header)}
    return Sample(name, header, cells, types=types, kind=Kind.PARQUET)
