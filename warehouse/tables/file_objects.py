"""Every object of an open DuckDB file that is no row: schemas, tables, views, columns, constraints, functions.

Belongs here: asking DuckDB's own catalogues, and which objects qala never makes. Does not belong here: comparing
two files (audit/verify_derived.py), views analysts read (views.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from warehouse.tables import system_tables
from warehouse.tables.views import all_views

# (kind of object, query: its name, then facts about it). All of DuckDB's functions are named in full, and nothing else is called: a macro
# planted in the file would go before them
_OURS = "NOT internal AND database_name <> 'temp' AND database_name <> 'system'"


CATALOGUES: Mapping[str, str] = {
    "schema": f"SELECT schema_name, comment FROM system.main.duckdb_schemas() WHERE {_OURS}",
    "table": f"SELECT (schema_name, table_name), comment FROM system.main.duckdb_tables() WHERE {_OURS}",
    "view": f"SELECT (schema_name, view_name), comment, sql FROM system.main.duckdb_views() WHERE {_OURS}",
    "column": "SELECT (schema_name, table_name, column_name), comment, data_type, is_nullable, column_default, column_index "
              f"FROM system.main.duckdb_columns() WHERE {_OURS}",
    "constraint": "SELECT (schema_name, table_name, constraint_text, constraint_column_names), NULL FROM system.main.duckdb_constraints() "
                  "WHERE database_name <> 'temp' AND database_name <> 'system'",
    "index": "SELECT (schema_name, index_name), comment, sql FROM system.main.duckdb_indexes() WHERE database_name <> 'temp'",
    "sequence": "SELECT (schema_name, sequence_name), comment FROM system.main.duckdb_sequences() WHERE database_name <> 'temp'",
    "type": f"SELECT (schema_name, type_name), comment FROM system.main.duckdb_types() WHERE {_OURS}",
    "trigger": "SELECT (schema_name, table_name, trigger_name), comment, sql FROM system.main.duckdb_triggers() WHERE database_name <> 'temp'",
    "function": "SELECT (schema_name, function_name), comment FROM system.main.duckdb_functions() WHERE NOT internal",
}  # fmt: skip


Catalogue = dict[str, dict[tuple[str, ...], tuple[Any, ...]]]


def catalogue(con: duckdb.DuckDBPyConnection) -> Catalogue:
    """Everything an open file has that is no row: kind → name → facts, the comment first."""
    return {kind: {name_of(row[0]): row[1:] for row in con.execute(sql).fetchall()} for kind, sql in CATALOGUES.items()}


def name_of(found: Any) -> tuple[str, ...]:
    parts = found if isinstance(found, tuple) else (found,)
    return tuple(", ".join(p) if isinstance(p, list) else str(p) for p in parts)


def planted(con: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> list[str]:
    """Objects of an open file that this version of qala makes none of, by name alone: what can be asked at every release."""
    known = {tuple(name.split(".")) for name in system_tables.FIXED}
    known |= {(place, name) for name in tables for place in ("showcase", "history")}
    known |= {("main", name) for name in all_views(())} | {(name,) for name in (*system_tables.SCHEMAS, "main")}
    strange = list[str]()
    for kind, sql in CATALOGUES.items():
        if kind not in ("column", "constraint"):
            names = {name_of(row[0]) for row in con.execute(sql).fetchall()} - known
            strange += [f"{kind} {'.'.join(name)}" for name in sorted(names)]
    return strange
