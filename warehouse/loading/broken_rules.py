"""Rules on rows that deliveries broke: how often, and the commonest of what stood there, as far as it may be shown.

Asked of `audit.rejected_row`, and by `qala try` of rows that are in no warehouse. Does not belong here: the rows themselves, which deliveries
are asked about (warehouse/audit/refusals.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from warehouse.sql import literal, statement
from warehouse.tables.contracts import Table
from warehouse.tables.rules import (
    DAYS,
    DUPLICATE,
    IDENTIFIES,
    KEY_INCOMPLETE,
    KEY_ORDER,
    KEY_REUSED,
    REPEATED,
    WHERE,
)

VALUES = 5  # of each rule, the commonest
# rules of which a typed row is kept, by the names of the table's columns; of others a record, by its headers
_OF_TYPED_ROWS = {REPEATED, DUPLICATE, KEY_REUSED, KEY_ORDER, KEY_INCOMPLETE, DAYS}


@dataclass(frozen=True)
class Broken:
    """A rule on rows that was broken: by how many rows, by how many cells of rows that were taken without them."""

    rule: str
    rows: int
    cells: int
    values: tuple[tuple[str | None, int, int], ...]  # (what stood there, how often, in which row first); None: nothing
    different: int  # how many different values there are


@dataclass(frozen=True)
class Rejected:
    """A rejected row, or a cell that a row was taken without. `value`: what stood in the cells the rule is about, as far as it may be shown."""

    month: str  # in which the delivery closes
    delivery_id: int
    file_name: str
    row_no: int
    rule: str
    value: str | None


def broken_rules(
    con: duckdb.DuckDBPyConnection,
    table: Table | None,
    headers: Mapping[str, Sequence[str]],
    *,
    chosen: str,
    part: str = "''",
    rejected_rows: str = "audit.rejected_row",
    most: int = VALUES,
) -> dict[str, tuple[Broken, ...]]:
    """Part → rules broken in chosen deliveries of one table and system, the most often broken first.

    `headers`: by column, the headers it is made of, under `where` those of the condition; none of the exchange format. `chosen`, `part`: SQL over a row of
    audit.delivery AS delivery, a condition and a text. `table` None: it is gone, and records are shown as they were kept.
    """
    sql = statement(
        __file__,
        "broken_rule",
        of_part=part,
        shown_value=_value(table, headers) if table else "rejected.raw",
        rejected_rows=rejected_rows,
        chosen=chosen,
        most=str(most),
    )
    found: dict[str, dict[str, Broken]] = {}
    for name, rule, rows, cells, different, value, times, first in con.execute(sql).fetchall():
        rules = found.setdefault(name, {})
        one = rules.setdefault(rule, Broken(rule, rows, cells, (), different))
        rules[rule] = replace(one, values=(*one.values, (value, times, first)))
    often = {name: sorted(rules.values(), key=lambda b: -(b.rows + b.cells)) for name, rules in found.items()}
    return {name: tuple(rules) for name, rules in often.items()}


def rejected_rows(
    con: duckdb.DuckDBPyConnection, table: Table | None, headers: Mapping[str, Sequence[str]], *, chosen: str, most: int
) -> list[Rejected]:
    """Of each month in which chosen deliveries close, and each rule, the first rows that broke it; `headers`, `chosen` as of `broken_rules`."""
    sql = statement(
        __file__,
        "rejected_row_shown",
        shown_value=_value(table, headers) if table else "rejected.raw",
        chosen=chosen,
        most=str(most),
    )
    return [Rejected(*row) for row in con.execute(sql).fetchall()]


def _value(table: Table, headers: Mapping[str, Sequence[str]]) -> str:
    """What stood in the cells that a rule is about, of a row that was kept. SQL."""
    whens = ""
    for rule, columns in concerned(table).items():
        named = columns if rule in _OF_TYPED_ROWS else [h for c in columns for h in headers.get(c, (c,))]
        cells = {name: _cell(name) for name in dict.fromkeys(named)}
        parts = ", ".join(f"{literal(f'{name} = ')} || {cell}" for name, cell in cells.items())
        shown = next(iter(cells.values())) if len(cells) == 1 else f"concat_ws(', ', {parts})" if cells else "NULL"
        whens += f" WHEN {literal(rule)} THEN {shown}"
    record = f"CASE rejected.rule{whens} END" if whens else "NULL"
    return f"CASE WHEN rejected.column_name IS NOT NULL OR rejected.raw[1] <> '{{' THEN rejected.raw ELSE {record} END"


def _cell(name: str) -> str:
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    return f"json_extract_string(rejected.raw, {literal(pointer)})"


def concerned(table: Table) -> dict[str, tuple[str, ...]]:
    """Rule on rows → the columns whose cells break it; rules on whole records are not among them."""
    found = {rule.id: columns for rule in table.all_rules if (columns := _columns(rule.column, rule.predicate))}
    key = dict.fromkeys((REPEATED, DUPLICATE, KEY_REUSED, KEY_ORDER, KEY_INCOMPLETE, IDENTIFIES), table.key)
    days = {DAYS: (table.cut.by,)} if table.cut.by else {}
    return {**found, **key, **days, "scope": ("kato",), WHERE: (WHERE,)}


def _columns(column: str | None, predicate: str | None) -> tuple[str, ...]:
    if column or not predicate:
        return (column,) if column else ()
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(predicate, dialect="duckdb", into=exp.Condition)
    return tuple(dict.fromkeys(c.name for c in tree.find_all(exp.Column)))
