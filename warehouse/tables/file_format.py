"""The storage version of a DuckDB file that qala makes.

It decides which clients can open a release, which is a copy of the warehouse's file (docs/adr/0026). A file that is there keeps
the version it was made with: DuckDB never changes that by itself.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

STORAGE_VERSION = (
    "v1.4.0"  # the oldest in which texts are packed as well as in DuckDB 2's own: clients from 1.4 on open it
)


def make_file(path: Path, version: str = STORAGE_VERSION) -> None:
    """An empty database, closed again: on a connection with this setting DuckDB 2 writes its syntax tree in the old form too (sandbox.py)."""
    duckdb.connect(str(path), config={"storage_compatibility_version": version}).close()


def storage_version(con: duckdb.DuckDBPyConnection) -> str:
    """Of an open file: by it DuckDB spells a view that it has written and read. No function is called: the file may hold another of its name."""
    databases = (
        "SELECT tags FROM system.main.duckdb_databases() WHERE NOT internal AND path IS NOT NULL ORDER BY database_oid"
    )
    row = con.execute(databases).fetchall()[0]
    return str(row[0]["storage_version"]).removesuffix("+")
