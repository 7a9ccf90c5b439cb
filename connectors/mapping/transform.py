"""Columns that a source contract works out (`transformLogic`): what its expression means, by the same grammar as cells.

The headers it names are texts with the blanks around them cut off; placeholders and missing values are NULL. A cast of a text
reads it as the contract says (`cell_grammar.py`), and does not round. What cannot be read makes the whole cell unreadable, also under
TRY_CAST: write try(...) around what may be passed over. Nothing is cast without being told to: DuckDB would round 2.5 where a text
is compared with a number, and compare 10 with 9 as texts. Beside headers an expression may name constants of its delivery. Does not belong
here: which functions an expression may use (kpi_definitions/expressions.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import duckdb
from sqlglot import exp

from connectors.mapping.cell_grammar import INTEGERS, MOMENTS, Cell, Civil, Numerals
from kpi_definitions.expressions import parse
from warehouse.sql import quoted

_PART = re.compile(r'"==([0-9]+)"')
_COUNTED = re.compile("BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT|DECIMAL|DOUBLE|FLOAT")
_ORDERED = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.Greatest, exp.Least)
_EQUAL = (exp.EQ, exp.NEQ, exp.Nullif, exp.In)
_TRUTHS = (exp.And, exp.Or, exp.Not)
# what an expression may name of its delivery, where no header of that name is given: first day, last day (inclusive), the day after it (which
# KPI definitions call period_end), and the settlement it is declared for; NULL if that is a region or the country
CONSTANTS: Mapping[str, str] = {
    "period_start": "DATE",
    "period_end": "DATE",
    "period_after": "DATE",
    "settlement": "VARCHAR",
}
Read = Callable[[str, str, Civil], str]  # text SQL, type, zone → SQL of the value, an error if it is none


class TransformError(ValueError):
    """An expression that DuckDB cannot bind, or that means something else than it seems to; `remedy` says what to write."""

    def __init__(self, message: str, remedy: str):
        self.message, self.remedy = message, remedy
        super().__init__(f"{message} ({remedy})")


class Transform:
    """One expression over a file's headers: its type, and its SQL once it is known how the extract's cells are read."""

    def __init__(self, logic: str, headers: Sequence[str]):
        """Raises TransformError."""
        self._names = [quoted(h) for h in dict.fromkeys(headers)]
        self._casts: list[tuple[str, str]] = []  # SQL of the text, and the type it is cast to
        tree = parse(logic, ("transformLogic",)).copy()
        if any('"==' in node.name for node in tree.find_all(exp.Literal)):
            raise TransformError('a text holds "==', "these signs are ours: write it without them")
        named = dict.fromkeys(column.name for column in tree.find_all(exp.Column))
        self.constants = tuple(name for name in named if name in CONSTANTS and quoted(name) not in self._names)
        given = [*self._names, *map(constant, self.constants)]
        for column in tree.find_all(exp.Column):
            is_constant = column.name in self.constants
            place = given.index(constant(column.name) if is_constant else quoted(column.name))
            column.set("this", exp.to_identifier(f"=={place}", quoted=True))
        tree = _root(tree, self._strict)
        self._unmixed(tree)
        self._sql = tree.sql("duckdb")
        (self.sql_type,) = self._types([self._sql])

    def sql(self, cell: Cell, civil: Civil) -> str:
        """SQL over the file's text columns; fails on what cannot be read: put it into TRY."""
        parts = [*(cell.of("VARCHAR").text(name) for name in self._names), *map(constant, self.constants)]
        for text, target in self._casts:
            # a header itself is read as delivered: the grammar cuts its blanks
            bare = _PART.fullmatch(text)
            x = self._names[int(bare[1])] if bare and int(bare[1]) < len(self._names) else _expanded(text, parts)
            parts.append(_read(cell.of(target), f"({x})", target, civil))
        return _expanded(self._sql, parts)

    def _strict(self, node: exp.Expr) -> exp.Expr:
        """In place of a cast of a text: the number under which it is read by the contract's grammar."""
        if not isinstance(node, exp.Cast):  # TryCast is one
            return node
        target = _target(node.to)
        text = node.this.sql("duckdb")
        if target == "VARCHAR" or self._types([text]) != ["VARCHAR"]:
            return node
        self._casts.append((text, target))
        place = len(self._names) + len(self.constants) + len(self._casts) - 1
        return exp.column(exp.to_identifier(f"=={place}", quoted=True))

    def _types(self, expressions: Sequence[str]) -> list[str]:
        types = ["VARCHAR"] * len(self._names) + [CONSTANTS[name] for name in self.constants]
        types += [target for _, target in self._casts]
        source = ", ".join(f'CAST(NULL AS {kind}) AS "=={n}"' for n, kind in enumerate(types)) or "1"
        try:
            row = (
                _connection()
                .cursor()
                .execute(f"SELECT {', '.join(f'typeof({e})' for e in expressions)} FROM (SELECT {source})")
                .fetchone()
            )
        except duckdb.Error as error:
            names = [*self._names, *self.constants]
            said = _PART.sub(
                lambda m: names[int(m[1])] if int(m[1]) < len(names) else "a cast",
                str(error).splitlines()[0],
            )
            raise TransformError(
                f"DuckDB refuses it: {said}", "headers are texts: cast them, e.g. cast(x as integer)"
            ) from error
        assert row is not None
        return [str(kind).strip('"') for kind in row]

    def _unmixed(self, tree: exp.Expr) -> None:
        """Refuse a text compared with another type, ordered by letters, or used as a condition: DuckDB would cast or order it silently."""
        for node in tree.walk():
            if isinstance(node, exp.Case) and node.this is not None:
                sides = [node.this, *(branch.this for branch in node.args["ifs"])]
            elif isinstance(node, (*_ORDERED, *_EQUAL)):
                sides = [s for s in node.iter_expressions() if not isinstance(s, exp.Null)]
            elif isinstance(node, _TRUTHS):
                sides = []
                self._truths(list(node.iter_expressions()))
            elif isinstance(node, exp.If):
                sides = []
                if not (isinstance(node.parent, exp.Case) and node.parent.this is not None):
                    self._truths([node.this])
            else:
                continue
            texts = [kind == "VARCHAR" for kind in self._types([s.sql("duckdb") for s in sides])] if sides else []
            literals = [isinstance(s, exp.Literal) and s.is_string for s in sides]
            if any(text and not written for text, written in zip(texts, literals, strict=True)) and not all(texts):
                raise TransformError(
                    f"{self._shown(node)} compares a text with another type", "cast it, e.g. cast(x as integer)"
                )
            if isinstance(node, _ORDERED) and texts and all(texts):
                raise TransformError(
                    f"{self._shown(node)} orders texts by their letters: 10 would stand before 9",
                    "cast both sides, e.g. cast(x as timestamp)",
                )

    def _truths(self, nodes: Sequence[exp.Expr]) -> None:
        kinds = self._types([n.sql("duckdb") for n in nodes])
        for node, kind in zip(nodes, kinds, strict=True):
            if kind not in {"BOOLEAN", "NULL"}:
                raise TransformError(f"{self._shown(node)} is no condition but {kind}", "compare it with something")

    def _shown(self, node: exp.Expr) -> str:
        names = [*self._names, *self.constants, *(text for text, _ in self._casts)]
        return _expanded(node.sql("duckdb"), names)[:120]


