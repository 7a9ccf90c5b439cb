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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import duckdb
from pydantic import BaseModel, Field, ValidationError

from connectors.archive.archive import Archive
from connectors.personal_data.detection import scrubbed
from connectors.reread import deliveries_in_force, requeued_receipt
from kpi_definitions.documents import Document, DocumentError, Fault, Where, read
from kpi_definitions.nearest import either, meant
from warehouse.loading.deliveries import Corrected, Finding, Receipt, register
from warehouse.messages.messages import Message, recorded
from warehouse.sql import literal, quoted
from warehouse.store.store import Store
from warehouse.tables.contracts import Table
from warehouse.tables.settlements import nearest as nearest_place
from warehouse.tables.settlements import registered, settlements

Cell = str | int | float | bool | dt.datetime | dt.date | None


class SourceReply(BaseModel, extra="forbid", frozen=True):
    """What was reported to the body that owns the data, and what it answers."""

    status: Literal["not told", "reported", "acknowledged", "refused", "mended"]
    reference: str | None = Field(None, description="Letter or ticket")
    told_on: dt.date | None = None


class CorrectedRow(BaseModel, extra="forbid", frozen=True):
    """One row to be put right."""

    key: dict[str, Cell] = Field(min_length=1, description="The table's key columns (of a register also snapshot_date)")
    expect: dict[str, Cell] = Field(min_length=1, description="The guard: what the source says now")
    set: dict[str, Cell] = Field(min_length=1, description="What it should say")


class Correction(BaseModel, extra="forbid", frozen=True):
    """One decision to put rows of one table and settlement right."""

    id: str = Field(pattern=r"^[A-Z][A-Z0-9-]{2,40}$", description="Name of the correction, and of its file")
    table: str
    settlement: str = Field(pattern=r"^\d{9}$", description="KATO code")
    rows: tuple[CorrectedRow, ...] = Field(min_length=1)
    what: str = Field(min_length=1, description="What is wrong")
    why: str = Field(min_length=1, description="How it is known")
    decided_by: str = Field(min_length=1)
    decided_on: dt.date
    source: SourceReply
    status: Literal["active", "withdrawn"] = "active"

    @property
    def applies(self) -> bool:
        return self.status == "active" and self.source.status != "mended"


@dataclass(frozen=True)
class DeclaredCorrection:
    """A correction as it was read."""

    correction: Correction
    document: Document


def read_corrections(folder: Path, tables: Mapping[str, Table]) -> list[DeclaredCorrection]:
    """Every correction of a folder, by id. Raises DocumentError with every fault found."""
    faults: list[Fault] = []
    found: list[DeclaredCorrection] = []
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
        faults += _faults(DeclaredCorrection(correction, document), tables)
        found.append(DeclaredCorrection(correction, document))
    if faults:
        raise DocumentError(faults)
    return found


def _faults(one: DeclaredCorrection, tables: Mapping[str, Table]) -> Iterable[Fault]:
    correction, document = one.correction, one.document
    if document.path.stem != correction.id:
        yield document.fault(
            ("id",),
            f"correction {correction.id} in a file named {document.path.name}",
            f"name the file {correction.id}.yaml",
        )
    if correction.settlement not in settlements():
        near = either(nearest_place(correction.settlement, registered()))
        remedy = f"did you mean {near}? Write the digits" if near else "see: qala settlements"
        yield document.fault(("settlement",), f"no settlement {correction.settlement}", remedy)
    table = tables.get(correction.table)
    if table is None:
        remedy = meant(correction.table, tables, "see docs/reference/data-dictionary.md")
        yield document.fault(("table",), f"there is no table {correction.table!r}", remedy)
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


