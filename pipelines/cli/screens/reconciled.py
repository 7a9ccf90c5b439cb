"""What a reconciliation found, for a terminal and as data. Nothing is asked here."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table

from warehouse.loading.control_totals import Control, Difference, Reconciled

_MOST = 50  # differences shown


def show_reconciled(console: Console, control: Control, found: Reconciled) -> None:
    tables = Counter(cell[0] for cell in control.totals)
    compared = ", ".join(f"{name} ({count} cells)" for name, count in sorted(tables.items()))
    console.print(
        f"{control.system} {control.period.id}, {control.origin} (SHA-256 {control.sha256}): {compared}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    if not found.differences:
        console.print("equal", highlight=False)
    else:
        shown = Table("table", "settlement", "month", "of", "source", "warehouse", "what to do")
        for one in found.differences[:_MOST]:
            of = one.column or "rows"
            if one.filled:
                of += f" ({one.filled[0]:,} filled, here {one.filled[1]:,})"
            shown.add_row(*one.cell, of, f"{one.source:f}", f"{one.warehouse:f}", remedy(one))
        console.print(shown)
        if len(found.differences) > _MOST:
            console.print(f"and {len(found.differences) - _MOST:,} more: --json", highlight=False)
    for verb, incidents in (("opened", found.opened), ("closed", found.closed)):
        if incidents:
            console.print(f"incidents {verb}: {', '.join(map(str, incidents))} (qala incidents)", highlight=False)


def remedy(one: Difference) -> str:
    """What to do about a difference."""
    if one.state == "refused":
        return "the last extract was refused: have it mended and delivered again"
    if not one.delivery_id:
        return "nothing was delivered for it: qala pull, or qala deliver"
    if one.rejected and one.warehouse < one.source:
        return (
            f"{one.rejected:,} rows of delivery {one.delivery_id} were rejected: have them mended and delivered again"
        )
    if one.column:
        return "pull or deliver the month again; if it stays so, compare the rows with the source: qala rows"
    more = (
        "the source has fewer rows than it gave" if one.warehouse > one.source else "rows came later, or were left out"
    )
    return f"{more}: pull or deliver the month again"


def as_data(control: Control, found: Reconciled) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "system": control.system,
        "period": control.period.id,
        "origin": control.origin,
        "control_sha256": control.sha256,
        "cells": found.cells,
        "opened": list(found.opened),
        "closed": list(found.closed),
        "differences": [
            {
                "table": one.cell[0],
                "settlement": one.cell[1],
                "month": one.cell[2],
                "column": one.column,
                "source": f"{one.source:f}",
                "warehouse": f"{one.warehouse:f}",
                "filled": list(one.filled) if one.filled else None,
                "incident_kind": one.kind[0],
                "remedy": remedy(one),
            }
            for one in found.differences
        ],
    }
