"""The tables of a warehouse file, made or extended as contracts and code demand, and its registries.

Does not belong here: whether a file may be extended (fitting.py), steps between versions (upgrade_steps.py), the DDL itself
(tables/ddl.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from kpi_definitions.catalogue import units
from warehouse.messages.messages import catalogue, sentence
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
from warehouse.tables.contracts import Table
from warehouse.tables.passports import data_passport
from warehouse.tables.rules import CRITERIA
from warehouse.tables.settlements import REGISTRY_FILES

_IN_ORDER = ("en", "ru", "kk")  # languages as columns have them
# registry → its file, and the columns taken from it
_REGISTRY_FILES = {
    "region": ("regions.csv", "*"),
    "settlement": ("settlements.csv", "*, kato[:2] AS kato2, kato[:4] AS kato4, kato[:6] AS kato6"),
    "item7_group": ("item7_group.csv", "*"),
    "obs_status": ("obs_status.csv", "*"),
    "direction": ("direction.csv", "*"),
}


# lists of codes that stand in views, as messages name them
CODE_LISTS = (
    "area_kind",
    "assessment_status",
    "catalogue_status",
    "delivery_state",
    "document_kind",
    "grain",
    "incident_kind",
    "incident_status",
    "kpi_kind",
    "movement",
    "node_kind",
    "quality_result",
    "ranking_state",
    "sensitivity",
)


_BLANK = "blank"  # the setting of a file with tables and no ledger yet: what they were made from


def ensure_schema(store: Store, entries: Entries = ()) -> None:
    """Create or extend tables when the contracts differ from what the file was made for."""
    wanted, con = store.fingerprint, store.con
    known = con.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'registry' AND table_name = 'setting'"
    ).fetchone()
    found = dict(con.execute("SELECT name, value FROM registry.setting").fetchall()) if known and known[0] else {}
    if found.get("schema") == wanted:
        return
    with store.transaction():
        if found != {_BLANK: wanted}:
            _make(store)
        con.execute("DELETE FROM registry.setting")
        con.execute("INSERT INTO registry.setting VALUES ('schema', ?)", [wanted])
        if entries and store.last_seq == 0:
            store.record(entries)
        (first,) = store.record([(EntryKind.SCHEMA, "warehouse", {"sha256": wanted, "number": LATEST})])
        seal(store, first, registries=REGISTRIES)
        at("schema.committing")
    at("schema.committed")


def make_blank(store: Store) -> None:
    """All that `ensure_schema` makes in an empty file, but for ledger and seals, which are of one warehouse."""
    with store.transaction():
        _make(store)
        store.con.execute("INSERT INTO registry.setting VALUES (?, ?)", [_BLANK, store.fingerprint])


def _make(store: Store) -> None:
    from warehouse.tables import ddl  # SQLAlchemy takes a while to import

    fitting.refuse_older(store)
    fitting.fit_fixed(store)
    fitting.add_columns(store)
    meta = ddl.metadata(store.tables.values())
    store.con.execute("; ".join((*ddl.ddl(meta), *ddl.descriptions(meta))))
    views.make(store.con, views.all_views(store.tables))
    _fill_registries(store)
    make_sentences(store)


def _rules(store: Store) -> list[tuple[Any, ...]]:
    """Every rule of every table as registry.rule has it."""
    return [
        (table.name, r.id, *map(r.description, _IN_ORDER), r.dimension, r.criterion, r.incident_kind, r.severity)
        for table in store.tables.values()
        for r in table.all_rules
    ]


def _fill_registries(store: Store) -> None:
    con = store.con
    store.replace("registry.data_passport", list(data_passport(store.tables.values())))
    store.replace("registry.rule", _rules(store))
    named = [
        (n, name, *(sentence(f"criterion.{name}", one) for one in _IN_ORDER)) for n, name in enumerate(CRITERIA, 1)
    ]
    store.replace("registry.criterion", named)
    for name, (file, columns) in _REGISTRY_FILES.items():
        con.execute(
            f"DELETE FROM registry.{name}; INSERT INTO registry.{name} BY NAME SELECT {columns} "
            f"FROM read_csv({literal(REGISTRY_FILES / file)}, all_varchar = true)"
        )
    labels = [(code, u["sdmx"], u["symbol"], u["en"], u["ru"], u["kk"]) for code, u in units().items()]
    store.replace("registry.unit", labels)
    store.replace("registry.code_list", list(_code_list()))
    store.replace("registry.showcase_table", [_named(table) for table in store.tables.values()])
    store.replace("registry.period", _periods())


def _named(table: Table) -> tuple[Any, ...]:
    """A table as registry.showcase_table has it."""
    names = (table.title, table.title_ru, table.title_kk)
    described = (table.description, table.description_ru, table.description_kk)
    agreed = (table.frequency, table.latency_days, table.agreed_from)
    return (table.name, *names, *described, table.domain, table.owner, table.snapshot, *agreed)


def _code_list() -> Iterator[tuple[Any, ...]]:
    """Names of codes as registry.code_list has them: the messages LIST.CODE, in their order."""
    for name in CODE_LISTS:
        codes = [code for code in catalogue() if code.startswith(f"{name}.")]
        for position, code in enumerate(codes, 1):
            yield (name, code.removeprefix(f"{name}."), position, *(sentence(code, one) for one in _IN_ORDER))


def _periods() -> list[tuple[Any, ...]]:
    """Every reporting period as registry.period has it."""
    rows: list[tuple[Any, ...]] = []
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        start = dt.date(year, 1, 1)
        for grain, months in (("M", 1), ("Q", 3), ("A", 12)):
            for number in range(12 // months):
                first, after = add_months(start, number * months), add_months(start, (number + 1) * months)
                label = {"M": month_id(first), "Q": f"{year}-Q{number + 1}", "A": str(year)}[grain]
                rows.append((label, grain, first, after, month_id(add_months(after, -1))))
    return rows
