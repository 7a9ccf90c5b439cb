"""What the table's own contract says of a column's cells, whichever system delivers them: range of values, placeholders for nothing.

Does not belong here: what a source contract adds (read_contracts.py), what is done with it (cell_grammar.py).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from connectors.mapping.cell_grammar import EARLIEST, INTEGERS, LATEST, MOMENTS, Cell
from warehouse.tables.contracts import Table
from warehouse.tables.rules import custom


def cells_of_table(table: Table) -> dict[str, Cell]:
    """By column: its type, range and placeholders. Years from 1900 to 2100 are dates, unless its contract reaches further."""
    found = {}
    for column, prop in zip(table.columns, _properties(table), strict=True):
        options, own = prop.get("logicalTypeOptions") or {}, custom(prop)
        cell = Cell(
            column.sql_type.upper(),
            placeholders=texts(own.get("placeholders")),
            real=frozenset(texts(own.get("realValues"))),
        )
        if cell.sql_type in MOMENTS:
            first, last = (
                _day(options, *names) for names in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))
            )
            found[column.name] = _replaced(
                cell, earliest=min(EARLIEST, first or EARLIEST), latest=max(LATEST, last or LATEST)
            )
        else:
            lowest = options.get("minimum", options.get("exclusiveMinimum"))
            number = cell.sql_type in INTEGERS or cell.sql_type.startswith("DECIMAL")
            low = float(lowest) if number and isinstance(lowest, int | float) else None
            found[column.name] = _replaced(cell, lowest=low)
    return found


def _replaced(cell: Cell, **changes: Any) -> Cell:
    return Cell(cell.sql_type, placeholders=cell.placeholders, real=cell.real, **changes)


def _properties(table: Table) -> list[Mapping[str, Any]]:
    properties: list[Mapping[str, Any]] = table.document.data["schema"][0]["properties"]
    return properties


def _day(options: Mapping[str, Any], *names: str) -> str | None:
    value = next((options[n] for n in names if n in options), None)
    if isinstance(value, dt.date):
        return value.isoformat()[:10]
    return value[:10] if isinstance(value, str) and re.match("[0-9]{4}-[0-9]{2}-[0-9]{2}", value) else None


def texts(value: object) -> tuple[str, ...]:
    """A list of words as texts; a date or a number in it as YAML's reader took it is written out again."""
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def is_word(value: object) -> bool:
    return isinstance(value, str | int | float | dt.date) and not isinstance(value, bool)
