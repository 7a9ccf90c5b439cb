"""What a definition may not say although every word of it is on the list: rules by name, for whoever writes it and before it computes.

The compiler (compiler.py) sees to it that a definition reads data of one table and nothing else; it compiles former versions too,
whatever they say, as published numbers must stay explainable. Here is what would make a number depend on chance, fail only when
certain data come, or count something else than it seems to:

- `chance.sum`: sums and means add whole numbers and decimals; a division or a floating-point column makes the last digits depend on
  the order in which rows are added.
- `duration.marks`: `date_diff` in hours, minutes or seconds counts the full hours, minutes, seconds on the clock that were passed:
  180.9 seconds may be 3 minutes by it, and 61 seconds 2. Days, weeks, months, quarters and years passed are what these words mean.
- `interval.size`: an interval is written out, and no longer than a hundred years: longer ones leave the calendar.
- `literal.type`: what is compared, added or combined is of one type: `status = 5` fails at the first row that is no number.
- `literal.code`: a text compared with a column that has a code list is one of its codes.
- `literal.letters`: a text that only looks like what it is compared with: edge blanks, letters of two alphabets in one word.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from sqlglot import exp

from kpi_definitions.catalogue import Catalogues, changed_without_version
from kpi_definitions.compiler import Tables, check_spelling, compile_kpi
from kpi_definitions.documents import Fault
from kpi_definitions.expressions import ExpressionError, Where, parse
from kpi_definitions.model import Kpi
from kpi_definitions.scans import PARAMETERS

Codes = Mapping[str, Mapping[str, Collection[str]]]  # table → column → its code list
Kinds = Mapping[str, str]  # column → kind of value, see KINDS
KINDS: Mapping[str, str] = {
    "VARCHAR": "text",
    "BOOLEAN": "true or false",
    "DATE": "date",
    "TIMESTAMP": "time",
    "DOUBLE": "floating-point number",
    "FLOAT": "floating-point number",
    "REAL": "floating-point number",
}
_TEXT, _BOOL, _DATE, _TIME, _FLOAT = "text", "true or false", "date", "time", "floating-point number"
_WHOLE, _DECIMAL, _INTERVAL, _NULL = "whole number", "decimal number", "interval", "null"
_NUMBERS = (_WHOLE, _DECIMAL, _FLOAT)  # the widest last
_MARKS: Mapping[str, str] = {
    "HOUR": "3600000000.0",
    "MINUTE": "60000000.0",
    "SECOND": "1000000.0",
    "MILLISECOND": "1000.0",
}
_DAYS: Mapping[str, float] = {
    "MICROSECOND": 1 / 86_400_000_000,
    "MILLISECOND": 1 / 86_400_000,
    "SECOND": 1 / 86_400,
    "MINUTE": 1 / 1440,
    "HOUR": 1 / 24,
    "DAY": 1,
    "WEEK": 7,
    "MONTH": 31,
    "QUARTER": 92,
    "YEAR": 366,
}
LONGEST_DAYS = 36_600  # of an interval


def definition_faults(catalogue: Catalogues, tables: Tables, codes: Codes) -> list[Fault]:
    """Everything for which a definition is not computed with: it does not compile, breaks a rule above, an engine cannot say it (spelling.py),
    or it is not what was recorded.
    """
    faults: list[Fault] = []
    newest = {kpi.code: kpi.version for kpi in catalogue.kpis}
    for kpi in catalogue.kpis:
        superseded = kpi.version < newest[kpi.code]
        try:
            compile_kpi(kpi, tables)
            broken = list(breaches(kpi, tables, codes, superseded=superseded))
            if not (broken or superseded):  # what was published stays; an engine that cannot say it refuses it by name
                check_spelling(kpi, tables)
        except ExpressionError as error:
            broken = [error]
        for one in broken:
            faults.append(catalogue.fault(kpi, one.where, f"{kpi.code}: {one.message}", one.remedy))
    for each in catalogue.lists:
        faults += changed_without_version(each)
        faults += (fault for text in each.texts for fault in text.undecided())
    return sorted(set(faults))


def breaches(kpi: Kpi, tables: Tables, codes: Codes, *, superseded: bool = False) -> Iterator[ExpressionError]:
    """Every breach of the rules above by a KPI that compiles.

    `superseded`: by a later version. What it counted by the clock's marks was published so, and is made again so.
    """
    for side, part in (("numerator", kpi.numerator), ("denominator", kpi.denominator)):
        if part is None:
            continue
        rows, place = (part.rows, (side, "rows")) if part.rows else (kpi.rows, ("rows",))
        look = _Look(_kinds(tables[rows.table]), codes.get(rows.table, {}), marks=superseded)
        for where, text in (((*place, "filter"), rows.filter), ((side, "filter"), part.filter)):
            if text:
                yield from look.condition(parse(text, where), where)
        yield from look.aggregate(parse(part.aggregate, (side, "aggregate")), (side, "aggregate"))


def added(kpi: Kpi) -> Iterator[tuple[Where, str, str]]:
    """What a KPI adds up: where it stands, its table and the expression. Parameters aside: those are no columns."""
    for side, part in (("numerator", kpi.numerator), ("denominator", kpi.denominator)):
        tree = parse(part.aggregate, (side, "aggregate")) if part else None
        if (
            part
            and isinstance(tree, exp.Sum | exp.Avg)
            and not {c.name for c in tree.find_all(exp.Column)} & set(PARAMETERS)
        ):
            yield (side, "aggregate"), (part.rows or kpi.rows).table, tree.this.sql("duckdb")


def _kinds(columns: Mapping[str, str]) -> Kinds:
    """The kind of every column and parameter by its SQL type."""
    found = {}
    for name, sql_type in (*columns.items(), *PARAMETERS.items()):
        plain = sql_type.upper().partition("(")[0]
        found[name] = KINDS.get(plain) or (_DECIMAL if plain == "DECIMAL" else _WHOLE)
    return found


class _Look:
    """One expression over one table, looked through from its leaves up."""

    def __init__(self, kinds: Kinds, codes: Mapping[str, Collection[str]], *, marks: bool):
        self.kinds, self.codes, self.marks = kinds, codes, marks
        self.where: Where = ()
        self.found: list[ExpressionError] = []

    def condition(self, tree: exp.Expr, where: Where) -> list[ExpressionError]:
        self.where, self.found = where, []
        self._true_or_false(tree)
        return self.found

    def aggregate(self, tree: exp.Expr, where: Where) -> list[ExpressionError]:
        self.where, self.found = where, []
        inner = tree.this
        if isinstance(tree, exp.Count):
            for one in inner.expressions if isinstance(inner, exp.Distinct) else [inner]:
                if not isinstance(one, exp.Star):
                    self.kind(one)
            return self.found
        kind = self.kind(inner)
        adds = isinstance(tree, exp.Sum | exp.Avg)
        if kind not in (*_NUMBERS, _NULL, *([_BOOL] if adds else [])):
            self._say("literal.type", f"{_text(tree)} is made of numbers, not of {kind}", "aggregate a number")
        elif adds and kind == _FLOAT:
            self._say(
                "chance.sum",
                f"{_text(tree)} adds floating-point numbers: its last digits depend on the order of the rows",
                "add whole numbers or decimals: multiply by a decimal (x * 0.001) instead of dividing, and let `scale` or the unit do the rest",
            )
        return self.found

    def _say(self, rule: str, message: str, remedy: str) -> None:
        self.found.append(ExpressionError(self.where, f"{rule}: {message}", remedy))

    def _true_or_false(self, node: exp.Expr) -> None:
        kind = self.kind(node)
        if kind not in (_BOOL, _NULL):
            self._say("literal.type", f"{_text(node)} is {kind}, where a condition stands", "compare it with something")

    def kind(self, node: exp.Expr) -> str:
        """The kind of value an expression has; what breaks a rule is noted on the way."""
        if isinstance(node, exp.Column):
            return self.kinds[node.name]
        if isinstance(node, exp.Literal):
            return _TEXT if node.is_string else _number(node.name)
        if isinstance(node, exp.Null):
            return _NULL
        if isinstance(node, exp.Boolean):
            return _BOOL
        if isinstance(node, exp.Paren):
            return self.kind(node.this)
        if isinstance(node, exp.And | exp.Or):
            self._true_or_false(node.this)
            self._true_or_false(node.expression)
            return _BOOL
        if isinstance(node, exp.Not):
            self._true_or_false(node.this)
            return _BOOL
        if isinstance(node, exp.Is):
            if not isinstance(node.expression, exp.Null):
                self._true_or_false(node.this)
            else:
                self.kind(node.this)
            return _BOOL
        if isinstance(node, exp.EQ | exp.NEQ | exp.GT | exp.GTE | exp.LT | exp.LTE):
            self._compared(node, node.this, node.expression)
            return _BOOL
        if isinstance(node, exp.Between):
            self._compared(node, node.this, node.args["low"], node.args["high"])
            return _BOOL
        if isinstance(node, exp.In):
            self._compared(node, node.this, *node.expressions)
            return _BOOL
        return self._value(node)

    def _value(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Coalesce | exp.Greatest | exp.Least):
            kind = self._compared(node, node.this, *node.expressions, codes=False)
            mixed = kind == _DATE and any(self.kind(one) == _TIME for one in node.expressions)
            return _TIME if mixed else kind  # a date beside a time is taken as its midnight
        if isinstance(node, exp.TimestampTrunc):
            kind = self.kind(node.this)
            if kind not in (_DATE, _TIME, _NULL):
                self._say("literal.type", f"{_text(node)} is of {kind}", "it takes a date or a time")
            return kind
        if isinstance(node, exp.Neg | exp.Abs):
            kind = self.kind(node.this)
            if kind not in (*_NUMBERS, _NULL):
                self._say("literal.type", f"{_text(node)} is of {kind}", "it takes a number")
            return kind
        if isinstance(node, exp.Interval):
            self._interval(node)
            return _INTERVAL
        if isinstance(node, exp.DateDiff):
            return self._difference(node)
        if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div):
            return self._arithmetic(node)
        raise AssertionError(f"{node.key} is on the compiler's list and not known here")

    def _arithmetic(self, node: exp.Binary) -> str:
        left, right = self.kind(node.this), self.kind(node.expression)
        if _NULL in (left, right):
            return _NULL
        if left in _NUMBERS and right in _NUMBERS:
            return _FLOAT if isinstance(node, exp.Div) else max(left, right, key=_NUMBERS.index)
        dated, added = (left, right) if left in (_DATE, _TIME) else (right, left)
        if (
            isinstance(node, exp.Add | exp.Sub)
            and dated in (_DATE, _TIME)
            and not (isinstance(node, exp.Sub) and left is added)
        ):
            if added == _INTERVAL:
                return _TIME
            if isinstance(node, exp.Sub) and added in (_DATE, _TIME):
                return _WHOLE if dated == added == _DATE else _INTERVAL
        self._say(
            "literal.type",
            f"{_text(node)} puts {left} and {right} together",
            "numbers go with numbers, intervals (interval 7 day) with dates and times",
        )
        return _NULL

    def _difference(self, node: exp.DateDiff) -> str:
        kinds = []
        for side in (node.expression, node.this):
            kind = self.kind(side)
            if kind == _TEXT and _is_moment(side):
                kind = _TIME
            if kind not in (_DATE, _TIME, _NULL):
                self._say("literal.type", f"{_text(node)}: {_text(side)} is {kind}", "it takes dates and times")
            kinds.append(kind)
        unit = _unit(node)
        if unit in _MARKS and _TIME in kinds and not self.marks:
            first, last = _text(node.expression), _text(node.this)
            self._say(
                "duration.marks",
                f"{_text(node)} counts the {unit.lower()}s on the clock that were passed, not how long it took",
                f"compare times ({last} <= {first} + interval 3 {unit.lower()}), or take the exact difference: "
                f"date_diff('microsecond', {first}, {last}) / {_MARKS[unit]}, in sums and means date_diff('microsecond', …) * 0.000001",
            )
        return _WHOLE

    def _interval(self, node: exp.Interval) -> None:
        amount = node.this
        if isinstance(amount, exp.Neg):
            amount = amount.this
        unit = _unit(node)
        size = None
        if isinstance(amount, exp.Literal):
            with suppress(ValueError):
                size = abs(float(amount.name)) * _DAYS.get(unit, float("inf"))
        if size is None:
            self._say("interval.size", f"{_text(node)} is not written out", "write interval 7 day")
        elif not size <= LONGEST_DAYS:
            self._say("interval.size", f"{_text(node)} is longer than a hundred years", "write a shorter one")

    def _compared(self, whole: exp.Expr, *nodes: exp.Expr, codes: bool = True) -> str:
        """Their common kind. Texts written out are held against the code list of a column beside them."""
        kinds = [self.kind(node) for node in nodes]
        known = [k for k, node in zip(kinds, nodes, strict=True) if k != _NULL and not _is_text(node)]
        common = max(known, key=_NUMBERS.index) if known and set(known) <= set(_NUMBERS) else next(iter(known), _TEXT)
        for kind, node in zip(kinds, nodes, strict=True):
            alike = (
                kind in (common, _NULL) or (kind in _NUMBERS and common in _NUMBERS) or {kind, common} == {_DATE, _TIME}
            )
            if _is_text(node) and common in (_DATE, _TIME):
                alike = _is_moment(node)
            if not alike:
                self._say(
                    "literal.type",
                    f"{_text(whole)}: {_text(node)} is {kind}, what it is put beside is {common}",
                    "write numbers plainly, true and false without quotes, dates as '2026-01-31'",
                )
        if codes and common == _TEXT:
            self._codes(whole, nodes)
        return common

    def _codes(self, whole: exp.Expr, nodes: tuple[exp.Expr, ...]) -> None:
        lists = [found for node in nodes if (found := self._code_list(node)) is not None]
        for node in nodes:
            if not _is_text(node):
                continue
            text = _bare(node).name
            looks = _looks_like_another(text)
            if lists and not any(text in one for one in lists):
                note = f" ({looks})" if looks else ""
                self._say(
                    "literal.code",
                    f"{_text(whole)}: {text!r}{note} is not in the code list of the column",
                    f"its codes are {', '.join(lists[0])}",
                )
            elif looks and not lists:
                self._say("literal.letters", f"{_text(whole)}: {text!r}: {looks}", "write it as the data have it")

    def _code_list(self, node: exp.Expr) -> Collection[str] | None:
        """Codes an expression may have as its value: a column's, and what stands in its place where it is empty."""
        node = _bare(node)
        if isinstance(node, exp.Column):
            return self.codes.get(node.name)
        if isinstance(node, exp.Coalesce):
            parts = [_bare(one) for one in (node.this, *node.expressions)]
            lists = [self._code_list(one) for one in parts if not isinstance(one, exp.Literal)]
            if lists and None not in lists:
                found = [code for one in lists for code in one or ()]
                return list(dict.fromkeys([*found, *(p.name for p in parts if isinstance(p, exp.Literal))]))
        return None


