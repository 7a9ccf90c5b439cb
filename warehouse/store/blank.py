"""A new warehouse's file: its tables, views and registries as ensure_schema (schema.py) would make them, with nothing entered in its ledger yet.

To make them takes two seconds, to copy a file that holds them a twentieth of one; so the file is kept for the next home (kept.py). Does not belong
here: what the tables are (schema.py, tables/).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import duckdb

from kpi_definitions.kept import kept
from warehouse.home.home import Home
from warehouse.store import schema
from warehouse.store.store import Store
from warehouse.tables.file_format import make_file
from warehouse.tables.fingerprint import schema_fingerprint

_ROOM = Path(__file__).parent


def make_blank(home: Home) -> None:
    """Give a home its warehouse's file, whole or not at all."""
    with duckdb.connect() as none:  # what it is kept under follows from the very tables that it holds
        store = Store(none, home)
        made_from = f"{store.fingerprint} {schema_fingerprint(store.tables)}"
    content = kept(f"blank {made_from}", _ROOM.glob("*.py"), lambda: _content(home))
    fresh = home.warehouse.with_name(f".{home.warehouse.name}.new")
    with fresh.open("wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    fresh.replace(home.warehouse)


def _content(home: Home) -> bytes:
    with tempfile.TemporaryDirectory(prefix="qala-blank-") as folder:
        path = Path(folder) / home.warehouse.name
        make_file(path)
        with duckdb.connect(str(path)) as con:
            con.execute("SET TimeZone = 'UTC'")
            schema.make_blank(Store(con, home))
        return path.read_bytes()
