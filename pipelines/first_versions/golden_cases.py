"""The first golden cases of a KPI: what must come of the first definition, thought out for it. They are to be thought out again with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from pipelines.first_versions.counting import HAPPENED, Counting
from pipelines.first_versions.writing import scalar
from warehouse.tables.contracts import Column, Table

_NONE = "numerator: null, denominator: null"  # of a quantile


def golden_cases(code: str, table: Table, rows: Counting, since: dt.date) -> str:
    """The text of a KPI's golden file."""
    period, day = _period(rows.period, since)
    first, second, value = _two(table, rows, day)
    numbers = {"share": "numerator: 1, denominator: 1", "mean": "numerator: 10, denominator: 1"}.get(rows.kind, _NONE)
    one = f"value: {rows.scale if rows.met else 10}, {numbers}, sample_size: 1, obs_status: A"
    return f"""\
# Expected values are thought out from the definition's words, not taken from a run. Format: kpi_definitions/golden.py.
# TODO: these cases are those of the first definition: think them out again by yours, with the borders of the period and what does not count
kpi: {code}
version: 1
cases:
  - title: {"one of two rows counts" if rows.met else "two rows"}
    period: {period}
    rows:
      {table.name}:
        - {_row(first)}
        - {_row(second)}
    expect: {{{value}}}
  - title: a single row
    period: {period}
    rows:
      {table.name}:
        - {_row(first)}
    expect: {{{one}}}
  - title: zero denominator, as nothing of it happened
    period: {period}
    rows: {{{table.name}: []}}
    expect: {{value: null, obs_status: M}}
  - title: not delivered; of what nobody handed over nothing is known, not even a zero
    period: {period}
    rows: {{}}
    expect: {{value: null, obs_status: L}}
"""


def _period(grain: str, since: dt.date) -> tuple[str, dt.date]:
    """The first whole period of effect, and a day inside it."""
    month = since.month + (since.day > 1)
    year, month = (since.year + 1, 1) if month > 12 else (since.year, month)
    if grain == "A":
        year += month > 1
        return str(year), dt.date(year, 1, 10)
    if grain == "Q":
        quarter = (month - 1 + 2) // 3 + 1
        year, quarter = (year + 1, 1) if quarter > 4 else (year, quarter)
        return f"{year}-Q{quarter}", dt.date(year, 3 * quarter - 2, 10)
    return f"{year}-{month:02d}", dt.date(year, month, 10)


def _two(table: Table, rows: Counting, day: dt.date) -> tuple[dict[str, object], dict[str, object], str]:
    """A row that counts, one that does not (of numbers: 10 and 20), and what comes of both."""
    kinds = {c.name: c for c in table.columns}
    made = []
    for number in (1, 2):
        row: dict[str, object] = {name: _moment(kinds[name], day) for name in rows.times[:1]}
        row |= {name: value for name, value in _keys(table, kinds, day, number).items() if name not in row}
        made.append(row)
    first, second = made
    if rows.met and rows.unmet:
        given = _moment(kinds[rows.met[0]], day) if rows.met[1] is HAPPENED else rows.met[1]
        first[rows.met[0]], second[rows.unmet[0]] = given, rows.unmet[1]
        return first, second, f"value: {rows.scale // 2}, numerator: 1, denominator: 2, sample_size: 2, obs_status: A"
    first[rows.of], second[rows.of] = 10, 20
    numbers = "numerator: 30, denominator: 2" if rows.kind == "mean" else _NONE
    return first, second, f"value: 15, {numbers}, sample_size: 2, obs_status: A"


def _row(values: Mapping[str, object]) -> str:
    """A row in one line; days and times as they are written everywhere."""
    plain = (f"{k}: {v if isinstance(v, dt.date) else scalar(v)}" for k, v in values.items())
    return f"{{{', '.join(plain)}}}"


def _moment(column: Column, day: dt.date) -> dt.date | dt.datetime:
    return day if column.sql_type.upper() == "DATE" else dt.datetime.combine(day, dt.time(12))


def _keys(table: Table, kinds: Mapping[str, Column], day: dt.date, number: int) -> dict[str, object]:
    """Values of the key's columns, other ones for each row; a first one of text is made up by the test."""
    found: dict[str, object] = {}
    for name in table.key:
        kind = kinds[name].sql_type.upper()
        if name == table.key[0] and kind == "VARCHAR" and name not in table.codes:
            continue
        codes = table.codes.get(name)
        if codes:
            found[name] = codes[0]
        elif kind in ("DATE", "TIMESTAMP"):
            found[name] = _moment(kinds[name], day)
        elif kind == "BOOLEAN":
            found[name] = False
        else:
            found[name] = f"k{number}" if kind == "VARCHAR" else number
    return found
