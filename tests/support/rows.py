"""Rows put straight through the loading door, so that KPIs can be tested without connectors.

`deliver` makes up a receipt and an outcome for each `Extract` and calls `warehouse.loading.load`; a row gives only the columns
that matter, what else the table requires is filled in. `compute_one` and `cell` run one KPI and read its current value.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from connectors.row_gate.emptied_cells import CELLS
from kpi_definitions.catalogue import Catalogues
from kpi_definitions.model import Initiative, Kpi
from tests.support.settlements import ASTANA
from warehouse.kpi_values.compute import Report, compute
from warehouse.loading.deliveries import DeliveryState, Outcome, Receipt, received, register
from warehouse.loading.load import load
from warehouse.messages.messages import rendered
from warehouse.periods import Period, parse_period
from warehouse.sql import quoted
from warehouse.store.seals import CATALOGUE, REGISTRIES
from warehouse.store.store import Store
from warehouse.tables.contracts import Column, Table

LATER = dt.date(2035, 1, 1)  # a day on which no late-data window of the test periods is open
_numbers = itertools.count(1)


def receipt(
    table: str, system: str, scope: str, period: str, sha256: str = "", *, reread_of: int | None = None
) -> Receipt:
    """What the archive would know of a delivery; `sha256`: left out, it is of its own."""
    number = f"test-{next(_numbers):06d}"
    sha256 = sha256 or hashlib.sha256(number.encode()).hexdigest()
    return Receipt(
        number, table, system, scope, period, "made-up.csv", sha256, 0, "2026-01-01T00:00:00+00:00", None, reread_of
    )


@dataclass(frozen=True)
class Extract:
    """One delivery: rows of a table for a period and a territory; `refused` is the reason if the gate refused it."""

    rows: Sequence[Mapping[str, Any]]
    period: str
    scope: str = ASTANA
    system: str = "test"
    refused: str | None = None


def deliver(store: Store, table_name: str, *extracts: Extract) -> list[int]:
    """Register and decide on deliveries in one batch. Returns their numbers."""
    table = store.tables[table_name]
    register(store, [receipt(table_name, e.system, e.scope, e.period) for e in extracts])
    waiting = received(store, table_name)
    names = ["delivery_id", "row_no", "kato", *table.business_columns, "broken", "emptied", "raw"]
    typed = {"delivery_id": "BIGINT", "row_no": "BIGINT", "kato": "VARCHAR"} | table.business_columns
    typed |= {"broken": "VARCHAR", "emptied": CELLS, "raw": "VARCHAR"}
    store.con.execute(
        f"CREATE OR REPLACE TEMP TABLE staged ({', '.join(f'{quoted(n)} {sql}' for n, sql in typed.items())})"
    )
    rows, outcomes = [], []
    for one, extract in zip(waiting, extracts, strict=True):
        if extract.refused is not None:
            outcomes.append(Outcome(one.delivery_id, DeliveryState.REFUSED, extract.refused, "test", "1"))
            continue
        filled = [_fill(table, row, extract) for row in extract.rows]
        rows += [(one.delivery_id, number, *values, None, None, None) for number, values in enumerate(filled, 1)]
        outcomes.append(Outcome(one.delivery_id, DeliveryState.LOADED, None, "test", "1", len(filled), len(filled)))
    store.insert("staged", [quoted(n) for n in names], rows)
    load(store, table, "staged", waiting, outcomes, [])
    return [one.delivery_id for one in waiting]


def _fill(table: Table, row: Mapping[str, Any], extract: Extract) -> tuple[Any, ...]:
    unknown = set(row) - set(table.business_columns) - {"kato"}
    assert not unknown, f"{table.name} has no column {unknown}"
    period = parse_period(extract.period)
    values = [row.get("kato", extract.scope), *(_value(table, c, row, period) for c in table.columns)]
    return (*values, row.get("snapshot_date", period.end)) if table.snapshot else tuple(values)


def _value(table: Table, column: Column, row: Mapping[str, Any], period: Period) -> Any:
    if column.name in row:
        return row[column.name]
    if column.name == table.key[0] and column.sql_type == "VARCHAR":
        return f"{column.name}-{next(_numbers)}"
    assert column.name not in table.key, f"{table.name}.{column.name} is part of the key: give it"
    if not column.required:
        return None
    return {
        "VARCHAR": "x",
        "BOOLEAN": False,
        "DATE": period.start,
        "TIMESTAMP": dt.datetime.combine(period.start, dt.time()),
    }.get(column.sql_type, 0)


def empty(store: Store, *, catalogue: bool = True) -> None:
    """Forget every row, delivery and value: the next test starts with a bare warehouse; `catalogue`: and every definition."""
    kept = {"audit.ledger", "registry.setting", "registry.message", *(f"registry.{name}" for name in REGISTRIES)}
    if not catalogue:
        kept |= {f"registry.{name}" for name in CATALOGUE}
    filled = store.con.execute(
        "SELECT schema_name || '.' || table_name AS name FROM duckdb_tables() WHERE NOT temporary AND estimated_size > 0 ORDER BY name"
    ).fetchall()
    with store.transaction():
        for (table,) in filled:
            if table not in kept:
                store.con.execute(f"DELETE FROM {table}")
        if catalogue:
            store.con.execute("DELETE FROM registry.setting WHERE name = 'catalogue'")


def compute_one(store: Store, catalogue: Catalogues, code: str, period: str, today: dt.date = LATER) -> Report:
    """Compute one KPI for one period (and what was touched before)."""
    (report,) = compute(store, catalogue, [parse_period(period).closing_month], codes=[code], today=today)
    return report


COLUMNS = ("value", "numerator", "denominator", "sample_size", "obs_status", "state", "reason", "coverage",
           "definition_version", "as_of_seq", "valid_from_seq", "catalogue_version")  # fmt: skip


def cell(store: Store, code: str, period: str, kato: str = ASTANA) -> dict[str, Any]:
    """The current value of one cell, its reason as the English sentence; there must be exactly one open row."""
    rows = store.con.execute(
        f"SELECT {', '.join(COLUMNS)} FROM kpi.value WHERE kpi_code = ? AND period_id = ? AND kato = ? AND valid_to_seq IS NULL",
        [code, period, kato],
    ).fetchall()
    assert len(rows) == 1, f"{len(rows)} open rows for {code} {kato} {period}"
    found = dict(zip(COLUMNS, rows[0], strict=True))
    return found | {"reason": rendered(found["reason"], "en")}


def exact(number: Any) -> Decimal | None:
    """A number without its representation: 1, 1.0 and DECIMAL 1.000000 are the same."""
    return None if number is None else Decimal(str(number)).normalize()


def changed(catalogue: Catalogues, *kpis: Kpi) -> Catalogues:
    """The catalogue with the versions of these KPIs' codes replaced by the given ones."""
    codes = {kpi.code for kpi in kpis}

    def mend(initiative: Initiative) -> Initiative:
        mine = [k for k in kpis if k.code.startswith(f"{initiative.code}-")]
        return initiative.model_copy(update={"kpis": (*(k for k in initiative.kpis if k.code not in codes), *mine)})

    return _mapped(catalogue, mend)


def only(catalogue: Catalogues, *codes: str) -> Catalogues:
    """The catalogue with no other KPIs: what is not compiled takes no time."""
    return _mapped(catalogue, lambda i: i.model_copy(update={"kpis": tuple(k for k in i.kpis if k.code in codes)}))


def _mapped(catalogue: Catalogues, mend: Callable[[Initiative], Initiative]) -> Catalogues:
    return Catalogues(tuple(replace(c, initiatives=tuple(map(mend, c.initiatives))) for c in catalogue.lists))
