"""Sources on a screen: a row for each extract of each settlement, those that are overdue first named in red."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from pipelines.source_pulls import ExtractStanding


def show_sources(console: Console, standings: Sequence[ExtractStanding], today: dt.date) -> None:
    table = Table(title="sources", title_justify="left")
    for name in (
        "source",
        "table",
        "settlement",
        "last delivery",
        "newest period",
        "next due",
        "overdue by",
        "last look",
    ):
        table.add_column(name, no_wrap=name != "last look")
    for one in standings:
        stands, last, note = one.standing, one.last, one.note
        late = stands.days_late(today)
        table.add_row(
            one.source,
            one.extract.table,
            one.scope,
            f"{last.when[:16].replace('T', ' ')} {last.state}" if last else "",
            stands.newest or "",
            str(stands.due),
            f"[red]{late} days[/red]" if late else "",
            escape(f"{note.looked[:16].replace('T', ' ') if note.looked else 'never'}: {note.outcome}") if note else "",
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
        "newest_period": stands.newest,
        "next_due": str(stands.due),
        "overdue_days": stands.days_late(today),
        "last_look": note.looked if note else None,
        "last_outcome": note.outcome if note else None,
        "said": note.said if note else None,
    }
