"""A file tried as a delivery: read by the same readers, staged by the first gate, judged as far as it tells by itself; and kept nowhere.

In an in-memory database with the tables of an empty warehouse. Nothing of a home is opened: pseudonyms are made by a key that is forgotten.
Does not belong here: what a delivery goes through (ingest_batch.py), how it is shown (pipelines/cli/screens/trial.py).
"""

from __future__ import annotations

import datetime as dt
import difflib
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb

from connectors.delivery_gate.declaration_checks import check_declared_content
from connectors.delivery_gate.judged_alone import Unmet, judge_alone
from connectors.delivery_gate.profile import profile_deliveries
from connectors.delivery_gate.shape_findings import shape_findings
from connectors.delivery_gate.unknown_codes import unknown_code_findings
from connectors.mapping.classification import personal_columns
from connectors.mapping.contract_checks import STANDARD
from connectors.mapping.source_contract import CIVIL_TIME, SourceColumn, SourceContract
from connectors.personal_data.deidentification import personal_data_findings
from connectors.personal_data.detection import scrubbed
from connectors.personal_data.safe_names import safe_header
from connectors.readers.headers import StructureError
from connectors.readers.kinds import Packing, seen
from connectors.readers.limits import read_or_refused
from connectors.readers.readers import Readable, ready, records
from connectors.readers.unpacking import unpacked
from connectors.row_gate.emptied_cells import optional_headers
from connectors.row_gate.incoming import Incoming
from connectors.row_gate.row_gate import stage
from kpi_definitions.documents import DocumentError
from warehouse.home.keys import Key
from warehouse.loading.broken_rules import Broken, broken_rules
from warehouse.loading.deliveries import DELIVERY_COLUMNS, Delivery
from warehouse.messages.messages import Message, recorded
from warehouse.periods import parse_period
from warehouse.sql import quoted, statement
from warehouse.tables.assertions import Asserts, Cut
from warehouse.tables.code_registries import codes_rule
from warehouse.tables.contracts import Table
from warehouse.tables.ddl import ddl, metadata
from warehouse.tables.settlements import settlements

FIRST = 3  # rows that are shown
_VALUES = 10  # of each rule
_UNDECIDED = "TODO"
_NUMBER = 1  # of the one delivery


@dataclass(frozen=True)
class Filled:
    """A column of the table as the file fills it: its headers, the first values, how many accepted rows have none."""

    name: str
    sql_type: str
    headers: tuple[str, ...]  # or its expression, where that names none
    values: tuple[str | None, ...]
    gaps: int
    hidden: bool  # a person's identifier: a pseudonym stands in its place


@dataclass
class Trial:
    """What became of a file that was tried. Messages are as they are recorded; names of headers as they may be shown."""

    file_name: str
    contract: SourceContract
    problem: str | None = None  # why it would be refused before a record is read
    kind: str = ""
    packing: str = ""
    files: int = 1
    left_out: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(
        default_factory=list
    )  # headers the contract asks for, and the nearest there is
    not_taken: list[Message | str] = field(default_factory=list)
    undecided: list[tuple[int, str]] = field(default_factory=list)  # lines of the contract, and what they say
    received: int = 0
    accepted: int = 0
    aside: int = 0  # left out by what the contract makes of the records (adr/0043)
    first_only: int | None = None  # records that were looked at, where not all were
    columns: list[Filled] = field(default_factory=list)
    broken: tuple[Broken, ...] = ()
    unmet: list[Unmet] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)
    days: tuple[dt.date, dt.date] | None = None  # first and last, by the column the extract is cut by

    @property
    def rejected(self) -> int:
        return self.received - self.accepted - self.aside

    @property
    def would_load(self) -> bool:
        """Whether a delivery of it would be taken in, as far as that can be told."""
        return self.problem is None and not self.undecided and not any(one.refuses for one in self.unmet)


