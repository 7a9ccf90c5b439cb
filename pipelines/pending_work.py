"""What the next run has to do: waiting extracts, declared corrections that found no row yet, months still to be computed.

`qala run` and the inbox sensor both ask here, so that they agree. Does not belong here: which assets a run takes (selection.py), running them
(run.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.corrections import DeclaredCorrection
from connectors.ingest import Contracts, brings_changes
from kpi_definitions.listed import Listed
from warehouse.errors import BusyError
from warehouse.home.home import Home
from warehouse.kpi_values.outstanding import Due, due_home, running_month, touched
from warehouse.loading.deliveries import Receipt
from warehouse.periods import add_months, month_id, parse_period


@dataclass(frozen=True)
class PendingWork:
    """What a run has to do. All months in it have ended."""

    waiting: tuple[str, ...]  # months of receipts that wait
    newest: str  # the last of these
    tables: frozenset[str]  # with something new: of receipts, corrections, deliveries not decided on
    untried: tuple[str, ...]  # SHA-256 of corrections that have found no row yet
    early: tuple[str, ...]  # periods of receipts that have not ended
    due: Due | None  # None: another process writes, so that it could not be asked
    touched: frozenset[str] | None  # KPIs that read `tables`; None: all
    said: str = ""  # why it could not

    @property
    def months(self) -> tuple[str, ...]:
        """Months to run."""
        found = {*self.waiting, *(self.due.months if self.due else ())}
        if self.untried and not found:  # what a correction touches is computed whatever the month
            found = {month_id(add_months(parse_period(running_month()).start, -1))}
        return tuple(sorted(found))

    @property
    def codes(self) -> frozenset[str] | None:
        """KPIs to compute, which are those that read the tables, those due, and those that lack values; None: all."""
        if self.due is None or self.due.codes is None or not self.tables:
            return self.due.codes if self.due else None
        if self.touched is None or self.due.lacking is None:
            return None
        return self.due.codes | self.touched | self.due.lacking

    @property
    def key(self) -> str:
        """A text that differs when there is other work: the sensor's run key."""
        return " ".join((self.newest, self.due.token if self.due and self.due.months else "", *self.untried))


def find_pending_work(
    home: Home,
    waiting: Sequence[Receipt],
    declared: Sequence[DeclaredCorrection],
    listed: Listed | None,
    contracts: Contracts,
) -> PendingWork:
    """The work that waiting receipts, declared corrections and the warehouse give.

    `listed` None: the warehouse is not asked. Raises StoreError if it cannot be read.
    """
    running = running_month()
    periods = [(parse_period(r.period), r) for r in waiting]
    # what changed since does not say that anything is complete: it need not wait for the end of its months
    ended = [(p, r) for p, r in periods if p.closing_month < running or brings_changes(contracts, r.system, r.table)]
    before = month_id(add_months(parse_period(running).start, -1))
    tables = {r.table for _, r in ended}
    months = tuple(sorted({min(month, before) for period, _ in ended for month in period.months}))
    found, said, untried = None, "", dict[str, DeclaredCorrection]()
    try:
        found = due_home(home, listed, months) if listed else None
    except BusyError as error:
        said = str(error)
    if found is not None:
        tables |= found.tables
        if home.released_file.exists():
            untried = {digest: one for one in declared if (digest := _sha256(one.document.path)) not in found.tried}
            tables |= {one.correction.table for one in untried.values()}
    return PendingWork(
        waiting=months,
        newest=max((r.receipt_id for _, r in ended), default=""),
        tables=frozenset(tables),
        untried=tuple(sorted(untried)),
        early=tuple(sorted({one[0].id for one in periods if one not in ended})),
        due=found,
        touched=touched(listed, tables) if listed else None,
        said=said,
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
