"""How one number came about, top down: number, definition, SQL, deliveries, corrections, earlier values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table

from pipelines.cli.screens.common import ENGLISH, SHOWN, Words, state_colour


def show_explanation(console: Console, answer: Mapping[str, Any], words: Words = ENGLISH) -> None:
    """What `explain` answers of a value or a roll-up."""
    if "members" in answer:
        _show_rollup(console, answer, words)
        return
    _show_value(console, answer, words)
    _show_definition(console, answer, words)
    # whoever sees no colours need not wait until the words are found that would have them
    sql = Syntax(answer["sql"], "sql" if console.color_system else "text", word_wrap=True, background_color="default")
    console.print(Panel(sql, title=words("sql"), title_align="left", expand=False))
    _show_deliveries(console, answer["deliveries"], words)
    for correction in answer["corrections"]:
        _show_correction(console, correction, words)
    for earlier in answer["earlier"]:
        before = words("no_value") if earlier["value"] is None else words.figure(f"{earlier['value']:,.6g}")
        since = "; ".join(earlier["deliveries_since"]) or words("no_delivery_since")
        state, until = words.state(earlier["state"]), earlier["valid_to_seq"]
        console.print(
            f"  {words('earlier', value=before, state=state, seq=until, since=since)}", highlight=False, soft_wrap=True
        )


def _show_value(console: Console, answer: Mapping[str, Any], words: Words) -> None:
    settlement, computed = answer["settlement"], answer["computed"]
    grid = Table.grid(padding=(0, 2))
    _add_kpi(grid, answer["kpi"], words)
    group = words.name("group", settlement["item7_group"])
    grid.add_row(words("settlement"), f"{_named(settlement, words)} ({group})")
    _add_period_and_value(grid, answer, words)
    bounds = answer["bounds"]
    if bounds and (bounds["rejected_rows"] or bounds["gap_rows"]):
        said = _uncertain_rows(words, bounds["rejected_rows"], bounds["gap_rows"], bounds["low"], bounds["high"])
        grid.add_row(words("uncertain_rows"), said)
    if answer["denominator"] is not None:
        parts = f"{words.number(answer['numerator'])} / {words.number(answer['denominator'])}"
        grid.add_row(words("parts"), parts)
    grid.add_row(words("rows_behind"), words.count(answer["sample_size"]))
    at = words("computed_at", at=f"{computed['at']:%Y-%m-%d %H:%M}") if computed["at"] else ""
    by = f" {words('by_qala', version=computed['qala'])}" if computed["qala"] else ""
    on = words("on_engine", engine=computed["engine"]) if computed["engine"] else ""
    grid.add_row(words("read_as_of"), f"{words('at_sequence', seq=computed['as_of_seq'])}{at}{by}{on}")
    console.print(Panel(grid, title=words("number"), title_align="left", expand=False))


def _show_definition(console: Console, answer: Mapping[str, Any], words: Words) -> None:
    kpi, definition = answer["kpi"], answer["definition"]
    grid = Table.grid(padding=(0, 2))
    if kpi["description"]:
        described = kpi["description"]
        grid.add_row(words("in_words"), described.get(words.language) or described.get("ru") or described["en"])
    for name in ("rows", "numerator", "denominator", "formula"):
        if definition[name]:
            grid.add_row(words(name), definition[name])
    since, fingerprint = definition["valid_from"], definition["hash"][:16]
    grid.add_row(words("version"), words("in_force", version=definition["version"], since=since, hash=fingerprint))
    catalogue = f"{definition['catalogue']} {definition['catalogue_version']} ({words(definition['catalogue_status'])})"
    approved = definition["approved_by"]
    by = words("approved_by", by=approved) if approved else words("approved_by_nobody")
    grid.add_row(words("catalogue"), f"{catalogue}; {by}")
    basis = definition.get(f"legal_basis_{words.language}") or definition["legal_basis"]
    grid.add_row(words("legal_basis"), basis.strip())
    console.print(Panel(grid, title=words("definition"), title_align="left", expand=False))


def _show_rollup(console: Console, answer: Mapping[str, Any], words: Words) -> None:
    """A value over a territory or a year: what cells it is made of."""
    area = answer["area"]
    grid = Table.grid(padding=(0, 2))
    _add_kpi(grid, answer["kpi"], words)
    grid.add_row(words(area["kind"]), _named(area, words))
    _add_period_and_value(grid, answer, words)
    counted, applicable = words.count(answer["counted"]), words.count(answer["applicable"])
    grid.add_row(words("made_of"), words("cells_of", counted=counted, applicable=applicable, method=answer["method"]))
    if answer["rejected_rows"] or answer["gap_rows"]:
        bounds = (answer["value_low"], answer["value_high"])
        grid.add_row(
            words("uncertain_rows"), _uncertain_rows(words, answer["rejected_rows"], answer["gap_rows"], *bounds)
        )
    if answer["numerator"] is not None:
        parts = f"{words.number(answer['numerator'])} / {words.number(answer['denominator'])}"
        rows = words.count(answer["sample_size"])
        grid.add_row(words("parts_of_rollup"), words("parts_and_rows", parts=parts, rows=rows))
    console.print(Panel(grid, title=words("what"), title_align="left", expand=False))
    console.print(_members(answer["members"][:SHOWN], words))
    if len(answer["members"]) > SHOWN:
        console.print(words("and_more_json", more=len(answer["members"]) - SHOWN), highlight=False)
    console.print(words("walk_to_cell"), highlight=False)


def _members(cells: Sequence[Mapping[str, Any]], words: Words) -> Table:
    numbers = ("value", "numerator", "denominator")
    table = Table(title=words("cells"), title_justify="left")
    for name in ("settlement", "period", *numbers, "state"):
        table.add_column(words(name), justify="right" if name in numbers else "left", overflow="fold")
    for cell in cells:
        figures = ("" if cell[n] is None else words.number(cell[n]) for n in numbers)
        settlement = f"{cell['kato']} {words.name('settlement', cell['kato'], cell['name_en'])}"
        state = cell["reason"] or words.state(cell["state"])
        table.add_row(settlement, cell["period_id"], *figures, state)
    return table


def _named(place: Mapping[str, Any], words: Words) -> str:
    """Code and name of a settlement or another area of an answer."""
    names = {language: place.get(f"name_{language}") for language in ("en", "ru", "kk")}
    code = place.get("kato") or place["code"]
    return f"{code} {words.both(place.get('kind', 'settlement'), code, names)}"


def _add_kpi(grid: Table, kpi: Mapping[str, Any], words: Words) -> None:
    grid.add_row(words("kpi"), f"{kpi['code']} {words.both('kpi', kpi['code'], kpi['name'])}")


def _add_period_and_value(grid: Table, answer: Mapping[str, Any], words: Words) -> None:
    period, state = answer["period"], answer["state"]
    grid.add_row(words("period"), words("period_days", **{n: str(period[n]) for n in ("id", "start", "end")}))
    value = words("no_value")
    if answer["value"] is not None:
        value = f"{words.figure(format(answer['value'], ',.6g'))} {words.name('unit', answer['kpi']['unit'])}"
    status = f" (OBS_STATUS {answer['obs_status']})" if answer["obs_status"] else ""
    told = words("not_published") if state == "not published" else words.state(state)
    grid.add_row(words("value"), f"[bold]{value}[/bold]  [{state_colour(state)}]{told}[/]{status}")
    if answer["reason"]:
        grid.add_row(words("reason"), answer["reason"])


def _show_deliveries(console: Console, deliveries: Sequence[Mapping[str, Any]], words: Words) -> None:
    count = len(deliveries)
    console.print(f"[bold]{words('deliveries')}[/bold] ({count})" if count else words("no_delivery"))
    for delivery in deliveries[:SHOWN]:
        _show_delivery(console, delivery, words)
    if count > SHOWN:
        console.print(f"  {words('more_deliveries', more=count - SHOWN)}")


def _show_correction(console: Console, c: Mapping[str, Any], words: Words) -> None:
    said = words(
        "correction",
        correction=c["correction_id"],
        by=c["decided_by"],
        on=str(c["decided_on"]),
        column=c["column_name"],
        row=c["row_no"],
        delivery=c["delivery_id"],
        was=str(c["was"]),
        becomes=str(c["becomes"]),
        what=c["what"].strip(),
        source=words(f"source_{c['source_status'].replace(' ', '_')}"),
    )
    console.print(f"  [yellow]{words('corrected')}[/yellow] {said}", highlight=False, soft_wrap=True)


def _uncertain_rows(words: Words, rejected: int, gaps: int, low: float | None, high: float | None) -> str:
    """How many rows were rejected or have an empty cell, and between which bounds the value lies."""
    between = words("no_bounds")
    if low is not None and high is not None:
        between = words("between_bounds", low=words.figure(f"{low:,.6g}"), high=words.figure(f"{high:,.6g}"))
    return words("uncertain", rejected=words.count(rejected), gaps=words.count(gaps), between=between)


def _show_delivery(console: Console, d: Mapping[str, Any], words: Words) -> None:
    checks, colour = d["checks"], state_colour(d["state"])
    of = words(
        "of_system",
        table=d["table_name"],
        period=d["period_id"],
        scope=d["scope"],
        system=d["system"],
        owner=d["owner"],
    )
    counts = {
        "rows": d["rows_in_this_number"],
        "accepted": d["accepted_rows"],
        "rejected": d["rejected_rows"],
        "received": d["received_rows"],
        "passed": checks["passed"],
        "judged": checks["judged"],
    }
    received = f"{d['received_at']:%Y-%m-%d %H:%M}"
    lines = [
        f"  [bold]{d['delivery_id']}[/bold] {d['file_name']}  [{colour}]{words.state(d['state'])}[/{colour}]  {of}",
        f"    {words('rows_of_delivery', **{name: words.count(n) for name, n in counts.items()})}",
        f"    {words('bytes_of_delivery', sha256=d['sha256'], bytes=words.count(d['bytes']), at=received)}",
    ]
    if d["reason"]:
        lines.append(f"    [{colour}]{d['reason']}[/{colour}]")
    else:
        lines += [
            f"    [yellow]{f['rule']}: {f['observed']}[/yellow] {words('wanted', expected=f['expected'])}"
            for f in checks["failed"]
        ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