def _bare(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _text(node: exp.Expr) -> str:
    return node.sql("duckdb")[:120]


def _unit(node: exp.Expr) -> str:
    unit = node.args.get("unit")
    return (
        unit.name.upper().removesuffix("S") if unit is not None else ("DAY" if isinstance(node, exp.DateDiff) else "")
    )


def _number(text: str) -> str:
    return _FLOAT if "e" in text.lower() else _DECIMAL if "." in text else _WHOLE


def _is_text(node: exp.Expr) -> bool:
    node = _bare(node)
    return isinstance(node, exp.Literal) and bool(node.is_string)


def _is_moment(node: exp.Expr) -> bool:
    """Text that is a date or a time as ISO 8601 writes it, without an offset."""
    text = _bare(node).name
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?", text):
        return False
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _looks_like_another(text: str) -> str | None:
    """Why a text may look like another one; None if it does not."""
    if text != text.strip() or any(unicodedata.category(c) == "Zs" and c != " " for c in text):
        return "a blank at its edge, or one that is no plain blank"
    if unicodedata.normalize("NFC", text) != text:
        return "letters put together of parts"
    for word in re.findall(r"[^\W\d_]+", text):
        scripts = {unicodedata.name(c, "?").split()[0] for c in word} & {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN"}
        if len(scripts) > 1:
            return f"{' and '.join(sorted(s.capitalize() for s in scripts))} letters in one word"
    return None
