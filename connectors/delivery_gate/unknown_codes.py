"""Codes of a registry that the registry does not have: of a column whose contract says `codesOf`, the values that name nothing.

The rows stay: a list that has the code may be loaded later, and what a delivery asserts is the source's. But nothing is computed of them or
shown beside them until then, so the finding names each code, its rows and what may be meant, and opens an incident. Does not belong here:
references between tables (profile.py), code lists of a contract itself (row_gate/).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import duckdb

from kpi_definitions.nearest import nearest
from warehouse.loading.deliveries import Finding
from warehouse.messages.messages import Message, and_more, recorded
from warehouse.sql import literal, quoted, statement
from warehouse.tables.code_registries import REGISTRIES, codes_rule
from warehouse.tables.contracts import Table

_SHOWN, _ROWS = 10, 5  # codes in a finding, and rows of each


def unknown_code_findings(
    con: duckdb.DuckDBPyConnection, table: Table, deliveries: Sequence[int], catalogues: Sequence[Path]
) -> Iterator[Finding]:
    """A finding for each of these deliveries of `work_staged_row` and each column of codes. `catalogues`: folders beside the shipped one.

    Raises DocumentError where a catalogue cannot be read.
    """
    for column in (c for c in table.columns if c.codes_of and deliveries):
        rule, codes = codes_rule(column.name, column.codes_of), REGISTRIES[column.codes_of](catalogues)
        unknown = _unknown(con, column.name, codes)
        for number in deliveries:
            found = unknown.get(number, [])
            said: Message = {"code": "finding.codes_known"}
            if found:
                named = [_named(code, codes, rows, first) for code, rows, first in found[:_SHOWN]]
                said = {"code": "finding.unknown_codes", "codes": and_more(named, len(found) - _SHOWN, "; ")}
            many = sum(rows for _, rows, _ in found)
            yield Finding(
                number, rule.id, rule.severity, rule.dimension, not found, recorded(said), rule.expected, many
            )


def _unknown(
    con: duckdb.DuckDBPyConnection, column: str, codes: Sequence[str]
) -> dict[int, list[tuple[str, int, list[int]]]]:
    """By delivery: (code, how many accepted rows have it, the first of these) of those that are not among `codes`."""
    known = ", ".join(map(literal, codes))
    asked = statement(__file__, "work_staged_row__unknown_codes", code=quoted(column), known=known, shown=str(_ROWS))
    rows = con.execute(asked).fetchall()
    return {number: [(*one,) for _, *one in found] for number, found in groupby(rows, lambda row: int(row[0]))}


def _named(code: str, codes: Sequence[str], rows: int, first: Sequence[int]) -> Message:
    """A code as the finding names it, with the nearest there is."""
    said = {"value": code, "rows": and_more(first, rows - len(first))}
    near = nearest(code, codes)
    return {"code": "unknown_code.near", **said, "nearest": near} if near else {"code": "unknown_code.alone", **said}
