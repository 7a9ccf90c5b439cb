"""Deliveries that were refused, and what broke the rules on rows: counts, and the commonest of what stood there, as far as it may be shown.

Shown is what `audit.rejected_row` has, which holds nothing that gives a person away (docs/personal-data.md). Does not belong here: what to do
about it (pipelines/refusals.py), screens, the rows themselves (rows.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sqlglot
from sqlglot import exp

from warehouse.sql import literal, statement
from warehouse.store.store import Store
from warehouse.tables.contracts import Table
from warehouse.tables.rules import DAYS, DUPLICATE, IDENTIFIES, KEY_REUSED, REPEATED

VALUES = 5  # of each rule, the commonest
# rules of which a typed row is kept, by the names of the table's columns; of others a record, by its headers
_OF_TYPED_ROWS = {REPEATED, DUPLICATE, KEY_REUSED, DAYS}
# (system, table) → column → headers it is made of; of an extract in the exchange format there are none
Headers = Mapping[tuple[str, str], Mapping[str, Sequence[str]]]


@dataclass(frozen=True)
class Broken:
    """A rule on rows that was broken: by how many rows, by how many cells of rows that were taken without them."""

    rule: str
    rows: int
    cells: int
    values: tuple[tuple[str | None, int, int], ...]  # (what stood there, how often, in which row first); None: nothing
    different: int  # how many different values there are


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
    for table_name, system in sorted({(one.table_name, one.system) for one in refused}):
        chosen = f"delivery.delivery_id IN ({numbers})"
        found |= _broken(store, (table_name, system), headers, "CAST(delivery.delivery_id AS VARCHAR)", chosen)
    return [replace(one, broken=found.get(str(one.delivery_id), ())) for one in refused]


def broken_in_loaded(store: Store, runs: Iterable[str], headers: Headers) -> dict[tuple[str, str], tuple[Broken, ...]]:
    """(table, system) → rules that rows of the deliveries broke which these Dagster runs loaded."""
    chosen = f"delivery.state = 'loaded' AND {_in_runs('delivery', runs)}"
    pairs = store.con.execute(
        f"SELECT DISTINCT table_name, system FROM audit.delivery WHERE {chosen} "
        "AND delivery_id IN (SELECT delivery_id FROM audit.rejected_row) ORDER BY ALL"
    ).fetchall()
    found = {(t, s): _broken(store, (t, s), headers, "''", chosen).get("", ()) for t, s in pairs}
    return {pair: broken for pair, broken in found.items() if broken}


def _refused(store: Store, chosen: str) -> list[Refused]:
    return [Refused(**row) for row in store.select(statement(__file__, "refused_delivery", chosen=chosen))]


def _in_runs(delivery: str, runs: Iterable[str]) -> str:
    listed = ", ".join(map(literal, runs)) or "NULL"
    return f"{delivery}.loaded_seq IN (SELECT seq FROM audit.ledger WHERE run_id IN ({listed}))"


def _broken(
    store: Store, pair: tuple[str, str], headers: Headers, part: str, chosen: str
) -> dict[str, tuple[Broken, ...]]:
    """Part → rules broken in the chosen deliveries of a table and system, the most often broken first."""
    table_name, system = pair
    table = store.tables.get(table_name)
    sql = statement(
        __file__,
        "broken_rule",
        part=part,
        table_name=literal(table_name),
        system=literal(system),
        value=_value(table, headers.get((system, table_name), {})) if table else "rejected.raw",
        chosen=chosen,
        most=str(VALUES),
    )
    found: dict[str, dict[str, Broken]] = {}
    for name, rule, rows, cells, different, value, times, first in store.con.execute(sql).fetchall():
        rules = found.setdefault(name, {})
        one = rules.setdefault(rule, Broken(rule, rows, cells, (), different))
        rules[rule] = replace(one, values=(*one.values, (value, times, first)))
    often = {name: sorted(rules.values(), key=lambda b: -(b.rows + b.cells)) for name, rules in found.items()}
    return {name: tuple(rules) for name, rules in often.items()}


def _value(table: Table, headers: Mapping[str, Sequence[str]]) -> str:
    """What stood in the cells that a rule is about, of a row of audit.rejected_row. SQL."""
    whens = ""
    for rule, columns in concerned(table).items():
        named = columns if rule in _OF_TYPED_ROWS else [h for c in columns for h in headers.get(c, (c,))]
        cells = {name: _cell(name) for name in dict.fromkeys(named)}
        parts = ", ".join(f"{literal(f'{name} = ')} || {cell}" for name, cell in cells.items())
        shown = next(iter(cells.values())) if len(cells) == 1 else f"concat_ws(', ', {parts})"
        whens += f" WHEN {literal(rule)} THEN {shown}"
    record = f"CASE rejected.rule{whens} END" if whens else "NULL"
    return f"CASE WHEN rejected.column_name IS NOT NULL OR rejected.raw[1] <> '{{' THEN rejected.raw ELSE {record} END"


def _cell(name: str) -> str:
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    return f"json_extract_string(rejected.raw, {literal(pointer)})"


def concerned(table: Table) -> dict[str, tuple[str, ...]]:
    """Rule on rows → the columns whose cells break it; rules on whole records are not among them."""
    found = {rule.id: columns for rule in table.all_rules if (columns := _columns(rule.column, rule.predicate))}
    key = dict.fromkeys((REPEATED, DUPLICATE, KEY_REUSED, IDENTIFIES), table.key)
    days = {DAYS: (table.cut.by,)} if table.cut.by else {}
    return {**found, **key, **days, "scope": ("kato",)}


def _columns(column: str | None, predicate: str | None) -> tuple[str, ...]:
    if column or not predicate:
        return (column,) if column else ()
    tree = sqlglot.parse_one(predicate, dialect="duckdb", into=exp.Condition)
    return tuple(dict.fromkeys(c.name for c in tree.find_all(exp.Column)))
