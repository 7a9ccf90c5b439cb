"""The warehouse rows that a value counts: which rows the numerator, the denominator and the sample took in.

Conditions are those the compiler put into the computation; rows are those in force at the ledger sequence at which the value was
computed. So their sum gives the same digits. Does not belong here: a row's record as received (connectors/readers/source_records.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import Compiled, Output, columns_of, compile_kpi
from kpi_definitions.model import Kpi
from kpi_definitions.scans import Scan
from warehouse.audit.explain import UnknownError, explain
from warehouse.kpi_values.scans import window
from warehouse.periods import Period, parse_period
from warehouse.store.history import as_of
from warehouse.store.store import Store

FLAGS = ("in_numerator", "in_denominator", "in_sample")
SOURCE_RECORD = ("delivery_id", "row_no")  # which record of which delivered file a row comes from
_NAMED = 5  # cells of a roll-up whose commands are spelt out


@dataclass(frozen=True)
class FoundValue:
    """A published value, or one evaluated now for a window that has none, with the definition it was computed by."""

    answer: Mapping[str, Any]  # as `explain` gives it
    compiled: Compiled
    kato: str
    period: Period
    seq: int  # the ledger sequence at which the warehouse was read

    @property
    def cell(self) -> str:
        """SQL of a relation with the value's one cell, in the form that a scan reads."""
        return window(self.kato, self.period.start, self.period.end, self.period.id)


@dataclass(frozen=True)
class ContributingRows:
    """The rows of one showcase table that a value counts."""

    table: str
    key: tuple[str, ...]  # settlement, the table's key; of a register also the day of its snapshot
    reads: tuple[str, ...]  # further columns: those that the definition reads, or all
    # a query on the store, ordered by delivery and record; columns: delivery_id, row_no, valid_from_seq, key, reads, flags
    sql: str


def find_value(
    store: Store, catalogue: Catalogues, code: str, settlement: str, period: str, seq: int | None = None
) -> FoundValue:
    """The value of a settlement and a period; `seq`: as it was published at that ledger sequence.

    Raises UnknownError if there is none, or if it is a roll-up: rows belong to the cells it is made of.
    """
    answer = explain(store, catalogue, code, settlement, period, seq)
    if "members" in answer:
        raise UnknownError(_cell_by_cell(answer))
    kpi = _kept_definition(store, catalogue, answer["kpi"]["code"], answer["definition"]["version"])
    return FoundValue(
        answer,
        compile_kpi(kpi, store.columns()),
        answer["settlement"]["kato"],
        parse_period(answer["period"]["id"]),
        answer["computed"]["as_of_seq"],
    )


def contributing_rows(
    store: Store, value: FoundValue, *, every: bool = False, columns: bool = False
) -> list[ContributingRows]:
    """The rows that a value counts, one entry per showcase table.

    `every`: also rows of its period that the definition's conditions leave out. `columns`: every column of the tables, not only
    those that the definition reads.
    """
    found = []
    for name in value.compiled.tables:
        table = store.tables[name]
        read = [c for t, c in columns_of(value.compiled.kpi) if t == name]
        wanted = dict.fromkeys((*read, *(table.business_columns if columns else ())))
        reads = tuple(column for column in wanted if column not in table.identity)
        sql = _flagged_rows(value, name, (*SOURCE_RECORD, "valid_from_seq", *table.identity, *reads))
        chosen = "" if every else f" WHERE {' OR '.join(FLAGS)}"
        ordered = f"SELECT * FROM (\n{sql}){chosen}\nORDER BY {', '.join(SOURCE_RECORD)}"
        found.append(ContributingRows(name, table.identity, reads, ordered))
    return found


def _flagged_rows(value: FoundValue, table: str, columns: Sequence[str]) -> str:
    """A query for rows of a table in the value's period, with the flags."""
    selects = [
        scan.rows(as_of(table, value.seq), value.cell, columns, _flags(value.compiled, scan), any_window=True)
        for scan in value.compiled.scans
        if scan.table == table
    ]
    if len(selects) == 1:
        return selects[0]
    # numerator and denominator take rows of one table by different dates: a row may be in both
    either = ", ".join(f"bool_or({flag}) AS {flag}" for flag in FLAGS)
    every = "\n UNION ALL ".join(selects)
    return f"SELECT * EXCLUDE ({', '.join(FLAGS)}), {either} FROM (\n{every}) GROUP BY ALL"


def count_rows(store: Store, rows: ContributingRows) -> dict[str, int]:
    """Counts by name: `rows`, and for each flag how many rows carry it."""
    flagged = ", ".join(f"count(*) FILTER ({flag})" for flag in FLAGS)
    found = store.con.execute(f"SELECT count(*), {flagged} FROM ({rows.sql})").fetchone()
    assert found is not None
    return dict(zip(("rows", *FLAGS), found, strict=True))


def fetch_rows(store: Store, rows: ContributingRows, limit: int) -> list[dict[str, Any]]:
    """The first `limit` rows, each a dict: column → value."""
    return store.select(f"{rows.sql} LIMIT {limit}")


def _kept_definition(store: Store, catalogue: Catalogues, code: str, version: int) -> Kpi:
    """One version of a definition, as kept in the warehouse; a version never used there, as the catalogue has it."""
    row = store.con.execute(
        "SELECT definition FROM registry.kpi WHERE (kpi_code, definition_version) = (?, ?)", [code, version]
    ).fetchone()
    if row:
        return Kpi.model_validate_json(row[0])
    return next(k for k in catalogue.kpis if (k.code, k.version) == (code, version))


def _flags(compiled: Compiled, scan: Scan) -> dict[str, str]:
    """By flag, the condition on which the part takes in a row of this scan."""

    def condition(output: Output) -> str:
        return next(m.where for m in scan.measures if m.name == output.column) if output.scan == scan else "false"

    return dict(zip(FLAGS, map(condition, compiled.outputs), strict=True))


def _cell_by_cell(answer: Mapping[str, Any]) -> str:
    """Why a roll-up has no rows of its own, and what to type instead."""
    code, area, period = answer["kpi"]["code"], answer["area"], answer["period"]["id"]
    cells = [f"  qala rows {code} {m['kato']} {m['period_id']}" for m in answer["members"]]
    if len(cells) > _NAMED:
        cells[_NAMED:] = [f"all of them: qala explain {code} {area['code']} {period} --json"]
    why = (
        f"{code} of {area['name_en']} for {period} is made of {len(answer['members'])} cells; rows stand behind a cell, "
        "so ask for one settlement and one period of the KPI:"
    )
    return "\n".join((why, *cells))
