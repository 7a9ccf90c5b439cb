"""What the registries of a release call the things that answers name by code, in one language."""

from __future__ import annotations

from collections.abc import Mapping

from warehouse.store.store import Store

# what is named → SELECT of (code, name), {name}: its name in the language; where there is no name in it, the Russian one, then the English
_NAMES = {
    "settlement": "SELECT kato, {name} FROM registry.settlement",
    "region": "SELECT kato, {name} FROM registry.region",
    "group": "SELECT item7_group, {name} FROM registry.item7_group",
    "state": "SELECT state, any_value({name}) FROM registry.obs_status GROUP BY state",
    "criterion": "SELECT criterion, {name} FROM registry.criterion",
    "table": "SELECT table_name, {name} FROM registry.showcase_table",
    "unit": "SELECT unit, coalesce(nullif(symbol, ''), {name}) FROM registry.unit",
    "kpi": "SELECT kpi_code, arg_max({name}, definition_version) FROM registry.kpi GROUP BY kpi_code",
    "sphere": "SELECT sphere, {name} FROM registry.sphere",
    "initiative": "SELECT initiative, any_value({name}) FROM registry.initiative GROUP BY initiative",
}
Names = Mapping[str, Mapping[str, str]]


def names_of(store: Store, language: str) -> Names:
    """By what is named (settlement, state, unit, …) code → name."""
    in_order = dict.fromkeys((language, "ru", "en"))
    name = f"coalesce({', '.join(f'name_{one}' for one in in_order)})"
    return {what: dict(store.con.execute(sql.format(name=name)).fetchall()) for what, sql in _NAMES.items()}
