"""The tables of a warehouse file, made or extended as contracts and code demand, and its registries.

Does not belong here: whether a file may be extended (fitting.py), steps between versions (upgrade_steps.py), the DDL itself
(tables/ddl.py).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from warehouse.moments import at
from warehouse.periods import FIRST_YEAR, LAST_YEAR, add_months, month_id
from warehouse.sql import literal
from warehouse.store import fitting
from warehouse.store.ledger import Entries, EntryKind
from warehouse.store.seals import REGISTRIES, seal
from warehouse.store.sentences import make_sentences
from warehouse.store.store import Store
from warehouse.store.upgrade_steps import LATEST
from warehouse.tables import views
from warehouse.tables.passports import data_passport
from warehouse.tables.rules import CRITERIA
from warehouse.tables.settlements import REGISTRY_FILES


def ensure_schema(store: Store, entries: Entries = ()) -> None:
    """Create or extend tables when the contracts differ from what the file was made for."""
    wanted, con = store.fingerprint, store.con
    known = con.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'registry' AND table_name = 'setting'"
    ).fetchone()
    if known and known[0]:
        found = con.execute("SELECT value FROM registry.setting WHERE name = 'schema'").fetchone()
        if found and found[0] == wanted:
            return
    from warehouse.tables import ddl  # SQLAlchemy takes a while to import

    with store.transaction():
        fitting.refuse_older(store)
        fitting.fit_fixed(store)
        fitting.add_columns(store)
        meta = ddl.metadata(store.tables.values())
        con.execute("; ".join((*ddl.ddl(meta), *ddl.descriptions(meta))))
        views.make(con, views.all_views(store.tables))
        _fill_registries(store)
        make_sentences(store)
        con.execute("DELETE FROM registry.setting")
        con.execute("INSERT INTO registry.setting VALUES ('schema', ?)", [wanted])
        if entries and store.last_seq == 0:
            store.record(entries)
        (first,) = store.record([(EntryKind.SCHEMA, "warehouse", {"sha256": wanted, "number": LATEST})])
        seal(store, first, registries=REGISTRIES)
        at("schema.committing")
    at("schema.committed")


def _rules(store: Store) -> list[tuple[Any, ...]]:
    """Every rule of every table as registry.rule has it."""
    return [
        (table.name, r.id, r.description, r.dimension, r.criterion, r.incident_kind, r.severity)
        for table in store.tables.values()
        for r in table.all_rules
    ]


def _fill_registries(store: Store) -> None:
    con = store.con
    store.replace("registry.data_passport", list(data_passport(store.tables.values())))
    store.replace("registry.rule", _rules(store))
    store.replace("registry.criterion", [(n, name, ru, kk) for n, (name, (ru, kk)) in enumerate(CRITERIA.items(), 1)])
    for name in ("region", "settlement"):
        con.execute(f"DELETE FROM registry.{name}")
    con.execute(
        f"INSERT INTO registry.region BY NAME SELECT * FROM read_csv({literal(REGISTRY_FILES / 'regions.csv')}, all_varchar = true)"
    )
    con.execute(
        "INSERT INTO registry.settlement BY NAME SELECT *, kato[:2] AS kato2, kato[:4] AS kato4, kato[:6] AS kato6 "
        f"FROM read_csv({literal(REGISTRY_FILES / 'settlements.csv')}, all_varchar = true)"
    )
    rows: list[tuple[Any, ...]] = []
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        start = dt.date(year, 1, 1)
        for grain, months in (("M", 1), ("Q", 3), ("A", 12)):
            for number in range(12 // months):
                first, after = add_months(start, number * months), add_months(start, (number + 1) * months)
                label = {"M": month_id(first), "Q": f"{year}-Q{number + 1}", "A": str(year)}[grain]
                rows.append((label, grain, first, after, month_id(add_months(after, -1))))
    store.replace("registry.period", rows)