def requeue_for_corrections(
    store: Store, archive: Archive, table: Table, declared: Sequence[DeclaredCorrection]
) -> int:
    """Register again the newest delivery of every slice that a new, changed or withdrawn correction concerns. Returns how many.

    Raises DocumentError if a correction that was applied has no file any more.
    """
    tried = _last_attempts(store, table)
    mine = [d for d in declared if d.correction.table == table.name]
    known = {d.correction.id for d in mine}
    gone = sorted(cid for cid, last in tried.items() if last.outcome == "applied" and cid not in known)
    if gone:
        raise DocumentError(_gone(store.home.corrections / f"{cid}.yaml", cid) for cid in gone)
    receipts: dict[str, Receipt] = {}
    for one in mine:
        last = tried.get(one.correction.id, _NEVER)
        digest = archive.keep(one.document.path)
        if digest == last.sha256 or (not one.correction.applies and last.outcome not in ("applied", "guard failed")):
            continue
        rows = " OR ".join(
            f"({_is_row('showcase_row', table, one.correction, entry)})" for entry in one.correction.rows
        )
        slices = (
            f"SELECT DISTINCT delivery.system, delivery.scope, delivery.period_id FROM showcase.{table.name} AS showcase_row "
            f"JOIN audit.delivery AS delivery USING (delivery_id) WHERE {rows}"
        )
        chosen = f"table_name = {literal(table.name)} AND (system, scope, period_id) IN ({slices})"
        for found in deliveries_in_force(store, chosen):
            receipt = requeued_receipt(found, f"{one.correction.id}@{digest[:8]}.{last.deliveries}")
            receipts[f"{receipt.reread_of}"] = receipt
    return register(store, list(receipts.values()))


def _gone(path: Path, cid: str) -> Fault:
    message = f"correction {cid} was applied and its file is gone"
    return Fault(path, 1, message, "put it back, or put it back with `status: withdrawn`")


@dataclass(frozen=True)
class _Attempt:
    """How a correction was tried last: the file's hash, what came of it, and in how many deliveries it was tried."""

    sha256: str
    outcome: str
    deliveries: int


_NEVER = _Attempt("", "", 0)


def _last_attempts(store: Store, table: Table) -> dict[str, _Attempt]:
    rows = store.con.execute(
        "SELECT correction_id, arg_max(tried.sha256, delivery.loaded_seq), arg_max(outcome, delivery.loaded_seq), "
        "count(DISTINCT delivery_id) FROM audit.correction AS tried JOIN audit.delivery AS delivery USING (delivery_id) "
        "WHERE tried.table_name = ? GROUP BY 1",
        [table.name],
    ).fetchall()
    return {str(cid): _Attempt(str(sha256), str(outcome), int(times)) for cid, sha256, outcome, times in rows}


@dataclass
class _Applied:
    """What the corrections of a table find in the staged rows."""

    cells: list[Corrected] = field(default_factory=list)
    failed: list[Finding] = field(default_factory=list)  # guards
    changes: dict[str, list[str]] = field(default_factory=dict)  # column → WHEN ... THEN ...


def apply_corrections(
    store: Store, archive: Archive, table: Table, declared: Sequence[DeclaredCorrection]
) -> tuple[str, list[Corrected], list[Finding]]:
    """Put right what the corrections of a table find in `work_staged_row`: (relation to load, cells put right, guards that failed)."""
    found = _Applied()
    mine = [d for d in declared if d.correction.table == table.name]
    tried = _last_attempts(store, table) if mine else {}
    for one in mine:
        if not one.correction.applies and tried.get(one.correction.id, _NEVER).outcome in ("", "withdrawn"):
            continue
        digest = archive.keep(one.document.path)
        for entry in one.correction.rows:
            _apply_to_row(store, table, one.correction, digest, entry, found)
    if not found.changes:
        return "work_staged_row", found.cells, found.failed
    replaced = ", ".join(
        f"CASE {' '.join(whens)} ELSE staged_row.{quoted(c)} END AS {quoted(c)}" for c, whens in found.changes.items()
    )
    store.con.execute(
        f"CREATE OR REPLACE TEMP VIEW work_corrected_row AS SELECT staged_row.* REPLACE ({replaced}) FROM work_staged_row AS staged_row"
    )
    return "work_corrected_row", found.cells, found.failed


