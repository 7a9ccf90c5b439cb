"""What a database counts of an extract instead of giving it: rows, sums and filled cells, as SQL over the extract's own query.

Does not belong here: running it (the kinds' modules), what it is compared with (connectors/control/).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass

from connectors.sources.source import SourceError
from warehouse.periods import Period

_REMEDY = "select it, or have the owner of the source give a control file: qala reconcile --control FILE"


@dataclass(frozen=True)
class Counting:
    """By names of the query's columns. `by`: the date or time of a row, None: the query's rows are those of the period; `as_of`: figures of
    days, of which the first day after a period is its last. `place`: the settlement, None: the query is of one. `columns`: to be summed.
    """

    by: str | None
    as_of: bool
    place: str | None
    columns: tuple[str, ...]


def counted(
    source: str,
    query: str,
    counting: Counting,
    period: Period,
    *,
    known: Collection[str],
    dated: Collection[str],
    exact: Collection[str],
    name: Callable[[str], str],
    literal: Callable[[dt.date], str],
) -> str:
    """SQL: place (or NULL), rows, then of each column its sum and how many have a value; both NULL where a sum would not be exact.

    `known`, `dated`, `exact`: columns of the query, and those of dates and of exact numbers. Raises SourceError.
    """
    for column in (counting.by, counting.place):
        if column is not None and column not in known:
            raise SourceError(
                source, "extract.query", f"{column} is not among its columns: {', '.join(known)}", _REMEDY
            )
    if counting.by is not None and counting.by not in dated:
        raise SourceError(source, "extract.query", f"{counting.by}, by which rows are dated, is no date there", _REMEDY)
    place = "NULL" if counting.place is None else f"asked.{name(counting.place)}"
    parts = [place, "count(*)"]
    for column in counting.columns:
        one = f"asked.{name(column)}"
        parts += [f"sum({one})", f"count({one})"] if column in exact else ["NULL", "NULL"]
    sql = f"SELECT {', '.join(parts)} FROM (\n{query}\n) asked"
    if counting.by is not None:
        by, first, after = f"asked.{name(counting.by)}", literal(period.start), literal(period.end)
        sql += (
            f" WHERE {by} > {first} AND {by} <= {after}"
            if counting.as_of
            else f" WHERE {by} >= {first} AND {by} < {after}"
        )
    return sql if counting.place is None else f"{sql} GROUP BY {place}"
