"""What the rows of a table hold: one SQL expression per column, from the table's recipe or else from its contract.

A recipe, `recipes/<table>.yaml`:

    cadence: M                     # M, Q or A; without it, the frequency the contract promises
    rows: population * 0.004       # rows of one extract; may use population, days, month, noise (-1..1)
    axes: {hour: days * 24}        # instead of rows: sizes of a grid, each cell one row; columns use the indexes from 0
    resend: 0.003                  # share of the rows of the extract before that is sent again, in its state by then
    where: begun < period_end      # rows to keep
    steps: {name: expression}      # values several columns share
    columns: {column: expression}  # those left out are made from the contract

Expressions are DuckDB SQL over other steps and columns (in any order), the axes, and
    row_no, rows                       number of the row from 0, number of rows
    kato, population, year_start, period_start, period_end, days, month
    elapsed                            months from the first of 2025 to period_end, negative before it
    last_year                          MAP of KPI to its value in the year before; what is not known is not in it
    export_at                          when the file is made: a month after its period
    quality, base_quality              how well this city does in this table, 0..1, drifting over the year / steady
    u(k), normal(k), pick(list, k)     random for this row and period: uniform [0,1), standard normal, one of a list
    s(k)                               uniform, the same for this row number in every period (things that last)
    of(x, k), normal_of(x, k)          random for a value x: a station, a day; the same in every period
where k is any number: different k, independent draws.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpi_definitions.documents import Document, DocumentError, Fault, read
from warehouse.sql import literal, quoted
from warehouse.tables.contracts import Column, Table

RECIPES = Path(__file__).parent / "recipes"
FACTS = {
    "rows",
    "kato",
    "population",
    "year_start",
    "period_start",
    "period_end",
    "days",
    "month",
    "elapsed",
    "last_year",
    "export_at",
    "base_quality",
    "quality",
}  # what every expression may use; a column of the same name hides it
_KEYS = {"cadence", "scope", "rows", "axes", "resend", "where", "steps", "columns"}
_CADENCE = {"m": "M", "month": "M", "q": "Q", "quarter": "Q", "y": "A", "year": "A", "a": "A"}
HASH = "[0-9a-f]{64}"  # what stands for a person: HMAC-SHA-256 in hexadecimal digits
_ORDER_RULE = re.compile(r"\s*(\w+)\s*>=\s*(\w+)\s*")

# DuckDB macros see only their arguments, so the short names of a recipe are filled up to these.
MACROS = (
    # Hashed twice: hash of several values joins theirs by XOR, so draws that differ in k only would depend on each other.
    "CREATE MACRO draw(salt, x, k) AS hash(hash(salt, x, k)) / 18446744073709551616.0",
    "CREATE MACRO gauss(salt, x, k) AS sqrt(-2 * ln(1 - draw(salt, x, k))) * cos(2 * pi() * draw(salt, x, k + 5000))",
    "CREATE MACRO item(salt, x, list, k) AS list[1 + floor(draw(salt, x, k) * len(list))::INTEGER]",
)
_SHORT = {
    "u": "draw(_salt, row_no, ", "normal": "gauss(_salt, row_no, ", "pick": "item(_salt, row_no, ",
    "s": "draw(_place, row_no, ", "of": "draw(_place, ", "normal_of": "gauss(_place, ",
}  # fmt: skip
_SHORT_CALL = re.compile(rf"\b({'|'.join(_SHORT)})\(")


@dataclass(frozen=True)
class Recipe:
    """How to make the rows of one table. `layers`: all columns and the steps to them, in layers of which
    each uses only those before it.
    """

    cadence: str
    scope: str  # who hands over: settlement, region or country
    rows: str
    axes: Mapping[str, str]
    resend: float
    where: str
    layers: Sequence[Mapping[str, str]]


def sql(expression: Any) -> str:
    """A recipe's expression with its short names filled up."""
    return _SHORT_CALL.sub(lambda call: _SHORT[call[1]], str(expression))


