"""The bounds between which a value lies, if what was rejected of its own period's rows is counted for and against it.

A rejected row, or one with a cell left empty that the KPI reads, may count or not: each way is tried with all of them, in the value's own
exact parts. Rows of a count bring 0 or 1, rows of a sum or a mean what the column's contract allows (minimum, maximum); a quantile is bounded
by the order of the values. What cannot be bounded has no bounds, and is no plain number. Tolerances are our proposal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kpi_definitions.compiler import Compiled, spread_of
from kpi_definitions.model import Kind, Kpi, Part
from warehouse.isolation.sandbox import only_reads
from warehouse.kpi_values.due_cells import TARGETS
from warehouse.kpi_values.rejected_rows import ask_for, find
from warehouse.sql import literal
from warehouse.store.history import as_of
from warehouse.store.store import Store
from warehouse.tables.contracts import Table

# how wide the bounds of `raw` may be, from what `spec` says of the KPI
TOLERATED = "coalesce(x.tolerance, CASE WHEN x.unit = 'PT' THEN 1 ELSE 0.05 * abs(raw) END)"
_SUM = re.compile(r"\s*(sum|avg)\s*\(\s*([a-z][a-z0-9_]*)\s*\)\s*", re.IGNORECASE)


# whether a target (a) is met at one bound of a value (b) and missed at the other
BETWEEN = "CASE WHEN b.direction = 'higher' THEN b.low < a.target AND a.target <= b.high ELSE b.low <= a.target AND a.target < b.high END"


def valued(value: str, n: str, d: str, s: str) -> str:
    """SQL for a published value (compute.VALUE) of other parts than n, d and s."""
    named = {"n": n, "d": d, "s": s}
    return re.sub(r"\b[nds]\b", lambda m: f"CAST({named[m[0]]} AS DOUBLE)", value)


@dataclass(frozen=True)
class Brought:
    """The least and the most that one row brings an aggregate; `apart`: things are counted once, so that parts do not add up."""

    least: float
    most: float
    apart: bool = False


def work_out(store: Store, compiled: Sequence[Compiled], value: str, seq: int | None) -> None:
    """From `cell`, `part`, `spec` and `stand` to `bound`: the cells that lost rows, with their bounds and whether these are too wide.

    Columns: rejected_rows, gap_rows, the parts at either bound (n_low, d_low, n_high, d_high), value_low, value_high, wide, remark.
    """
    con = store.con
    con.execute(
        "CREATE OR REPLACE TEMP TABLE ends (kpi_code VARCHAR, version INTEGER, kato VARCHAR, period_id VARCHAR, rejected_rows BIGINT, gap_rows BIGINT, "
        "rejected_by VARCHAR, gap_by VARCHAR, n DOUBLE, d DOUBLE, s BIGINT, n_low DECIMAL(38,6), d_low DECIMAL(38,6), n_high DECIMAL(38,6), "
        "d_high DECIMAL(38,6), q_low DOUBLE, q_high DOUBLE)"
    )
    if find(store, compiled, seq):
        for one in compiled:
            _ends(store, one, seq)
    aims(store, seq)
    con.execute(_BOUND.format(
        raw=valued(value, "e.n", "e.d", "e.s"), low=valued(value, "e.n_low", "e.d_low", "e.d_low"), high=valued(value, "e.n_high", "e.d_high", "e.d_high"),
        tolerated=TOLERATED, between=BETWEEN))  # fmt: skip


def aims(store: Store, seq: int | None) -> None:
    """`aim`: the targets of settlements in force at a ledger sequence, by KPI and year, picked as the view plan_beside_fact does."""
    store.con.execute(f"""CREATE OR REPLACE TEMP TABLE aim AS
