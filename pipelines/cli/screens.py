"""Answers as tables for a terminal. Nothing is computed here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table

from kpi_definitions.catalogue import Catalogue, Counterpart
from warehouse.home.account import ACCOUNT, shown
from warehouse.store.store import Store

if TYPE_CHECKING:
    from warehouse.audit.reperform import Result

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


def scorecard(console: Console, store: Store, year: int | None = None) -> None:
    """The newest assessment of a year (the last one, if None), best level first within each group; who delivered nothing is left out."""
    rows = store.con.execute(
        "SELECT * FROM scorecard WHERE year = coalesce(?, (SELECT max(year) FROM scorecard)) AND coverage_percent > 0 "
        "ORDER BY catalogue_id, list_position(['republican', 'regional', 'district'], item7_group), rank NULLS LAST, level DESC, settlement_en",
        [year],
    )
    names = [d[0] for d in rows.description or ()]
    found = [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
    for catalogue in dict.fromkeys(r["catalogue_id"] for r in found):
        mine = [r for r in found if r["catalogue_id"] == catalogue]
        first = mine[0]
        state = "draft" if first["status"] == "draft" else f"frozen, version {first['version']}"
        table = Table(
            title=f"Assessment of {first['year']} by {catalogue} ({state}): level = coverage x achievement; our proposal with illustrative "
            "floors and goals, not the order's formula",
            title_justify="left",
        )
        for name in (
            "group",
            "settlement",
            "coverage %",
            "achievement",
            "level",
            "within its bounds",
            "place",
            "places possible",
        ):
            table.add_column(name, justify="left" if name in {"group", "settlement"} else "right")
        for r in mine:
            place = "insufficient coverage" if r["rank"] is None else str(r["rank"])
            interval = "" if r["rank"] is None else f"{r['rank_best']} to {r['rank_worst']}"
            numbers = ("" if r[n] is None else f"{r[n]:.1f}" for n in ("coverage_percent", "achievement", "level"))
            within = "" if r["level_low"] == r["level_high"] else f"{r['level_low']:.1f} to {r['level_high']:.1f}"
            table.add_row(r["item7_group"], r["settlement_en"], *numbers, within, place, interval)
        console.print(table)


def values(console: Console, store: Store) -> None:
    """Every KPI of the newest year: in how many settlements it has a value, their range, and the country's value."""
    rows = store.con.execute("""
SELECT y.kpi_code, any_value(k.name_en), any_value(k.unit), count(y.value), count(*) FILTER (WHERE y.obs_status <> 'M'), min(y.value), median(y.value),
       max(y.value), any_value(r.value)
FROM year_values y JOIN (FROM registry.kpi QUALIFY row_number() OVER (PARTITION BY code ORDER BY version DESC) = 1) k ON k.code = y.kpi_code
LEFT JOIN rollups r ON (r.kpi_code, r.area_kind, r.period_id) = (y.kpi_code, 'country', y.year)
WHERE y.year = (SELECT max(year) FROM year_values) AND y.kato IN (SELECT DISTINCT kato FROM kpi.value WHERE value IS NOT NULL) GROUP BY y.kpi_code
ORDER BY y.kpi_code""").fetchall()
    table = Table(title="KPIs of the year in the settlements that delivered", title_justify="left")
    table.add_column("KPI", no_wrap=True, min_width=7)
    table.add_column("name", no_wrap=True, overflow="ellipsis", max_width=max(8, console.width - 77))
    table.add_column("unit", no_wrap=True, overflow="ellipsis", max_width=8)
    for name in ("of", "lowest", "median", "highest", "all together"):
        table.add_column(name, justify="right", no_wrap=True, min_width=5 if name == "of" else 8)
    for code, name, unit, counted, applicable, *numbers in rows:
        table.add_row(code, name, unit, f"{counted}/{applicable}", *("" if n is None else f"{n:,.2f}" for n in numbers))
    console.print(table)