def try_file(
    file: Path,
    table: Table,
    contract: SourceContract,
    tables: Mapping[str, Table],
    *,
    scope: str = "",
    period: str = "",
    rows: int | None = None,
    catalogues: Sequence[Path] = (),
) -> Trial:
    """Try a file. `tables`: all there are, for references; `catalogues`: folders of KPI catalogues beside the shipped one.

    `scope` and `period`: as a delivery would declare them, else what depends on them is not judged; `rows`: no more of its records.
    """
    trial = Trial(file.name, contract)
    if contract.document:
        trial.undecided = [(fault.line, fault.message) for fault in contract.document.undecided()]
    with tempfile.TemporaryDirectory(prefix="qala-try-") as folder:
        scratch = Path(folder)
        try:
            readable = _read(file, scratch, _decided(contract), trial, table)
        except StructureError as error:
            trial.problem = recorded(error.message)
            return trial
        if rows is not None:
            trial.first_only = _cut(readable, rows)
        with _empty_warehouse(table, tables, scratch) as con:
            if _stage(con, table, readable, trial, scope, period):
                _hold_codes(con, table, trial, catalogues)
    return trial


def _decided(contract: SourceContract) -> SourceContract:
    """A first version as far as it is decided: a column whose header is still to be written is filled with nothing."""
    open_places = {_UNDECIDED}
    return _without(contract, {h for h in contract.headers if h in open_places})


def _without(contract: SourceContract, lost: set[str]) -> SourceContract:
    """The contract over a file that does not have these headers."""

    def left(column: SourceColumn) -> SourceColumn:
        gone = lost & {*column.fed_by}
        return replace(column, header=None, logic="NULL", sources=(), codes={}) if gone else column

    headers = tuple(h for h in contract.headers if h not in lost)
    return replace(contract, columns=tuple(map(left, contract.columns)), headers=headers)


def _read(file: Path, scratch: Path, contract: SourceContract, trial: Trial, table: Table) -> Readable:
    """The file ready for the first gate. A header that is not the contract's is told, and read as far as it goes. Raises StructureError."""
    try:
        readable = _opened(file, scratch / "as-it-is", contract, trial, table)
    except StructureError as error:
        if error.message["code"] != "refusal.header":
            raise
        trial.problem = recorded(error.message)
        anything = replace(contract, headers=(), other_headers="ignore")
        readable = _opened(file, scratch / "as-it-comes", anything, trial, table)
        lost = {h for h in contract.headers if h not in readable.header}
        trial.missing = [(h, _nearest(h, readable.header)) for h in contract.headers if h in lost]
        readable.contract = _without(replace(readable.contract, headers=contract.headers), lost)
    mapped = {*contract.headers, *(c.header for c in contract.columns), *contract.personal_headers}
    strange = not mapped & {*readable.header}  # a file without a header: what stands there may be anybody's name
    trial.not_taken = [
        safe_header(place, h, contract.headers) if strange or not h or scrubbed(h) != h else h
        for place, h in enumerate(readable.header, 1)
        if h not in mapped
    ]
    return readable


def _opened(file: Path, folder: Path, contract: SourceContract, trial: Trial, table: Table) -> Readable:
    """Raises StructureError."""
    folder.mkdir()
    whole = Path(shutil.copyfile(file, folder / "content"))  # readers write beside what they read
    name = trial.file_name
    with read_or_refused(name, contract):
        found = unpacked(whole, folder, name, contract)
        trial.kind, trial.files, trial.left_out = str(found.parts[0].kind), len(found.parts), found.left_out
        packing = seen(whole, contract)
        trial.packing = str(packing) if isinstance(packing, Packing) else ""
        return ready(found, contract, folder, name, optional_headers(table, contract))


def _nearest(header: str, there: Sequence[str]) -> str:
    """The header of the file that is most like one that is asked for; empty if none is."""
    folded = {h.casefold().strip(): h for h in there}
    found = difflib.get_close_matches(header.casefold().strip(), folded, 1, 0.5)
    return folded[found[0]] if found else ""


