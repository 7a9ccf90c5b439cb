"""Declared corrections: what a source has wrong, put right as data, in `<home>/corrections/<id>.yaml`.

A correction is applied to the source's own rows on their way through the loading door, every time they come, while the source still
says what `expect` says; that is its guard. When the source says something else the correction is not applied, and an incident says so.
A new, changed or withdrawn correction makes the newest delivery of its slice be read again from the archive. What was changed stands in
`audit.correction`, and the file itself in the archive. Does not belong here: rows the gate rejected; they are delivered anew.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb
from pydantic import BaseModel, Field, ValidationError

from connectors.archive.archive import Archive
from connectors.personal_data.detection import scrubbed
from connectors.reread import again, newest
from kpi_definitions.documents import Document, DocumentError, Fault, Where, read
from warehouse.loading.deliveries import Corrected, Finding, Receipt, register
from warehouse.sql import literal, quoted
from warehouse.store.store import Store
from warehouse.tables.contracts import Table
from warehouse.tables.settlements import settlements

Cell = str | int | float | bool | dt.datetime | dt.date | None


class Source(BaseModel, extra="forbid", frozen=True):
    """What the body that owns the data was told, and what it says."""

    status: Literal["not told", "reported", "acknowledged", "refused", "mended"]
    reference: str | None = Field(None, description="Letter or ticket")
    told_on: dt.date | None = None


class Entry(BaseModel, extra="forbid", frozen=True):
    """One row to be put right."""

    key: dict[str, Cell] = Field(min_length=1, description="The table's key columns (of a register also snapshot_date)")
    expect: dict[str, Cell] = Field(min_length=1, description="The guard: what the source says now")
    set: dict[str, Cell] = Field(min_length=1, description="What it should say")


class Correction(BaseModel, extra="forbid", frozen=True):
    """One decision to put rows of one table and settlement right."""

    id: str = Field(pattern=r"^[A-Z][A-Z0-9-]{2,40}$", description="Name of the correction, and of its file")
    table: str
    settlement: str = Field(pattern=r"^\d{9}$", description="KATO code")
    rows: tuple[Entry, ...] = Field(min_length=1)
    what: str = Field(min_length=1, description="What is wrong")
    why: str = Field(min_length=1, description="How it is known")
    decided_by: str = Field(min_length=1)
    decided_on: dt.date
    source: Source
    status: Literal["active", "withdrawn"] = "active"

    @property
    def applies(self) -> bool:
        return self.status == "active" and self.source.status != "mended"


@dataclass(frozen=True)
class Declared:
    """A correction as it was read."""

    correction: Correction
    document: Document


def read_corrections(folder: Path, tables: Mapping[str, Table]) -> list[Declared]:
    """Every correction of a folder, by id. Raises DocumentError with every fault found."""
    faults: list[Fault] = []
    found: list[Declared] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            document = read(path)
            correction = Correction.model_validate(document.data)
        except DocumentError as error:
            faults += error.faults
            continue
        except ValidationError as error:
            for problem in error.errors():
                where = tuple(problem["loc"])
                faults.append(
                    document.fault(
                        where, f"{'.'.join(map(str, where))}: {problem['msg']}", "see docs/operations.md, Corrections"
                    )
                )
            continue
        faults += _faults(Declared(correction, document), tables)
        found.append(Declared(correction, document))
    if faults:
        raise DocumentError(faults)
    return found


def _faults(one: Declared, tables: Mapping[str, Table]) -> Iterable[Fault]:
    correction, document = one.correction, one.document
    if document.path.stem != correction.id:
        yield document.fault(
            ("id",),
            f"correction {correction.id} in a file named {document.path.name}",
            f"name the file {correction.id}.yaml",
        )
    if correction.settlement not in settlements():
        yield document.fault(("settlement",), f"no settlement {correction.settlement}", "see: qala settlements")
    table = tables.get(correction.table)
    if table is None:
        yield document.fault(
            ("table",), f"there is no table {correction.table!r}", f"there are {', '.join(sorted(tables))}"
        )
        return
    for where, text in _texts(correction.model_dump(mode="json")):
        if scrubbed(text) != text:
            yield document.fault(
                where,
                f"{'.'.join(map(str, where))} holds a person's number or address",
                "write what stands in the warehouse, or what names nobody",
            )
    personal = {c.name for c in table.columns if c.personal}
    key = [c for c in table.identity if c != "kato"]
    con = duckdb.connect()
    for number, entry in enumerate(correction.rows):
        if sorted(entry.key) != sorted(key):
            yield document.fault(
                ("rows", number, "key"), f"a row of {table.name} is known by {', '.join(key)}", "give just these"
            )
        for part in ("key", "expect", "set"):
            for column, value in getattr(entry, part).items():
                where = ("rows", number, part, column)
                sql_type = table.business_columns.get(column)
                if column in personal and part != "key":
                    yield document.fault(
                        where,
                        f"{column} holds pseudonyms, which nobody puts right by hand",
                        "have the source mend it, deliver it again",
                    )
                elif sql_type is None:
                    yield document.fault(
                        where, f"{table.name} has no column {column!r}", f"it has {', '.join(table.business_columns)}"
                    )
                elif part != "key" and column in table.identity:
                    yield document.fault(
                        where,
                        f"{column} is part of the key of {table.name}",
                        "a row is put right, not made another: deliver it anew",
                    )
                elif (
                    value is not None
                    and con.execute(f"SELECT TRY_CAST({literal(_text(value))} AS {sql_type})").fetchall()[0][0] is None
                ):
                    yield document.fault(where, f"{value!r} is no {sql_type}", f"write a {sql_type}")
    con.close()


def _texts(value: Any, where: Where = ()) -> Iterator[tuple[Where, str]]:
    """Every text of a document, with its place."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, (*where, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*where, number))
    elif isinstance(value, str):
        yield where, value