def incidents(console: Console, store: Store, *, closed: bool) -> None:
    accounts = store.con.execute("SELECT subject, detail FROM audit.ledger WHERE kind = 'incident-closed'").fetchall()
    by_account = {subject: account for subject, detail in accounts if (account := json.loads(detail).get(ACCOUNT))}
    rows = store.con.execute(
        "SELECT incident_id, criterion || chr(10) || '(' || kind || ')', table_name || chr(10) || coalesce(settlement_en, scope) || ' ' || period_id, "
        "rule || ': ' || observed || ', delivery ' || delivery_id || coalesce(chr(10) || 'closed by ' || closed_by || ': ' || closing_reason, '') "
        "FROM incidents WHERE closed_seq IS NULL OR ? ORDER BY incident_id", [closed]
    ).fetchall()  # fmt: skip
    table = Table(title="Incidents of data quality" + ("" if closed else " that are open"), title_justify="left")
    for name in ("no.", "criterion (kind)", "where", "what was found"):
        table.add_column(name, overflow="fold", no_wrap=name == "where")
    for number, *row in rows:
        account = by_account.get(str(number))
        row[-1] += f"\n({shown(account)})" if account else ""
        table.add_row(str(number), *map(str, row))
    console.print(table)
    console.print("close one by hand: qala incidents --close NO --by NAME --reason TEXT", highlight=False)


def catalogues(console: Console, lists: Sequence[Catalogue]) -> None:
    table = Table(title="Catalogues", title_justify="left")
    for name in (
        "catalogue",
        "version",
        "status",
        "in force",
        "initiatives",
        "KPIs",
        "assessment rules",
        "labels not checked",
    ):
        table.add_column(name, overflow="fold")
    for one in lists:
        head = one.head
        basic = sum(i.basis == "basic" for i in one.initiatives)
        added = len(one.initiatives) - basic
        table.add_row(head.id, head.version, head.status, f"{head.valid_from} to {head.valid_to or '...'}", f"{basic} + {added}", str(len(one.codes)),
                      ", ".join(f"{r.version} from {r.valid_from}" for r in one.assessments) or "none",
                      ", ".join(head.unchecked_languages) or "none")  # fmt: skip
    console.print(table)
    for one in lists:
        console.print(f"{one.head.id}: {one.head.legal_basis.strip()}", highlight=False, style="dim")


def comparison(console: Console, ours: Catalogue, theirs: Catalogue, found: Sequence[Counterpart]) -> None:
    table = Table(title=f"KPIs of {ours.head.id} beside those of {theirs.head.id}", title_justify="left")
    for name in ("KPI", "name", "likeness", f"in {theirs.head.id}"):
        table.add_column(name, overflow="fold")
    names = {k.code: k.name.en for k in ours.kpis}
    for one in found:
        table.add_row(one.code, names[one.code], one.likeness, ", ".join(one.others))
    console.print(table)
    met = {code for one in found if one.likeness == "same meaning" for code in one.others}
    alone = [code for code in theirs.codes if code not in met]
    console.print(f"without the same meaning in {ours.head.id}: {', '.join(alone) or 'none'}", highlight=False)


def changes(console: Console, answer: Mapping[str, Any]) -> None:
    """What the next run would change: deliveries, values by KPI, the largest changes, levels."""
    decided = answer["deliveries"]
    refused = [d for d in decided if d["state"] == "refused"]
    console.print(f"{len(decided)} deliveries would be decided on, {len(refused)} of them refused", highlight=False)
    for d in refused[:SHOWN]:
        console.print(f"  [red]refused[/red] {d['reason']}", highlight=False, soft_wrap=True)
    values = answer["values"]
    table = Table(title="values of settlements that would change", title_justify="left")
    for name in ("KPI", "new cells", "changed", "definition", "largest fall", "largest rise"):
        table.add_column(name, justify="left" if name in {"KPI", "definition"} else "right")
    for code in dict.fromkeys(v["kpi_code"] for v in values):
        mine = [v for v in values if v["kpi_code"] == code]
        by = [v["difference"] for v in mine if v["difference"] is not None]
        versions = {
            (v["version_before"], v["version_after"])
            for v in mine
            if v["version_before"] not in (None, v["version_after"])
        }
        table.add_row(
            code, str(sum(v["state_before"] is None for v in mine)), str(sum(v["state_before"] is not None for v in mine)),
            ", ".join(f"{a} to {b}" for a, b in sorted(versions)),
            *(_number(d) if d else "" for d in (min([*by, 0]), max([*by, 0]))))  # fmt: skip
    if values:
        console.print(table)
    table = Table(title="one by one, largest change first", title_justify="left")
    for name in ("KPI", "settlement", "period", "before", "after", "state"):
        table.add_column(name, justify="right" if name in {"before", "after"} else "left", overflow="fold")
    changed = [v for v in values if v["state_before"] is not None]
    for v in sorted(changed, key=lambda v: -abs(v["difference"] or 0))[:SHOWN]:
        numbers = ("" if v[n] is None else _number(v[n]) for n in ("before", "after"))
        states = (
            v["state_after"] if v["state_before"] == v["state_after"] else f"{v['state_before']} to {v['state_after']}"
        )
        table.add_row(v["kpi_code"], f"{v['area']} {v['area_en']}", v["period_id"], *numbers, states)
    if changed:
        console.print(table)
    table = Table(title="levels and places that would change", title_justify="left")
    for name in ("year", "settlement", "level", "would be", "place", "would be "):
        table.add_column(name, justify="left" if name == "settlement" else "right")
    moved = [r for r in answer["levels"] if (r["level_before"], r["level_after"]) != (0, 0)]
    for row in sorted(moved, key=lambda r: -abs((r["level_after"] or 0) - (r["level_before"] or 0)))[:SHOWN]:
        cells = (
            "" if row[n] is None else _number(row[n])
            for n in ("level_before", "level_after", "place_before", "place_after")
        )
        table.add_row(str(row["year"]), f"{row['kato']} {row['settlement_en']}", *cells)
    if moved:
        console.print(table)
    console.print(f"{len(changed)} values, {len(answer['rollups'])} roll-ups and {len(answer['levels'])} levels or places would change; all of them: --json",
                  highlight=False)  # fmt: skip


