"""What the next run would change: its work is done on a copy of the warehouse, and what comes out is compared with what stands.

Pending extracts, declared corrections, definitions and assessment rules are taken as they lie in the files now. Nothing of the home
is written; the copy needs as much free disk as the warehouse. A frozen assessment is compared with what it would be if it were made again.
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
from warehouse.store.sessions import locked, opened
from warehouse.store.store import Store


class _Untouched(Archive):
    """An archive that is only read."""

    def settle(self, receipt_id: str) -> None:
        """Receipts go on waiting for the real run."""

    def set_aside(self) -> list[str]:
        """A receipt that cannot be read lies where it lies."""
        return []

    def sweep(self) -> None:
        """Nor is anything taken away."""

    def withdrawal_entered(self, receipt_id: str) -> None:
        """And those taken back wait for the real run's ledger."""

    def keep(self, file: Path) -> str:
        return file_sha256(file)


def what_if(home: Home, catalogues: Path | None = None) -> dict[str, Any]:
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
    before, sources = store.last_seq, load_source_contracts(store.home, store.tables)
    register_pending(store, archive)
    order = TopologicalSorter({t.name: {r.table for r in t.references} for t in store.tables.values()}).static_order()
    for name in order:
        ingest_table(store, archive, store.tables[name], sources)
    deliveries = _rows(store, "SELECT delivery_id, table_name, scope, period_id, file_name, state, accepted_rows, rejected_rows, reason, closing_month "
                              f"FROM audit.delivery WHERE loaded_seq > {before} ORDER BY delivery_id")  # fmt: skip
    running = running_month()
    # what was loaded or defined and never computed would be computed as well
    months = sorted(
        {*(d["closing_month"] for d in deliveries if d["closing_month"] < running), *due(store, catalogues).months}
    )
    compute(store, catalogues, months)
    values = _rows(
        store,
        f"""
SELECT n.kpi_code, n.kato AS area, s.name_en AS area_en, n.period_id, o.value AS before, n.value AS after, round(n.value - o.value, 6) AS difference,
       o.state AS state_before, n.state AS state_after, n.reason, o.definition_version AS version_before, n.definition_version AS version_after
FROM kpi.value n JOIN registry.settlement s USING (kato)
LEFT JOIN kpi.value o ON (o.kpi_code, o.kato, o.period_id, o.valid_to_seq) = (n.kpi_code, n.kato, n.period_id, n.valid_from_seq)
WHERE n.valid_from_seq > {before} AND n.valid_to_seq IS NULL ORDER BY n.kpi_code, n.period_id, n.kato""",
    )
    rollups = _rows(
        store,
        f"""
SELECT n.kpi_code, n.area_kind, n.area, n.period_id, o.value AS before, n.value AS after, round(n.value - o.value, 6) AS difference,
       o.state AS state_before, n.state AS state_after
FROM kpi.rollup n LEFT JOIN kpi.rollup o
    ON (o.kpi_code, o.area_kind, o.area, o.period_id, o.valid_to_seq) = (n.kpi_code, n.area_kind, n.area, n.period_id, n.valid_from_seq)
WHERE n.valid_from_seq > {before} AND n.valid_to_seq IS NULL ORDER BY n.kpi_code, n.area_kind, n.area, n.period_id""",
    )
    return {"deliveries": deliveries, "values": values, "rollups": rollups, "levels": _levels(store, catalogues)}


def _levels(store: Store, catalogues: Catalogues) -> list[dict[str, Any]]:
    """Settlements whose level or place would not be that of the newest assessment of their year."""
    found = []
    stand = _rows(store, """
SELECT year, catalogue_id, kato, settlement_en, level, rank FROM (
    SELECT s.year, s.catalogue_id, s.kato, s.settlement_en, c.level, s.rank FROM scorecard s
    JOIN kpi.assessment_score c ON (c.assessment_id, c.kato, c.node_kind) = (s.assessment_id, s.kato, 'settlement')) ORDER BY ALL""")  # fmt: skip
    for catalogue in catalogues.lists:
        for year in sorted({row["year"] for row in stand if row["catalogue_id"] == catalogue.head.id}):
            rules = catalogue.rules_of(year)
            if rules is None:
                continue
            made = make(store, catalogue, rules, year)
            for row in stand:
                if (row["year"], row["catalogue_id"]) != (year, catalogue.head.id):
                    continue
                node, place = made.nodes.get(row["kato"], {}).get(("settlement", "")), made.places.get(row["kato"])
                level, rank = (node.level if node else None), (place[1] if place else None)
                if (level, rank) != (row["level"], row["rank"]):
                    found.append({"year": year, "catalogue": catalogue.head.id, "kato": row["kato"], "settlement_en": row["settlement_en"],
                                  "level_before": row["level"], "level_after": level, "place_before": row["rank"], "place_after": rank})  # fmt: skip
    return found


def _rows(store: Store, sql: str) -> list[dict[str, Any]]:
    cursor = store.con.execute(sql)
    names = [d[0] for d in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
