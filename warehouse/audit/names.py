"""What the registries of a release call the things that answers name by code, in one language."""

from __future__ import annotations

from collections.abc import Mapping

from warehouse.sql import literal
from warehouse.store.store import Store

# what is named → SELECT of code and name, {name}: its name in the language; where there is no name in it, the Russian one, then the English
_NAMES = {
    "settlement": "kato, {name} FROM registry.settlement",
    "region": "kato, {name} FROM registry.region",
    "group": "item7_group, {name} FROM registry.item7_group",
    "state": "state, any_value({name}) FROM registry.obs_status GROUP BY state",
    "criterion": "criterion, {name} FROM registry.criterion",
    "table": "table_name, {name} FROM registry.showcase_table",
    "unit": "unit, coalesce(nullif(symbol, ''), {name}) FROM registry.unit",
    "kpi": "kpi_code, arg_max({name}, definition_version) FROM registry.kpi GROUP BY kpi_code",
    "sphere": "sphere, {name} FROM registry.sphere",
    "initiative": "initiative, any_value({name}) FROM registry.initiative GROUP BY initiative",
}
Names = Mapping[str, Mapping[str, str]]


def names_of(store: Store, language: str) -> Names:
    """By what is named (settlement, state, unit, …) code → name."""
    in_order = dict.fromkeys((language, "ru", "en"))
    name = f"coalesce({', '.join(f'name_{one}' for one in in_order)})"
    selects = (f"SELECT {literal(what)}, {sql.format(name=name)}" for what, sql in _NAMES.items())
    found: dict[str, dict[str, str]] = {what: {} for what in _NAMES}
    for what, code, named in store.con.execute(" UNION ALL ".join(selects)).fetchall():
        found[what][code] = named
    return found
