"""What every engine does, and how it fails. Which engines there are: clickhouse.py, spark.py; which one is chosen: settings.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from warehouse.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

    from kpi_definitions.engine_scans import EngineScan


class EngineError(StoreError):
    """An engine cannot be reached, is not as it must be, or does not hold what it should; the message says which and what to do."""


@dataclass(frozen=True)
class Load:
    """All rows of one table that deliveries of one month brought, with those that no longer hold: what is handed to an engine as one piece.

    A load is never changed: when a row of its month comes or closes, another load takes its place.
    """

    table: str
    month: str  # 2026-01: in which the deliveries' periods begin
    seq: int  # the newest ledger sequence at which a row of it came or closed
    file: Path  # Parquet, with the warehouse's own types
    rows: int
    content: int  # sum of the rows' hashes (content.py)

    @property
    def name(self) -> str:
        """As an engine calls it: 2026-01.1234.0123456789abcdef. No two loads of different content have one name, whatever warehouse they are of."""
        return f"{self.month}.{self.seq}.{self.content:016x}"


@dataclass(frozen=True)
class Facts:
    """What an engine says of itself."""

    version: str
    where: str  # address or folder
    machines: int  # servers, shards or workers that answer
    settings: Mapping[str, str]  # those that numbers depend on


class Engine(Protocol):
    """An engine that measures. Every method raises EngineError."""

    name: str  # as in the settings
    dialect: str  # of kpi_definitions/spelling.py

    def ready(self) -> Facts:
        """See that version, time zone, settings and rights are as they must be; nothing is computed before."""
        ...

    def rows(self, table: str) -> Mapping[str, int]:
        """What is there of a table, complete or not: load → rows, cheaply, as the engine keeps count itself. Asked in every run."""
        ...

    def recounted(self, table: str, loads: Sequence[str], columns: Mapping[str, str]) -> Mapping[str, tuple[int, int]]:
        """Loads → (rows, content), counted from the rows themselves (content.py); `columns`: of the load's file, in its order.

        Loads of which nothing is there are left out.
        """
        ...

    def take(self, load: Load, columns: Mapping[str, str]) -> None:
        """Read a load in, beside what is there; `columns`: all of its file's, in its order, name → SQL type.

        Where the engine's table has other columns, it is made anew: all its loads are handed over again.
        """
        ...

    def drop(self, table: str, loads: Sequence[str]) -> None:
        """Forget loads that others took the place of, or that were not read in whole."""
        ...

    def measure(self, scan: EngineScan, loads: Sequence[Load]) -> pa.Table:
        """Run a scan over these loads of its table and no others. Columns: those of the scan."""
        ...

    def close(self) -> None: ...