def recipe_of(table: Table, folder: Path = RECIPES) -> Recipe:
    """The recipe of a table, completed from its contract. Raises DocumentError naming the line."""
    path = folder / f"{table.name}.yaml"
    text: Mapping[str, Any] = {}
    if path.exists():
        document = read(path)
        text = document.data or {}
        faults = list(_form_faults(document))
        if faults:
            raise DocumentError(faults)
        names = {c.name for c in table.columns}
        faults += [
            document.fault((key,), f"unknown key {key!r}", f"use {', '.join(sorted(_KEYS))}")
            for key in text
            if key not in _KEYS
        ]
        faults += [
            document.fault(("columns", name), f"{table.name} has no column {name}", "see its contract")
            for name in text.get("columns", {})
            if name not in names
        ]
        if text.get("cadence", "M") not in {"M", "Q", "A"}:
            faults.append(document.fault(("cadence",), "unknown cadence", "write M, Q or A"))
        if text.get("scope", "settlement") not in {"settlement", "region", "country"}:
            faults.append(document.fault(("scope",), "unknown scope", "write settlement, region or country"))
        if "axes" in text and "resend" in text:
            faults.append(document.fault(("resend",), "a grid is never sent in part", "leave out resend or axes"))
        if faults:
            raise DocumentError(faults)
    given = text.get("columns", {})
    defaults, rows = _from_contract(table, given)
    expressions = {name: sql(e) for name, e in {**text.get("steps", {}), **given, **defaults}.items()}
    return Recipe(
        cadence=text.get("cadence") or _cadence(table),
        scope=text.get("scope", "settlement"),
        rows=str(text.get("rows", rows)),
        axes={name: str(size) for name, size in text.get("axes", {}).items()},
        resend=float(text.get("resend", 0)),
        where=sql(text.get("where", "TRUE")),
        layers=_layered(expressions),
    )


