"""Cells left empty: a broken value in an optional column costs the cell, and not the row.

SQL for the reading pass (reading_pass.py), and which headers of a file the reader (readers.py) may empty where bytes are not of the
encoding. Each such cell is listed as {column_name, rule, raw}, in the list `emptied` of its row. Does not belong here: rules that reject
the row (reading_pass.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sqlglot
from sqlglot import exp

from connectors.mapping.source_contract import SourceContract
from connectors.readers.readers import RAW
from warehouse.sql import literal
from warehouse.tables.contracts import Table
from warehouse.tables.rules import Rule

Condition = tuple[str, str]  # a rule's id, and SQL that is true of a row that breaks it
CELLS = "STRUCT(column_name VARCHAR, rule VARCHAR, raw VARCHAR)[]"
_CELLS = '[{"column_name": "VARCHAR", "rule": "VARCHAR", "raw": "VARCHAR"}]'


def optional_headers(table: Table, contract: SourceContract) -> dict[str, tuple[str, ...]]:
    """Headers whose cells may be emptied, each with the table's columns that are made of it; of other headers the row is at stake."""
    fed: dict[str, list[str]] = {}
    for column in contract.columns:
        logic = None if column.logic is None else sqlglot.parse_one(column.logic, dialect="duckdb")
        for header in [column.header] if logic is None else {c.name for c in logic.find_all(exp.Column)}:
            fed.setdefault(str(header), []).append(column.name)
    # what an expression of the shape names decides on the row
    deciding = {header for one in contract.shape.logics for header in one.headers}
    return {h: tuple(columns) for h, columns in fed.items() if set(columns) <= table.optional and h not in deciding}


def split_by_consequence(
    table: Table, conditions: Iterable[Condition]
) -> tuple[dict[str, list[Condition]], list[Condition]]:
    """The conditions whose breach empties a cell, by column, and those that reject the row, in the order given."""
    owner = {f"{c.name}.type": c.name for c in table.columns}
    owner |= {r.id: r.column for r in (*(r for c in table.columns for r in c.rules), *table.row_rules) if r.column}
    cells: dict[str, list[Condition]] = {}
    rows: list[Condition] = []
    for rule, condition in conditions:
        column = owner.get(rule, "")
        (cells.setdefault(column, []) if column in table.optional else rows).append((rule, condition))
    return cells, rows


def emptied_cells(cells: Mapping[str, Sequence[Condition]], texts: Mapping[str, str], spoilt: str | None) -> str:
    """The list of a row's broken cells, each with the first rule it breaks; NULL if there are none. SQL.

    `texts`: by column, what stands in the file; `spoilt`: such a list made by the reader. Nothing is made of rows without fault.
    """
    parts, found = [], []
    for column, conditions in cells.items():
        whens = [
            f"WHEN {condition} THEN {{'column_name': {literal(column)}, 'rule': {literal(rule)}, "
            f"'raw': left(coalesce(CAST({texts[column]} AS VARCHAR), ''), {RAW})}}"
            for rule, condition in conditions
        ]
        before = f"WHEN {has(spoilt, column)} THEN NULL " if spoilt else ""
        parts.append(f"CASE {before}{' '.join(whens)} END")
        found += [condition for _, condition in conditions]
    if not found:
        return spoilt or f"CAST(NULL AS {CELLS})"
    some = f"list_filter([{', '.join(parts)}], lambda cell: cell IS NOT NULL)"
    if spoilt:
        some = f"list_concat({spoilt}, {some})"
        found.append(f"{spoilt} IS NOT NULL")
    return f"CASE WHEN {' OR '.join(f'({f})' for f in found)} THEN {some} END"


def spoilt_cells(text: str) -> str:
    """The list of cells that the reader wrote as JSON, in hexadecimal digits. SQL."""
    return f"from_json(decode(unhex({text})), {literal(_CELLS)})"


def has(cells: str, column: str) -> str:
    """Whether a list of cells names a column. SQL; NULL if there is no list."""
    return f"list_contains(list_transform({cells}, lambda cell: cell.column_name), {literal(column)})"


def without(cells: str, column: str, value: str) -> str:
    """A column's value, NULL where its cell is in the list. SQL."""
    return f"CASE WHEN {cells} IS NULL THEN {value} WHEN {has(cells, column)} THEN NULL ELSE {value} END"


def blamed(rule: Rule, cells: str, table: Table) -> str:
    """What a row is rejected by that breaks a rule over several columns: the rule of the cell emptied before, if it reads one. SQL."""
    tree = sqlglot.parse_one(str(rule.predicate), dialect="duckdb", into=exp.Condition)
    read = sorted({c.name for c in tree.find_all(exp.Column)} & table.optional)
    if not read:
        return literal(rule.id)
    names = ", ".join(map(literal, read))
    first = f"list_filter({cells}, lambda cell: cell.column_name IN ({names}))[1].rule"
    return f"CASE WHEN {cells} IS NULL THEN {literal(rule.id)} ELSE coalesce({first}, {literal(rule.id)}) END"
