"""The fingerprint of a warehouse's schema: what its tables and views were made from.

Does not belong here: fingerprints of KPI definitions (kpi_definitions/compiler.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import duckdb

from kpi_definitions.kept import kept
from warehouse.messages.messages import CATALOGUE, recorded_catalogue
from warehouse.tables.contracts import SHOWCASE, Table, load_tables
from warehouse.tables.settlements import REGISTRY_FILES
from warehouse.tables.system_tables import FIXED
from warehouse.tables.view_columns import FILE
from warehouse.tables.views import shipped_views


def schema_fingerprint(tables: Mapping[str, Table]) -> str:
    """SHA-256 of contracts, units, views, system tables, sentences, files of registries and DuckDB's version, which may spell a view otherwise."""
    from kpi_definitions.catalogue import UNITS

    files = [path.read_text(encoding="utf-8") for path in (FILE, UNITS, CATALOGUE / "views.yaml", *_registries())]
    parts = [
        *map(repr, tables.values()),
        repr(shipped_views()),
        duckdb.__version__,
        repr(FIXED),
        recorded_catalogue(),
        *files,
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def shipped_fingerprint() -> str:
    """The fingerprint of the shipped contracts, worked out once a process: a run opens the warehouse for every table."""
    files = [*SHOWCASE.glob("*.odcs.yaml"), *_registries()]
    return kept("fingerprint", files, lambda: schema_fingerprint(load_tables()))


def _registries() -> list[Path]:
    return sorted(REGISTRY_FILES.glob("*.csv"))