SELECT kato, kpi_code, target_year::VARCHAR AS year, target_value::DOUBLE AS target FROM {as_of(TARGETS, seq)}
QUALIFY row_number() OVER (PARTITION BY kato, kpi_code, target_year, document_kind
                           ORDER BY agreed_at IS NOT NULL DESC, document_version DESC, approved_at DESC) = 1""")


def _ends(store: Store, one: Compiled, seq: int | None) -> None:
    """The cells of one KPI that lost rows, with their parts at either end; NULL where there is none."""
    mine = f"kpi_code = {literal(one.kpi.code)} AND version = {one.kpi.version}"
    parts = _parts(one, store.tables)
    quantile = one.kpi.kind is Kind.QUANTILE
    store.con.execute(f"""INSERT INTO ends
SELECT kpi_code, version, kato, period_id, rejected, gaps, rejected_by, gap_by, n, d, s, {", ".join(f"CASE WHEN NOT other THEN {p} END" for p in parts)},
       NULL, NULL
FROM (SELECT l.*, p.n, CAST(p.exact_d AS DOUBLE) AS d, p.s, l.rejected + l.gaps AS k, coalesce(p.exact_n, 0) AS exact_n, coalesce(p.exact_d, 0) AS exact_d,
             coalesce(p.exact_n, 0) - gap_n AS n0, coalesce(p.exact_d, 0) - gap_d AS d0, coalesce(p.s, 0) - gap_s AS s0
      FROM (SELECT kpi_code, version, kato, period_id, sum(rejected)::BIGINT AS rejected, sum(gaps)::BIGINT AS gaps, bool_or(other) AS other,
                   sum(gap_n)::DECIMAL(38,6) AS gap_n, sum(gap_d)::DECIMAL(38,6) AS gap_d, sum(gap_s)::BIGINT AS gap_s,
                   string_agg(DISTINCT rule, ', ' ORDER BY rule) FILTER (WHERE rejected > 0) AS rejected_by,
                   string_agg(DISTINCT rule, ', ' ORDER BY rule) FILTER (WHERE gaps > 0) AS gap_by
            FROM lost WHERE {mine} GROUP BY ALL) l
      JOIN part p USING (kpi_code, version, kato, period_id))""")
    if quantile:
        _order(store, one, seq)


def _parts(one: Compiled, tables: Mapping[str, Table]) -> tuple[str, str, str, str]:
    """SQL for numerator and denominator at the lowest value, and at the highest, with k uncertain rows; NULL where they are not bounded.

    At hand are the parts as they stand (exact_n, exact_d), those of the certain rows alone (n0, d0, s0), and k.
    """
    kpi, nothing = one.kpi, ("NULL", "NULL", "NULL", "NULL")
    top = _brought(kpi, kpi.numerator, tables)
    if kpi.kind is Kind.MEAN and top is not None:  # its denominator is its sample
        return f"n0 + k * {_exact(top.least)}", "s0 + k", f"n0 + k * {_exact(top.most)}", "s0 + k"
    if kpi.denominator is None or top is None or top.least < 0 or kpi.kind is Kind.MEAN:
        return nothing
    most = _exact(top.most)
    if one.denominator.scan != one.numerator.scan:  # a figure of its own, which stands
        return "n0", "exact_d", f"{'exact_n' if top.apart else 'n0'} + k * {most}", "exact_d"
    bottom = _brought(kpi, kpi.denominator, tables)
    if bottom is None or bottom.least < 0:
        return nothing
    if top.apart or bottom.apart:
        return "n0", f"exact_d + k * {_exact(bottom.most)}", f"exact_n + k * {most}", "d0"
    if kpi.numerator.aggregate == kpi.denominator.aggregate:  # what counts above counts below
        return "n0", f"d0 + k * {most}", f"n0 + k * {most}", f"d0 + k * {most}"
    return "n0", f"d0 + k * {_exact(bottom.most)}", f"n0 + k * {most}", "d0"


def _exact(number: float) -> str:
    return f"CAST({number!r} AS DECIMAL(38,6))"


def _brought(kpi: Kpi, part: Part, tables: Mapping[str, Table]) -> Brought | None:
    """What one row brings a count, or a sum or mean of a column; None if there is no saying."""
    text = part.aggregate.strip().lower()
    if text.startswith("count"):
        return Brought(0, 1, apart="distinct" in text)
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
    at = "xs[CAST(floor({0}) AS BIGINT) + 1] + ({0} - floor({0})) * (xs[CAST(ceil({0}) AS BIGINT) + 1] - xs[CAST(floor({0}) AS BIGINT) + 1])"
    inside = "below >= 0 AND above <= n - 1"
    return f"""SELECT {key}, CASE WHEN {inside} THEN {at.format("below")} END AS low, CASE WHEN {inside} THEN {at.format("above")} END AS high
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


