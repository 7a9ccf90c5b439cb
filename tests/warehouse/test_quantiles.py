"""A quantile is made of the two values next to it, the same for every size and share as Python makes it.

DuckDB's own quantile is not always so to the last bit: how it multiplies and adds differs with its build. Six places are published.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from math import ceil, floor
from random import Random

import duckdb
import pytest

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.compiler import compile_kpi
from kpi_definitions.model import Kpi
from warehouse.isolation.sandbox import only_reads
from warehouse.tables.value_formula import top

TABLES = {"fct_emergency_call": {
    "kato": "VARCHAR", "received_at": "TIMESTAMP", "first_arrived_at": "TIMESTAMP", "priority": "INTEGER", "distance": "DECIMAL(10,3)",
}}  # fmt: skip
SIZES = (*range(1, 60), 99, 100, 101, 1000, 2047, 8191, 8193)
SHARES = ("0", "0.01", "0.1", "0.25", "0.29", "0.3333333", "0.5", "0.58", "0.7", "0.75", "0.9", "0.95", "0.99", "1")
ARGUMENTS = (
    "date_diff('second', received_at, first_arrived_at) / 60.0",
    "date_diff('day', received_at, first_arrived_at)",
    "date_diff('microsecond', received_at, first_arrived_at) / 60000000.0",
    "distance",  # of decimals DuckDB's own is cut to their places
)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """Cells of SIZES rows, named by them, with ties; in each rows too that do not count, and an empty one."""
    chance = Random(22)  # noqa: S311
    with duckdb.connect() as opened:
        opened.execute("CREATE SCHEMA showcase")
        columns = ", ".join(f"{name} {kind}" for name, kind in TABLES["fct_emergency_call"].items())
        opened.execute(f"CREATE TABLE showcase.fct_emergency_call ({columns})")
        opened.execute("CREATE TABLE drawn (kato VARCHAR, micros BIGINT, priority INTEGER)")
        rows: list[tuple[str, int | None, int]] = [("0", 5, 2), ("0", None, 1)]
        for size in SIZES:
            spread = chance.choice((3, 10**6, 10**11, 10**13))
            rows += [(str(size), chance.randrange(-spread, spread) * 7, 1) for _ in range(size)]
            rows += [(str(size), None, 1), (str(size), 10**15, 2)]
        for start in range(0, len(rows), 5000):
            told = ", ".join(f"('{k}', {'NULL' if m is None else m}, {p})" for k, m, p in rows[start : start + 5000])
            opened.execute(f"INSERT INTO drawn VALUES {told}")
        opened.execute(
            "INSERT INTO showcase.fct_emergency_call SELECT kato, TIMESTAMP '2026-01-15 12:00:00', "
            "TIMESTAMP '2026-01-15 12:00:00' + to_microseconds(micros), priority, micros % 1000000 / 1000.0 FROM drawn"
        )
        opened.execute(
            "CREATE TABLE asked AS SELECT DISTINCT kato, '2026-01' AS period_id, TIMESTAMP '0001-01-01' AS period_start, "
            "TIMESTAMP '9999-01-01' AS period_end, DATE '9999-01-01' AS period_end_population_date FROM drawn"
        )
        yield opened


def quantile(argument: str, share: str) -> Kpi:
    kpi = load_catalogues().latest("SAF02-1")
    rows = kpi.rows.model_copy(update={"event": "received_at"})
    aggregate = f"quantile_cont({argument}, {share})"
    return kpi.model_copy(update={"rows": rows, "numerator": kpi.numerator.model_copy(update={"aggregate": aggregate})})


def expected(ordered: list[float], share: str) -> float | None:
    """As the two values next to a place are put together, in doubles."""
    if not ordered:
        return None
    place = (len(ordered) - 1) * float(share)
    past = place - floor(place)
    return ordered[floor(place)] * (1 - past) + ordered[ceil(place)] * past


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_every_size_and_share_gives_the_same_bits(con: duckdb.DuckDBPyConnection, argument: str, share: str) -> None:
    one = compile_kpi(quantile(argument, share), TABLES)
    scan = one.numerator.scan
    sql = scan.sql("showcase.fct_emergency_call", "asked", any_window=True)
    only_reads(con, sql, scan.table, "asked")
    made = dict(con.execute(f"SELECT kato, {top(one, lambda output: output.column)} FROM ({sql})").fetchall())
    values = con.execute(
        f"SELECT kato, CASE WHEN priority = 1 THEN CAST({argument} AS DOUBLE) END AS x FROM showcase.fct_emergency_call ORDER BY ALL"
    ).fetchall()
    by_cell = {
        kato: [x for _, x in rows if x is not None] for kato, rows in groupby(values, key=lambda row: str(row[0]))
    }
    assert made == {kato: expected(ordered, share) for kato, ordered in by_cell.items()}
    own = con.execute(
        f"SELECT kato, quantile_cont(CAST({argument} AS DOUBLE), {share}) FILTER (WHERE priority = 1) "
        "FROM showcase.fct_emergency_call GROUP BY 1"
    ).fetchall()
    assert made == {kato: None if x is None else pytest.approx(x, rel=1e-12) for kato, x in own}
    assert made["0"] is None
    assert len(made) == len(SIZES) + 1
