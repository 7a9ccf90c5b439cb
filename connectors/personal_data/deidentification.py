"""De-identification: texts before any rule sees them, with pseudonyms for persons and without what identifies one. SQL of the reading pass.

Columns classed personal are replaced whole; what people write is dropped, or scrubbed where its source's contract says so; all other
texts without a code list are searched. An identifier cannot be changed without making it another thing: one that is a person's number
gets a pseudonym too, so that it stays itself. Does not belong here: what identifies a person in a text (detection.py), what of rejected
rows may be shown (rejected_values.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb

from connectors.mapping.classification import personal_columns
from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.detection import MASK, net, scrub, tells
from connectors.personal_data.pseudonyms import DIGITS, MARK, Pseudonyms, normal_form
from warehouse.loading.deliveries import Finding
from warehouse.messages.messages import recorded
from warehouse.sql import literal, quoted
from warehouse.tables.contracts import Column, Table
from warehouse.tables.identifiers import normal
from warehouse.tables.rules import FOUND_PERSONAL, IDENTIFIES

Condition = tuple[str, str]


def deidentified(
    table: Table, contract: SourceContract, pseudonyms: Pseudonyms | None, relation: str
) -> tuple[str, Mapping[str, Condition]]:
    """(the relation with typed texts under '=name' replaced, by column a rule and SQL that is true of a row that breaks it)."""
    made: list[str] = []  # what is worked out first, beside the columns
    replaced: list[str] = []
    broken: dict[str, Condition] = {}
    personal = personal_columns(table, contract)
    unmapped = contract.unmapped(table)
    for column in _texts(table):
        name, value = column.name, quoted("=" + column.name)
        source = contract.by_name.get(name)
        kind = (source.identifier if source else "") or column.identifier
        form = quoted(f"==form {name}")
        if name in personal and pseudonyms and source:
            native = bool(contract.native & {*source.fed_by})
            made.append(f"{normal_form(kind, value, native)} AS {form}")
            replaced += [f"{pseudonyms.of(name, form)} AS {value}"]
            broken[name] = (f"{name}.identifier", f"({_given(name)} IS NOT NULL AND {value} IS NULL)")
            made.append(f"{value} AS {_given(name)}")
        elif name in unmapped:
            if column.free_text or (source and source.free_text):
                replaced.append(f"CAST(NULL AS VARCHAR) AS {value}")
        elif source and source.free_text:
            replaced.append(f"{scrub(value)} AS {value}")
        elif kind == "none":
            continue
        elif name in table.identifiers:
            made.append(f"{tells(value)} AS {form}")
            if pseudonyms:
                instead = f"{literal(MARK)} || left({pseudonyms.of(name, normal(value))}, {DIGITS})"
                replaced.append(f"CASE WHEN {form} THEN {instead} ELSE {value} END AS {value}")
            else:
                broken[name] = (IDENTIFIES, form)
        else:
            replaced.append(f"{net(value)} AS {value}")
    if made:
        relation = f"(SELECT *, {', '.join(made)} FROM {relation})"
    if replaced:
        relation = f"(SELECT * REPLACE ({', '.join(replaced)}) FROM {relation})"
    return relation, broken


def _given(name: str) -> str:
    return quoted(f"==given {name}")


def _texts(table: Table) -> list[Column]:
    """Columns that may hold any text, as far as their contract tells."""
    return [c for c in table.columns if c.sql_type.upper() == "VARCHAR" and (c.personal or c.name not in table.codes)]


def personal_data_findings(con: duckdb.DuckDBPyConnection, table: Table, deliveries: Iterable[int]) -> list[Finding]:
    """A finding for each delivery of `work_staged_row`: which columns held what gives a person away, and how many cells."""
    texts = [c.name for c in _texts(table) if not c.personal and not c.free_text]
    marks = [
        f"starts_with({quoted(n)}, {literal(MARK)})"
        if n in table.identifiers
        else f"contains({quoted(n)}, {literal(MASK)})"
        for n in texts
    ]
    found: dict[int, list[int]] = {}
    if texts:
        counts = ", ".join(f"count_if({mark})" for mark in marks)
        rows = con.execute(
            f"SELECT delivery_id, {counts} FROM work_staged_row WHERE broken IS NULL AND ({' OR '.join(marks)}) GROUP BY 1"
        ).fetchall()
        found = {delivery_id: numbers for delivery_id, *numbers in rows}
    rule = next(r for r in table.delivery_rules if r.id == FOUND_PERSONAL)
    findings = []
    for one in deliveries:
        cells = [
            {"code": "cells.of_column", "cells": n, "column": name}
            for name, n in zip(texts, found.get(one, ()), strict=False)
            if n
        ]
        observed = recorded({"code": "finding.personal", "cells": cells} if cells else {"code": "finding.nothing"})
        findings.append(
            Finding(
                one, rule.id, "warning", rule.dimension, not cells, observed, rule.expected, sum(found.get(one, ()))
            )
        )
    return findings
