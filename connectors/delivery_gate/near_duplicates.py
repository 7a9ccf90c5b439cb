"""Near-duplicate identifiers, called twins: they differ only by letter case, leading zeros or look-alike letters of another alphabet.

A-9 and a-9, 009 and 9, A-9 in Latin and in Cyrillic letters are one thing under two spellings far more often than two things, and
such a thing counts twice. Nobody but the source can tell: the rows stay, and a finding with examples opens incidents, for the
delivery and for those that brought the other spelling.

Most deliveries have no twins by the mere shape of their identifiers (all of one case, of one length, of one alphabet). That is
told by comparing, once for each delivery; keys are looked at one by one only where shapes differ. Does not belong here: keys that are
equal (row_gate/staging.py, declaration_checks.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from connectors.row_gate.incoming import Incoming
from warehouse.loading.deliveries import Finding
from warehouse.messages.messages import Message, and_more, recorded
from warehouse.sql import literal, quoted, statement
from warehouse.tables.contracts import Table
from warehouse.tables.identifiers import folded, has_zeros, upper, without_zeros
from warehouse.tables.rules import TWINS
from warehouse.tables.working_tables import create

SHOWN = 3  # examples in a finding
_NUMBER = 32  # letters; longer digits are no number that could have lost its zeros


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
        return _Shape(
            self.foreign or other.foreign,
            self.small or other.small,
            self.capital or other.capital,
            self.zeros or other.zeros,
            min(self.shortest, other.shortest),
            max(self.longest, other.longest),
        )

    @property
    def may_have_twins(self) -> bool:
        return self.foreign or (self.small and self.capital) or (self.zeros and self.shortest < self.longest)


def near_duplicate_findings(
    con: duckdb.DuckDBPyConnection, table: Table, incoming: Sequence[Incoming]
) -> list[Finding]:
    """A finding for each delivery of `work_staged_row`: the twins of its keys, in it or among the current rows of its system.

    Rows that the delivery itself replaces (of the same system and territory, of days within its own) are nobody's twins.
    """
    names = [n for n in table.key if n in table.identifiers]
    if not names or not incoming:
        return []
    rule = next(r for r in table.delivery_rules if r.id == TWINS)
    found = dict(_twins(con, table, names, *_suspects(con, table, names, incoming)))
    findings = []
    for one in incoming:
        told, others = found.get(one.delivery_id, (recorded({"code": "finding.no_twins"}), ()))
        passed = one.delivery_id not in found
        findings.append(
            Finding(one.delivery_id, TWINS, "warning", rule.dimension, passed, told, rule.expected, concerns=others)
        )
    return findings


def _suspects(
    con: duckdb.DuckDBPyConnection, table: Table, names: Sequence[str], incoming: Iterable[Incoming]
) -> tuple[set[int], set[int]]:
    """Deliveries that may have twins by the shapes of identifiers, and all others whose rows may be the other twin."""
    arriving = {one.delivery_id for one in incoming}
    _note_shapes(con, table, names, arriving)
    found = con.execute(statement(__file__, "work_related_delivery__shapes", table_name=literal(table.name))).fetchall()
    shapes = {(system, scope): _Shape(*shape) for system, scope, *shape in found}
    doubtful = {series for series in shapes if _around(series, shapes).may_have_twins}
    related = con.execute("SELECT delivery_id, system, scope FROM work_related_delivery").fetchall()
    con.execute("DROP TABLE work_related_delivery")
    suspects = {d for d, system, scope in related if d in arriving and (system, scope) in doubtful}
    return suspects, {d for d, _, _ in related} - suspects


def _note_shapes(con: duckdb.DuckDBPyConnection, table: Table, names: Sequence[str], arriving: set[int]) -> None:
    """Fill `work_related_delivery`, and `work_identifier_shape` for each of these deliveries: it stays as long as the connection."""
    batch, name = ", ".join(map(str, sorted(arriving))), literal(table.name)
    create(con, "work_identifier_shape", anew=False)
    con.execute(f"DELETE FROM work_identifier_shape WHERE table_name = {name} AND delivery_id IN ({batch})")
    con.execute(f"INSERT INTO work_identifier_shape {_shapes(table, names, 'work_staged_row', 'broken IS NULL')}")
    con.execute(statement(__file__, "work_related_delivery", table_name=name, batch=batch))
    unknown = con.execute(
        f"SELECT delivery_id FROM work_related_delivery WHERE delivery_id NOT IN "
        f"(SELECT delivery_id FROM work_identifier_shape WHERE table_name = {name}) AND delivery_id NOT IN ({batch}) ORDER BY 1"
    ).fetchall()
    if unknown:
        loaded = f"delivery_id IN ({', '.join(str(d) for (d,) in unknown)})"
        con.execute(f"INSERT INTO work_identifier_shape {_shapes(table, names, f'showcase.{table.name}', loaded)}")


def _around(series: tuple[str, str], shapes: Mapping[tuple[str, str], _Shape]) -> _Shape:
    """The shapes of a series (system, territory) and of all whose territory meets it, taken together."""
    system, scope = series
    whole = shapes[series]
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


def _twins(
    con: duckdb.DuckDBPyConnection, table: Table, names: Sequence[str], suspects: set[int], others: set[int]
) -> Iterator[tuple[int, tuple[str, tuple[int, ...]]]]:
    """Deliveries with keys that were not met before and have a twin; with each what a finding records, and who brought the others."""
    if not suspects:
        return
    # what else is in the key and is no moment: of another code, or under another number, an identifier is another thing
    kept = [n for n in table.key if n in names or table.business_columns[n].upper() not in {"DATE", "TIMESTAMP"}]
    rows = con.execute(
        statement(
            __file__,
            "work_staged_row__twins",
            key=", ".join(quoted(n) for n in kept),
            suspects=", ".join(map(str, sorted(suspects))),
            others=", ".join(map(str, sorted(others))) or "NULL",
            showcase_table=f"showcase.{table.name}",
            spelling=_text(kept),
            one_case=_text(kept, upper),
            no_zeros=_text(kept, without_zeros),
            folded=", ".join(folded(quoted(n)) if n in names else quoted(n) for n in kept),
        )
    ).fetchall()
    found: dict[int, list[Message]] = {}
    brought: dict[int, set[int]] = {}
    for delivery_id, one, row_no, other, other_row, why, deliveries in rows:
        brought.setdefault(delivery_id, set()).update(deliveries or ())
        twin = {"code": "twin.elsewhere" if other_row is None else "twin.in_delivery", "one": one, "row": row_no}
        beside = {"other": other} | ({} if other_row is None else {"other_row": other_row})
        found.setdefault(delivery_id, []).append({**twin, **beside, "why": {"code": why}})
    for delivery_id, told in found.items():
        examples = and_more(told[:SHOWN], len(told) - SHOWN, "; ")
        named = recorded({"code": "finding.twins", "keys": len(told), "examples": examples})
        yield delivery_id, (named, tuple(sorted(brought[delivery_id])))


def _text(columns: Iterable[str], of: Callable[[str], str] = str) -> str:
    """Columns as one text, each brought to a form before. SQL."""
    return f"concat_ws(' / ', {', '.join(of(f'CAST({quoted(c)} AS VARCHAR)') for c in columns)})"