def reperformed(console: Console, result: Result) -> None:
    """What was made again, number by number where they are few, and what did not come out as published; by whom and when."""
    if sum(result.made.values()) <= len(result.numbers) or result.made["assessment figures"]:
        for number in result.numbers:
            verdict = "[green]equal[/green]" if number.equal else "[red]different[/red]"
            console.print(
                f"{number.what} {number.where}: published {number.published}; made again {number.again}: {verdict}",
                highlight=False,
                soft_wrap=True,
            )
    for one in result.differences:
        console.print(
            f"[red]{one.what}[/red] {one.where}: {one.column} published {one.published}, made again {one.again}",
            highlight=False,
            soft_wrap=True,
        )
    for kind, made in result.made.items():
        console.print(f"{kind}: {made:,} made again, {made - result.differing[kind]:,} equal", highlight=False)
    console.print(
        f"made again by {result.by} at {result.at} from the release of ledger head {result.head}, by qala {result.qala}",
        highlight=False,
        soft_wrap=True,
    )
    if not any(result.made.values()):
        console.print("nothing of this has been published; see: qala status", highlight=False)


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


def rolled(console: Console, a: Mapping[str, Any]) -> None:
    """A value over a territory or a year: what cells it is made of."""
    kpi, area = a["kpi"], a["area"]
    value = "no value" if a["value"] is None else f"{a['value']:,.6g} {kpi['unit']}"
    grid = Table.grid(padding=(0, 2))
    grid.add_row("KPI", f"{kpi['code']} {kpi['name']['en']} / {kpi['name']['ru']}")
    grid.add_row(area["kind"], f"{area['code']} {area['name_en']} / {area['name_ru']}")
    grid.add_row("period", f"{a['period']['id']}: {a['period']['start']} to {a['period']['end']}")
    grid.add_row(
        "value",
        f"[bold]{value}[/bold]  [{_COLOURS.get(a['state'], 'white')}]{a['state']}[/] (OBS_STATUS {a['obs_status']})",
    )
    if a["reason"]:
        grid.add_row("reason", a["reason"])
    grid.add_row("made of", f"{a['counted']} of {a['applicable']} cells: {a['method']}")
    if a["rejected_rows"] or a["gap_rows"]:
        grid.add_row("uncertain rows", _uncertain(a["rejected_rows"], a["gap_rows"], a["value_low"], a["value_high"]))
    if a["numerator"] is not None:
        grid.add_row("parts", f"{_number(a['numerator'])} / {_number(a['denominator'])}, {a['sample_size']:,} rows")
    console.print(Panel(grid, title="what", title_align="left", expand=False))
    table = Table(title="cells", title_justify="left")
    for name in ("settlement", "period", "value", "numerator", "denominator", "state"):
        table.add_column(
            name, justify="right" if name in {"value", "numerator", "denominator"} else "left", overflow="fold"
        )
    for m in a["members"][:SHOWN]:
        numbers = ("" if m[n] is None else _number(m[n]) for n in ("value", "numerator", "denominator"))
        table.add_row(f"{m['kato']} {m['name_en']}", m["period_id"], *numbers, m["reason"] or m["state"])
    console.print(table)
    if len(a["members"]) > SHOWN:
        console.print(f"... and {len(a['members']) - SHOWN} more: --json", highlight=False)
    console.print("walk on with: qala explain KPI SETTLEMENT PERIOD of a cell", highlight=False)


