"""How a row becomes text in a file: the standard exchange format, or one system's own; and how it goes wrong.

The mistakes are those of DOMAIN section 4: they are derived from the contract, so that each breaks a rule of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.simulator.recipe import code_list, order_rules, properties
from kpi_definitions.documents import Document
from warehouse.sql import literal, quoted
from warehouse.tables.contracts import Table
from warehouse.tables.rules import custom

_STRFTIME = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_ISO = {"DATE": "yyyy-MM-dd", "TIMESTAMP": "yyyy-MM-ddTHH:mm:ss"}
_NO_SUCH_DAY = {"%Y": "2025", "%m": "02", "%d": "30", "%H": "12", "%M": "00", "%S": "00"}


@dataclass(frozen=True)
class Field:
    """One column of a file: its header and the SQL that writes the value as text."""

    column: str
    header: str
    text: str
    time_format: str | None  # strftime, for dates and times


@dataclass(frozen=True)
class Layout:
    """How the files of one table look."""

    system: str | None
    file_name: str
    encoding: str
    delimiter: str
    quote: str
    missing: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Mistake:
    """A way to get a row wrong: text to write instead, by column; without any, the row is given twice."""

    kind: str
    instead: Mapping[str, str]


def standard_layout(table: Table, *, with_kato: bool = False) -> Layout:
    """The standard exchange format: UTF-8, commas, the table's own column names, ISO dates, decimal points.

    A file for more than one settlement says in `kato` which one a row is of.
    """
    fields = tuple(_field(c.name, c.name, c.sql_type, {}, {}) for c in table.columns)
    if with_kato:
        fields = (Field("kato", "kato", '"kato"', None), *fields)
    return Layout(None, f"{table.name}.csv", "utf-8", ",", '"', "", fields)


def source_layout(table: Table, contract: Document) -> Layout:
    """The format a source contract describes (text formats; columns taken from headers one by one)."""
    settings, body = custom(contract.data), contract.data["schema"][0]
    types = {c.name: c.sql_type for c in table.columns}
    fields = tuple(
        _field(p["name"], p["physicalName"], types[p["name"]], p, settings)
        for p in body["properties"]
        if p["name"] in types and "physicalName" in p
    )
    return Layout(
        settings["system"],
        Path(body["physicalName"]).name,
        settings.get("encoding", "utf-8"),
        settings.get("delimiter", ","),
        settings.get("quote", '"'),
        settings.get("missingValues", [""])[-1],
        fields,
    )


def mistakes(table: Table, layout: Layout) -> list[Mistake]:
    """Every way a row of this table can break its contract in this layout."""
    props, written = properties(table), {f.column: f for f in layout.fields}
    found = [Mistake("repeated", {})]
    for column in (c for c in table.columns if c.name in written):
        prop, field = props[column.name], written[column.name]
        options, codes = prop.get("logicalTypeOptions", {}), code_list(props[column.name])
        if field.time_format:
            no_such_day = re.sub(r"%\w", lambda part: _NO_SUCH_DAY[part[0]], field.time_format)
            found.append(Mistake("unreadable", {column.name: literal(no_such_day)}))
        elif not column.sql_type.upper().startswith("VARCHAR"):
            found.append(Mistake("unreadable", {column.name: "'ошибка'"}))
        if column.required:
            found.append(Mistake("empty", {column.name: "NULL"}))
        if isinstance(options.get("minimum"), int | float):  # 999 below zero would be a placeholder
            found.append(Mistake("range", {column.name: literal(str(options["minimum"] - 998))}))
        if isinstance(options.get("maximum"), int | float):
            found.append(Mistake("range", {column.name: literal(str(options["maximum"] * 10 + 9))}))
        if codes:
            found.append(Mistake("code", {column.name: "'НЕ УКАЗАНО'"}))
    for later, earlier in order_rules(table).items():
        if {later, earlier} <= set(written):  # the two change places
            found.append(Mistake("order", {later: written[earlier].text, earlier: written[later].text}))
    return found


def _field(column: str, header: str, sql_type: str, prop: Mapping[str, Any], settings: Mapping[str, Any]) -> Field:
    value, kind, extra, time_format = quoted(column), sql_type.upper(), custom(prop), None
    if kind in _ISO:
        pattern = prop.get("logicalTypeOptions", {}).get("format", _ISO[kind])
        time_format = re.sub("|".join(_STRFTIME), lambda part: _STRFTIME[part[0]], pattern)
        text = f"strftime({value}, {literal(time_format)})"
    elif kind == "BOOLEAN":
        yes, no = extra.get("trueValues", ["true"])[0], extra.get("falseValues", ["false"])[0]
        text = f"CASE {value} WHEN TRUE THEN {literal(yes)} WHEN FALSE THEN {literal(no)} END"
    elif "codes" in extra:
        words = {ours: theirs for theirs, ours in reversed(extra["codes"].items())}  # of several words, the first
        text = f"CASE {value} {' '.join(f'WHEN {literal(o)} THEN {literal(t)}' for o, t in words.items())} END"
    elif settings.get("decimalSeparator", ".") != "." and kind.startswith(("DECIMAL", "NUMERIC")):
        text = f"replace({value}::VARCHAR, '.', {literal(settings['decimalSeparator'])})"
    else:
        text = f"{value}::VARCHAR"
    return Field(column, header, text, time_format)
