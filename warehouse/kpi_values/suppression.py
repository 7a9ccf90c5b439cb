"""Complementary suppression: a cell too small to publish must not be worked out from the sums above it.

Sums over territories and over a year are published with their parts, so each is a linear equation over the suppressed cells in it. Sums are
let out in the order country, groups, regions, settlements, as long as no suppressed cell, no sum that is suppressed itself, and no few
cells that together are too small, can be solved for; others are withheld. Which cells are too small does not belong here (compute.py, rollup.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from warehouse.store.store import Store

REASON = "a suppressed cell in it could be worked out from it and other sums"
_ORDER = ("country", "group", "region", "settlement")
_PRIME = 1_048_573  # the equations are solved modulo it: exact whole numbers, and products that int64 holds


def neighbours(store: Store, values: str) -> None:
    """Add to `target` every other sum of the same KPI and year that has a suppressed cell: which are withheld is decided together."""
    store.con.execute(f"""INSERT INTO target BY NAME
WITH asked AS (SELECT DISTINCT kpi_code, period_id[:4] AS year FROM target),
hidden AS (
    SELECT v.kpi_code, v.kato, v.period_id, q.year, w.grain, w.over_time FROM {values} v
    JOIN asked q ON (q.kpi_code, q.year) = (v.kpi_code, v.period_id[:4]) JOIN way w ON w.kpi_code = v.kpi_code WHERE v.obs_status = 'Q'),
sums AS (
    SELECT h.kpi_code, a.area_kind, a.area, h.period_id, false AS longer FROM hidden h JOIN area a USING (kato) WHERE a.area_kind <> 'settlement'
    UNION
    SELECT h.kpi_code, a.area_kind, a.area, h.year, true FROM hidden h JOIN area a USING (kato) WHERE h.grain <> 'A' AND h.over_time <> 'none')
SELECT s.kpi_code, s.area_kind, s.area, s.period_id, p.period_start, p.period_end, s.longer
FROM sums s JOIN registry.period p ON p.id = s.period_id
ANTI JOIN target t ON (t.kpi_code, t.area_kind, t.area, t.period_id) = (s.kpi_code, s.area_kind, s.area, s.period_id)""")


def withhold(store: Store) -> None:
    """Suppress in `rolled` what would give a suppressed cell away; `target` and `member` are those it was made of."""
    rows = store.con.execute("""
SELECT t.kpi_code, t.period_id[:4] AS year, t.area_kind, t.area, t.period_id, t.longer, r.obs_status = 'Q' AS hidden, x.minimum_cell,
       list(m.kato || ' ' || m.own_period ORDER BY m.kato, m.own_period) AS cells,
       list(CASE WHEN x.counts_distinct THEN m.numerator ELSE m.sample_size END::DOUBLE ORDER BY m.kato, m.own_period) AS sizes
FROM member m JOIN target t ON t.rowid = m.target JOIN rolled r USING (kpi_code, area_kind, area, period_id)
JOIN spec x ON (x.kpi_code, x.version) = (r.kpi_code, r.definition_version)
WHERE m.obs_status = 'Q' AND m.counts AND x.kind <> 'quantile' GROUP BY ALL ORDER BY 1, 2""").fetchall()
    withheld = [place for _, those in groupby(rows, lambda row: row[:2]) for place in _withheld(list(those))]
    if withheld:
        store.con.execute(
            "CREATE OR REPLACE TEMP TABLE withheld (kpi_code VARCHAR, area_kind VARCHAR, area VARCHAR, period_id VARCHAR)"
        )
        store.insert("withheld", ["kpi_code", "area_kind", "area", "period_id"], withheld)
        store.con.execute(
            """UPDATE rolled r SET value = NULL, value_low = NULL, value_high = NULL, state = 'suppressed', obs_status = 'Q', reason = ?
FROM withheld w WHERE (r.kpi_code, r.area_kind, r.area, r.period_id) = (w.kpi_code, w.area_kind, w.area, w.period_id)""",
            [REASON],
        )


def _withheld(rows: Sequence[tuple[Any, ...]]) -> list[tuple[str, str, str, str]]:
    """Of the sums of one KPI and year, as `withhold` selects them, those to be suppressed beside those that are."""
    cells = sorted({cell for row in rows for cell in row[8]})
    place = {cell: n for n, cell in enumerate(cells)}
    sizes = np.zeros(len(cells))
    for row in rows:
        sizes[[place[c] for c in row[8]]] = row[9]

    def equation(row: tuple[Any, ...]) -> Any:
        vector = np.zeros(len(cells), np.int64)
        vector[[place[c] for c in row[8]]] = 1
        return vector

    known = _Equations(np.array([equation(r) for r in rows if r[6]] or np.zeros((0, len(cells)), np.int64)), sizes)
    ordered = sorted((r for r in rows if not r[6]), key=lambda r: (_ORDER.index(r[2]), not r[5], r[3], r[4]))
    return [(code, kind, area, period) for code, _, kind, area, period, _, _, least, *_ in
            (row for row in ordered if not known.let_out(equation(row), float(row[7])))]  # fmt: skip


class _Equations:
    """What follows from the sums let out so far: their equations in reduced row echelon form, modulo a prime."""

    def __init__(self, hidden: Any, sizes: Any) -> None:
        self.rows, self.pivots = (
            np.zeros((0, len(sizes)), np.int64),
            list[int](),
        )  # of each row where it has 1 and no other anything
        self.hidden, self.sizes = hidden, sizes  # sums that must not follow, less what does; observations by cell

    def let_out(self, equation: Any, least: float) -> bool:
        """Add an equation, unless something too small could then be solved for. Returns whether it was added, or followed anyway."""
        rest = (equation - equation[self.pivots] @ self.rows) % _PRIME
        if not rest.any():
            return True
        pivot = int((rest != 0).argmax())
        rest = rest * pow(int(rest[pivot]), -1, _PRIME) % _PRIME
        rows = np.vstack([(self.rows - np.outer(self.rows[:, pivot], rest)) % _PRIME, rest])
        hidden = (self.hidden - np.outer(self.hidden[:, pivot], rest)) % _PRIME
        sums = (rows <= 1).all(axis=1)  # rows that are sums of cells, no differences
        if (rows[sums] @ self.sizes < least).any() or not hidden.any(axis=1).all():
            return False
        self.rows, self.hidden = rows, hidden
        self.pivots.append(pivot)
        return True
