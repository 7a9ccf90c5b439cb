"""The bounds between which a value lies, if what was rejected of its own period's rows is counted for and against it.

A rejected row, or one with a cell left empty that the KPI reads, may count or not: each way is tried with all of them, in the value's own
exact parts. Rows of a count bring 0 or 1, rows of a sum or a mean what the column's contract allows (minimum, maximum); a quantile is bounded
by the order of the values. What cannot be bounded has no bounds, and is no plain number. Tolerances are our proposal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kpi_definitions.compiler import Compiled, spread_of
from kpi_definitions.model import Kind, Kpi, Part
from warehouse.isolation.sandbox import only_reads
from warehouse.kpi_values.computation import Computation
from warehouse.kpi_values.known_tables import TARGETS
from warehouse.kpi_values.rejected_rows import find_lost_rows
from warehouse.kpi_values.scans import choose_cells
from warehouse.kpi_values.state_rules import BOUNDS
from warehouse.sql import literal, statement
from warehouse.store.history import as_of
from warehouse.store.store import Store
from warehouse.tables.contracts import Table
from warehouse.tables.value_formula import VALUE, interpolated
from warehouse.tables.working_tables import create

_SUM = re.compile(r"\s*(sum|avg)\s*\(\s*([a-z][a-z0-9_]*)\s*\)\s*", re.IGNORECASE)


# whether a target is met at one bound of a value and missed at the other
BETWEEN = (
    "CASE WHEN bounded.direction = 'higher' THEN bounded.low < target.target AND target.target <= bounded.high "
    "ELSE bounded.low <= target.target AND target.target < bounded.high END"
)


def tolerated(raw: str) -> str:
    """SQL: how wide the bounds of a value may be; the relation `bounded` has what its definition says."""
    return f"coalesce(bounded.tolerance, CASE WHEN bounded.unit = 'PT' THEN 1 ELSE 0.05 * abs({raw}) END)"


def valued(value: str, n: str, d: str, s: str) -> str:
    """SQL for a published value (tables/value_formula.py) of other parts than n, d and s."""
    named = {"n": n, "d": d, "s": s}
    return re.sub(r"\b[nds]\b", lambda m: f"CAST({named[m[0]]} AS DOUBLE)", value)


@dataclass(frozen=True)
class Brought:
    """The least and the most that one row brings an aggregate; `distinct`: things are counted once, so that parts do not add up."""

    least: float
    most: float
    distinct: bool = False


def find_bounds(computation: Computation) -> None:
    """Make `work_bounds`: the due cells that lost rows, with their bounds and whether these are too wide."""
    store, seq = computation.store, computation.seq
    create(store.con, "work_bound_parts")
    if find_lost_rows(computation):
        for one in computation.compiled:
            _fill_bound_parts(store, one, seq)
    list_targets(store, seq)
    low, high = (valued(VALUE, f"parts.n_{end}", f"parts.d_{end}", f"parts.d_{end}") for end in ("low", "high"))
    store.con.execute(
        statement(
            __file__,
            "work_bounds",
            value_as_it_is=valued(VALUE, "parts.n", "parts.d", "parts.s"),
            low=low,
            high=high,
            tolerated=tolerated("bounded.raw_value"),
            between=BETWEEN,
            bounds_said=BOUNDS,
        )
    )


def list_targets(store: Store, seq: int | None) -> None:
    """Make `work_target`: the targets of settlements in force at a ledger sequence, picked as the view plan_beside_fact does."""
    store.con.execute(statement(__file__, "work_target", targets=as_of(TARGETS, seq)))


def _fill_bound_parts(store: Store, one: Compiled, seq: int | None) -> None:
    """The cells of one KPI that lost rows, with their parts at either bound; NULL where there is none."""
    parts = ", ".join(f"CASE WHEN NOT other THEN {part} END" for part in _parts(one, store.tables))
    store.con.execute(
        statement(
            __file__,
            "work_bound_parts",
            code=literal(one.kpi.code),
            version=str(one.kpi.version),
            parts_at_bounds=parts,
        )
    )
    if one.kpi.kind is Kind.QUANTILE:
        _bound_quantile(store, one, seq)


def _parts(one: Compiled, tables: Mapping[str, Table]) -> tuple[str, str, str, str]:
    """SQL for numerator and denominator at the lowest value, and at the highest, with k uncertain rows; NULL where they are not bounded.

    There are the parts as they are (exact_n, exact_d), those of the certain rows alone (n0, d0, s0), and k.
    """
    kpi, nothing = one.kpi, ("NULL", "NULL", "NULL", "NULL")
    top = _brought(kpi, kpi.numerator, tables)
    if kpi.kind is Kind.MEAN and top is not None:  # its denominator is its sample
        return f"n0 + k * {_exact(top.least)}", "s0 + k", f"n0 + k * {_exact(top.most)}", "s0 + k"
    if kpi.denominator is None or top is None or top.least < 0 or kpi.kind is Kind.MEAN:
        return nothing
    most = _exact(top.most)
    if one.denominator.scan != one.numerator.scan:  # a figure of its own, which no row changes
        return "n0", "exact_d", f"{'exact_n' if top.distinct else 'n0'} + k * {most}", "exact_d"
    bottom = _brought(kpi, kpi.denominator, tables)
    if bottom is None or bottom.least < 0:
        return nothing
    if top.distinct or bottom.distinct:
        return "n0", f"exact_d + k * {_exact(bottom.most)}", f"exact_n + k * {most}", "d0"
    if kpi.numerator.aggregate == kpi.denominator.aggregate:  # what counts above counts below
        return "n0", f"d0 + k * {most}", f"n0 + k * {most}", f"d0 + k * {most}"
    return "n0", f"d0 + k * {_exact(bottom.most)}", f"n0 + k * {most}", "d0"


def _exact(number: float) -> str:
    return f"CAST({number!r} AS DECIMAL(38,6))"


def _brought(kpi: Kpi, part: Part, tables: Mapping[str, Table]) -> Brought | None:
    """What one row brings a count, or a sum or mean of a column; None if that cannot be said."""
    text = part.aggregate.strip().lower()
    if text.startswith("count"):
        return Brought(0, 1, distinct="distinct" in text)
    found = _SUM.fullmatch(part.aggregate)
    if found is None:
        return None
    table = tables[(part.rows or kpi.rows).table]
    for prop in table.document.data["schema"][0]["properties"]:
        if prop["name"] == found[2]:
            options = prop.get("logicalTypeOptions", {})
            least = options.get("minimum", options.get("exclusiveMinimum"))
            most = options.get("maximum", options.get("exclusiveMaximum"))
            return None if least is None or most is None else Brought(least, most)
    return None


def ordered(values: str, counted: str, key: str, share: float) -> str:
    """SQL for `key`, low and high: between which a quantile of the rows x of `values` lies, if k more may lie below or above them all.

    `counted` tells by key how many more there are, and of how many (g) of x nothing is certain. With all of them below, the place in the order of x is
    share x (n - g + k - 1) - k, the g highest left out; with all above, share x (n - g + k - 1) + g, the g lowest left out.
    """

    def placed(place: str) -> str:
        low, high = (f"xs[CAST({way}({place}) AS BIGINT) + 1]" for way in ("floor", "ceil"))
        return interpolated(low, high, place)

    inside = "below >= 0 AND above <= n - 1"
    return f"""SELECT {key}, CASE WHEN {inside} THEN {placed("below")} END AS low, CASE WHEN {inside} THEN {placed("above")} END AS high
