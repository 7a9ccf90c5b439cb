"""Definitions and catalogues as the warehouse knew them at a ledger sequence, from its registries: no file is read.

Does not belong here: what is in force today (kpi_definitions/catalogue.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from kpi_definitions.catalogue import Catalogue
from kpi_definitions.compiler import compile_kpi
from kpi_definitions.model import CatalogueHead, Initiative, Kpi
from warehouse.kpi_values.computation import KpiVersion
from warehouse.sql import literal, statement
from warehouse.store.store import Store

_NEVER = dt.date(9999, 12, 31)


def registered_versions(store: Store, codes: Sequence[str], seq: int) -> list[KpiVersion]:
    """Every version of the KPIs that was registered at a sequence, as it was then."""
    rows = store.con.execute(
        statement(__file__, "registered_versions", seq=str(seq), codes=", ".join(map(literal, codes)))
    ).fetchall()
    columns = store.columns()
    return [
        KpiVersion(compile_kpi(Kpi.model_validate_json(text), columns), version, starts, ends)
        for text, version, starts, ends in rows
    ]


def registered_catalogue(store: Store, catalogue_id: str, seq: int) -> Catalogue | None:
    """A catalogue as the warehouse knew it at a sequence: enough of it to assess by. None if it never did."""
    row = store.con.execute(
        "SELECT catalogue_version, name_en, name_ru, catalogue_status, legal_basis, valid_from, valid_to FROM registry.catalogue WHERE catalogue_id = ?",
        [catalogue_id],
    ).fetchone()
    if row is None:
        return None
    version, name_en, name_ru, status, basis, starts, ends = row
    head = {"id": catalogue_id, "version": version, "name": {"en": name_en, "ru": name_ru}, "status": status}
    head |= {"legal_basis": basis, "valid_from": starts, "valid_to": ends, "spheres": ()}
    initiatives = tuple(_initiatives(store, catalogue_id, seq))
    return Catalogue(CatalogueHead.model_validate(head), initiatives, (), {}, store.home.root)


def _initiatives(store: Store, catalogue_id: str, seq: int) -> list[Initiative]:
    rows = store.con.execute(
        "SELECT initiative, sphere, name_en, name_ru, named_in_order, categories FROM registry.initiative WHERE catalogue_id = ? ORDER BY initiative",
        [catalogue_id],
    ).fetchall()
    initiatives = []
    for code, sphere, name_en, name_ru, named, categories in rows:
        kpis = [
            one.compiled.kpi.model_copy(update={"valid_to": None if one.ends >= _NEVER else one.ends})
            for one in registered_versions(store, _codes(store, code), seq)
        ]
        initiative = {"code": code, "sphere": sphere, "name": {"en": name_en, "ru": name_ru}, "kpis": kpis}
        initiative |= {"named_in_order": named, "categories": categories.split()}
        initiatives.append(Initiative.model_validate(initiative))
    return initiatives


def _codes(store: Store, initiative: str) -> list[str]:
    rows = store.con.execute("SELECT DISTINCT kpi_code FROM registry.kpi WHERE initiative = ?", [initiative]).fetchall()
    return sorted(row[0] for row in rows) or [""]
