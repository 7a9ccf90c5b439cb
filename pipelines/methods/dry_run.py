"""Dry run: what the next run would change. Its work is done on a copy of the warehouse, and the result compared with the warehouse.

Pending extracts, declared corrections, definitions and assessment rules are read from the files as they are now. Nothing of the home
is written; the copy needs as much free disk as the warehouse. A frozen assessment is compared with what it would be if it were made again.
Does not belong here: what a run does (pipelines/run.py and below), how changes are shown (cli/screens/dry_run.py).
"""

from __future__ import annotations

from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from connectors.archive.archive import Archive
from connectors.ingest import ingest_table, load_source_contracts, register_pending
from kpi_definitions.catalogue import Catalogues, load_catalogues
from warehouse.errors import StoreError
from warehouse.home.copies import copied, file_sha256
from warehouse.home.home import Home
from warehouse.home.scratch import scratch
from warehouse.kpi_values.assessment import make
from warehouse.kpi_values.compute import compute
from warehouse.kpi_values.outstanding import due, running_month
from warehouse.sql import statement
from warehouse.store.sessions import locked, opened
from warehouse.store.store import Store


class _Untouched(Archive):
    """An archive that is only read: what a run would write to it is left out."""

    def settle(self, receipt_id: str) -> None:
        """Receipts wait for the real run."""

    def set_aside(self) -> list[str]:
        """A receipt that cannot be read stays where it is."""
        return []

    def sweep(self) -> None:
        """Nothing is taken away."""

    def withdrawal_entered(self, receipt_id: str) -> None:
        """Withdrawals wait for the real run's ledger."""

    def keep(self, file: Path) -> str:
        return file_sha256(file)


def dry_run_home(home: Home, catalogues: Path | None = None) -> dict[str, Any]:
    """`deliveries` that would be decided, `values`, `rollups` and `levels` that would change, each with before and after.

    `catalogues`: a folder in place of the home's. Raises StoreError, DocumentError.
    """
    if not home.warehouse.exists():
        raise StoreError(f"there is no warehouse in {home.root} yet; run: qala run")
    with scratch() as folder:
        copy = Home(folder)
        try:
            with locked(home):
                for path in (home.warehouse, home.warehouse.with_name(home.warehouse.name + ".wal")):
                    if path.exists():
                        copied(path, copy.root / path.name)
        except OSError as error:
            raise StoreError(
                f"the warehouse cannot be copied to {folder} ({error}); set TMPDIR to a disk with more room"
            ) from error
        for mine, theirs in (
            (copy.contracts, home.contracts),
            (copy.showcase, home.showcase),
            (copy.corrections, home.corrections),
            (copy.catalogues, catalogues or home.catalogues),
            (copy.root / "keys", home.root / "keys"),
        ):
            if theirs.exists():
                mine.symlink_to(theirs.resolve())
        try:
            with opened(copy) as store:
                return _run(store, _Untouched(home.archive), load_catalogues(copy.catalogues))
        except StoreError as error:  # what is wrong with the copy is wrong with the warehouse
            raise StoreError(str(error).replace(str(copy.root), str(home.root))) from error


def _run(store: Store, archive: Archive, catalogues: Catalogues) -> dict[str, Any]:
    """Ingest and compute on the copy, and compare with what it held before."""
    before, sources = store.last_seq, load_source_contracts(store.home, store.tables)
    register_pending(store, archive)
    order = TopologicalSorter({t.name: {r.table for r in t.references} for t in store.tables.values()}).static_order()
    for name in order:
        ingest_table(store, archive, store.tables[name], sources)
    deliveries = store.select(
        "SELECT delivery_id, table_name, scope, period_id, file_name, state, accepted_rows, rejected_rows, reason, closing_month "
        f"FROM audit.delivery WHERE loaded_seq > {before} ORDER BY delivery_id"
    )
    running = running_month()
    # what was loaded or defined and never computed would be computed as well
    months = sorted(
        {*(d["closing_month"] for d in deliveries if d["closing_month"] < running), *due(store, catalogues).months}
    )
    compute(store, catalogues, months)
    return {
        "deliveries": deliveries,
        "values": store.select(statement(__file__, "changed_values", after_seq=str(before))),
        "rollups": store.select(statement(__file__, "changed_rollups", after_seq=str(before))),
        "levels": _levels(store, catalogues),
    }


def _levels(store: Store, catalogues: Catalogues) -> list[dict[str, Any]]:
    """Settlements whose level or place would not be that of the newest assessment of their year."""
    found = []
    newest = store.select(statement(__file__, "newest_levels"))
    for catalogue in catalogues.lists:
        of_list = [row for row in newest if row["catalogue_id"] == catalogue.head.id]
        for year in sorted({row["year"] for row in of_list}):
            rules = catalogue.rules_of(year)
            if rules is None:
                continue
            made = make(store, catalogue, rules, year)
            for row in of_list:
                if row["year"] != year:
                    continue
                node, place = made.nodes.get(row["kato"], {}).get(("settlement", "")), made.places.get(row["kato"])
                level, rank = (node.level if node else None), (place[1] if place else None)
                if (level, rank) != (row["level"], row["rank"]):
                    found.append(
                        {
                            "year": year,
                            "catalogue": catalogue.head.id,
                            "kato": row["kato"],
                            "settlement_en": row["settlement_en"],
                            "level_before": row["level"],
                            "level_after": level,
                            "place_before": row["rank"],
                            "place_after": rank,
                        }
                    )
    return found