def _form_faults(document: Document) -> Iterator[Fault]:
    """Parts of a recipe that are of another kind than they must be."""
    text = document.data or {}
    if not isinstance(text, Mapping):
        yield document.fault((), "a recipe is keys and values", f"use {', '.join(sorted(_KEYS))}")
        return
    for key in ("axes", "steps", "columns"):
        if not isinstance(text.get(key, {}), Mapping):
            yield document.fault(
                (key,), f"{key} is no list of names with an expression each", f"write {key}: {{name: expression}}"
            )
    share = text.get("resend", 0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        yield document.fault(("resend",), f"resend {share!r} is no share", "write a number from 0 to 1")


def properties(table: Table) -> dict[str, dict[str, Any]]:
    """The contract's own words on each column."""
    return {p["name"]: p for p in table.document.data["schema"][0]["properties"]}


def code_list(prop: Mapping[str, Any]) -> list[Any]:
    """The values a column may take, if its contract lists them."""
    found = [q["arguments"]["validValues"] for q in prop.get("quality", []) if q.get("metric") == "invalidValues"]
    return list(found[0]) if found else []


def order_rules(table: Table) -> dict[str, str]:
    """Of the row rules `later >= earlier`: the later column with the earlier one."""
    matches = [_ORDER_RULE.fullmatch(r.predicate or "") for r in table.row_rules]
    names = {c.name for c in table.columns}
    return {m[1]: m[2] for m in matches if m and {m[1], m[2]} <= names}


def _cadence(table: Table) -> str:
    for agreed in table.document.data.get("slaProperties", []):
        if agreed["property"] == "frequency":
            return _CADENCE.get(str(agreed.get("unit", "m")).lower(), "M")
    return "M"


def _layered(expressions: Mapping[str, str]) -> list[dict[str, str]]:
    """The expressions in layers, each using only those below: one SELECT a layer works a value out once.

    (In one SELECT, DuckDB writes an alias out wherever it is used: plans of steps upon steps grow without bound.)
    """
    mention = re.compile(rf"\b({'|'.join(expressions)})\b")
    depths: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in depths:
            depths[name] = 0  # so a circle ends here, and DuckDB reports it
            depths[name] = 1 + max(
                (depth(used) for used in mention.findall(expressions[name]) if used != name), default=-1
            )
        return depths[name]

    layers: dict[int, dict[str, str]] = {}
    for name in expressions:
        layers.setdefault(depth(name), {})[name] = expressions[name]
    return [layers[level] for level in sorted(layers)]


def _from_contract(table: Table, given: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """Expressions for the columns a recipe leaves out, and how many rows their keys can tell apart."""
    props, earlier_of = properties(table), order_rules(table)
    columns = {c.name: c for c in table.columns if c.name not in given}
    expressions: dict[str, str] = {}
    stride = "1"  # key columns with few values are counted through like the digits of a number
    unlimited = any(name in given for name in table.key)
    for name in (n for n in table.key if n in columns):
        expressions[name], values = _key(columns[name], props[name], f"(row_no // ({stride}))", table.snapshot)
        unlimited = unlimited or not values
        stride = f"{stride} * {values or 1}"
    for name in (n for n in columns if n not in expressions):
        number = 10_000 + 10 * list(props).index(name)
        expressions[name] = _value(columns[name], props[name], number, earlier_of.get(name), table.snapshot)
    count = "greatest(1, least(5000, population * 0.001))"
    return expressions, count if unlimited else f"least({stride}, {count})"


def _key(column: Column, prop: Mapping[str, Any], index: str, lasting: bool) -> tuple[str, str]:
    """An expression that differs from row to row, and how many values it can take ('' if any number)."""
    codes, kind = code_list(prop), column.sql_type.upper()
    if codes:
        return f"[{', '.join(map(literal, codes))}][1 + {index} % {len(codes)}]", str(len(codes))
    if kind == "BOOLEAN":
        return f"{index} % 2 = 1", "2"
    if kind == "DATE":
        return f"period_start + ({index} % days)::INTEGER", "days"
    if kind.startswith("TIMESTAMP"):
        return f"period_start + to_seconds(({index} % (days * 86400))::BIGINT)", "(days * 86400)"
    # The period is part of the key unless the same things come again: else this month's row would replace last month's.
    if prop.get("logicalTypeOptions", {}).get("pattern") == HASH:
        return f"sha256(kato || {literal(column.name)} || " + ("" if lasting else "period_start || ") + f"{index})", ""
    if kind.startswith("VARCHAR"):
        return ("" if lasting else "strftime(period_start, '%y%m') || ") + f"lpad({index}::VARCHAR, 7, '0')", ""
    low = prop.get("logicalTypeOptions", {}).get("minimum", 0)
    return f"{low} + {index}" + ("" if lasting else " + (year(year_start) % 10 * 12 + month) * 10000000"), ""


def _value(column: Column, prop: Mapping[str, Any], number: int, earlier: str | None, lasting: bool) -> str:
    """A value that meets the contract: code list, range, order of times; now and then empty where it may be."""
    draw = "s" if lasting else "u"
    one, kind = f"{draw}({number})", column.sql_type.upper()
    options, codes = prop.get("logicalTypeOptions", {}), code_list(prop)
    if codes:
        value = f"[{', '.join(map(literal, codes))}][1 + floor({one} * {len(codes)})::INTEGER]"
    elif earlier and (kind == "DATE" or kind.startswith("TIMESTAMP")):
        value = f"{quoted(earlier)} + to_days(1 + floor({one} * (20 - 15 * quality))::INTEGER)"
    elif earlier:
        value = f"{quoted(earlier)} + floor({one} * 10)"
    elif kind == "BOOLEAN":
        value = f"{one} < 0.3 + 0.6 * quality"
    elif kind == "DATE" or kind.startswith("TIMESTAMP"):
        start, span = ("(year_start - 1500)", "1500") if lasting else ("period_start", "days")
        value = f"{start} + to_seconds(floor({one} * {span} * 86400)::BIGINT)"
    elif options.get("pattern") == HASH:
        value = f"sha256(kato || {literal(column.name)} || floor({one} * 1e9)::BIGINT)"
    elif kind.startswith("VARCHAR"):
        value = (
            f"left({literal(column.name)} || ' ' || (1 + floor({one} * 12)::INTEGER), {options.get('maxLength', 200)})"
        )
    elif kind.startswith(("DECIMAL", "NUMERIC")) or "INT" in kind:
        low = options.get("minimum", options.get("exclusiveMinimum", 0))
        high = options.get("maximum", options.get("exclusiveMaximum", low + 100))
        value = f"{low} + ({high} - {low}) * (0.01 + 0.98 * {one})"
    else:
        value = "NULL"
    if column.required:
        return value
    return f"CASE WHEN {draw}({number + 1}) >= 0.03 THEN {value} END"
