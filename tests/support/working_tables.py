"""What working tables of a connection are, against what is declared of them."""

from __future__ import annotations

import re

import duckdb

from warehouse.tables.working_tables import PREFIX, WorkingTable, working_tables


def differing_columns(con: duckdb.DuckDBPyConnection) -> list[str]:
    """What temporary tables of a connection have otherwise than declared."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in con.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = 'temp' "
        f"AND table_name LIKE '{PREFIX}%' ORDER BY table_name, column_index"
    ).fetchall():
        found.setdefault(table, {})[column] = kind
    return [text for name, columns in found.items() if (text := _differs(name, columns))]


def _differs(name: str, columns: dict[str, str]) -> str:
    one: WorkingTable | None = working_tables().get(name) or working_tables().get(re.sub(r"_[0-9]+$", "", name))
    if one is None:
        return f"{name} is not declared"
    if one.composed:
        return ""
    wanted = {c: duckdb.sqltype(kind).__str__() for c, kind in one.columns.items()}
    return "" if wanted == columns else f"{name} is {columns}, declared {wanted}"
