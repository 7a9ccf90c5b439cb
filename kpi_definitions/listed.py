"""What is asked of definitions without computing by them: their codes, when they hold, what they read, and their hashes.

Plain facts that are kept (kept.py): whoever needs no more reads no catalogue and imports no compiler. Does not belong here: a definition
itself (model.py), what it becomes (compiler.py).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kpi_definitions.kept import kept

if TYPE_CHECKING:
    from kpi_definitions.catalogue import Catalogues

SHIPPED = Path(__file__).parent / "catalogues"


@dataclass(frozen=True)
class ListedKpi:
    """One version of a KPI. It holds from `starts` to before `ends`; `tables`: the showcase tables it reads."""

    code: str
    version: int
    grain: str
    starts: dt.date
    ends: dt.date
    late_days: int
    fingerprint: str
    tables: tuple[str, ...]


@dataclass(frozen=True)
class Listed:
    """Every version of every KPI, by code and version; `digest` is that of the catalogues."""

    kpis: tuple[ListedKpi, ...]
    digest: str

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.code for one in self.kpis))


def listed(*folders: Path) -> Listed:
    """What the catalogues under the shipped folder and the given ones (a home's) list. Raises DocumentError with every fault found."""
    files = [path for folder in (SHIPPED, *folders) for path in folder.rglob("*.yaml")]
    return kept(f"listed {list(map(str, folders))}", files, lambda: _read(folders))


def _read(folders: tuple[Path, ...]) -> Listed:
    from kpi_definitions.catalogue import load_catalogues

    return listed_of(load_catalogues(*folders))


def listed_of(catalogues: Catalogues) -> Listed:
    """What catalogues that have been read list."""
    from kpi_definitions.compiler import columns_of, fingerprint

    kpis = tuple(
        ListedKpi(
            kpi.code,
            kpi.version,
            str(kpi.period),
            *catalogues.effect(kpi),
            kpi.late_data_days,
            fingerprint(kpi),
            tuple(dict.fromkeys(table for table, _ in columns_of(kpi))),
        )
        for kpi in catalogues.kpis
    )
    return Listed(kpis, catalogues.digest)
