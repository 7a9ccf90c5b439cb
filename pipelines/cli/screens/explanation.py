"""How one number came about, top down: number, definition, SQL, deliveries, corrections, earlier values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table

from pipelines.cli.screens.common import SHOWN, number, state_colour


def show_explanation(console: Console, answer: Mapping[str, Any]) -> None:
    """What `explain` answers of a value or a roll-up."""
    if "members" in answer:
        _show_rollup(console, answer)
        return
    _show_value(console, answer)
    _show_definition(console, answer)
    sql = Syntax(answer["sql"], "sql", word_wrap=True, background_color="default")
    console.print(Panel(sql, title="SQL over the warehouse", title_align="left", expand=False))
    _show_deliveries(console, answer["deliveries"])
    for correction in answer["corrections"]:
        _show_correction(console, correction)
    for earlier in answer["earlier"]:
        before = "no value" if earlier["value"] is None else f"{earlier['value']:,.6g}"
        since = "; ".join(earlier["deliveries_since"]) or "no delivery of what it reads"
        console.print(
            f"  earlier: {before} ({earlier['state']}) until ledger sequence {earlier['valid_to_seq']}; since then: {since}",
            highlight=False,
            soft_wrap=True,
        )


def _show_value(console: Console, answer: Mapping[str, Any]) -> None:
    settlement, computed = answer["settlement"], answer["computed"]
    grid = Table.grid(padding=(0, 2))
    _add_kpi(grid, answer["kpi"])
    names = f"{settlement['name_en']} / {settlement['name_ru']}"
    grid.add_row("settlement", f"{settlement['kato']} {names} ({settlement['item7_group']})")
    _add_period_and_value(grid, answer)
    bounds = answer["bounds"]
    if bounds and (bounds["rejected_rows"] or bounds["gap_rows"]):
        said = _uncertain_rows(bounds["rejected_rows"], bounds["gap_rows"], bounds["low"], bounds["high"])
        grid.add_row("uncertain rows", said)
    if answer["denominator"] is not None:
        parts = f"{number(answer['numerator'])} / {number(answer['denominator'])}"
        grid.add_row("numerator / denominator", parts)
    grid.add_row("rows behind it", f"{answer['sample_size']:,}")
    at = f", computed {computed['at']:%Y-%m-%d %H:%M} UTC" if computed["at"] else ""
    by = f" by qala {computed['qala']}" if computed["qala"] else ""
    grid.add_row("read as of", f"ledger sequence {computed['as_of_seq']}{at}{by}")
    console.print(Panel(grid, title="number", title_align="left", expand=False))


def _show_definition(console: Console, answer: Mapping[str, Any]) -> None:
    kpi, definition = answer["kpi"], answer["definition"]
    grid = Table.grid(padding=(0, 2))
    if kpi["description"]:
        grid.add_row("in words", kpi["description"]["en"])
    for name in ("rows", "numerator", "denominator", "formula"):
        if definition[name]:
            grid.add_row(name, definition[name])
    in_force = f"in force from {definition['valid_from']}; fingerprint {definition['hash'][:16]}"
    grid.add_row("version", f"{definition['version']}, {in_force}")
    catalogue = f"{definition['catalogue']} {definition['catalogue_version']} ({definition['catalogue_status']})"
    approved = definition["approved_by"]
    grid.add_row("catalogue", f"{catalogue}; {f'approved by {approved}' if approved else 'not approved by anyone yet'}")
    grid.add_row("legal basis", definition["legal_basis"].strip())
    console.print(Panel(grid, title="definition", title_align="left", expand=False))


def _show_rollup(console: Console, answer: Mapping[str, Any]) -> None:
    """A value over a territory or a year: what cells it is made of."""
    area = answer["area"]
    grid = Table.grid(padding=(0, 2))
    _add_kpi(grid, answer["kpi"])
    grid.add_row(area["kind"], f"{area['code']} {area['name_en']} / {area['name_ru']}")
    _add_period_and_value(grid, answer)
    grid.add_row("made of", f"{answer['counted']} of {answer['applicable']} cells: {answer['method']}")
    if answer["rejected_rows"] or answer["gap_rows"]:
        said = _uncertain_rows(answer["rejected_rows"], answer["gap_rows"], answer["value_low"], answer["value_high"])
        grid.add_row("uncertain rows", said)
    if answer["numerator"] is not None:
        parts = f"{number(answer['numerator'])} / {number(answer['denominator'])}"
        grid.add_row("parts", f"{parts}, {answer['sample_size']:,} rows")
    console.print(Panel(grid, title="what", title_align="left", expand=False))
    numbers = ("value", "numerator", "denominator")
    table = Table(title="cells", title_justify="left")
    for name in ("settlement", "period", *numbers, "state"):
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for cell in answer["members"][:SHOWN]:
        figures = ("" if cell[n] is None else number(cell[n]) for n in numbers)
        settlement = f"{cell['kato']} {cell['name_en']}"
        table.add_row(settlement, cell["period_id"], *figures, cell["reason"] or cell["state"])
    console.print(table)
    if len(answer["members"]) > SHOWN:
        console.print(f"... and {len(answer['members']) - SHOWN} more: --json", highlight=False)
    console.print("walk on with: qala explain KPI SETTLEMENT PERIOD of a cell", highlight=False)


def _add_kpi(grid: Table, kpi: Mapping[str, Any]) -> None:
    grid.add_row("KPI", f"{kpi['code']} {kpi['name']['en']} / {kpi['name']['ru']}")


def _add_period_and_value(grid: Table, answer: Mapping[str, Any]) -> None:
    period, state = answer["period"], answer["state"]
    grid.add_row("period", f"{period['id']}: {period['start']} to {period['end']}")
    value = "no value" if answer["value"] is None else f"{answer['value']:,.6g} {answer['kpi']['unit']}"
    status = f" (OBS_STATUS {answer['obs_status']})" if answer["obs_status"] else ""
    grid.add_row("value", f"[bold]{value}[/bold]  [{state_colour(state)}]{state}[/]{status}")
    if answer["reason"]:
        grid.add_row("reason", answer["reason"])


def _show_deliveries(console: Console, deliveries: Sequence[Mapping[str, Any]]) -> None:
    count = len(deliveries)
    console.print(f"[bold]deliveries[/bold] ({count})" if count else "no delivery stands behind it")
    for delivery in deliveries[:SHOWN]:
        _show_delivery(console, delivery)
    if count > SHOWN:
        console.print(f"  and {count - SHOWN} more: --json shows all")


def _show_correction(console: Console, c: Mapping[str, Any]) -> None:
    console.print(
        f"  [yellow]corrected[/yellow] by {c['correction_id']} ({c['decided_by']}, {c['decided_on']}): {c['column_name']}, row {c['row_no']} of "
        f"delivery {c['delivery_id']}: the source says {c['was']}, loaded was {c['becomes']}. {c['what'].strip()}; source {c['source_status']}",
        highlight=False,
        soft_wrap=True,
    )


def _uncertain_rows(rejected: int, gaps: int, low: float | None, high: float | None) -> str:
    """How many rows were rejected or have an empty cell, and between which bounds the value lies."""
    between = (
        "no bounds can be given"
        if low is None or high is None
        else f"the value lies between {low:,.6g} and {high:,.6g}"
    )
    return (
        f"{rejected:,} rejected, {gaps:,} with a cell left empty that the KPI reads: counted for and against, {between}"
    )


def _show_delivery(console: Console, d: Mapping[str, Any]) -> None:
    checks, colour = d["checks"], state_colour(d["state"])
    lines = [
        f"  [bold]{d['delivery_id']}[/bold] {d['file_name']}  [{colour}]{d['state']}[/{colour}]  "
        f"{d['table_name']} {d['period_id']} of {d['scope']}, system {d['system']} ({d['owner']})",
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
