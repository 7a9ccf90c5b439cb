"""What became of a file that was tried: how it is read, its first rows as they would load, what would be rejected, what it feeds.

Does not belong here: trying it (connectors/trial.py).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connectors.mapping.contract_checks import STANDARD
from connectors.readers.kinds import Kind
from connectors.trial import FIRST, Trial
from pipelines.cli.screens.common import SHOWN, Words
from pipelines.cli.screens.refusals import Said
from pipelines.methods.trying import Asked, Tried
from warehouse.messages.messages import phrase, rendered

_LETTERS = 30  # of a value
_HIDDEN = "«pseudonym»"


def show_trial(console: Console, tried: Tried, words: Words) -> None:
    """A trial, from how the file is read to whether a delivery of it would be taken in."""
    trial, said = tried.trial, Said(console, words)
    said.line(escape(_how(trial)))
    for name, listed in (("left out of the archive", trial.left_out), ("headers not taken", trial.not_taken)):
        if listed:
            said.line(escape(f"{name}: {_some(phrase(one, words.language) for one in listed)}"))
    for header, nearest in trial.missing:
        near = f"; the nearest it has: {nearest}" if nearest else ""
        said.line(f"[yellow]the contract asks for {escape(header)}, the file has no such header{escape(near)}[/yellow]")
    if trial.received and any(one.headers for one in trial.columns):
        _show_columns(console, trial)
        _show_counts(said, tried)
    for line, text in trial.undecided:
        said.line(f"[yellow]{escape(f'not decided yet, line {line}: {text}')}[/yellow]")
    for text in _feeds(tried):
        said.line(escape(text))
    for text in _verdict(trial, words.language):
        said.line(text)


def _how(trial: Trial) -> str:
    """What the file is, and by what it is read."""
    contract = trial.contract
    kind = f"{trial.kind or 'a file'}{f' in {trial.packing}' if trial.packing else ''}"
    many = f", {trial.files} files" if trial.files > 1 else ""
    text = f", {contract.encoding}, columns parted by {contract.delimiter!r}" if trial.kind == Kind.CSV else ""
    by = "the exchange format" if contract.document is None else f"contract {contract.id} {contract.version}"
    return f"{trial.file_name}: {kind}{many}{text}; read by {by}"


def _show_columns(console: Console, trial: Trial) -> None:
    title = "first rows as they would load" if trial.accepted else "first rows as they are read, all of them rejected"
    table = Table(title=title, title_justify="left")
    for name in ("column", "from", *(f"row {n}" for n in range(1, FIRST + 1)), "empty"):
        table.add_column(name, overflow="fold", justify="right" if name == "empty" else "left")
    for one in trial.columns:
        if not one.headers:
            continue
        shown = [_HIDDEN if one.hidden and v is not None else _cut(v) for v in one.values]
        shown += [""] * (FIRST - len(shown))
        table.add_row(
            escape(one.name), escape(_some(one.headers)), *map(escape, shown), f"{one.gaps:,}" if one.gaps else ""
        )
    console.print(table)
    if unmapped := [one.name for one in trial.columns if not one.headers]:
        console.print(escape(f"columns that stay empty: {_some(unmapped)}"), highlight=False, soft_wrap=True)


def _show_counts(said: Said, tried: Tried) -> None:
    trial = tried.trial
    first = f" of the first {trial.first_only:,} records" if trial.first_only else ""
    cells = sum(one.cells for one in trial.broken)
    said.line(
        f"rows{first}: {trial.received:,} received, {trial.accepted:,} would be accepted, {trial.rejected:,} rejected; "
        f"{cells:,} cells left empty" + (f"; {trial.aside:,} left out" if trial.aside else "")
    )
    for one in trial.broken[:SHOWN]:
        said.line(f"  {escape(said.broken(one, tried.table, rows_of_one=True))}")
    if len(trial.broken) > SHOWN:
        said.line(f"  and {len(trial.broken) - SHOWN} more rules")
    for note in trial.notes:
        said.line(escape(str(rendered(note, said.language))))
    if trial.days:
        said.line(f"days of the accepted rows: {trial.days[0]} to {trial.days[1]}")


def _feeds(tried: Tried) -> Iterator[str]:
    if tried.lacking is None:
        yield "which KPIs it feeds cannot be told: a catalogue of the home is at fault (qala check)"
        return
    fully = [code for code, columns in tried.lacking.items() if not columns]
    yield f"feeds fully: {', '.join(fully) or 'no KPI'}"
    for code, columns in tried.lacking.items():
        if columns:
            yield f"does not feed {code}: {', '.join(columns)} not mapped"


def _verdict(trial: Trial, language: str) -> Iterator[str]:
    """Whether a delivery would be taken in, and why not. Lines with markup."""
    if trial.problem:
        yield f"[red]it would be refused:[/red] {escape(str(rendered(trial.problem, language)))}"
        return
    for one in trial.unmet:
        how = "[red]it would be refused:[/red]" if one.refuses else "[yellow]it would be told:[/yellow]"
        text = f"rule {one.rule} not met ({rendered(one.observed, language)}): {rendered(one.expected, language)}"
        yield f"{how} {escape(text)}"
    if trial.unjudged:
        yield f"not judged, as it takes more than the file: {escape(', '.join(trial.unjudged))}"
    if trial.undecided:
        yield "[red]nothing is taken in by a contract that has TODO in it:[/red] decide, and take the word out"
    elif trial.would_load:
        yield "[green]it would be taken in[/green]"


def next_step(trial: Trial, asked: Asked, place: str) -> str:
    """The command that delivers the file."""
    system = "" if trial.contract.system == STANDARD else f" --system {shlex.quote(trial.contract.system)}"
    first, last = trial.days or (None, None)
    months = (
        ""
        if not first or not last
        else f"{first:%Y-%m}"
        if f"{first:%Y-%m}" == f"{last:%Y-%m}"
        else f"{first:%Y-%m}/{last:%Y-%m}"
    )
    declared = f"--settlement {asked.scope or 'KATO'} --period {asked.period or months or '2026-01'}"
    return f"qala deliver {shlex.quote(str(asked.file))} --table {trial.contract.table}{system} {declared}{place}"


def as_data(tried: Tried, language: str) -> dict[str, Any]:
    """A trial as plain data."""
    trial = tried.trial
    return {
        "would_load": trial.would_load,
        "problem": rendered(trial.problem, language),
        "kind": trial.kind,
        "packing": trial.packing,
        "contract": trial.contract.id,
        "received": trial.received,
        "accepted": trial.accepted,
        "rejected": trial.rejected,
        "left_out": trial.aside,
        "first_only": trial.first_only,
        "columns": [vars(one) for one in trial.columns],
        "broken": [vars(one) for one in trial.broken],
        "unmet": [
            {
                "rule": u.rule,
                "refuses": u.refuses,
                "observed": rendered(u.observed, language),
                "expected": rendered(u.expected, language),
            }
            for u in trial.unmet
        ],
        "unjudged": trial.unjudged,
        "missing_headers": dict(trial.missing),
        "headers_not_taken": [phrase(one, language) for one in trial.not_taken],
        "undecided": [{"line": line, "text": text} for line, text in trial.undecided],
        "kpis": tried.lacking,
    }


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:SHOWN]) + (f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")


def _cut(value: str | None) -> str:
    text = " ".join((value or "").split())
    return f"{text[:_LETTERS]}…" if len(text) > _LETTERS else text
