"""chdb: ClickHouse's engine in this process, over a folder of the home. For tests, and where there is no server. A process has one folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from warehouse.engines.clickhouse import ClickHouse, Place
from warehouse.engines.clickhouse_connections import embedded
from warehouse.tables.contracts import Table

DATABASE = "default"  # is there from the beginning


def open_chdb(folder: Path, tried: Collection[str] = (), tables: Mapping[str, Table] | None = None) -> ClickHouse:
    """The engine over a folder, which it makes; `tried`, `tables`: as of a server's. Nothing is asked of it yet."""
    where = f"chdb in {folder}"
    return ClickHouse(
        "chdb",
        Place(
            where=where,
            database=DATABASE,
            loader=lambda _: embedded(folder, DATABASE, {}),
            # nothing can be written, set or read from elsewhere on this connection
            reader=lambda: embedded(folder, DATABASE, {"readonly": 1}),
            shards=(where,),
            front=where,
            tried=tried,
            tables=tables or {},
        ),
    )
