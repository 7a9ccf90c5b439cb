"""A release as pages read it: the open file, and what does not depend on the language.

Does not belong here: what one kind of page alone needs (pages/).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import duckdb

from warehouse.errors import StoreError
from warehouse.home.copies import file_sha256
from warehouse.report.figures import Figures
from warehouse.store.ledger import EntryKind
from warehouse.store.sessions import reading_file
from warehouse.store.store import Store
from warehouse.tables.views import falsified

Row = Mapping[str, Any]
T = TypeVar("T")


class ReleaseData:
    """An open release. Get one from `opened_release`."""

    def __init__(self, store: Store, file: Path) -> None:
        self.store, self.file = store, file
        self.released = self._released()
        self.figures = Figures(self.rows)
        self._once: dict[Callable[..., Any], Any] = {}

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query, each a dict: column → value."""
        return self.store.select(sql, parameters)

    def once(self, make: Callable[[ReleaseData], T]) -> T:
        """What `make` makes of this release: made the first time it is asked for, whatever the language."""
        if make not in self._once:
            self._once[make] = make(self)
        return cast(T, self._once[make])

    def _released(self) -> Row:
        """The ledger's newest row, by which the file was released. Raises StoreError."""
        newest = self.rows("SELECT seq, recorded_at, kind, hash FROM audit.ledger ORDER BY seq DESC LIMIT 1")
        if not newest or newest[0]["kind"] != EntryKind.RELEASED:
            raise StoreError(
                f"{self.file} is no release: its ledger does not end in one; name the file of a release, as qala.duckdb in a home's release folder"
            )
        return newest[0]

    @property
    def seq(self) -> int:
        """The release's number: its ledger sequence."""
        return int(self.released["seq"])

    @property
    def head(self) -> str:
        """Hash of the ledger's newest row."""
        return str(self.released["hash"])

    @cached_property
    def sha256(self) -> str:
        return file_sha256(self.file)

    @property
    def mark(self) -> dict[str, Any]:
        """What the report says of its release, for machines."""
        return {
            "release": self.seq,
            "ledger_head": self.head,
            "sha256": self.sha256,
            "released_at": self.released["recorded_at"].isoformat(),
        }

    @cached_property
    def catalogues(self) -> list[dict[str, Any]]:
        return self.rows("FROM registry.catalogue ORDER BY catalogue_id")

    @property
    def proposal(self) -> bool:
        """Whether a list of this release is a proposal and not the order's."""
        return any(one["catalogue_status"] == "proposal" for one in self.catalogues)

    @cached_property
    def spheres(self) -> list[dict[str, Any]]:
        return self.rows("FROM registry.sphere ORDER BY number")

    @cached_property
    def initiatives(self) -> dict[str, dict[str, Any]]:
        """Code → initiative, in the order of spheres."""
        rows = self.rows(
            "SELECT initiative.* FROM registry.initiative AS initiative JOIN registry.sphere AS sphere USING (sphere) "
            "ORDER BY sphere.number, initiative.initiative"
        )
        return {row["initiative"]: row for row in rows}

    @cached_property
    def kpis(self) -> dict[str, dict[str, Any]]:
        """Code → newest definition of a KPI, in the order of spheres."""
        rows = self.rows(
            "SELECT kpi.* FROM registry.kpi AS kpi JOIN registry.sphere AS sphere USING (sphere) "
            "QUALIFY row_number() OVER (PARTITION BY kpi_code ORDER BY definition_version DESC) = 1 ORDER BY sphere.number, kpi_code"
        )
        return {row["kpi_code"]: row for row in rows}

    @cached_property
    def units(self) -> dict[str, dict[str, Any]]:
        """Code → unit with its sign and names."""
        return {row["unit"]: row for row in self.rows("FROM registry.unit ORDER BY unit")}

    @cached_property
    def states(self) -> dict[str, dict[str, Any]]:
        """OBS_STATUS → calculation state with its names and what it means."""
        return {row["obs_status"]: row for row in self.rows("FROM registry.obs_status ORDER BY position")}

    @cached_property
    def directions(self) -> dict[str, dict[str, Any]]:
        return {row["direction"]: row for row in self.rows("FROM registry.direction ORDER BY sign DESC")}

    @cached_property
    def groups(self) -> dict[str, dict[str, Any]]:
        """Item 7 group → its names, in their order."""
        return {row["item7_group"]: row for row in self.rows("FROM registry.item7_group ORDER BY position")}

    @cached_property
    def regions(self) -> dict[str, dict[str, Any]]:
        """KATO → region."""
        return {row["kato"]: row for row in self.rows("FROM registry.region ORDER BY kato")}

    @cached_property
    def settlements(self) -> dict[str, dict[str, Any]]:
        """KATO → settlement, in the order of item 7 groups and KATO; `delivered`: whether anything was delivered for it."""
        rows = self.rows(
            "SELECT settlement.*, settlement.kato IN (SELECT scope FROM deliveries) AS delivered FROM registry.settlement AS settlement "
            "JOIN registry.item7_group AS category USING (item7_group) ORDER BY category.position, kato"
        )
        return {row["kato"]: row for row in rows}

    @cached_property
    def periods(self) -> dict[str, dict[str, Any]]:
        """Id → period, in their order."""
        return {row["period_id"]: row for row in self.rows("FROM registry.period ORDER BY period_start, period_end")}


@contextmanager
def opened_release(file: Path) -> Iterator[ReleaseData]:
    """Open a released file, read-only. Raises StoreError if it is none, or if it holds what qala did not make."""
    if not file.is_file():
        raise StoreError(f"there is no {file}; name the file of a release, or make one: qala run")
    with reading_file(file) as store:
        try:
            release = ReleaseData(store, file)
            if found := falsified(store.con):
                raise StoreError(
                    f"{file} is no release as qala makes it: {', '.join(found)}; if another version of qala made it, let this one run and release anew"
                )
        except duckdb.CatalogException as error:
            raise StoreError(f"{file} is no release of qala ({str(error).splitlines()[0]})") from error
        yield release
