"""Complementary suppression: a cell too small to publish must not be worked out from the sums above it.

Sums over territories and over a year are published with their parts, so each is a linear equation over the suppressed cells in it. Sums are
let out in the order country, groups, regions, settlements, as long as no suppressed cell, no sum that is suppressed itself, and no few
cells that together are too small, can be solved for; others are withheld. Which cells are too small does not belong here (state_rules.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from warehouse.messages.messages import recorded
from warehouse.sql import literal, statement
from warehouse.store.store import Store
from warehouse.tables.obs_status import ObsStatus
from warehouse.tables.working_tables import create

REASON = "reason.could_be_worked_out"
_ORDER = ("country", "group", "region", "settlement")
_PRIME = 1_048_573  # the equations are solved modulo it: exact whole numbers, and products that int64 holds


def add_neighbours(store: Store, values: str) -> None:
    """Add to `work_due_rollup` every other sum of the same KPI and year that has a suppressed cell: which are withheld is decided together."""
    store.con.execute(
        statement(
            __file__,
            "work_due_rollup__neighbours",
            current_values=values,
            suppressed=literal(ObsStatus.SUPPRESSED),
        )
    )


def withhold(store: Store) -> None:
    """Suppress in `work_computed_rollup` what would give a suppressed cell away."""
    rows = store.con.execute(
        statement(__file__, "work_rollup_member__suppressed", suppressed=literal(ObsStatus.SUPPRESSED))
    ).fetchall()
    withheld = [key for _, sums in groupby(rows, lambda row: row[:2]) for key in _withheld(list(sums))]
    if withheld:
        create(store.con, "work_withheld_rollup")
        store.insert("work_withheld_rollup", ["kpi_code", "area_kind", "area", "period_id"], withheld)
        suppressed = ObsStatus.SUPPRESSED
        store.con.execute(
            statement(
                __file__,
                "work_computed_rollup__withheld",
                state=literal(suppressed.state),
                status=literal(suppressed),
                reason=literal(recorded({"code": REASON})),
            )
        )


def _withheld(rows: Sequence[tuple[Any, ...]]) -> list[tuple[str, str, str, str]]:
    """Of the sums of one KPI and year, as work_rollup_member__suppressed.sql gives them, those to be suppressed beside those that are."""
    import numpy as np  # only here: whoever explains a sum imports this module

    cells = sorted({cell for row in rows for cell in row[8]})
    position = {cell: n for n, cell in enumerate(cells)}
    sizes = np.zeros(len(cells))
    for row in rows:
        sizes[[position[c] for c in row[8]]] = row[9]

    def equation(row: tuple[Any, ...]) -> Any:
        vector = np.zeros(len(cells), np.int64)
        vector[[position[c] for c in row[8]]] = 1
        return vector

    known = _Equations(np.array([equation(r) for r in rows if r[6]] or np.zeros((0, len(cells)), np.int64)), sizes)
    ordered = sorted((r for r in rows if not r[6]), key=lambda r: (_ORDER.index(r[2]), not r[5], r[3], r[4]))
    withheld = (row for row in ordered if not known.let_out(equation(row), float(row[7])))
    return [(code, kind, area, period) for code, _, kind, area, period, *_ in withheld]


class _Equations:
    """What follows from the sums let out so far: their equations in reduced row echelon form, modulo a prime."""

    def __init__(self, hidden: Any, sizes: Any) -> None:
        import numpy as np

        self.rows = np.zeros((0, len(sizes)), np.int64)
        self.pivots: list[int] = []  # of each row the column where it has 1 and all others 0
        self.hidden, self.sizes = hidden, sizes  # sums that must not follow, less what does; observations by cell

    def let_out(self, equation: Any, least: float) -> bool:
        """Add an equation, unless something too small could then be solved for. Returns whether it was added, or followed anyway."""
        import numpy as np

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
