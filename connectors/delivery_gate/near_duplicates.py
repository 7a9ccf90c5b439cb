"""Twins: identifiers of one table that differ only by letter case, leading zeros or look-alike letters of another alphabet.

A-9 and a-9, 009 and 9, A-9 in Latin and in Cyrillic letters are one thing under two spellings far more often than two things, and
such a thing counts twice. Nobody but the source can tell: the rows stay, and a finding with examples opens incidents, for the
delivery and for those that brought the other spelling.

Most deliveries have no twins by the mere shape of their identifiers (all of one case, of one length, of one alphabet). That is
told by comparing, once for each delivery; keys are looked at one by one only where shapes differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from connectors.row_gate.row_gate import STAGED, Incoming
from warehouse.loading.deliveries import Finding
from warehouse.sql import literal, quoted
from warehouse.tables.contracts import Table
from warehouse.tables.identifiers import folded, has_zeros, upper, without_zeros
from warehouse.tables.rules import TWINS

SHOWN = 3  # examples in a finding
_NUMBER = 32  # letters; what is longer is no number that could have lost its zeros
_SHAPES = "key_shapes"  # temporary table: what is known of each delivery's identifiers; for as long as the connection


@dataclass(frozen=True)
class _Shape:
    """What occurs among the identifiers of some deliveries."""

    foreign: bool  # letters that are not ASCII
    small: bool
    capital: bool
    zeros: bool  # numbers with leading zeros
    shortest: int
    longest: int

    def __or__(self, other: _Shape) -> _Shape:
        return _Shape(self.foreign or other.foreign, self.small or other.small, self.capital or other.capital, self.zeros or other.zeros,
                      min(self.shortest, other.shortest), max(self.longest, other.longest))  # fmt: skip

    @property
    def may_have_twins(self) -> bool:
        return self.foreign or (self.small and self.capital) or (self.zeros and self.shortest < self.longest)


def twins(con: duckdb.DuckDBPyConnection, table: Table, incoming: Sequence[Incoming]) -> list[Finding]:
    """A finding for each delivery of `staged`: the twins of its keys, in it or among the rows of its system that stand.

    Rows that the delivery itself replaces (of the same system and territory, of days within its own) are nobody's twins.
    """
    names = [n for n in table.key if n in table.identifiers]
    if not names or not incoming:
        return []
    rule = next(r for r in table.delivery_rules if r.id == TWINS)
    found = dict(_pairs(con, table, names, *_suspects(con, table, names, incoming)))
    findings = []
    for one in incoming:
        told, others = found.get(one.delivery_id, ("no twins", ()))
        passed = one.delivery_id not in found
        findings.append(
            Finding(one.delivery_id, TWINS, "warning", rule.dimension, passed, told, rule.description, concerns=others)
        )
    return findings


def _suspects(
    con: duckdb.DuckDBPyConnection, table: Table, names: Sequence[str], incoming: Iterable[Incoming]
) -> tuple[set[int], set[int]]:
    """Deliveries that may have twins by the shapes of identifiers, and all others whose rows may be the other twin."""
    mine = {one.delivery_id for one in incoming}
    numbers = ", ".join(map(str, sorted(mine)))
    con.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS {_SHAPES} (delivery_id BIGINT, table_name VARCHAR, foreign_letters BOOLEAN, small BOOLEAN, "
        "capital BOOLEAN, zeros BOOLEAN, shortest BIGINT, longest BIGINT)"
    )
    con.execute(f"DELETE FROM {_SHAPES} WHERE table_name = {literal(table.name)} AND delivery_id IN ({numbers})")
    con.execute(f"INSERT INTO {_SHAPES} {_shapes(table, names, STAGED, 'broken IS NULL')}")
    # of the same system, and of a territory that meets one of theirs
    con.execute(f"""CREATE OR REPLACE TEMP TABLE related AS
SELECT o.delivery_id, o.system, o.scope FROM audit.delivery o
WHERE o.table_name = {literal(table.name)} AND (o.state = 'loaded' OR o.delivery_id IN ({numbers})) AND EXISTS (
    FROM (SELECT DISTINCT system, scope FROM audit.delivery WHERE delivery_id IN ({numbers})) n
    WHERE n.system = o.system AND ('KZ' IN (o.scope, n.scope) OR starts_with(o.scope, n.scope) OR starts_with(n.scope, o.scope)))""")
    unknown = f"FROM related WHERE delivery_id NOT IN (SELECT delivery_id FROM {_SHAPES} WHERE table_name = {literal(table.name)})"
    if new := [
        str(d)
        for (d,) in con.execute(
            f"SELECT delivery_id {unknown} AND delivery_id NOT IN ({numbers}) ORDER BY 1"
        ).fetchall()
    ]:
        held = f"delivery_id IN ({', '.join(new)})"
        con.execute(f"INSERT INTO {_SHAPES} {_shapes(table, names, f'showcase.{table.name}', held)}")
    places = con.execute(f"""
