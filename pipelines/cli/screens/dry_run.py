"""What the next run would change (`qala diff`): deliveries, values by KPI, the largest changes, levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines.cli.screens.common import ENGLISH, SHOWN, Words, number
from warehouse.messages.messages import rendered


def show_changes(console: Console, answer: Mapping[str, Any], words: Words = ENGLISH) -> None:
    """What the next run would change; `answer` as `dry_run_home` gives it."""
    decided, values, levels = answer["deliveries"], answer["values"], answer["levels"]
    refused = [d for d in decided if d["state"] == "refused"]
    console.print(f"{len(decided)} deliveries would be decided on, {len(refused)} of them refused", highlight=False)
    for delivery in refused[:SHOWN]:
        console.print(
            f"  [red]refused[/red] {rendered(delivery['reason'], words.language)}", highlight=False, soft_wrap=True
        )
    changed = [v for v in values if v["state_before"] is not None]
    moved = [row for row in levels if (row["level_before"], row["level_after"]) != (0, 0)]
    if values:
        console.print(_by_kpi(values))
    if changed:
        console.print(_largest(changed))
    if moved:
        console.print(_levels(moved))
    console.print(
        f"{len(changed)} values, {len(answer['rollups'])} roll-ups and {len(levels)} levels or places would change; all of them: --json",
        highlight=False,
    )


def _by_kpi(values: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="values of settlements that would change", title_justify="left")
    for name in ("KPI", "new cells", "changed", "definition", "largest fall", "largest rise"):
        table.add_column(name, justify="left" if name in {"KPI", "definition"} else "right")
    for code in dict.fromkeys(v["kpi_code"] for v in values):
        mine = [v for v in values if v["kpi_code"] == code]
        new = sum(v["state_before"] is None for v in mine)
        differences = [v["difference"] for v in mine if v["difference"] is not None]
        extremes = (min([*differences, 0]), max([*differences, 0]))
        versions = {
            (v["version_before"], v["version_after"])
            for v in mine
            if v["version_before"] not in (None, v["version_after"])
        }
        table.add_row(
            code,
            str(new),
            str(len(mine) - new),
            ", ".join(f"{before} to {after}" for before, after in sorted(versions)),
            *(number(d) if d else "" for d in extremes),
        )
    return table


def _largest(changed: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="one by one, largest change first", title_justify="left")
    for name in ("KPI", "settlement", "period", "before", "after", "state"):
        table.add_column(name, justify="right" if name in {"before", "after"} else "left", overflow="fold")
    for v in sorted(changed, key=lambda v: -abs(v["difference"] or 0))[:SHOWN]:
        figures = ("" if v[n] is None else number(v[n]) for n in ("before", "after"))
        before, after = v["state_before"], v["state_after"]
        state = after if before == after else f"{before} to {after}"
        table.add_row(v["kpi_code"], f"{v['area']} {v['area_en']}", v["period_id"], *figures, state)
    return table


def _levels(moved: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="levels and places that would change", title_justify="left")
    for name in ("year", "settlement", "level", "would be", "place", "would be "):
        table.add_column(name, justify="left" if name == "settlement" else "right")
    for row in sorted(moved, key=lambda r: -abs((r["level_after"] or 0) - (r["level_before"] or 0)))[:SHOWN]:
        names = ("level_before", "level_after", "place_before", "place_after")
        figures = ("" if row[n] is None else number(row[n]) for n in names)
        table.add_row(str(row["year"]), f"{row['kato']} {row['settlement_en']}", *figures)
    return table
