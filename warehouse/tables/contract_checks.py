"""Faults of a contract that are seen before its columns are made into a table: names, types, options, words of its own.

Names, types and patterns go into SQL as they are written, so that each is held against a pattern here. Does not belong here: whether the
document keeps the standard (odcs.py), what a rule means (contract_rules.py).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kpi_definitions.documents import Document, Fault, Where
from warehouse.tables.code_registries import REGISTRIES
from warehouse.tables.rules import custom, qualities

# kinds of identifiers, by which each is brought to one form; none: numbers of things, never of persons
IDENTIFIERS = ("iin", "phone", "email", "other", "none")
_SEVERITIES = ("error", "warning")
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SQL_TYPE = re.compile(
    r"VARCHAR|BOOLEAN|DATE|TIMESTAMP|(TINY|SMALL|BIG|HUGE)INT|INTEGER|DECIMAL\([0-9]{1,2}, ?[0-9]{1,2}\)|DOUBLE|FLOAT|REAL"
)


def unwritable(document: Document, body: Mapping[str, Any]) -> Iterator[Fault]:
    """What of a contract cannot go into SQL, or is no value that its place may have. `body`: the schema of the table."""
    yield from _unnamed(document, body.get("name"), ("schema", 0, "name"))
    for index, prop in enumerate(body["properties"]):
        yield from _column_faults(document, prop, ("schema", 0, "properties", index))
    names = {str(p.get("name")) for p in body["properties"]}
    for where, quality, _ in qualities(body):
        yield from _quality_faults(document, quality, where, names)
    for index, agreed in enumerate(document.data.get("slaProperties", [])):
        if agreed.get("property") == "latency" and type(agreed.get("value")) is not int:
            message = f"latency {agreed.get('value')!r} is no whole number"
            yield document.fault(("slaProperties", index, "value"), message, "write a number of days")


def _unnamed(document: Document, value: object, where: Where) -> Iterator[Fault]:
    if not (isinstance(value, str) and NAME.fullmatch(value)):
        message = f"{value!r} cannot be a name in SQL"
        yield document.fault(where, message, "use small Latin letters, digits and underscores")


def _column_faults(document: Document, prop: Mapping[str, Any], where: Where) -> Iterator[Fault]:
    yield from _unnamed(document, prop.get("name"), (*where, "name"))
    written = prop.get("physicalType", "VARCHAR")
    if not (isinstance(written, str) and _SQL_TYPE.fullmatch(written.upper())):
        remedy = "use VARCHAR, BOOLEAN, INTEGER, BIGINT, DECIMAL(p,s), DATE or TIMESTAMP"
        yield document.fault((*where, "physicalType"), f"{written!r} is no SQL type of ours", remedy)
    yield from _option_faults(document, prop, (*where, "logicalTypeOptions"))
    for number, relation in enumerate(prop.get("relationships") or []):
        for part in str(relation.get("to", "")).split("."):
            yield from _unnamed(document, part, (*where, "relationships", number, "to"))
    yield from _own_faults(document, prop, (*where, "customProperties"))


def _option_faults(document: Document, prop: Mapping[str, Any], where: Where) -> Iterator[Fault]:
    options = prop.get("logicalTypeOptions", {})
    for option in sorted({"minLength", "maxLength"} & set(options)):
        if type(options[option]) is not int:
            message = f"{option} {options[option]!r} is no whole number"
            yield document.fault((*where, option), message, "write a number")
    if "pattern" in options:
        from kpi_definitions.expressions import ExpressionError, check_pattern  # imports sqlglot

        try:
            check_pattern(options["pattern"], ("logicalTypeOptions", "pattern"))
        except ExpressionError as error:
            yield document.fault((*where[:-1], *error.where), f"{prop['name']}: {error.message}", error.remedy)


def _own_faults(document: Document, prop: Mapping[str, Any], where: Where) -> Iterator[Fault]:
    """Of qala's own properties of a column."""
    own = custom(prop)
    if own.get("identifier", "other") not in IDENTIFIERS:
        message = f"{prop['name']}: identifier {own['identifier']!r} is of no known kind"
        yield document.fault(where, message, f"write {', '.join(IDENTIFIERS)}")
    if not isinstance(own.get("pseudonymDomain", ""), str) or not isinstance(own.get("freeText", False), bool):
        message = f"{prop['name']}: pseudonymDomain is a word, freeText true or false"
        yield document.fault(where, message, "write pseudonymDomain: residents, freeText: true")
    if "codesOf" in own:
        told = f"{prop['name']}: codesOf {own['codesOf']!r}"
        if own["codesOf"] not in list(REGISTRIES):
            yield document.fault(where, f"{told} is no registry", f"write {' or '.join(REGISTRIES)}")
        if prop.get("logicalType") != "string" or prop.get("classification") == "personal":
            message = f"{told} stands at a column that is no text, or is personal"
            yield document.fault(where, message, "codes are text that everybody may read: take it out")
    for words in ("placeholders", "realValues"):
        given = own.get(words, [])
        if not isinstance(given, list) or not all(isinstance(w, str | int | float | dt.date) for w in given):
            message = f"{prop['name']}: {words} {given!r} is no list of words"
            yield document.fault(where, message, f"write {words}: ['1900-01-01', н/д]")


def _quality_faults(document: Document, quality: Mapping[str, Any], where: Where, names: set[str]) -> Iterator[Fault]:
    """Of a quality entry; `names`: the table's columns."""
    if quality.get("severity", "error") not in _SEVERITIES:
        message = f"{quality.get('id', 'rule')}: no severity {quality['severity']!r}"
        yield document.fault((*where, "severity"), message, f"write {' or '.join(_SEVERITIES)}")
    implementation = quality.get("implementation")
    if quality.get("engine") == "greatExpectations" and isinstance(implementation, Mapping):
        figure, _, column = str(implementation.get("kwargs", {}).get("column", "")).partition("__")
        if column and column not in names:
            message = f"{figure} of {column!r}: there is no such column"
            yield document.fault((*where, "implementation"), message, f"there are {', '.join(sorted(names))}")
