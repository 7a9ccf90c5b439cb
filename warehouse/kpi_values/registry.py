"""The catalogue enters the warehouse: spheres, initiatives, KPI versions, passports. A version that was used never changes.

Does not belong here: reading and checking catalogue files (kpi_definitions/catalogue.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import columns_of
from warehouse.errors import StoreError
from warehouse.moments import at
from warehouse.store.ledger import EntryKind
from warehouse.store.seals import CATALOGUE, seal
from warehouse.store.store import Store
from warehouse.tables.passports import case_passports, standards


def register_catalogue(store: Store, catalogue: Catalogues, hashes: Mapping[tuple[str, int], str]) -> None:
    """Bring spheres, initiatives and KPI versions of a catalogue into the registry, in a transaction of its own.

    Raises StoreError if a version already used here has another meaning now, or has given its place to another: a definition is
    never edited after use.
    """
    known = {(code, version): digest for code, version, digest in
             store.con.execute("SELECT code, version, definition_hash FROM registry.kpi").fetchall()}  # fmt: skip
    for place, digest in hashes.items():
        if known.get(place, digest) != digest:
            raise StoreError(
                f"{place[0]} version {place[1]} was used in this warehouse with another meaning; "
                "restore it, and write the change as a new version with its own valid_from"
            )
    defined = {code for code, _ in hashes}
    for code, former in sorted(set(known) - set(hashes)):
        if code in defined:  # a list that was taken away whole is another matter
            raise StoreError(
                f"{code} version {former} was used in this warehouse and is no longer defined; "
                "put it back beside the newer version, and end it with valid_to"
            )
    setting = store.con.execute("SELECT value FROM registry.setting WHERE name = 'catalogue'").fetchone()
    if setting and setting[0] == catalogue.digest:
        return
    lists = [(one.head, one) for one in catalogue.lists]
    with store.transaction():
        (first,) = store.record([(EntryKind.CATALOGUE, ", ".join(h.id for h, _ in lists), {"sha256": catalogue.digest})])
        store.con.execute("DELETE FROM registry.setting WHERE name = 'catalogue'")
        store.con.execute("INSERT INTO registry.setting VALUES ('catalogue', ?)", [catalogue.digest])
        store.replace("registry.catalogue", [
            (h.id, h.version, h.name.en, h.name.ru, h.name.kk, h.status, h.legal_basis, h.valid_from, h.valid_to) for h, _ in lists])  # fmt: skip
        spheres = {s.code: s for h, _ in lists for s in h.spheres}
        store.replace(
            "registry.sphere", [(s.code, s.number, s.name.en, s.name.ru, s.name.kk) for s in spheres.values()]
        )
        store.replace("registry.initiative", [
            (i.code, i.sphere, i.name.en, i.name.ru, i.name.kk, i.named_in_order, i.basis, h.id, " ".join(i.categories))
            for h, one in lists for i in one.initiatives])  # fmt: skip
        store.replace("registry.case_passport", list(case_passports(catalogue, store.tables)))
        store.replace("registry.kpi_standard", standards(catalogue))
        new = [kpi for kpi in catalogue.kpis if (kpi.code, kpi.version) not in known]
        sources = [(kpi.code, kpi.version, table, column) for kpi in new for table, column in columns_of(kpi)]
        store.insert("registry.kpi_source", ["code", "version", "table_name", "column_name"], sources)
        ends = {(code, version): end for code, version, end in
                store.con.execute("SELECT code, version, valid_to FROM registry.kpi").fetchall()}  # fmt: skip
        for kpi in catalogue.kpis:  # a version may be ended after it was used; nothing else of it may change
            place = (kpi.code, kpi.version)
            if place in ends and ends[place] != kpi.valid_to:
                store.con.execute(
                    "UPDATE registry.kpi SET valid_to = ? WHERE (code, version) = (?, ?)", [kpi.valid_to, *place]
                )
                store.record([(EntryKind.DEFINITION_ENDED, f"{kpi.code}@{kpi.version}", {"valid_to": kpi.valid_to})])
        seqs = store.record(
            [
                (
                    EntryKind.DEFINITION,
                    f"{k.code}@{k.version}",
                    {"hash": hashes[k.code, k.version], "change_note": k.change_note},
                )
                for k in new
            ]
        )
        store.insert("registry.kpi", [
            "code", "version", "initiative", "sphere", "name_en", "name_ru", "name_kk", "unit", "direction", "kind", "grain", "valid_from", "valid_to",
            "sensitivity", "definition", "definition_hash", "catalogue_id", "catalogue_version", "catalogue_status", "registered_seq",
        ], [(k.code, k.version, catalogue.initiative_of(k.code).code, catalogue.sphere_of(k.code).code, k.name.en, k.name.ru, k.name.kk, k.unit, k.direction,
             str(k.kind), str(k.period), k.valid_from, k.valid_to, k.sensitivity, k.model_dump_json(by_alias=True),
             hashes[k.code, k.version], h.id, h.version, h.status, seq)
            for k, seq in zip(new, seqs, strict=True) for h in [catalogue.of(k.code).head]])  # fmt: skip
        seal(store, first, registries=CATALOGUE)
        at("catalogue.committing")
    at("catalogue.committed")
