"""Answers as tables for a terminal. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table

from warehouse.store import Store

SHOWN = 15  # deliveries shown by explain before --json is recommended
_COLOURS = {
    "calculated": "green",
    "provisional": "cyan",
    "low coverage": "yellow",
    "not calculable": "red",
    "refused": "red",
    "loaded": "green",
}


def status(console: Console, answer: Mapping[str, Any]) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_row("home", answer["home"])
    grid.add_row("latest month with values", answer["latest_period"] or "none")
    grid.add_row(
        "deliveries",
        _counts(answer["deliveries"]) + (f", [bold]{answer['waiting']} waiting[/bold]" if answer["waiting"] else ""),
    )
    grid.add_row("rows", ", ".join(f"{what} {n:,}" for what, n in answer["rows"].items()))
    grid.add_row("values", _counts(answer["values"]))
    if answer["release"]:
        grid.add_row("release", f"{answer['release']['seq']} of {answer['release']['at']:%Y-%m-%d %H:%M} UTC")
    console.print(Panel(grid, title="status", title_align="left", expand=False))


def scorecard(console: Console, store: Store) -> None:
    """Settlements that delivered anything, best level first within their group."""
    table = Table(
        title="Scorecard (illustrative floors and goals; our proposal, not the order's formula)", title_justify="left"
    )
    for name, justify in (
        ("group", "left"),
        ("settlement", "left"),
        ("KPIs", "right"),
        ("coverage %", "right"),
        ("achievement", "right"),
        ("level", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    rows = store.con.execute(
        "SELECT item7_group, settlement_en, kpis_calculated || '/' || kpis_applicable, coverage_percent, achievement, level FROM scorecard "
        "WHERE kpis_calculated > 0 ORDER BY list_position(['republican', 'regional', 'district'], item7_group), level DESC, settlement_en"
    ).fetchall()
    for row in rows:
        table.add_row(*("" if v is None else f"{v:.1f}" if isinstance(v, float) else str(v) for v in row))
    console.print(table)


def refusals(console: Console, store: Store) -> None:
    rows = store.con.execute(
        "SELECT settlement_en, table_name, period_id, reason FROM refusals ORDER BY delivery_id LIMIT 20"
    ).fetchall()
    if not rows:
        return
    table = Table(
        title="Refused deliveries: nothing of them was loaded, everything of them is kept",
        title_justify="left",
        show_lines=True,
    )
    for name in ("settlement", "table", "period", "why and what to do"):
        table.add_column(name)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


def explanation(console: Console, a: Mapping[str, Any]) -> None:
    """The walk back from a number, top down."""
    kpi, place, definition = a["kpi"], a["settlement"], a["definition"]
    value = "no value" if a["value"] is None else f"{a['value']:,.6g} {kpi['unit']}"
    colour = _COLOURS.get(a["state"], "white")
    grid = Table.grid(padding=(0, 2))
    grid.add_row("KPI", f"{kpi['code']} {kpi['name']['en']} / {kpi['name']['ru']}")
    grid.add_row("settlement", f"{place['kato']} {place['name_en']} / {place['name_ru']} ({place['item7_group']})")
    grid.add_row("period", f"{a['period']['id']}: {a['period']['start']} to {a['period']['end']}")
    grid.add_row(
        "value",
        f"[bold]{value}[/bold]  [{colour}]{a['state']}[/{colour}]"
        + (f" (OBS_STATUS {a['obs_status']})" if a["obs_status"] else ""),
    )
    if a["reason"]:
        grid.add_row("reason", a["reason"])
    if a["denominator"] is not None:
        grid.add_row("numerator / denominator", f"{_number(a['numerator'])} / {_number(a['denominator'])}")
    grid.add_row("rows behind it", f"{a['sample_size']:,}")
    grid.add_row(
        "read as of",
        f"ledger sequence {a['computed']['as_of_seq']}"
        + (f", computed {a['computed']['at']:%Y-%m-%d %H:%M} UTC" if a["computed"]["at"] else ""),
    )
    console.print(Panel(grid, title="number", title_align="left", expand=False))
    grid = Table.grid(padding=(0, 2))
    if kpi["description"]:
        grid.add_row("in words", kpi["description"]["en"])
    for name in ("rows", "numerator", "denominator", "formula"):
        if definition[name]:
            grid.add_row(name, definition[name])
    grid.add_row(
        "version",
        f"{definition['version']}, in force from {definition['valid_from']}; fingerprint {definition['hash'][:16]}",
    )
    grid.add_row("catalogue", f"{definition['catalogue']} {definition['catalogue_version']} ({definition['catalogue_status']}); "
                 + (f"approved by {definition['approved_by']}" if definition["approved_by"] else "not approved by anyone yet"))  # fmt: skip
    console.print(Panel(grid, title="definition", title_align="left", expand=False))
    console.print(
        Panel(
            Syntax(a["sql"], "sql", word_wrap=True, background_color="default"),
            title="SQL over the warehouse",
            title_align="left",
            expand=False,
        )
    )
    console.print(
        f"[bold]deliveries[/bold] ({len(a['deliveries'])})" if a["deliveries"] else "no delivery stands behind it"
    )
    for d in a["deliveries"][:SHOWN]:
        _delivery(console, d)
    if len(a["deliveries"]) > SHOWN:
        console.print(f"  and {len(a['deliveries']) - SHOWN} more: --json shows all")
    for old in a["earlier"]:
        before = "no value" if old["value"] is None else f"{old['value']:,.6g}"
        console.print(f"  earlier: {before} ({old['state']}) until ledger sequence {old['valid_to_seq']}; since then: "
                      + ("; ".join(old["deliveries_since"]) or "no delivery, the definition or a window changed"), highlight=False, soft_wrap=True)  # fmt: skip


def _delivery(console: Console, d: Mapping[str, Any]) -> None:
    checks, colour = d["checks"], _COLOURS.get(d["state"], "white")
    lines = [
        f"  [bold]{d['delivery_id']}[/bold] {d['file_name']}  [{colour}]{d['state']}[/{colour}]  "
        f"{d['table_name']} {d['period_id']} of {d['scope']}, system {d['system']}",
        f"    {d['rows_in_this_number']:,} rows in this number; {d['accepted_rows'] or 0:,} accepted and {d['rejected_rows'] or 0:,} rejected "
        f"of {d['received_rows'] or 0:,}; {checks['passed']} of {checks['judged']} checks passed",
        f"    SHA-256 {d['sha256']}, {d['bytes']:,} bytes, received {d['received_at']:%Y-%m-%d %H:%M} UTC",
    ]
    if d["reason"]:
        lines.append(f"    [{colour}]{d['reason']}[/{colour}]")
    else:
        lines += [
            f"    [yellow]{f['rule']}: {f['observed']}[/yellow] (wanted: {f['expected']})" for f in checks["failed"]
        ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def next_steps(console: Console, steps: Sequence[tuple[str, str]]) -> None:
    console.print("[bold]what to type next[/bold]")
    for command, why in steps:
        console.print(f"  [dim]{why}[/dim]\n    {command}", highlight=False, soft_wrap=True)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"[{_COLOURS.get(s, 'white')}]{s} {n:,}[/]" for s, n in counts.items()) or "none"


def _number(value: Any) -> str:
    return f"{float(value):,.6f}".rstrip("0").rstrip(".")
