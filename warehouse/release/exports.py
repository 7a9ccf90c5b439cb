"""Exports: the files beside the released DuckDB file, for those who do not open it. Which there are, and writing one from the tables.

Does not belong here: what of an export need not be written again (parts.py), when they are published (release.py).
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from warehouse.sql import literal

# CSV says a name on every row: of groups, units, states, spheres and the like it has the codes alone, Parquet packs their names
_LEAN = r"SELECT COLUMNS(lambda c: NOT regexp_matches(c, '^(region|item7_group|unit|state|sphere|initiative|direction)_(en|ru|kk)$'))"

# file name: what it holds; everything but the DuckDB file itself may be made public
EXPORTS = {
    "kpi_values.csv": f"{_LEAN} FROM public_values ORDER BY kpi_code, kato, period_start, period_id",
    "kpi_values.parquet": "FROM public_values ORDER BY kpi_code, kato, period_start, period_id",
    "kpi_rollups.csv": f"{_LEAN} FROM rollups WHERE sensitivity <> 'restricted' ORDER BY kpi_code, area_kind, area, period_start, period_id",
    "scorecard.csv": "FROM scorecard ORDER BY year, catalogue_id, item7_group, rank NULLS LAST, kato",
    "data_passport.csv": "FROM registry.data_passport ORDER BY id",
    "case_passports.csv": "FROM registry.case_passport ORDER BY kpi_code, definition_version",
}
FORMATS = {".csv": "FORMAT csv, HEADER", ".parquet": "FORMAT parquet, COMPRESSION zstd"}


def export(con: duckdb.DuckDBPyConnection, name: str, path: Path) -> None:
    """Write one of EXPORTS whole, by the views that the connection finds first."""
    write(con, EXPORTS[name], path, Path(name).suffix)


def write(con: duckdb.DuckDBPyConnection, query: str, path: Path, suffix: str) -> None:
    """Write the rows of a query in the format of a file name's ending."""
    con.execute(f"COPY ({query}) TO {literal(str(path))} ({FORMATS[suffix]})")
