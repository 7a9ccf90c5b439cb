"""Working tables: temporary tables that carry rows from one step to the next. Declared in `warehouse/working_tables/`, one file a room.

Each is declared with its grain, its columns, the module that makes it and the modules that read it; a test fails when one is
used that is not declared, or used by a module that is not named. Does not belong here: tables of the file
(system_tables.py, contracts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb

from kpi_definitions.documents import loaded
from kpi_definitions.kept import kept
from warehouse.sql import quoted

FOLDER = Path(__file__).parents[1] / "working_tables"
PREFIX = "work_"


@dataclass(frozen=True)
class WorkingTable:
    """One temporary table. `columns`: name → SQL type; empty where they follow from a contract or a definition (`composed`)."""

    name: str
    grain: str
    made_by: str
    read_by: tuple[str, ...]
    columns: Mapping[str, str]
    composed: str = ""


@cache
def working_tables() -> dict[str, WorkingTable]:
    """Name → declaration of every working table. Raises ValueError for a name declared twice or without the prefix."""
    files = sorted(FOLDER.glob("*.yaml"))
    return kept("working_tables", files, lambda: _read(files))


def _read(files: Sequence[Path]) -> dict[str, WorkingTable]:
    found: dict[str, WorkingTable] = {}
    for path in files:
        declared = loaded(path.read_text(encoding="utf-8")) or {}
        for name, one in declared.items():
            if name in found or not name.startswith(PREFIX):
                raise ValueError(f"{path.name}: {name} is declared twice, or does not begin with {PREFIX}")
            found[name] = WorkingTable(
                name,
                one["grain"],
                one["made_by"],
                tuple(one.get("read_by", ())),
                one.get("columns", {}),
                one.get("composed", ""),
            )
    return found


def create(con: duckdb.DuckDBPyConnection, *names: str, anew: bool = True) -> None:
    """Make declared working tables, empty. `anew`: in place of what there is; else what there is stays."""
    make = "CREATE OR REPLACE TEMP TABLE" if anew else "CREATE TEMP TABLE IF NOT EXISTS"
    con.execute(
        "; ".join(
            f"{make} {name} ({', '.join(f'{quoted(c)} {kind}' for c, kind in working_tables()[name].columns.items())})"
            for name in names
        )
    )