SELECT system, scope, bool_or(foreign_letters), bool_or(small), bool_or(capital), bool_or(zeros), min(shortest), max(longest)
FROM related JOIN {_SHAPES} USING (delivery_id) WHERE table_name = {literal(table.name)} GROUP BY ALL""").fetchall()
    shapes = {(system, scope): _Shape(*shape) for system, scope, *shape in places}
    doubtful = {place for place in shapes if _around(place, shapes).may_have_twins}
    everywhere = con.execute("SELECT delivery_id, system, scope FROM related").fetchall()
    con.execute("DROP TABLE related")
    suspects = {d for d, system, scope in everywhere if d in mine and (system, scope) in doubtful}
    return suspects, {d for d, _, _ in everywhere} - suspects


def _around(place: tuple[str, str], shapes: Mapping[tuple[str, str], _Shape]) -> _Shape:
    """The shapes of a territory and of all that meet it, taken together."""
    system, scope = place
    whole = shapes[place]
    for (other, area), shape in shapes.items():
        if other == system and ("KZ" in (area, scope) or area.startswith(scope) or scope.startswith(area)):
            whole |= shape
    return whole


def _shapes(table: Table, names: Sequence[str], relation: str, condition: str) -> str:
    """By delivery, what occurs among its identifiers. SQL."""

    def any_of(condition: str) -> str:
        return " OR ".join(f"bool_or({condition.format(quoted(n))})" for n in names)

    zeros = " OR ".join(f"bool_or(strlen({quoted(n)}) <= {_NUMBER} AND {has_zeros(quoted(n))})" for n in names)
    length = " + ".join(f"strlen({quoted(n)})" for n in names)
    return f"""SELECT delivery_id, {literal(table.name)} AS table_name, {any_of("strlen({0}) <> length({0})")} AS foreign_letters,
       {any_of("{0} <> upper({0})")} AS small, {any_of("{0} <> lower({0})")} AS capital, {zeros} AS zeros,
       min({length}) AS shortest, max({length}) AS longest
FROM {relation} WHERE {condition} GROUP BY delivery_id"""


def _pairs(
    con: duckdb.DuckDBPyConnection, table: Table, names: Sequence[str], suspects: set[int], others: set[int]
) -> Iterator[tuple[int, tuple[str, tuple[int, ...]]]]:
    """Deliveries with keys that were not met before and have a twin; with each, how many and examples, and who brought the others."""
    if not suspects:
        return
    # what else is in the key and is no moment: of another code, or under another number, an identifier is another thing
    kept = [n for n in table.key if n in names or table.business_columns[n].upper() not in {"DATE", "TIMESTAMP"}]
    shown, fold = _text(kept), ", ".join(folded(quoted(n)) if n in names else quoted(n) for n in kept)
    columns = ", ".join(quoted(n) for n in kept)
    mine, theirs = (", ".join(map(str, sorted(group))) or "NULL" for group in (suspects, others))
    rows = con.execute(f"""
WITH ids AS (
    SELECT delivery_id, kato, {columns}, min(row_no) AS row_no, true AS fresh FROM {STAGED}
    WHERE broken IS NULL AND delivery_id IN ({mine}, {theirs}) GROUP BY ALL
    UNION ALL
    SELECT DISTINCT delivery_id, kato, {columns}, NULL, false FROM showcase.{table.name} WHERE delivery_id IN ({theirs})),
told AS (
    SELECT i.*, d.system, d.scope, d.period_start, d.period_end, {shown} AS shown, {_text(kept, upper)} AS without_case,
           {_text(kept, without_zeros)} AS without_zeros, hash({fold}) AS folded
    FROM ids i JOIN audit.delivery d USING (delivery_id)),
met AS (SELECT DISTINCT system, kato, shown FROM told WHERE NOT fresh),
new AS (FROM told WHERE fresh AND delivery_id IN ({mine}) AND (system, kato, shown) NOT IN (FROM met))
SELECT n.delivery_id, n.shown, n.row_no, min(o.shown), arg_min(o.row_no, o.shown) FILTER (WHERE o.delivery_id = n.delivery_id),
       arg_min(CASE WHEN o.without_case = n.without_case THEN 'letter case' WHEN o.without_zeros = n.without_zeros THEN 'leading zeros'
               ELSE 'look-alike letters' END, o.shown), list(DISTINCT o.delivery_id) FILTER (WHERE o.delivery_id <> n.delivery_id)
FROM new n JOIN told o ON (o.system, o.kato, o.folded) = (n.system, n.kato, n.folded) AND o.shown <> n.shown
WHERE (o.delivery_id < n.delivery_id OR (o.delivery_id = n.delivery_id AND o.row_no < n.row_no))
  AND (o.delivery_id = n.delivery_id OR o.scope <> n.scope OR o.period_start < n.period_start OR o.period_end > n.period_end)
GROUP BY ALL ORDER BY 1, 3""").fetchall()
    found: dict[int, list[str]] = {}
    brought: dict[int, set[int]] = {}
    for delivery_id, one, row_no, other, other_row, why, deliveries in rows:
        brought.setdefault(delivery_id, set()).update(deliveries or ())
        where = "" if other_row is None else f" of row {other_row}"
        found.setdefault(delivery_id, []).append(f"{one} of row {row_no} beside {other}{where} ({why})")
    for delivery_id, told in found.items():
        more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        named = f"{len(told)} keys have a twin: {'; '.join(told[:SHOWN])}{more}"
        yield delivery_id, (named, tuple(sorted(brought[delivery_id])))


def _text(columns: Iterable[str], of: Callable[[str], str] = str) -> str:
    """Columns as one text, each brought to a form before. SQL."""
    return f"concat_ws(' / ', {', '.join(of(f'CAST({quoted(c)} AS VARCHAR)') for c in columns)})"