def retake(store: Store, archive: Archive, table: Table, declared: Sequence[Declared]) -> int:
    """Register again the newest delivery of every slice that a new, changed or withdrawn correction concerns. Returns how many.

    Raises DocumentError if a correction that was applied has no file any more.
    """
    tried = _newest(store, table)
    mine = [d for d in declared if d.correction.table == table.name]
    gone = sorted(
        cid
        for cid, (_, outcome, _) in tried.items()
        if outcome == "applied" and cid not in {d.correction.id for d in mine}
    )
    if gone:
        raise DocumentError(
            Fault(store.home.corrections / f"{cid}.yaml", 1, f"correction {cid} was applied and its file is gone",
                  "put it back, or put it back with `status: withdrawn`") for cid in gone)  # fmt: skip
    receipts: dict[str, Receipt] = {}
    for one in mine:
        sha256, outcome, times = tried.get(one.correction.id, ("", "", 0))
        digest = archive.keep(one.document.path)
        if digest == sha256 or (not one.correction.applies and outcome not in ("applied", "guard failed")):
            continue
        rows = " OR ".join(f"({_is_row('t', table, one.correction, entry)})" for entry in one.correction.rows)
        slices = f"SELECT DISTINCT d.system, d.scope, d.period_id FROM showcase.{table.name} t JOIN audit.delivery d USING (delivery_id) WHERE {rows}"
        for found in newest(store, f"table_name = {literal(table.name)} AND (system, scope, period_id) IN ({slices})"):
            receipt = again(found, f"{one.correction.id}@{digest[:8]}.{times}")
            receipts[f"{receipt.reread_of}"] = receipt
    return register(store, list(receipts.values()))


def _newest(store: Store, table: Table) -> dict[str, tuple[str, str, int]]:
    """By correction: the file that was tried last, its outcome, and in how many deliveries it was tried."""
    rows = store.con.execute(
        "SELECT correction_id, arg_max(c.sha256, d.loaded_seq), arg_max(outcome, d.loaded_seq), count(DISTINCT delivery_id) FROM audit.correction c "
        "JOIN audit.delivery d USING (delivery_id) WHERE c.table_name = ? GROUP BY 1", [table.name]
    ).fetchall()  # fmt: skip
    return {str(cid): (str(sha256), str(outcome), int(times)) for cid, sha256, outcome, times in rows}


