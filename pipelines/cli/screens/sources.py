"""Sources on a screen: a row for each extract of each settlement, what is overdue in red."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from pipelines.source_pulls import ExtractStanding


def show_sources(console: Console, standings: Sequence[ExtractStanding], today: dt.date) -> None:
    for source, of_source in groupby(standings, key=lambda one: one.source):
        table = Table(title=f"source {source}", title_justify="left")
        for name in ("table", "settlement", "last delivery", "newest", "next due", "overdue by", "last look"):
            table.add_column(name)
        for one in of_source:
            late, last, note = one.standing.days_late(today), one.last, one.note
            table.add_row(
                one.extract.table,
                one.scope,
                f"{last.when[:10]} {last.state}" + (f" [red]{one.unexpected}[/red]" if one.unexpected else "")
                if last
                else "",
                one.standing.newest or "",
                str(one.standing.due),
                f"[red]{late} days[/red]" if late else "",
                f"{note.looked[:10] if note.looked else 'never'} {note.outcome}" if note else "",
            )
        console.print(table)


def as_data(one: ExtractStanding, today: dt.date) -> dict[str, Any]:
    """The same as plain data."""
    stands, last, note = one.standing, one.last, one.note
    return {
        "source": one.source,
        "table": one.extract.table,
        "system": one.extract.system,
        "settlement": one.scope,
        "last_delivery": last.when if last else None,
        "last_state": last.state if last else None,
        "last_rows": last.rows if last else None,
        "rows_as_expected": not one.unexpected,
        "newest_period": stands.newest,
        "next_due": str(stands.due),
        "overdue_days": stands.days_late(today),
        "last_look": note.looked if note else None,
        "last_outcome": note.outcome if note else None,
        "said": note.said if note else None,
    }