def _order(store: Store, one: Compiled, seq: int | None) -> None:
    """Bounds of a quantile, from the values behind the cells that lost rows."""
    con = store.con
    mine = f"kpi_code = {literal(one.kpi.code)} AND version = {one.kpi.version}"
    ask_for(store, [one.kpi.code])
    con.execute(f"""CREATE OR REPLACE TEMP TABLE asked AS SELECT a.* FROM asked a
SEMI JOIN (FROM ends WHERE {mine}) e USING (kato, period_id)""")
    counted = f"SELECT kato, period_id, sum(rejected + gaps) AS k, sum(gap_s) AS g FROM lost WHERE {mine} GROUP BY ALL HAVING NOT bool_or(other)"
    con.execute(f"""UPDATE ends SET q_low = o.low, q_high = o.high FROM ({order(store, one, "asked", counted, "kato, period_id", seq)}) o
WHERE {mine} AND (ends.kato, ends.period_id) = (o.kato, o.period_id)""")


# of a share above 100 or below 0 there is no counting for or against; what a target is missed or met by is not known between the bounds
_BOUND = """CREATE OR REPLACE TEMP TABLE bound AS
WITH worked AS (
    SELECT e.*, x.tolerance, x.unit, x.direction, x.scale, {raw} AS raw,
           CASE WHEN kind = 'quantile' THEN round(e.q_low * scale, 6) ELSE {low} END AS low,
           CASE WHEN kind = 'quantile' THEN round(e.q_high * scale, 6) WHEN unit = 'PT' AND e.d_high = 0 THEN 100 ELSE {high} END AS high
    FROM ends e JOIN spec x USING (kpi_code, version)),
bounded AS (
    SELECT * REPLACE (CASE WHEN low IS NOT NULL AND high IS NOT NULL THEN least(raw, CASE WHEN unit = 'PT' THEN greatest(low, 0) ELSE low END) END AS low,
                      CASE WHEN low IS NOT NULL AND high IS NOT NULL THEN greatest(raw, CASE WHEN unit = 'PT' THEN least(high, 100) ELSE high END) END AS high)
    FROM worked),
aimed AS (
    SELECT b.kpi_code, b.version, b.kato, b.period_id, string_agg(DISTINCT a.target::VARCHAR, ', ' ORDER BY a.target::VARCHAR) AS missed
    FROM bounded b JOIN aim a ON (a.kato, a.kpi_code, a.year) = (b.kato, b.kpi_code, b.period_id[:4]) AND {between}
    GROUP BY ALL)
SELECT b.kpi_code, b.version, b.kato, b.period_id, b.rejected_rows, b.gap_rows, b.n_low, b.d_low, b.n_high, b.d_high, b.low AS value_low, b.high AS value_high,
       coalesce(b.low IS NULL OR round(b.high - b.low, 6) > {tolerated} OR a.missed IS NOT NULL, true) AS wide,
       concat_ws(' and ', CASE WHEN b.rejected_rows > 0 THEN b.rejected_rows || ' rejected (' || b.rejected_by || ')' END,
                          CASE WHEN b.gap_rows > 0 THEN b.gap_rows || ' with a cell left empty (' || b.gap_by || ')' END) AS losses,
       CASE WHEN b.low IS NULL THEN 'no bounds can be given' ELSE 'with them it lies between ' || b.low || ' and ' || b.high END
           || coalesce(', on both sides of the target ' || a.missed, '') AS remark
FROM bounded b JOIN spec x USING (kpi_code, version) LEFT JOIN aimed a USING (kpi_code, version, kato, period_id)"""