def apply(
    store: Store, archive: Archive, table: Table, declared: Sequence[Declared], staged: str
) -> tuple[str, list[Corrected], list[Finding]]:
    """Put right what the corrections of a table find in `staged`: (relation to load, cells put right, guards that failed)."""
    cells: list[Corrected] = []
    findings: list[Finding] = []
    changes: dict[str, list[str]] = {}  # column → WHEN ... THEN ...
    mine = [d for d in declared if d.correction.table == table.name]
    newest = _newest(store, table) if mine else {}
    for one in mine:
        correction = one.correction
        if not correction.applies and newest.get(correction.id, ("", "withdrawn", 0))[1] == "withdrawn":
            continue
        digest = archive.keep(one.document.path)
        for entry in correction.rows:
            columns = list(dict.fromkeys([*entry.expect, *entry.set]))
            shown = ", ".join(f"s.{quoted(c)}::VARCHAR" for c in columns)
            rows = store.con.execute(
                f"SELECT s.delivery_id, s.row_no, {_holds(table, entry.expect)}, {_broken_by(table, entry)}, {shown} "
                f"FROM {staged} s WHERE s.broken IS NULL AND {_is_row('s', table, correction, entry)} ORDER BY ALL"
            ).fetchall()
            for delivery_id, row_no, holds, broken, *values in rows:
                was = dict(zip(columns, values, strict=True))
                outcome = (
                    "withdrawn" if not correction.applies else "applied" if holds and broken is None else "guard failed"
                )
                key = json.dumps({k: _text(v) for k, v in entry.key.items()}, ensure_ascii=False)
                told = (correction.what, correction.why, correction.decided_by, correction.decided_on, correction.source.status,
                        correction.source.reference)  # fmt: skip
                for column in entry.set if outcome == "applied" else entry.expect:
                    becomes = _text(entry.set[column]) if outcome == "applied" else was[column]
                    cells.append(Corrected(correction.id, digest, delivery_id, row_no, table.name, correction.settlement, key, column, was[column],
                                           becomes, outcome, *told))  # fmt: skip
                if outcome == "applied":
                    for column, value in entry.set.items():
                        sql = "NULL" if value is None else literal(_text(value))
                        changes.setdefault(column, []).append(
                            f"WHEN (s.delivery_id, s.row_no) = ({delivery_id}, {row_no}) THEN {sql}"
                        )
                elif outcome == "guard failed":
                    says = ", ".join(f"{c} = {was[c]}" for c in entry.expect)
                    why = f"the corrected row would break rule {broken}" if holds else f"the source says {says}"
                    findings.append(Finding(
                        delivery_id, f"guard.{correction.id}", "warning", "consistency", False, f"row {row_no} ({key}): {why}; not applied",
                        f"{correction.id} expects {', '.join(f'{c} = {_text(v)}' for c, v in entry.expect.items())}: if the source has mended it, "
                        "set source.status to mended in its file; else mend the file"))  # fmt: skip
    if not changes:
        return staged, cells, findings
    replaced = ", ".join(
        f"CASE {' '.join(whens)} ELSE s.{quoted(c)} END AS {quoted(c)}" for c, whens in changes.items()
    )
    store.con.execute(f"CREATE OR REPLACE TEMP VIEW corrected AS SELECT s.* REPLACE ({replaced}) FROM {staged} s")
    return "corrected", cells, findings


def _typed(table: Table, column: str, value: Cell) -> str:
    return f"CAST({literal(None if value is None else _text(value))} AS {table.business_columns[column]})"


def _is_row(alias: str, table: Table, correction: Correction, entry: Entry) -> str:
    key = " AND ".join(f"{alias}.{quoted(c)} = {_typed(table, c, v)}" for c, v in entry.key.items())
    return f"{alias}.kato = {literal(correction.settlement)} AND {key}"


def _holds(table: Table, expected: Mapping[str, Cell]) -> str:
    return " AND ".join(f"s.{quoted(c)} IS NOT DISTINCT FROM {_typed(table, c, v)}" for c, v in expected.items())


def _broken_by(table: Table, entry: Entry) -> str:
    """The first rule on rows that the corrected row would break, else NULL."""
    columns = ", ".join(
        f"{_typed(table, c, entry.set[c]) if c in entry.set else f's.{quoted(c)}'} AS {quoted(c)}"
        for c in table.business_columns
    )
    rules = [
        r
        for r in (*(r for c in table.columns for r in c.rules), *table.row_rules)
        if r.predicate and r.severity == "error"
    ]
    whens = " ".join(f"WHEN NOT ({r.predicate}) THEN {literal(r.id)}" for r in rules)
    return f"(SELECT CASE {whens} END FROM (SELECT {columns}))" if whens else "NULL"


def _text(value: Cell) -> str:
    return value.isoformat(sep=" ") if isinstance(value, dt.datetime) else str(value)