def drop_corrected(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("DROP VIEW IF EXISTS work_corrected_row")


def _apply_to_row(
    store: Store, table: Table, correction: Correction, digest: str, entry: CorrectedRow, found: _Applied
) -> None:
    """Note in `found` what one entry changes in the accepted rows with its key, or why its guard failed."""
    columns = list(dict.fromkeys([*entry.expect, *entry.set]))
    shown = ", ".join(f"staged_row.{quoted(c)}::VARCHAR" for c in columns)
    rows = store.con.execute(
        f"SELECT delivery_id, row_no, {_holds(table, entry.expect)}, {_broken_by(table, entry)}, {shown} "
        f"FROM work_staged_row AS staged_row WHERE broken IS NULL AND {_is_row('staged_row', table, correction, entry)} ORDER BY ALL"
    ).fetchall()
    key = json.dumps({k: _text(v) for k, v in entry.key.items()}, ensure_ascii=False)
    for delivery_id, row_no, holds, broken, *values in rows:
        was = dict(zip(columns, values, strict=True))
        fit = holds and broken is None
        outcome = "withdrawn" if not correction.applies else "applied" if fit else "guard failed"
        for column in entry.set if outcome == "applied" else entry.expect:
            becomes = _text(entry.set[column]) if outcome == "applied" else was[column]
            found.cells.append(
                Corrected(
                    correction.id,
                    digest,
                    delivery_id,
                    row_no,
                    table.name,
                    correction.settlement,
                    key,
                    column,
                    was[column],
                    becomes,
                    outcome,
                    correction.what,
                    correction.why,
                    correction.decided_by,
                    correction.decided_on,
                    correction.source.status,
                    correction.source.reference,
                )
            )
        if outcome == "applied":
            for column, value in entry.set.items():
                sql = "NULL" if value is None else literal(_text(value))
                this_row = f"(staged_row.delivery_id, staged_row.row_no) = ({delivery_id}, {row_no})"
                found.changes.setdefault(column, []).append(f"WHEN {this_row} THEN {sql}")
        elif outcome == "guard failed":
            says = [{"code": "cell.is", "column": c, "value": str(was[c])} for c in entry.expect]
            why: Message = (
                {"code": "guard.breaks_rule", "rule": broken} if holds else {"code": "guard.source_says", "cells": says}
            )
            observed = {"code": "finding.guard_failed", "row": row_no, "key": key, "why": why}
            found.failed.append(_failed_guard(correction, entry, delivery_id, observed))


def _failed_guard(correction: Correction, entry: CorrectedRow, delivery_id: int, observed: Message) -> Finding:
    expects = [{"code": "cell.is", "column": c, "value": _text(v)} for c, v in entry.expect.items()]
    return Finding(
        delivery_id,
        f"guard.{correction.id}",
        "warning",
        "consistency",
        False,
        recorded(observed),
        recorded({"code": "rule.guard", "correction": correction.id, "cells": expects}),
    )


def _typed(table: Table, column: str, value: Cell) -> str:
    return f"CAST({literal(None if value is None else _text(value))} AS {table.business_columns[column]})"


def _is_row(alias: str, table: Table, correction: Correction, entry: CorrectedRow) -> str:
    key = " AND ".join(f"{alias}.{quoted(c)} = {_typed(table, c, v)}" for c, v in entry.key.items())
    return f"{alias}.kato = {literal(correction.settlement)} AND {key}"


def _holds(table: Table, expected: Mapping[str, Cell]) -> str:
    return " AND ".join(
        f"staged_row.{quoted(c)} IS NOT DISTINCT FROM {_typed(table, c, v)}" for c, v in expected.items()
    )


def _broken_by(table: Table, entry: CorrectedRow) -> str:
    """The first rule on rows that the corrected row would break, else NULL."""
    columns = ", ".join(
        f"{_typed(table, c, entry.set[c]) if c in entry.set else f'staged_row.{quoted(c)}'} AS {quoted(c)}"
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
