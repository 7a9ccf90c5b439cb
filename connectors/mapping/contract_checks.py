"""What a source contract may say: its settings, date patterns, code lists. Each fault with its place and what to write instead.

Does not belong here: faults of the ODCS standard (warehouse/tables/odcs.py), putting the contract together (read_contracts.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb

from connectors.mapping.cell_grammar import SERIAL, Cell
from connectors.mapping.column_cells import is_word
from connectors.mapping.layout import FORMATS, SETTINGS
from connectors.mapping.shape import PROPERTIES
from kpi_definitions.documents import Document, Fault, Where
from warehouse.sql import literal, quoted
from warehouse.tables.contract_checks import IDENTIFIERS
from warehouse.tables.contracts import Table
from warehouse.tables.rules import Rule

STANDARD = "standard"  # system code of the exchange format
KNOWN = {
    "system",
    "format",
    "encoding",
    "delimiter",
    "quote",
    "decimalSeparator",
    "groupSeparator",
    "rounding",
    "missingValues",
    "placeholders",
    "otherHeaders",
    "delivery",
    "cutBy",
    "earlierRows",
    "archive",
    "personalHeaders",
    "fileNames",
    *SETTINGS,
    *PROPERTIES,
}
KNOWN_OF_COLUMNS = {"codes", "trueValues", "falseValues", "placeholders", "realValues", "identifier", "freeText"}
_SYSTEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CHOICES = {
    "format": FORMATS,
    "otherHeaders": ("refuse", "ignore"),
    "rounding": ("half-up",),
    "archive": ("plain", "encrypted", "refused"),
    "fileNames": ("masked", "kept"),
}
_CHOICES_OF_COLUMNS = {"identifier": IDENTIFIERS, "freeText": ("drop", "scrub")}

# JDK letters, strptime's, their number of digits when fields follow each other directly, and the part of a date
_FIELDS = {
    "yyyy": ("%Y", 4, "year"), "yy": ("%y", 2, "year"), "MM": ("%m", 2, "month"), "M": ("%-m", 0, "month"), "dd": ("%d", 2, "day"),
    "d": ("%-d", 0, "day"), "HH": ("%H", 2, "hour"), "H": ("%-H", 0, "hour"), "hh": ("%I", 2, "hour"), "h": ("%-I", 0, "hour"),
    "mm": ("%M", 2, "minute"), "ss": ("%S", 2, "second"), "SSSSSS": ("%f", 6, "fraction"), "SSS": ("%g", 3, "fraction"), "a": ("%p", 0, "half"),
}  # fmt: skip
_NEEDS = {"month": "year", "day": "month", "minute": "hour", "second": "minute", "fraction": "second", "half": "hour"}


def settings_faults(document: Document, settings: Mapping[str, Any]) -> Iterator[Fault]:
    """Settings no file could be read by, or that mean nothing."""

    def fault(message: str, remedy: str) -> Fault:
        return document.fault(("customProperties",), message, remedy)

    for key in sorted(set(settings) - KNOWN, key=str):
        yield fault(f"unknown property {key!r}", f"known are {', '.join(sorted(KNOWN))}")
    if "system" not in settings:
        yield fault("no `system`", "add {property: system, value: <code of the system>}")
    elif not isinstance(settings["system"], str) or not _SYSTEM.fullmatch(settings["system"]):
        yield fault(
            f"system {settings['system']!r} cannot be a code",
            "use Latin letters, digits, dot, dash, and quotes around digits",
        )
    elif settings["system"] == STANDARD:
        yield fault(
            "system 'standard' is the exchange format, which has no contract", "give the system a code of its own"
        )
    for key, choices in _CHOICES.items():
        if key in settings and settings[key] not in choices:
            yield fault(f"{key} {settings[key]!r} is not known", f"write {' or '.join(choices)}")
    try:
        "".encode(
            settings.get("encoding", "utf-8")
        )  # a codec that makes no text, like zip or rot13, is a LookupError here
    except (LookupError, TypeError, ValueError):
        yield fault(f"encoding {settings['encoding']!r} is not known", "use utf-8, utf-16, cp1251 or kz1048")
    delimiter, quote = settings.get("delimiter", ","), settings.get("quote", '"')
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter.isalnum() or delimiter in "\r\n":
        yield fault(f"delimiter {delimiter!r} is not one character", 'write it in quotes, a tab as "\\t"')
    if not isinstance(quote, str) or len(quote) > 1 or quote.isalnum() or (quote and quote in "\r\n"):
        yield fault(f"quote {quote!r} is not one character", "write one, or '' if nothing is ever quoted")
    elif quote and quote == delimiter:
        yield fault(f"delimiter and quote are both {quote!r}", "one of them is another")
    decimal, group = settings.get("decimalSeparator", "."), settings.get("groupSeparator", "")
    if not isinstance(decimal, str) or len(decimal) != 1 or decimal not in ".,٫·'":
        yield fault(f"decimalSeparator {decimal!r} separates no decimals", "write '.' or ','")
    if not isinstance(group, str) or len(group) > 1 or group.isalnum() or (group and group in "+-\r\n\t"):
        yield fault(
            f"groupSeparator {group!r} separates no groups",
            "write one character that is no digit: ' ', '.', ',' or \"'\"",
        )
    elif group and group == decimal:
        said = "" if "decimalSeparator" in settings else " (which is '.' unless it is given)"
        yield fault(f"decimalSeparator and groupSeparator are both {group!r}{said}", "one of them is another")
    for key in ("missingValues", "placeholders", "personalHeaders"):
        value = settings.get(key, [])
        if not isinstance(value, list) or not all(is_word(v) for v in value):
            yield fault(
                f"{key} {value!r} is no list of words",
                f"write {key} as a list: ['', '-']; numbers and words like null in quotes",
            )


def column_faults(document: Document, where: Where, name: str, own: Mapping[str, Any]) -> Iterator[Fault]:
    """Custom properties of a column that mean nothing, or are of another kind than they must be."""

    def fault(message: str, remedy: str) -> Fault:
        return document.fault((*where, "customProperties"), f"{name}: {message}", remedy)

    for key in sorted(set(own) - KNOWN_OF_COLUMNS, key=str):
        yield fault(f"unknown property {key!r}", f"known are {', '.join(sorted(KNOWN_OF_COLUMNS))}")
    for key, choices in _CHOICES_OF_COLUMNS.items():
        if key in own and own[key] not in choices:
            yield fault(f"{key} {own[key]!r} is not known", f"write {' or '.join(choices)}")
    codes = own.get("codes", {})
    if not isinstance(codes, dict) or not all(isinstance(v, str | int | float) for v in (*codes, *codes.values())):
        yield fault(
            f"codes {codes!r} is no list of codes",
            "write codes: {Открыто: OPEN, Закрыто: CLOSED}; yes, no and dates in quotes",
        )
    for key in ("trueValues", "falseValues", "placeholders", "realValues"):
        words = own.get(key, [])
        if not isinstance(words, list) or not all(is_word(w) for w in words):
            yield fault(f"{key} {words!r} is no list of words", f"write {key}: [да]; yes, no, true, false in quotes")
    sides = [
        {str(w).strip().casefold() for w in own.get(k) or [] if is_word(w)}
        for k in ("trueValues", "falseValues")
        if isinstance(own.get(k), list)
    ]
    if len(sides) == 2 and sides[0] & sides[1]:
        yield fault(f"{', '.join(sorted(sides[0] & sides[1]))} is both true and false", "keep it on one side")


def code_faults(
    document: Document,
    where: Where,
    table: Table,
    name: str,
    cell: Cell,
    codes: Mapping[str, str],
    what: str = "code",
) -> Iterator[Fault]:
    """Codes that stand for what the column cannot hold: by its type, its range, its list of values, or nothing where it must be filled."""
    column = next(c for c in table.columns if c.name == name)
    rules = [
        r
        for r in (*column.rules, *table.row_rules)
        if r.predicate and r.severity == "error" and not r.id.endswith(".required")
    ]
    with duckdb.connect() as con:

        def breaks(rule: Rule, value: str) -> bool:
            try:
                row = con.execute(f"SELECT NOT ({rule.predicate}) FROM (SELECT {value} AS {quoted(name)})").fetchone()
            except duckdb.Error:  # it names other columns too
                return False
            return bool(row and row[0])

        for code, text in codes.items():
            value = cell.value(literal(text), lambda instant: instant)
            row = con.execute(f"SELECT {value}").fetchone()
            if text.startswith("TODO"):  # told as what is not decided (kpi_definitions/documents.py)
                continue
            if not text.strip() or (row and row[0] is None and cell.sql_type == "VARCHAR"):
                if column.required or name in table.key:
                    message = f"{name}: {what} {code!r} leads to nothing, and the column must be filled"
                    yield document.fault((*where, "customProperties"), message, "write a value of the column")
                continue
            typed = "" if row and row[0] is not None else f"{name}.type"
            broken = typed or next((r.id for r in rules if breaks(r, value)), "")
            if broken:
                said = next(
                    (r.description("en") for r in (*column.rules, *rules) if r.id == broken),
                    "write a value of the column",
                )
                yield document.fault(
                    (*where, "customProperties"),
                    f"{name}: {what} {code!r} leads to {text!r}, which breaks {broken}",
                    said,
                )


def strptime(pattern: object) -> tuple[str, str | None]:
    """A JDK date pattern, as ODCS has it, in strptime's letters; and a pattern of digits, where fields follow each other directly.

    Raises ValueError.
    """
    if not isinstance(pattern, str) or not pattern:
        raise ValueError(f"date pattern {pattern!r} is no text")
    if pattern == SERIAL:
        return pattern, None
    result, digits, adjacent, told, before, open_ended = "", "", False, list[str](), False, 0
    for part in re.findall(r"'[^']*'|'|[A-Za-z]+|[^A-Za-z']+", pattern):
        if part == "'":
            raise ValueError(f"date pattern {pattern!r}: a quote is not closed")
        if not part[0].isalpha():
            text = part[1:-1] if part.startswith("'") else part
            result, digits, before = result + text.replace("%", "%%"), digits + re.escape(text), False
            continue
        for run in (found[0] for found in re.findall(r"((.)\2*)", part)):
            if run not in _FIELDS:
                raise ValueError(f"date pattern {pattern!r}: {run!r} is not understood")
            letters, width, tells = _FIELDS[run]
            open_ended = (open_ended if before else 0) + (not width and tells != "half")
            if open_ended > 1 and before:
                raise ValueError(
                    f"date pattern {pattern!r}: nothing stands before {run!r}, so that 1112026 is two days"
                )
            adjacent = adjacent or (before and tells != "half")
            result, told, before = result + letters, [*told, tells], tells != "half"
            digits += f"[0-9]{{{width}}}" if width else "[AaPp][Mm]" if tells == "half" else "[0-9]{1,2}"
    twice = sorted({t for t in told if told.count(t) > 1})
    if twice:
        raise ValueError(f"date pattern {pattern!r} gives the {' and the '.join(twice)} twice")
    if "month" not in told and "minute" in told and "hour" not in told:
        raise ValueError(f"date pattern {pattern!r}: mm are minutes; months are MM")
    for tells in told:
        if tells in _NEEDS and _NEEDS[tells] not in told:
            raise ValueError(
                f"date pattern {pattern!r} has a {tells} and no {_NEEDS[tells]} (months are MM, minutes mm)"
            )
    if "day" not in told:
        raise ValueError(f"date pattern {pattern!r} has no day: every row would stand on the first")
    twelve = re.search("h", re.sub("'[^']*'", "", pattern)) is not None
    if "hour" in told and twelve != ("half" in told):
        raise ValueError(f"date pattern {pattern!r}: hh goes to twelve and needs a; HH goes to 24")
    return result, digits if adjacent else None
