"""What `qala verify` found, point by point, for a terminal and as data. Nothing is asked here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from warehouse.audit.between_anchors import AnchorSpan
from warehouse.store.differences import ESTABLISHED, Verified

_WORDS = {True: "[green]held[/green]       ", False: "[red]not held[/red]   ", None: "[yellow]not checked[/yellow]"}


def show_verified(console: Console, found: Verified, told: Sequence[AnchorSpan]) -> None:
    for number, what in ESTABLISHED.items():
        why = f" ({found.unchecked[number]})" if number in found.unchecked else ""
        console.print(f"{number:2} {_WORDS[found.held(number)]} {what}{escape(why)}", highlight=False, soft_wrap=True)
    for one in found.differences:
        console.print(
            f"[red]{one.subject}[/red]: {escape(one.message)} \\[{one.kind}]", highlight=False, soft_wrap=True
        )
    console.print(f"{len(found.differences)} differences", highlight=False)
    for span in told:
        console.print(f"between ledger rows {span.first} and {span.last}:", highlight=False)
        for title, rows in span.entries.items():
            console.print(f"  {title}", highlight=False)
            for what, words in rows:
                console.print(f"    {escape(what)}: {escape(words)}", highlight=False, soft_wrap=True)
    if found.head:
        console.print(
            f"ledger head {found.head[0]}:{found.head[1]}; keep it elsewhere and give it to --head later (qala anchor writes it down)",
            highlight=False,
            soft_wrap=True,
        )


def verified_data(found: Verified, told: Sequence[AnchorSpan]) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "established": [
            {"number": n, "what": what, "held": found.held(n), "not_checked": found.unchecked.get(n)}
            for n, what in ESTABLISHED.items()
        ],
        "differences": [
            {"number": d.kind.number, "kind": d.kind, "subject": d.subject, "message": d.message}
            for d in found.differences
        ],
        "head": f"{found.head[0]}:{found.head[1]}" if found.head else None,
        "between": [one.data() for one in told],
    }
