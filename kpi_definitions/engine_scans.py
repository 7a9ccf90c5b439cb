"""A scan as engines other than the warehouse's own run it: one SELECT over one table, whose rows say themselves which period they fall into.

No cells are sent: a row's period follows from its date or from the day of its register, so that a scan is a filter and a GROUP BY, and a
settlement's cell is made where its rows are. Whoever asks takes the cells it wanted from the answer.
Does not belong here: how a function is written in an engine (spelling.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kpi_definitions.scans import Scan


@dataclass(frozen=True)
class EngineScan:
    """A scan in an engine's SQL."""

    table: str
    sql: str  # with {rows}, where the engine puts the relation it reads
    columns: Mapping[str, str]  # of the answer, in order: name → SQL type of the warehouse
    # measure → column of the answer: how many rows left the range of whole numbers that the warehouse computes with; such a cell fails
    overflows: Mapping[str, str]


def engine_scan(
    scan: Scan,
    dialect: str,
    columns: Mapping[str, str],
    settlements: Sequence[str],
    periods: Sequence[tuple[dt.date, dt.date]],
    seq: int,
) -> EngineScan:
    """`scan` for some settlements and periods (first day, first day after), over the rows that held at a ledger sequence.

    `columns`: of the table, name → SQL type. Answer: kato, period_start (DATE), the measures, the overflows.
    Raises ExpressionError if the dialect has no way to say it exactly.
    """
    raise NotImplementedError