def _cut(readable: Readable, rows: int) -> int | None:
    """Leave no more than so many records in the files. Returns how many are left, None if there are no more."""
    left, cut = rows, False
    for path in list(readable.files):
        if readable.parquet:
            count, more = _cut_parquet(path, left)
        else:
            count, more = _cut_text(path, readable.contract, left)
        left, cut = left - count, cut or more
    readable.bad = [one for one in readable.bad if one.row_no <= rows]
    return rows if cut else None


def _cut_text(path: Path, contract: SourceContract, rows: int) -> tuple[int, bool]:
    found = records(path, contract)
    kept = [raw for _, raw in islice(found, rows + 1)]
    more = next(found, None) is not None
    found.close()  # type: ignore[attr-defined]
    path.write_text("".join(kept), encoding="utf-8", errors="surrogateescape", newline="")
    return len(kept) - 1, more


def _cut_parquet(path: Path, rows: int) -> tuple[int, bool]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as source:
        many, schema = source.metadata.num_rows, source.schema_arrow
        with pq.ParquetWriter(path.with_suffix(".cut"), schema) as target:
            left = min(rows, many)
            for batch in source.iter_batches(batch_size=max(1, min(left, 65_536))):
                if left <= 0:
                    break
                target.write_batch(batch.slice(0, left))
                left -= batch.num_rows
    path.with_suffix(".cut").replace(path)
    return min(rows, many), many > rows