FROM (SELECT *, {share} * (n - g + k - 1) - k AS below, {share} * (n - g + k - 1) + g AS above
      FROM (SELECT {key}, list(CAST(x AS DOUBLE) ORDER BY x) AS xs, count(*) AS n, any_value(k) AS k, any_value(g) AS g
            FROM ({values}) v JOIN ({counted}) w USING ({key}) GROUP BY {key}))"""


def order(store: Store, one: Compiled, asked: str, counted: str, by: str, seq: int | None) -> str:
    """SQL for the bounds of a quantile as `ordered` gives them, by a key of the relation `asked`, as scans take it."""
    scan = one.numerator.scan
    expression, share = spread_of(one.kpi)
    taken = next(m.where for m in scan.measures if m.name == one.numerator.column)
    key = ", ".join(f"c.{k}" for k in by.split(", "))
    sql = only_reads(store.con, scan.values(as_of(scan.table, seq), asked, expression, taken, key), scan.table, asked)
    return ordered(sql, counted, by, share)


def _bound_quantile(store: Store, one: Compiled, seq: int | None) -> None:
    """Bounds of a quantile, from the values behind the cells that lost rows."""
    con = store.con
    mine = f"kpi_code = {literal(one.kpi.code)} AND version = {one.kpi.version}"
    choose_cells(store, [one.kpi.code])
    con.execute(f"""CREATE OR REPLACE TEMP TABLE work_scan_cell AS SELECT chosen.* FROM work_scan_cell AS chosen
SEMI JOIN (FROM work_bound_parts WHERE {mine}) AS parts USING (kato, period_id)""")
    counted = (
        f"SELECT kato, period_id, sum(rejected + gaps) AS k, sum(gap_s) AS g FROM work_lost_rows WHERE {mine} "
        "GROUP BY ALL HAVING NOT bool_or(other)"
    )
    bounds = order(store, one, "work_scan_cell", counted, "kato, period_id", seq)
    con.execute(f"""UPDATE work_bound_parts AS parts SET q_low = bounds.low, q_high = bounds.high FROM ({bounds}) AS bounds
WHERE {mine} AND (parts.kato, parts.period_id) = (bounds.kato, bounds.period_id)""")
