"""An engine in the test's own process, to see what is made of one that is slow, loses rows or was emptied: DuckDB, reading the files.

Does not belong here: the engines that qala has (warehouse/engines/).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from kpi_definitions.engine_scans import EngineScan
from warehouse.engines.content import content_sql
from warehouse.engines.engine import Facts, Load
from warehouse.sql import literal, quoted


@dataclass
class InProcess:
    """Holds its loads in a database in memory."""

    name: str = "in-process"
    dialect: str = "duckdb"
    where: str = "memory"
    # what becomes of a load on its way; None: it arrives as it was sent
    fault: Callable[[duckdb.DuckDBPyConnection, Load], None] | None = None
    con: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    taken: list[str] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)

    def ready(self) -> Facts:
        return Facts(duckdb.__version__, self.where, 1, {})

    def rows(self, table: str) -> Mapping[str, int]:
        if not self._columns(table):
            return {}
        return dict(self.con.execute(f"SELECT load, count(*) FROM {table} GROUP BY load").fetchall())

    def recounted(self, table: str, loads: Sequence[str], columns: Mapping[str, str]) -> Mapping[str, tuple[int, int]]:
        self.counted += loads
        if not self._columns(table):
            return {}
        named = ", ".join(map(literal, loads)) or "NULL"
        sql = f"SELECT load, {content_sql(columns, 'duckdb')} FROM {table} WHERE load IN ({named}) GROUP BY load"
        return {load: (rows, int(content)) for load, rows, content in self.con.execute(sql).fetchall()}

    def take(self, load: Load, columns: Mapping[str, str]) -> None:
        self.taken.append(load.name)
        if self._columns(load.table) != ["load", *columns]:
            typed = ", ".join(f"{quoted(name)} {sql_type}" for name, sql_type in columns.items())
            self.con.execute(f"CREATE OR REPLACE TABLE {load.table} (load VARCHAR, {typed})")
        self.con.execute(
            f"INSERT INTO {load.table} BY NAME SELECT {literal(load.name)} AS load, * FROM read_parquet(?)",
            [str(load.file)],
        )
        if self.fault:
            self.fault(self.con, load)

    def drop(self, table: str, loads: Sequence[str]) -> None:
        self.con.execute(f"DELETE FROM {table} WHERE load IN ({', '.join(map(literal, loads))})")

    def measure(self, scan: EngineScan, loads: Sequence[Load]) -> pa.Table:
        named = ", ".join(literal(load.name) for load in loads)
        rows = f"(SELECT * FROM {scan.table} WHERE load IN ({named}))"
        return self.con.sql(scan.sql.format(rows=rows)).to_arrow_table()

    def close(self) -> None:
        self.con.close()

    def _columns(self, table: str) -> list[str]:
        sql = "SELECT column_name FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index"
        return [str(name) for (name,) in self.con.execute(sql, [table]).fetchall()]
