"""Refused deliveries, each with why, the rules that its rows broke and what to do; and what was rejected of deliveries that were loaded.

Does not belong here: what was refused (warehouse/audit/refusals.py), what to do about it (pipelines/refusals.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from pipelines.cli.screens.common import SHOWN, Words
from warehouse.audit.refusals import Refused
from warehouse.loading.broken_rules import Broken
from warehouse.messages.messages import Message, phrase, rendered, sentence
from warehouse.tables.contracts import Table

_LETTERS = 60  # of a value
_OF_RECORDS = ("columns", "encoding")  # rules that no contract has


def show_refused(
    console: Console,
    refused: Sequence[Refused],
    remedies: Mapping[int, Sequence[Message]],
    tables: Mapping[str, Table],
    words: Words,
) -> None:
    """Refused deliveries, the first of them at length; `remedies`: by delivery, what to do."""
    said = Said(console, words)
    for one in refused[:SHOWN]:
        day = said("since", day=f"{one.refused_at:%Y-%m-%d}")
        called = said(
            "delivery",
            delivery=one.delivery_id,
            file=one.file_name,
            table=one.table_name,
            place=f"{words.place(one.scope)} ({one.scope})",
            period=one.period_id,
            system=one.system,
        )
        said.line(f"[red]{escape(called)}[/red], {day}" + ("" if one.stands else f"; {said('mended')}"))
        said.line(f"  {said('why')}: {escape(str(rendered(one.reason, words.language)))}")
        for broken in one.broken:
            said.line(f"    {escape(said.broken(broken, tables.get(one.table_name), rows_of_one=True))}")
        for remedy in remedies.get(one.delivery_id, ()):
            said.line(f"  {said('next')}: {escape(phrase(remedy, words.language))}")
    if len(refused) > SHOWN:
        said.line(said("more_deliveries", number=len(refused) - SHOWN))


def show_rejected(
    console: Console,
    broken: Mapping[tuple[str, str], Sequence[Broken]],
    tables: Mapping[str, Table],
    file: Path,
    words: Words,
) -> None:
    """What was rejected of deliveries that were loaded, by (table, system); `file`: where all of it is."""
    said = Said(console, words)
    for (table, system), rules in broken.items():
        said.line(escape(said("rejected", table=table, system=system)))
        for one in rules[:SHOWN]:
            said.line(f"  {escape(said.broken(one, tables.get(table), rows_of_one=False))}")
        if len(rules) > SHOWN:
            said.line(f"  {said('more_values', number=len(rules) - SHOWN)}")
    if broken:
        said.line(said("see_all", file=file))


class Said:
    """Sentences of the catalogue's refusals.yaml on a console, in the reader's language."""

    def __init__(self, console: Console, words: Words):
        self._console, self._words = console, words
        self.language = words.language

    def __call__(self, code: str, **parts: Any) -> str:
        return sentence(f"refusals.{code}", self._words.language, **parts)

    def line(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def broken(self, one: Broken, table: Table | None, *, rows_of_one: bool) -> str:
        """A rule, how often it was broken, and by what; `rows_of_one`: of one delivery, so that its rows have numbers."""
        counts = [
            self(what, number=self._words.count(n)) for what, n in (("rows", one.rows), ("cells", one.cells)) if n
        ]
        values = [self._value(*value, row=rows_of_one) for value in one.values]
        if one.different > len(values):
            values.append(self("more_values", number=self._words.count(one.different - len(values))))
        return f"{', '.join(counts)}: {one.rule} ({self._rule(one.rule, table)}): {', '.join(values)}"

    def _value(self, value: str | None, times: int, first: int, *, row: bool) -> str:
        text = f"«{_cut(value)}»" if value else self("nothing")
        counted = f"{text} ×{self._words.count(times)}"
        return f"{counted} ({self('first', row=first)})" if row else counted

    def _rule(self, rule: str, table: Table | None) -> str:
        if rule in _OF_RECORDS:
            return self(f"rule_{rule}")
        known: Iterable[str] = (
            (r.description(self._words.language) for r in table.all_rules if r.id == rule) if table else ()
        )
        return next(iter(known), rule)


def _cut(text: str) -> str:
    """A value on one line, as much of it as tells."""
    shown = " ".join(text.replace("«withheld» ", "").split())
    return f"{shown[:_LETTERS]}…" if len(shown) > _LETTERS else shown
