"""The catalogue enters the warehouse: spheres, initiatives, KPI versions, passports. A version that was used never changes.

Does not belong here: reading and checking catalogue files (kpi_definitions/catalogue.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import columns_of
from kpi_definitions.model import Kpi
from warehouse.errors import StoreError
from warehouse.moments import at
from warehouse.store.ledger import EntryKind
from warehouse.store.seals import CATALOGUE, seal
from warehouse.store.store import Store
from warehouse.tables.passports import case_passports, standards

_LABELS = ("name_en", "name_ru", "name_kk", "description_en", "description_ru", "description_kk")
_COLUMNS = [
    "kpi_code", "definition_version", "initiative", "sphere", *_LABELS, "unit", "direction", "kind", "grain", "valid_from", "valid_to",
    "sensitivity", "definition", "definition_hash", "catalogue_id", "catalogue_version", "catalogue_status", "registered_seq",
]  # fmt: skip


def register_catalogue(store: Store, catalogue: Catalogues, hashes: Mapping[tuple[str, int], str]) -> None:
    """Bring spheres, initiatives and KPI versions of a catalogue into the registry, in a transaction of its own.

    Raises StoreError if a version already used here has another meaning now, or has given its place to another: a definition is
    never edited after use.
    """
    known = _registered(store)
    _refuse_changed(known, hashes)
    setting = store.con.execute("SELECT value FROM registry.setting WHERE name = 'catalogue'").fetchone()
    if setting and setting[0] == catalogue.digest:
        return
    with store.transaction():
        names = ", ".join(one.head.id for one in catalogue.lists)
        (first,) = store.record([(EntryKind.CATALOGUE, names, {"sha256": catalogue.digest})])
        store.con.execute("DELETE FROM registry.setting WHERE name = 'catalogue'")
        store.con.execute("INSERT INTO registry.setting VALUES ('catalogue', ?)", [catalogue.digest])
        _replace_lists(store, catalogue)
        new = [kpi for kpi in catalogue.kpis if (kpi.code, kpi.version) not in known]
        sources = [(kpi.code, kpi.version, table, column) for kpi in new for table, column in columns_of(kpi)]
        store.insert("registry.kpi_source", ["kpi_code", "definition_version", "table_name", "column_name"], sources)
        _end_versions(store, catalogue)
        _label(store, catalogue)
        _add_versions(store, catalogue, new, hashes)
        seal(store, first, registries=CATALOGUE)
        at("catalogue.committing")
    at("catalogue.committed")


def _registered(store: Store) -> dict[tuple[str, int], str]:
    """(code, version) → hash of every definition that was used here."""
    rows = store.con.execute("SELECT kpi_code, definition_version, definition_hash FROM registry.kpi").fetchall()
    return {(code, version): digest for code, version, digest in rows}


def _refuse_changed(known: Mapping[tuple[str, int], str], hashes: Mapping[tuple[str, int], str]) -> None:
    """Raises StoreError for a version that was used here and changed its meaning, or is gone while others of its code are there."""
    for (code, version), digest in hashes.items():
        if known.get((code, version), digest) != digest:
            raise StoreError(
                f"{code} version {version} was used in this warehouse with another meaning; "
                "restore it, and write the change as a new version with its own valid_from"
            )
    defined = {code for code, _ in hashes}
    for code, former in sorted(set(known) - set(hashes)):
        if code in defined:  # a list that was taken away whole is another matter
            raise StoreError(
                f"{code} version {former} was used in this warehouse and is no longer defined; "
                "put it back beside the newer version, and end it with valid_to"
            )


def _replace_lists(store: Store, catalogue: Catalogues) -> None:
    """Write the lists, spheres, initiatives, passports and standards as they are now."""
    heads = [one.head for one in catalogue.lists]
    lists = [
        (
            h.id,
            h.version,
            h.name.en,
            h.name.ru,
            h.name.kk,
            h.status,
            h.legal_basis,
            h.valid_from,
            h.valid_to,
            h.legal_basis_ru,
            h.legal_basis_kk,
        )
        for h in heads
    ]
    store.replace("registry.catalogue", lists)
    spheres = {s.code: s for h in heads for s in h.spheres}.values()
    store.replace("registry.sphere", [(s.code, s.number, s.name.en, s.name.ru, s.name.kk) for s in spheres])
    initiatives = [
        (
            i.code,
            i.sphere,
            i.name.en,
            i.name.ru,
            i.name.kk,
            i.named_in_order,
            i.basis,
            one.head.id,
            " ".join(i.categories),
        )
        for one in catalogue.lists
        for i in one.initiatives
    ]
    store.replace("registry.initiative", initiatives)
    store.replace("registry.case_passport", list(case_passports(catalogue, store.tables)))
    store.replace("registry.kpi_standard", standards(catalogue))


def _end_versions(store: Store, catalogue: Catalogues) -> None:
    """A version may be ended after it was used; nothing else of it may change."""
    rows = store.con.execute("SELECT kpi_code, definition_version, valid_to FROM registry.kpi").fetchall()
    ends = {(code, version): end for code, version, end in rows}
    for kpi in catalogue.kpis:
        key = (kpi.code, kpi.version)
        if key in ends and ends[key] != kpi.valid_to:
            store.con.execute(
                "UPDATE registry.kpi SET valid_to = ? WHERE (kpi_code, definition_version) = (?, ?)",
                [kpi.valid_to, *key],
            )
            subject = f"{kpi.code}@{kpi.version}"
            store.record([(EntryKind.DEFINITION_ENDED, subject, {"valid_to": kpi.valid_to})])


def _label(store: Store, catalogue: Catalogues) -> None:
    """Names and descriptions are not part of a definition's meaning: those of versions in use are what the catalogue says now."""
    labels = ", ".join(f"{name} = ?" for name in _LABELS)
    for kpi in catalogue.kpis:
        store.con.execute(
            f"UPDATE registry.kpi SET {labels} WHERE (kpi_code, definition_version) = (?, ?)",
            [*_labels(kpi), kpi.code, kpi.version],
        )


