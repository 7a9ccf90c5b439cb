"""Rows behind a value, and numbers that were made again, equal or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.cli.screens.common import ENGLISH, Words

if TYPE_CHECKING:
    from warehouse.audit.reperform import Result


def show_rows(console: Console, tables: Sequence[Mapping[str, Any]], words: Words = ENGLISH) -> None:
    """The rows behind a number, table by table; a flag that says the same as another in every row shown is left out."""
    for one in tables:
        counted, found = one["counts"], one["rows"]
        counts = {name.removeprefix("in_"): words.count(n) for name, n in counted.items()}
        console.print(f"[bold]{one['table']}[/bold]: {words('rows_of_table', **counts)}", highlight=False)
        flags = {"in_numerator": "numerator", "in_denominator": "denominator"}
        if all(any(row["in_sample"] != row[flag] for row in found) for flag in flags):
            flags["in_sample"] = "sample"
        columns = [c for c in (*one["key"], *one["reads"]) if c != "kato"]
        table = Table()
        for name in (words("delivery"), words("record"), *columns, *map(words, flags.values())):
            table.add_column(name, overflow="fold")
        for row in found:
            cells = ("" if row[c] is None else escape(str(row[c])) for c in columns)
            table.add_row(
                str(row["delivery_id"]),
                str(row["row_no"]),
                *cells,
                *(words("yes") if row[flag] else "" for flag in flags),
            )
        if found:
            console.print(table)
        for row in found:
            if "source" in row:
                numbers = ", ".join(map(str, row["source_records"]))
                title = words("record_of", row=numbers, delivery=row["delivery_id"])
                if row["source_where"]:
                    title = f"{title.rstrip(':')} ({row['source_where']}):"
                console.print(title, style="dim", highlight=False, markup=False)
                console.print(row["source"].rstrip("\r\n"), markup=False, highlight=False, soft_wrap=True)
        if len(found) < counted["rows"]:
            shown = words("shown_of", shown=words.count(len(found)), rows=counts["rows"])
            console.print(shown, style="dim", highlight=False)


def show_reperformed(console: Console, result: Result) -> None:
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
    measured = f", values measured by {result.engine}" if result.engine else ""
    console.print(
        f"made again by {result.by} at {result.at} from the release of ledger head {result.head}, by qala {result.qala}{measured}",
        highlight=False,
        soft_wrap=True,
    )
    if not any(result.made.values()):
        console.print("nothing of this has been published; see: qala status", highlight=False)
