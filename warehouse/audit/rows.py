"""The warehouse rows behind a number: which of them the numerator, the denominator and the sample took in.

The conditions are those the compiler put into the computation, the rows those that held at the ledger sequence at which the
value was computed; so whoever adds them up gets the same digits. What the rows looked like before the gate: connectors/readers/source_records.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import Compiled, Output, Scan, columns_of, compile_kpi
from kpi_definitions.model import Kpi
from warehouse.audit.explain import UnknownError, explain
from warehouse.kpi_values.compute import window
from warehouse.periods import Period, parse_period
from warehouse.store.history import as_of
from warehouse.store.store import Store

FLAGS = ("in_numerator", "in_denominator", "in_sample")
SOURCE_RECORD = ("delivery_id", "row_no")  # which record of which delivered file a row comes from
_NAMED = 5  # cells of a roll-up whose commands are spelt out


@dataclass(frozen=True)
class FoundValue:
    """A published value, or a window evaluated now, with what it was computed by."""

    answer: Mapping[str, Any]  # as `explain` gives it
    compiled: Compiled
    kato: str
    period: Period
    seq: int  # the ledger sequence at which the warehouse was read

    @property
    def cell(self) -> str:
        """A relation with the one cell, as scans take it."""
        return window(self.kato, self.period.start, self.period.end, self.period.id)


@dataclass(frozen=True)
class ContributingRows:
    """Rows of one showcase table behind a number."""

    table: str
    key: tuple[str, ...]  # settlement, the table's key, for a register the day of its snapshot
    reads: tuple[str, ...]  # further columns: those that the definition reads, or all
    sql: str  # a query on the store: delivery_id, row_no, valid_from_seq, key, reads and the flags, in the order of delivery and record


def find_value(
    store: Store, catalogue: Catalogues, code: str, settlement: str, period: str, seq: int | None = None
) -> FoundValue:
    """The number asked for; `seq`: as it was published at that ledger sequence.

    Raises UnknownError if there is none, or if it is made of cells that have rows of their own."""
    answer = explain(store, catalogue, code, settlement, period, seq)
    if "members" in answer:
        raise UnknownError(_cell_by_cell(answer))
    kpi = _definition(store, catalogue, code, answer["definition"]["version"])
    return FoundValue(
        answer,
        compile_kpi(kpi, store.columns()),
        answer["settlement"]["kato"],
        parse_period(answer["period"]["id"]),
        answer["computed"]["as_of_seq"],
    )


def contributing_rows(
    store: Store, one: FoundValue, *, every: bool = False, columns: bool = False
) -> list[ContributingRows]:
    """The rows behind a number, table by table; `every`: also those that fell into its period and were left out by the conditions.

    `columns`: every column of the tables, not those alone that the definition reads.
    """
    found = []
    for name in one.compiled.tables:
        table = store.tables[name]
        read = [c for t, c in columns_of(one.compiled.kpi) if t == name]
        reads = [
            c for c in dict.fromkeys((*read, *(table.business_columns if columns else ()))) if c not in table.identity
        ]
        wanted = (*SOURCE_RECORD, "valid_from_seq", *table.identity, *reads)
        source = as_of(name, one.seq)
        selects = [
            scan.rows(source, one.cell, wanted, _flags(one.compiled, scan), any_window=True)
            for scan in one.compiled.scans
            if scan.table == name
        ]
        sql = selects[0]
        if len(selects) > 1:  # numerator and denominator take rows of one table by different dates
            either = ", ".join(f"bool_or({flag}) AS {flag}" for flag in FLAGS)
            sql = f"SELECT * EXCLUDE ({', '.join(FLAGS)}), {either} FROM (\n{' UNION ALL '.join(selects)}) GROUP BY ALL"
        chosen = "" if every else f" WHERE {' OR '.join(FLAGS)}"
        found.append(
            ContributingRows(
                name,
                table.identity,
                tuple(reads),
                f"SELECT * FROM (\n{sql}){chosen}\nORDER BY {', '.join(SOURCE_RECORD)}",
            )
        )
    return found


def count_rows(store: Store, rows: ContributingRows) -> dict[str, int]:
    """How many rows there are, and how many carry each flag."""
    flagged = ", ".join(f"count(*) FILTER ({flag})" for flag in FLAGS)
    found = store.con.execute(f"SELECT count(*), {flagged} FROM ({rows.sql})").fetchone()
    assert found is not None
    return dict(zip(("rows", *FLAGS), found, strict=True))


def fetch_rows(store: Store, rows: ContributingRows, limit: int) -> list[dict[str, Any]]:
    """The first `limit` rows, each a dict by column."""
    cursor = store.con.execute(f"{rows.sql} LIMIT {limit}")
    names = [d[0] for d in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _definition(store: Store, catalogue: Catalogues, code: str, version: int) -> Kpi:
    """One version of a definition as kept in the warehouse; of a version never used there, as the catalogue has it."""
    row = store.con.execute(
        "SELECT definition FROM registry.kpi WHERE (code, version) = (?, ?)", [code, version]
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
    return "\n".join((
        f"{code} of {area['name_en']} for {period} is made of {len(answer['members'])} cells; rows stand behind a cell, "
        "so ask for one settlement and one period of the KPI:", *cells))  # fmt: skip