def _uncertain(rejected: int, gaps: int, low: float | None, high: float | None) -> str:
    """Rows that were lost at the gate, and between what the value lies because of them."""
    between = (
        "no bounds can be given"
        if low is None or high is None
        else f"the value lies between {low:,.6g} and {high:,.6g}"
    )
    return (
        f"{rejected:,} rejected, {gaps:,} with a cell left empty that the KPI reads: counted for and against, {between}"
    )


def explanation(console: Console, a: Mapping[str, Any]) -> None:
    """The walk back from a number, top down."""
    if "members" in a:
        rolled(console, a)
        return
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
    bounds = a["bounds"] or {"rejected_rows": 0, "gap_rows": 0}
    if bounds["rejected_rows"] or bounds["gap_rows"]:
        grid.add_row(
            "uncertain rows", _uncertain(bounds["rejected_rows"], bounds["gap_rows"], bounds["low"], bounds["high"])
        )
    if a["denominator"] is not None:
        grid.add_row("numerator / denominator", f"{_number(a['numerator'])} / {_number(a['denominator'])}")
    grid.add_row("rows behind it", f"{a['sample_size']:,}")
    grid.add_row(
        "read as of",
        f"ledger sequence {a['computed']['as_of_seq']}"
        + (f", computed {a['computed']['at']:%Y-%m-%d %H:%M} UTC" if a["computed"]["at"] else "")
        + (f" by qala {a['computed']['qala']}" if a["computed"]["qala"] else ""),
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
    grid.add_row("legal basis", definition["legal_basis"].strip())
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
    for c in a["corrections"]:
        console.print(
            f"  [yellow]corrected[/yellow] by {c['correction_id']} ({c['decided_by']}, {c['decided_on']}): {c['column_name']}, row {c['row_no']} of "
            f"delivery {c['delivery_id']}: the source says {c['was']}, loaded was {c['becomes']}. {c['what'].strip()}; source {c['source_status']}",
            highlight=False,
            soft_wrap=True,
        )
    for old in a["earlier"]:
        before = "no value" if old["value"] is None else f"{old['value']:,.6g}"
        console.print(f"  earlier: {before} ({old['state']}) until ledger sequence {old['valid_to_seq']}; since then: "
                      + ("; ".join(old["deliveries_since"]) or "no delivery of what it reads"), highlight=False, soft_wrap=True)  # fmt: skip


def _delivery(console: Console, d: Mapping[str, Any]) -> None:
    checks, colour = d["checks"], _COLOURS.get(d["state"], "white")
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


def rows(console: Console, tables: Sequence[Mapping[str, Any]]) -> None:
    """The rows behind a number, table by table; a flag that says the same as another in every row shown is left out."""
    for one in tables:
        counted, found = one["counts"], one["rows"]
        console.print(
            f"[bold]{one['table']}[/bold]: {counted['rows']:,} rows; {counted['in_numerator']:,} in the numerator, "
            f"{counted['in_denominator']:,} in the denominator, {counted['in_sample']:,} in the sample", highlight=False
        )  # fmt: skip
        flags = {"in_numerator": "numerator", "in_denominator": "denominator"}
        if all(any(row["in_sample"] != row[flag] for row in found) for flag in flags):
            flags["in_sample"] = "sample"
        columns = [c for c in (*one["key"], *one["reads"]) if c != "kato"]
        table = Table()
        for name in ("delivery", "record", *columns, *flags.values()):
            table.add_column(name, overflow="fold")
        for row in found:
            cells = ("" if row[c] is None else escape(str(row[c])) for c in columns)
            table.add_row(
                str(row["delivery_id"]), str(row["row_no"]), *cells, *("yes" if row[flag] else "" for flag in flags)
            )
        if found:
            console.print(table)
        for row in found:
            if "source" in row:
                console.print(f"record {row['row_no']} of delivery {row['delivery_id']}:", style="dim", highlight=False)
                console.print(row["source"].rstrip("\r\n"), markup=False, highlight=False, soft_wrap=True)
        if len(found) < counted["rows"]:
            console.print(
                f"{len(found):,} of {counted['rows']:,} shown; more with --limit N, all with --to FILE.csv",
                style="dim",
                highlight=False,
            )


def next_steps(console: Console, steps: Sequence[tuple[str, str]]) -> None:
    console.print("[bold]what to type next[/bold]")
    for command, why in steps:
        console.print(f"  [dim]{why}[/dim]\n    {command}", highlight=False, soft_wrap=True)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"[{_COLOURS.get(s, 'white')}]{s} {n:,}[/]" for s, n in counts.items()) or "none"


def _number(value: Any) -> str:
    return f"{float(value):,.6f}".rstrip("0").rstrip(".")
