"""What every step of a computation is told: which KPI versions, for which months, from which state of the warehouse."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kpi_definitions.compiler import Compiled
from warehouse.store.store import Store

if TYPE_CHECKING:
    from warehouse.kpi_values.measured_elsewhere import Elsewhere


@dataclass(frozen=True)
class KpiVersion:
    """A compiled KPI, the version of its catalogue, and the days from `starts` to before `ends` on which it is in force."""

    compiled: Compiled
    catalogue_version: str
    starts: dt.date
    ends: dt.date


@dataclass(frozen=True)
class Computation:
    """`seq`: the warehouse as it was at that ledger sequence is read; None: as it is."""

    store: Store
    versions: Sequence[KpiVersion]
    today: dt.date  # decides whether a late-data window is still open
    months: Sequence[str] = ()  # periods that close in them are due
    seq: int | None = None
    elsewhere: Elsewhere | None = None  # the engine that measures; None: the warehouse itself
    sql: dict[str, str] = field(default_factory=dict)  # KPI code → the scans that ran; filled by the scans

    @property
    def compiled(self) -> list[Compiled]:
        return [version.compiled for version in self.versions]

    @property
    def known_seq(self) -> int:
        """The ledger sequence up to which decisions on deliveries count."""
        return self.store.last_seq if self.seq is None else self.seq
