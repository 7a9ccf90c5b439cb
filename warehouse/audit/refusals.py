"""Deliveries that were refused, with the rules that their rows broke, and the rules that rows of loaded deliveries broke.

Shown is what `audit.rejected_row` has, which holds nothing that gives a person away (docs/personal-data.md). Does not belong here: what to do
about it (pipelines/refusals.py), screens, the rows themselves (rows.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from warehouse.loading.broken_rules import Broken, broken_rules
from warehouse.sql import literal, statement
from warehouse.store.store import Store

# (system, table) → column → headers it is made of; of an extract in the exchange format there are none
Headers = Mapping[tuple[str, str], Mapping[str, Sequence[str]]]


@dataclass(frozen=True)
class Refused:
    """A refused delivery. `reason`: a message as it is recorded; `stands`: nothing was taken in since in its place."""

    delivery_id: int
    table_name: str
    system: str
    scope: str
    period_id: str
    file_name: str
    reason: str
    received_rows: int
    refused_at: dt.datetime
    stands: bool
    broken: tuple[Broken, ...] = field(default=())


def refused_deliveries(
    store: Store, *, table: str = "", scope: str = "", system: str = "", deliveries: Sequence[int] = ()
) -> list[Refused]:
    """Refused deliveries, the newest first: of a table, a territory, a system, or just these, where they are given."""
    asked = {"table_name": table, "scope": scope, "system": system}
    chosen = [f"refused.{column} = {literal(value)}" for column, value in asked.items() if value]
    chosen += [f"refused.delivery_id IN ({', '.join(map(str, deliveries))})"] if deliveries else []
    return _refused(store, " AND ".join(chosen) or "true")


def refused_in_runs(store: Store, runs: Iterable[str]) -> list[Refused]:
    """Deliveries that these Dagster runs refused, the newest first."""
    return _refused(store, _in_runs("refused", runs))


def with_broken_rules(store: Store, refused: Sequence[Refused], headers: Headers) -> list[Refused]:
    """The same deliveries with the rules that their rows broke."""
    found = dict[str, tuple[Broken, ...]]()
    numbers = ", ".join(str(one.delivery_id) for one in refused)
    for pair in sorted({(one.table_name, one.system) for one in refused}):
        chosen = f"{_of_pair(pair)} AND delivery.delivery_id IN ({numbers})"
        found |= _broken(store, pair, headers, chosen, "CAST(delivery.delivery_id AS VARCHAR)")
    return [replace(one, broken=found.get(str(one.delivery_id), ())) for one in refused]


def broken_in_loaded(store: Store, runs: Iterable[str], headers: Headers) -> dict[tuple[str, str], tuple[Broken, ...]]:
    """(table, system) → rules that rows of the deliveries broke which these Dagster runs loaded."""
    chosen = f"delivery.state = 'loaded' AND {_in_runs('delivery', runs)}"
    pairs = store.con.execute(
        f"SELECT DISTINCT table_name, system FROM audit.delivery WHERE {chosen} "
        "AND delivery_id IN (SELECT delivery_id FROM audit.rejected_row) ORDER BY ALL"
    ).fetchall()
    found = {p: _broken(store, p, headers, f"{_of_pair(p)} AND {chosen}").get("", ()) for p in pairs}
    return {pair: broken for pair, broken in found.items() if broken}


def _refused(store: Store, chosen: str) -> list[Refused]:
    return [Refused(**row) for row in store.select(statement(__file__, "refused_delivery", chosen=chosen))]


def _in_runs(delivery: str, runs: Iterable[str]) -> str:
    listed = ", ".join(map(literal, runs)) or "NULL"
    return f"{delivery}.loaded_seq IN (SELECT seq FROM audit.ledger WHERE run_id IN ({listed}))"


def _of_pair(pair: tuple[str, str]) -> str:
    return f"(delivery.table_name, delivery.system) = ({literal(pair[0])}, {literal(pair[1])})"


def _broken(
    store: Store, pair: tuple[str, str], headers: Headers, chosen: str, part: str = "''"
) -> dict[str, tuple[Broken, ...]]:
    """Part → rules broken in the chosen deliveries of a table and system."""
    table, system = pair
    return broken_rules(store.con, store.tables.get(table), headers.get((system, table), {}), chosen=chosen, part=part)