@contextmanager
def _empty_warehouse(table: Table, tables: Mapping[str, Table], scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables that the gates ask, without a row."""
    config: dict[str, Any] = {
        "temp_directory": str(scratch / "spill"),
        "autoinstall_known_extensions": "false",
        "python_enable_replacements": "false",
        "error_on_division_by_zero": "false",  # as in the warehouse (warehouse/store/sessions.py)
    }
    others = [tables[name] for name in sorted({r.table for r in table.references} - {table.name}) if name in tables]
    with duckdb.connect(config=config) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute("; ".join(ddl(metadata([table, *others]))))
        yield con


def _stage(
    con: duckdb.DuckDBPyConnection, table: Table, readable: Readable, trial: Trial, scope: str, period: str
) -> bool:
    """Read, cast and try every record, and sum up what came of it. Returns whether they could be read."""
    contract = readable.contract
    delivery = _declared(table, contract, readable, trial.file_name, scope, period)
    _register(con, delivery)
    start, end = delivery.period_start.isoformat(), delivery.period_end.isoformat()
    incoming = [Incoming(_NUMBER, delivery.scope, end, delivery.file_name, contract, None, readable, start)]
    key = Key.of("pseudonym", secrets.token_bytes(32))
    if failed := stage(con, table, incoming, CIVIL_TIME, key, to_holder=True):
        trial.problem = trial.problem or recorded(failed[_NUMBER].message)
        return False
    check_declared_content(con, table, [delivery], {_NUMBER: contract.cut if period else Cut(Asserts.CHANGES)})
    profile, broken = profile_deliveries(con, table, incoming)
    row = {str(name): value for name, value in profile.to_dict("records")[0].items()}
    trial.received, trial.accepted = int(row["received"]), int(row["accepted"])
    trial.aside = trial.received - trial.accepted - int(row["rejected"])
    trial.unmet, trial.unjudged = judge_alone(table, row, period=bool(period))
    trial.broken = _broken(con, table, contract)
    trial.columns = _columns(con, table, contract)
    trial.days = _days(con, contract)
    trial.notes = [f.observed for f in personal_data_findings(con, table, [_NUMBER]) if not f.passed]
    trial.notes += [recorded(said) for said in readable.below]
    for one in shape_findings(con, incoming, profile, broken):
        if one.severity == "error":
            trial.problem = trial.problem or one.observed
        elif one.passed:
            trial.notes.append(one.observed)
    return True


def _hold_codes(con: duckdb.DuckDBPyConnection, table: Table, trial: Trial, catalogues: Sequence[Path]) -> None:
    """Codes that no registry has; not judged where a catalogue of the home is at fault."""
    try:
        found = list(unknown_code_findings(con, table, [_NUMBER], catalogues))
    except DocumentError:
        trial.unjudged += [codes_rule(c.name, c.codes_of).id for c in table.columns if c.codes_of]
        return
    trial.unmet += [Unmet(f.rule, f.observed, f.expected, refuses=False) for f in found if not f.passed]


def _declared(
    table: Table, contract: SourceContract, readable: Readable, name: str, scope: str, period: str
) -> Delivery:
    """The delivery as it is declared, or as it would have to be: of the country where the rows name their settlement, else of any settlement."""
    own = contract.by_name.get("kato")
    named = own is not None and (not own.header or own.header in readable.header)
    stated = scope or ("KZ" if named else next(iter(settlements())))
    days = parse_period(period) if period else parse_period(f"{dt.datetime.now(dt.UTC):%Y-%m}")
    return Delivery(
        _NUMBER,
        "trial",
        table.name,
        contract.system or STANDARD,
        stated,
        days.id,
        days.start,
        days.end,
        name,
        "",
        0,
        None,
    )


def _register(con: duckdb.DuckDBPyConnection, delivery: Delivery) -> None:
    values = dict(zip(DELIVERY_COLUMNS, vars(delivery).values(), strict=True))
    values |= {"closing_month": delivery.closing_month, "received_at": dt.datetime.now(dt.UTC), "registered_seq": 1}
    values["state"] = "received"
    con.execute(
        f"INSERT INTO audit.delivery ({', '.join(values)}) VALUES ({', '.join('?' for _ in values)})",
        [*values.values()],
    )


def _broken(con: duckdb.DuckDBPyConnection, table: Table, contract: SourceContract) -> tuple[Broken, ...]:
    rows = f"({statement(__file__, 'work_staged_row__tried')})"
    return broken_rules(con, table, contract.fed_by, chosen="true", rejected_rows=rows, most=_VALUES).get("", ())


def _columns(con: duckdb.DuckDBPyConnection, table: Table, contract: SourceContract) -> list[Filled]:
    """Every column of the table with the first values that would be loaded; where no row is accepted, with those that are read."""
    names = [c.name for c in table.columns]
    accepted = con.execute("SELECT count(*) FROM work_staged_row WHERE broken IS NULL").fetchall()[0][0]
    taken = f"FROM work_staged_row WHERE {'broken IS NULL' if accepted else 'true'}"
    shown = ", ".join(f"CAST({quoted(n)} AS VARCHAR)" for n in names)
    first = con.execute(f"SELECT {shown} {taken} ORDER BY row_no LIMIT {FIRST}").fetchall()
    gaps = con.execute(f"SELECT {', '.join(f'count_if({quoted(n)} IS NULL)' for n in names)} {taken}").fetchall()[0]
    personal, unmapped = personal_columns(table, contract), contract.unmapped(table)
    return [
        Filled(
            column.name,
            column.sql_type,
            () if column.name in unmapped else _made_of(contract.by_name[column.name]),
            tuple(row[place] for row in first),
            gaps[place] or 0,
            column.name in personal,
        )
        for place, column in enumerate(table.columns)
    ]


def _made_of(column: SourceColumn) -> tuple[str, ...]:
    """Its headers, or what stands in the contract where it takes none of the file."""
    return column.fed_by or (column.logic or "",)


def _days(con: duckdb.DuckDBPyConnection, contract: SourceContract) -> tuple[dt.date, dt.date] | None:
    if not contract.cut.by:
        return None
    day = f"CAST({quoted(contract.cut.by)} AS DATE)"
    ((first, last),) = con.execute(
        f"SELECT min({day}), max({day}) FROM work_staged_row WHERE broken IS NULL"
    ).fetchall()
    return (first, last) if first else None