def constant(name: str) -> str:
    """Column of the reading pass in which a constant of the delivery stands."""
    return quoted(f"==delivery {name}")


@lru_cache(maxsize=1024)
def transform(logic: str, headers: tuple[str, ...]) -> Transform:
    """Raises TransformError."""
    return Transform(logic, headers)


def converted(x: str, kind: str, cell: Cell, civil: Civil) -> str:
    """A result of type `kind` as a value of the column; no number is rounded. A text is read as a cell."""
    target = cell.sql_type
    if kind == "VARCHAR":
        return cell.value(x, civil)
    if target != "VARCHAR" and (target in MOMENTS) == bool(_COUNTED.match(kind)):
        return f"CAST(NULL AS {target})"  # a number is no time, a time no number: every row breaks its type rule
    if target in INTEGERS:
        return (
            f"CASE WHEN TRY_CAST({x} AS {target}) = {x} THEN TRY_CAST({x} AS {target}) END"
            if kind != "BOOLEAN"
            else f"TRY_CAST({x} AS {target})"
        )
    if target.startswith("DECIMAL") and kind != "BOOLEAN":
        return Cell(target, Numerals(rounding=cell.numerals.rounding), native=True).value(
            f"CAST({x} AS VARCHAR)", civil
        )
    if target in MOMENTS and kind in {"TIMESTAMP", "DATE", "TIMESTAMP WITH TIME ZONE"}:
        last = f"TIMESTAMP '{cell.latest} 23:59:59.999999'"
        moment = f"CAST({civil(x) if 'ZONE' in kind else x} AS TIMESTAMP)"
        return f"CAST(CASE WHEN {moment} BETWEEN TIMESTAMP '{cell.earliest}' AND {last} THEN {moment} END AS {target})"
    if target == "BOOLEAN" and kind != "BOOLEAN":
        return f"CASE WHEN {x} = 1 THEN TRUE WHEN {x} = 0 THEN FALSE END"
    return f"TRY_CAST({x} AS {target})"


def _root(tree: exp.Expr, change: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Every node changed, the innermost first."""
    for node in reversed(list(tree.walk(bfs=True))):
        new = change(node)
        if new is not node:
            if node.parent is None:
                return new
            node.replace(new)
    return tree


def _target(to: exp.Expr) -> str:
    """A cast's type as the grammar calls it."""
    name = to.sql("duckdb").upper()
    return {
        "TEXT": "VARCHAR",
        "INT": "INTEGER",
        "TIMESTAMPTZ": "TIMESTAMP",
        "DECIMAL": "DECIMAL(18, 3)",
        "INT128": "HUGEINT",
    }.get(name, name)


def _read(cell: Cell, x: str, target: str, civil: Civil) -> str:
    """A text as a value; NULL if it holds nothing, an error if it holds something else."""
    if target == "TIME":
        value = f"CASE WHEN regexp_full_match(trim({x}), '[0-9]{{1,2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]+)?)?') THEN TRY_CAST(trim({x}) AS TIME) END"
    elif target == "DOUBLE":
        numerals = Numerals(cell.numerals.decimal, cell.numerals.group, cell.numerals.declared, rounding=True)
        value = f"CAST({Cell('DECIMAL(38, 12)', numerals).value(x, civil)} AS DOUBLE)"
    else:
        value = cell.value(x, civil)
    # a CAST that fails: the letter before it makes sure of it. error() is refused by TRY
    return (
        f"coalesce({value}, CASE WHEN {x} IS NOT NULL AND NOT {cell.nothing(x)} THEN CAST('!' || {x} AS {target}) END)"
    )


def _expanded(sql: str, parts: Sequence[str] | Mapping[int, str]) -> str:
    return _PART.sub(lambda m: parts[int(m[1])] if int(m[1]) < len(parts) else m[0], sql)


@lru_cache(maxsize=1)
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()