def _labels(kpi: Kpi) -> tuple[str | None, ...]:
    """The columns _LABELS of registry.kpi."""
    name, said = kpi.name, kpi.description
    described = (said.en, said.ru, said.kk) if said else (None, None, None)
    return (name.en, name.ru, name.kk, *described)


def _add_versions(
    store: Store, catalogue: Catalogues, new: Sequence[Kpi], hashes: Mapping[tuple[str, int], str]
) -> None:
    entries = [
        (
            EntryKind.DEFINITION,
            f"{k.code}@{k.version}",
            {"hash": hashes[k.code, k.version], "change_note": k.change_note},
        )
        for k in new
    ]
    rows = [
        (*_described(catalogue, kpi), hashes[kpi.code, kpi.version], head.id, head.version, head.status, seq)
        for kpi, seq in zip(new, store.record(entries), strict=True)
        for head in [catalogue.of(kpi.code).head]
    ]
    store.insert("registry.kpi", _COLUMNS, rows)


def _described(catalogue: Catalogues, kpi: Kpi) -> tuple[object, ...]:
    """The columns of registry.kpi that tell of the definition itself."""
    initiative, sphere = catalogue.initiative_of(kpi.code).code, catalogue.sphere_of(kpi.code).code
    days = (kpi.valid_from, kpi.valid_to)
    kind, grain, definition = str(kpi.kind), str(kpi.period), kpi.model_dump_json(by_alias=True)
    return (
        kpi.code,
        kpi.version,
        initiative,
        sphere,
        *_labels(kpi),
        kpi.unit,
        kpi.direction,
        kind,
        grain,
        *days,
        kpi.sensitivity,
        definition,
    )
