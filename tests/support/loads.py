"""Loads with what is hard to carry over to another engine: texts with every separator, gaps, far dates, long numbers. For tests of engines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from kpi_definitions.engine_scans import EngineScan
from warehouse.engines.content import content_sql
from warehouse.engines.engine import Engine, Load

TABLE = "fct_hard"
COLUMNS = {
    "kato": "VARCHAR",
    "said": "VARCHAR",
    "whole": "INTEGER",
    "large": "BIGINT",
    "amount": "DECIMAL(18,2)",
    "open": "BOOLEAN",
    "opened": "TIMESTAMP",
    "day": "DATE",
    "delivery_id": "BIGINT",
    "row_no": "BIGINT",
    "sdu_load_in_dt": "TIMESTAMPTZ",
    "valid_from_seq": "BIGINT",
    "valid_to_seq": "BIGINT",
}
_ROWS = r"""
SELECT (710000000 + n % 7)::VARCHAR AS kato,
  CASE n % 9 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN '\N' WHEN 3 THEN 'a' || chr(9) || chr(10) || chr(13) || n
    WHEN 4 THEN '\' || n || '"''`, ' WHEN 5 THEN 'Әлеуметтік қызмет ' || n WHEN 6 THEN chr(8) || chr(12) ELSE 'x' || n END AS said,
  CASE WHEN n % 5 > 0 THEN n END::INTEGER AS whole,
  CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN -9223372036854775807 ELSE 9223372036854775807 - n END::BIGINT AS large,
  CASE WHEN n % 6 > 0 THEN (n - 3) * 12345678901.37 END::DECIMAL(18,2) AS amount,
  CASE n % 3 WHEN 0 THEN true WHEN 1 THEN false END AS open,
  CASE n % 8 WHEN 0 THEN NULL WHEN 1 THEN TIMESTAMP '9999-12-31 23:59:59.999999' WHEN 2 THEN TIMESTAMP '1899-12-31 23:59:59.000001'
    ELSE TIMESTAMP '2024-02-29' + to_microseconds(n * 86399999999) END AS opened,
  CASE n % 7 WHEN 0 THEN NULL WHEN 1 THEN DATE '0001-01-01' WHEN 2 THEN DATE '9999-12-31' ELSE DATE '2024-02-28' + (n % 1000)::INTEGER END AS day,
  1::BIGINT AS delivery_id, n AS row_no, TIMESTAMPTZ '2026-01-01 00:00:00+00' AS sdu_load_in_dt, 1::BIGINT AS valid_from_seq,
  CASE WHEN n % 2 = 0 THEN 5 END::BIGINT AS valid_to_seq
FROM range({rows}) AS made(n)
"""


# toString of a long decimal is wrong in version 18.16; written into the answer as it is, it is right
# what SCAN asks of ClickHouse, `by_duckdb` asks of the file
SCAN = EngineScan(
    TABLE,
    "SELECT t.kato AS kato, toInt32(19782) AS period_start, count(*) AS rows, count(t.said) AS texts, "
    "sum(toDecimal128(t.large, 0)) AS large_sum, sum(toDecimal128(t.amount, 2)) AS amount_sum, max(t.opened) AS last_opened, "
    "max(t.day) AS last_day, uniqExact(t.said) AS different FROM {rows} AS t WHERE t.kato IN ('710000001', '710000003') GROUP BY t.kato",
    {
        "kato": "VARCHAR",
        "period_start": "DATE",
        "rows": "BIGINT",
        "texts": "BIGINT",
        "large_sum": "HUGEINT",
        "amount_sum": "DECIMAL(38,2)",
        "last_opened": "TIMESTAMP",
        "last_day": "DATE",
        "different": "BIGINT",
    },
    {},
)


def hard_load(folder: Path, rows: int, *, month: str = "2024-02", columns: Mapping[str, str] = COLUMNS) -> Load:
    """A file of so many rows with `columns`, cast to their types, as a load."""
    file = folder / f"{month}.parquet"
    chosen = ", ".join(f'{name}::{sql_type} AS "{name}"' for name, sql_type in columns.items())
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"COPY (SELECT {chosen} FROM ({_ROWS.format(rows=rows)})) TO '{file}' (FORMAT parquet)")
    return load_of(file, month, columns)


def load_of(file: Path, month: str, columns: Mapping[str, str]) -> Load:
    """A file as a load, counted."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        sql = f"SELECT {content_sql(columns, 'duckdb')} FROM '{file}'"
        count, content = con.sql(sql).fetchall()[0]
    return Load(TABLE, month, 7, file, count, int(content))


def by_duckdb(load: Load) -> list[tuple[object, ...]]:
    """What SCAN asks for, of the file."""
    with duckdb.connect() as con:
        return con.sql(
            "SELECT kato, DATE '2024-02-29', count(*), count(said), sum(large), sum(amount), max(opened), max(day), count(DISTINCT said) "
            f"FROM '{load.file}' WHERE kato IN ('710000001', '710000003') GROUP BY kato ORDER BY kato"
        ).fetchall()


def answered(engine: Engine, *loads: Load) -> list[tuple[object, ...]]:
    """What an engine says to SCAN."""
    return sorted((tuple(row.values()) for row in engine.measure(SCAN, loads).to_pylist()), key=str)
