"""chdb: ClickHouse's engine in this process, over a folder of the home. For tests, and where there is no server. A process has one folder."""

from __future__ import annotations

from pathlib import Path

from warehouse.engines.clickhouse import ClickHouse, Place
from warehouse.engines.clickhouse_connections import embedded

DATABASE = "default"  # is there from the beginning


def open_chdb(folder: Path) -> ClickHouse:
    """The engine over a folder, which it makes. Nothing is asked of it yet."""
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
        ),
    )
