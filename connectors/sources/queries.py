"""The query of an extract from a database: one SELECT, checked, with what its placeholders stand for as literals.

A query is the engineer's own SQL of the source's dialect, or made of a table and columns. It is parsed to see what it is; what runs is its text,
with literals where its placeholders stood. Does not belong here: running it (postgresql.py, sql.py).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Self

import sqlglot
from pydantic import Field, model_validator
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from connectors.sources import settings
from connectors.sources.settings import DATES, NUMBERS, PLACEHOLDERS, Placeholder, parts, refused
from connectors.sources.source import Asked

_WRITES = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Into,
    exp.Lock,
    exp.Command,
    exp.Create,
    exp.Drop,
    exp.Copy,
)
_TEXTS = frozenset(kind for kind in TokenType if "STRING" in kind.name)
_OVERLAP = re.compile(r"(\d{1,9})(?: (second|minute|hour|day)s?)?")
_INSIDE = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\b[^{{}}]*\}}")


Value = str | int | Decimal | dt.date


class Extract(settings.Extract):
    """Rows of a database: by a query, or of a table by its columns."""

    query: str | None = Field(
        default=None,
        description="One SELECT. {period_start}, {period_after}, {settlement}, {since} and the others stand for literals: they are not written in quotes",
    )
    source_table: str | None = Field(
        default=None, description="In place of a query: the table or view there, with its schema: public.appeals"
    )
    columns: tuple[str, ...] = Field(default=(), description="With source_table: its columns; left out: all")
    period_by: str | None = Field(
        default=None,
        description="With source_table: the column of dates or times by which the rows of the period are taken",
    )
    overlap: str | None = Field(
        default=None,
        description="With changed_by: how far before the last value is asked again, longer than the longest transaction that writes: 2 hours; of numbers: 1000",
    )

    begin: str | None = Field(
        default=None, description="What {since} stands for before the first pull, where the query has it: 1900-01-01"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.query is None) == (self.source_table is None):
            raise refused(
                "must say query or source_table, one of them", "write query: SELECT … or source_table: schema.table"
            )
        if self.query is not None and (self.columns or self.period_by):
            raise refused("columns and period_by belong to source_table", "say it in the query")
        if self.overlap is not None and (self.changed_by is None or not _OVERLAP.fullmatch(self.overlap)):
            raise refused(
                "overlap is not understood", "write 2 hours, 30 minutes or 1 day beside changed_by; of a number 1000"
            )
        if self.query is not None:
            named = {part.name for _, part in placeholders(self.query)}
            if "since" in named and self.changed_by is None:
                raise refused(
                    "{since} stands for nothing without changed_by", "name the change attribute: changed_by: changed_at"
                )
            if ("since" in named) != (self.begin is not None):
                raise refused(
                    "{since} in the query and begin belong together",
                    "say what it is before the first pull: begin: '1900-01-01'",
                )
        return self

    def overlapping(self, since: str) -> str:
        """Where the next pull begins: the last value of the change attribute without the overlap. Raises ValueError."""
        found = _OVERLAP.fullmatch(self.overlap or "")
        if found is None:
            return since
        amount, unit = found.groups()
        if re.fullmatch(r"-?\d+(\.\d+)?", since):
            if unit:
                raise ValueError(f"its values are numbers, and overlap is {self.overlap}")
            return str(Decimal(since) - int(amount))
        at = dt.datetime.fromisoformat(since)
        if not unit and int(amount):
            raise ValueError(f"its values are times, and overlap is {self.overlap} without a unit")
        back = at - dt.timedelta(**{f"{unit or 'second'}s": int(amount)})
        return back.date().isoformat() if len(since) == 10 else back.isoformat(" ")


def placeholders(text: str) -> Iterator[tuple[tuple[int, int], Placeholder]]:
    """(first and last letter, what stands there) of each placeholder of a query. Raises PydanticCustomError."""
    tokens = _tokens(text)
    for number, token in enumerate(tokens):
        if token.token_type in _TEXTS and (found := _INSIDE.search(token.text)):
            raise refused(f"{found[0]} stands in quotes", "take the quotes away: it stands for a whole literal")
        if token.token_type == TokenType.L_BRACE:
            last = next((t.end for t in tokens[number:] if t.token_type == TokenType.R_BRACE), token.end)
            part, *more = parts(text[token.start : last + 1])
            if more or not isinstance(part, Placeholder):
                raise refused("has a brace that is no placeholder", "write one of them, as {period_start}")
            yield (token.start, last), part


def checked(text: str, dialect: str) -> None:
    """Whether a query is one SELECT that reads and does nothing else. Raises PydanticCustomError."""
    filled = _spliced(text, lambda _: "NULL")
    try:
        trees = [tree for tree in sqlglot.parse(filled, read=dialect) if tree is not None]
    except SqlglotError as error:
        said = str(error).splitlines()[0].partition(" Line ")[0].rstrip(".")
        raise refused(f"query cannot be read: {said}", "try it in the database's own client first") from None
    if len(trees) != 1:
        raise refused("query must be one statement", "write one SELECT, without ; in it")
    (tree,) = trees
    found = next(tree.find_all(*_WRITES), None)
    if not isinstance(tree, exp.Query) or found is not None:
        what = type(found or tree).__name__.upper()
        raise refused(
            f"query does something else than reading: {what}",
            "write one SELECT; it runs in a transaction that only reads",
        )


def bound(text: str, asked: Asked, since: Value, written: Callable[[Value], str]) -> str:
    """The query with what each placeholder stands for; `written`: a value as a literal, or the name of a parameter."""

    def value(part: Placeholder) -> str:
        if part.name == "since":
            return written(since)
        known = asked.value(part)
        if part.name in DATES and not part.written:
            return written(dt.date.fromisoformat(known))
        return written(int(known) if part.name in NUMBERS and not part.written else known)

    return _spliced(text, value)


def asks_since(text: str) -> bool:
    return any(part.name == "since" for _, part in placeholders(text))


def _spliced(text: str, value: Callable[[Placeholder], str]) -> str:
    text = text.strip().removesuffix(";").rstrip()
    for (first, last), part in reversed(list(placeholders(text))):
        text = f"{text[:first]}{value(part)}{text[last + 1 :]}"
    return text


def _tokens(text: str) -> list[Token]:
    try:
        return sqlglot.tokenize(text, read="postgres")
    except SqlglotError as error:
        raise refused(
            f"query cannot be read: {str(error).splitlines()[0]}", "try it in the database's own client first"
        ) from None
