"""Reading what a contract says of rows, records and keys: its top-level `unpivot`, `where`, `duplicates`, `repeatedKeys`, with faults.

Does not belong here: what they mean (shape.py), the other settings (read_contracts.py, contract_checks.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from connectors.mapping.cell_grammar import INTEGERS
from connectors.mapping.shape import FIRST_OR_LAST, PROPERTIES, Aggregate, Logic, Shape, Unpivot
from connectors.mapping.transform import CONSTANTS, TransformError, transform
from kpi_definitions.documents import Document, Fault, Where
from kpi_definitions.expressions import (
    TRANSFORM,
    TRANSFORM_FUNCTIONS,
    ExpressionError,
    check,
    check_pattern,
    parse,
)
from warehouse.sql import quoted
from warehouse.tables.contracts import Table

_HOW = ("mean", "min", "max", "sum", *FIRST_OR_LAST)
_NOT_A_HEADER = re.compile(r"=|__row_no$")
_UNPIVOT = {"columns", "name", "value", "empty"}


def read_shape(
    document: Document, settings: Mapping[str, Any], table: Table, fed: Mapping[str, str | None]
) -> tuple[Shape, list[Fault]]:
    """The shape that a contract declares, and what is wrong with it. `fed`: column the contract fills → its header, None if worked out."""
    if not PROPERTIES & set(settings):
        return Shape(), []
    reader = _Reader(document, table, fed)
    unpivot = reader.unpivot(settings["unpivot"]) if "unpivot" in settings else None
    where = reader.condition(settings["where"]) if "where" in settings else None
    if settings.get("duplicates", "drop") != "drop":
        reader.fault(
            ("duplicates",),
            f"duplicates {settings['duplicates']!r} is not known",
            "write drop, or take it out: full duplicates are rejected then",
        )
    aggregates = reader.aggregates(settings["repeatedKeys"]) if "repeatedKeys" in settings else ()
    return Shape(unpivot, where, "duplicates" in settings, aggregates), reader.faults


@dataclass
class _Reader:
    document: Document
    table: Table
    fed: Mapping[str, str | None]
    faults: list[Fault] = field(default_factory=list)

    def fault(self, where: Where, message: str, remedy: str) -> None:
        """`where`: the property's name, and the way into its value."""
        name, *inside = where
        entries = self.document.data["customProperties"]
        index = next(n for n, entry in enumerate(entries) if entry["property"] == name)
        self.faults.append(self.document.fault(("customProperties", index, "value", *inside), message, remedy))

    # --- columns into rows ---

    def unpivot(self, value: Any) -> Unpivot | None:
        how = "write unpivot: {columns: [PM2.5, PM10], name: pollutant, value: reading}"
        if not isinstance(value, dict) or set(value) - _UNPIVOT or not {"columns", "name", "value"} <= set(value):
            self.fault(("unpivot",), "unpivot says columns, name and value, and may say empty; nothing else", how)
            return None
        before = len(self.faults)
        columns, pattern = self._columns(value["columns"])
        made = (value["name"], value["value"])
        for key, header in zip(("name", "value"), made, strict=True):
            if not _is_header(header):
                self.fault(
                    ("unpivot", key), f"unpivot: {header!r} cannot be a header", "write a name for properties to use"
                )
            elif header in columns:
                self.fault(
                    ("unpivot", key),
                    f"unpivot: {header!r} is a column of the file as well",
                    "give it a name that no column has",
                )
        if made[0] == made[1]:
            self.fault(("unpivot",), f"unpivot: name and value are both {made[0]!r}", "give them two names")
        empty = value.get("empty", "keep")
        if empty not in ("keep", "leave out"):
            self.fault(("unpivot", "empty"), f"unpivot: empty {empty!r} is not known", "write keep or leave out")
        if len(self.faults) > before:
            return None
        return Unpivot(columns, pattern, *made, leaves_out_empty=empty == "leave out")

    def _columns(self, value: Any) -> tuple[dict[str, str], str]:
        """(header → label, pattern)"""
        place: Where = ("unpivot", "columns")
        if isinstance(value, str):
            try:
                re.compile(value)
                check_pattern(value, ("columns",))
            except (re.error, ExpressionError) as error:
                self.fault(
                    place,
                    f"unpivot: {value!r} is no pattern of headers ({error})",
                    "write a regular expression or a list",
                )
            return {}, value
        columns = (
            dict(zip(value, value, strict=True)) if isinstance(value, list) and all(map(_is_header, value)) else value
        )
        if (
            not isinstance(columns, dict)
            or not columns
            or not all(
                _is_header(h) and isinstance(v, str | int | float) and not isinstance(v, bool)
                for h, v in columns.items()
            )
        ):
            self.fault(
                place,
                f"unpivot: columns {value!r} name no headers",
                "write a list of headers, {header: label}, or a pattern that headers match",
            )
            return {}, ""
        labels = [str(label).strip() for label in columns.values()]
        if (isinstance(value, list) and len(set(value)) < len(value)) or len(set(labels)) < len(labels):
            self.fault(place, "unpivot: two columns have one label", "write each once, with a label of its own")
        return dict(zip(columns, labels, strict=True)), ""

    # --- expressions ---

    def condition(self, value: Any) -> Logic | None:
        found = self._logic(value, ("where",))
        if found and (kind := transform(found.sql, found.headers).sql_type) != "BOOLEAN":
            self.fault(("where",), f"where: {found.sql} is no condition but {kind}", "compare it with something")
            return None
        return found

    def _logic(self, value: Any, place: Where) -> Logic | None:
        """An expression over headers of the file: every name in it that is no constant of the delivery is one."""
        what = ".".join(map(str, place))
        try:
            tree = parse(value, ())
            names = dict.fromkeys(c.name for c in tree.find_all(exp.Column))
            headers = tuple(name for name in names if name not in CONSTANTS)
            check(tree, [*headers, *CONSTANTS], (), TRANSFORM, TRANSFORM_FUNCTIONS)
            found = Logic(tree.sql("duckdb"), headers)
            transform(found.sql, headers)
        except (ExpressionError, TransformError) as error:
            self.fault(place, f"{what}: {error.message}", error.remedy)
            return None
        wrong = [h for h in headers if not _is_header(h)]
        if wrong or not headers:
            self.fault(
                place,
                f"{what}: {wrong[0]!r} cannot be a header" if wrong else f"{what} names no header of the file",
                "write headers as they stand in the file, in double quotes",
            )
            return None
        return found

    # --- one row per key ---

    def aggregates(self, value: Any) -> tuple[Aggregate, ...]:
        if not isinstance(value, dict) or not value:
            self.fault(
                ("repeatedKeys",),
                f"repeatedKeys {value!r} names no column",
                "write repeatedKeys: {value: mean, status: {last: {by: changed_at}}}",
            )
            return ()
        found = [self._aggregate(column, how) for column, how in value.items()]
        return tuple(one for one in found if one)

    def _aggregate(self, column: Any, how: Any) -> Aggregate | None:
        place, known = ("repeatedKeys", column), self.table.business_columns
        name, inside = next(iter(how.items())) if isinstance(how, dict) and len(how) == 1 else (how, None)
        if column not in known or column in self.table.identity:
            wrong = "is part of the key" if column in self.table.identity else f"is no column of {self.table.name}"
            left = [c for c in known if c not in self.table.identity]
            self.fault(place, f"repeatedKeys: {column!r} {wrong}", f"name columns beside the key: {', '.join(left)}")
        elif column not in self.fed:
            self.fault(
                place, f"repeatedKeys: {column} is not mapped", f"add a property named {column}, or take it out here"
            )
        elif name not in _HOW:
            self.fault(
                place,
                f"repeatedKeys: {column}: {name!r} is not known",
                f"write one of {', '.join(_HOW)}; first and last with a column: {{last: {{by: changed_at}}}}",
            )
        elif name in FIRST_OR_LAST:
            by = inside.get("by") if isinstance(inside, dict) and set(inside) == {"by"} else None
            return self._by(column, str(name), by)
        elif inside is not None:
            self.fault(place, f"repeatedKeys: {column}: {name} goes by no column", f"write {column}: {name}")
        elif self._unfit(known[column].upper(), str(name)):
            self.fault(
                place,
                f"repeatedKeys: {column} is {known[column]}, of which there is no {name}",
                "write first or last with a column to go by",
            )
        else:
            return Aggregate(column, str(name))
        return None

    def _unfit(self, kind: str, how: str) -> bool:
        number = kind in INTEGERS or kind.startswith("DECIMAL")
        return not number if how in ("mean", "sum") else kind == "VARCHAR"

    def _by(self, column: str, how: str, by: Any) -> Aggregate | None:
        """first or last by a column of the table, by a header that one is read from, or by an expression over headers."""
        place: Where = ("repeatedKeys", column)
        if not isinstance(by, str) or not by:
            self.fault(
                place,
                f"repeatedKeys: {column}: {how} by the order of lines means nothing",
                f"name a column to go by: {{{how}: {{by: changed_at}}}}",
            )
            return None
        named = (
            by
            if by in self.fed and by in self.table.business_columns
            else next((c for c, h in self.fed.items() if h == by), by)
        )
        kind = self.table.business_columns.get(named, "")
        if not kind:
            # a header alone is a time; whatever else it is says a cast
            logic = self._logic(f"cast({quoted(by)} as timestamp)" if _is_bare(by) else by, place)
            if logic and (kind := transform(logic.sql, logic.headers).sql_type) in ("VARCHAR", "BOOLEAN"):
                self.fault(
                    place,
                    f"repeatedKeys: {column}: {by} is {kind}, which orders nothing",
                    f"cast it: {{{how}: {{by: cast({by} as integer)}}}}",
                )
                return None
            return Aggregate(column, how, logic) if logic else None
        if named in self.table.identity or kind.upper() in ("VARCHAR", "BOOLEAN"):
            why = "is part of the key" if named in self.table.identity else f"is {kind}, which orders nothing"
            self.fault(place, f"repeatedKeys: {column}: {by} {why}", "go by a time or a number")
            return None
        return Aggregate(column, how, named)


def _is_header(name: Any) -> bool:
    return isinstance(name, str) and bool(name) and name.isprintable() and not _NOT_A_HEADER.match(name)


def _is_bare(text: str) -> bool:
    """Whether it is a header as it stands in the file, and no expression."""
    return not any(c in text for c in "\"'()|+*/:")
