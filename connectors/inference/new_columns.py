"""Which columns a table would have that is to hold a sample: names, types, lengths, key, date. No value of a cell leaves this module."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import duckdb

from connectors.inference.header_words import names_a_person
from connectors.inference.inference import FALSE_WORDS, NUMERALS, PATTERNS, TRUE_WORDS, shows_persons
from connectors.inference.sample import Sample
from connectors.mapping.cell_grammar import Cell, Numerals
from connectors.mapping.contract_checks import strptime
from warehouse.sql import quoted
from warehouse.tables.contracts import SNAPSHOT_COLUMN, SYSTEM_COLUMNS
from warehouse.tables.settlements import transliterated

_LONGEST_NAME = 40
_LENGTHS = (20, 64, 200, 1000)  # of texts: the next above what the sample has, twice over
_FREE_TEXT = 100  # letters from which on a text is taken for what people write
# different words of so many records at least: a code list, perhaps; our proposals, as the others
_FEW, _RECORDS = 12, 20
# names that cannot be a column's without quotes, and those of the loader
_TAKEN = re.compile(
    "order|group|table|select|from|where|to|as|on|in|is|user|desc|limit|case|when|then|else|end|all|and|or|not|null|broken|emptied|raw|file_index|"
    + "|".join([*SYSTEM_COLUMNS, SNAPSHOT_COLUMN[0]])
)


@dataclass(frozen=True)
class Guess:
    """One column of a table to be. `doubts`: what is to be decided, in words."""

    name: str
    header: str
    sql_type: str
    length: int | None = None  # of a text
    full: bool = False  # no cell of the sample is empty
    unique: bool = False  # and none comes again
    personal: bool = False
    free_text: bool = False
    doubts: tuple[str, ...] = ()


def guesses(sample: Sample) -> list[Guess]:
    """A column for every header, in their order."""
    found: list[Guess] = []
    with duckdb.connect() as con:
        sample.loaded(con)
        for header in sample.cells:
            taken = {one.name for one in found}
            found.append(_guess(con, sample, header, taken))
    return found


def _guess(con: duckdb.DuckDBPyConnection, sample: Sample, header: str, taken: set[str]) -> Guess:
    texts = [t.strip() for t in sample.cells[header] if t and t.strip()]
    one = Guess(
        _name(header, taken),
        header,
        "VARCHAR",
        full=len(texts) == sample.records > 0,
        unique=len({*texts}) == len(texts) > 0,
    )
    shown = shows_persons(sample.cells[header])
    if shown or names_a_person(header):
        seen = "cells hold what gives persons away" if shown else "the header sounds like data of persons"
        doubt = f"{seen}: keep its class (only a pseudonym is stored), or better leave the column out (docs/personal-data.md)"
        return replace(one, personal=True, length=_length(texts), doubts=(doubt,))
    doubts = [] if texts else ["the sample has nothing in this column: of what type is it?"]
    sql_type = _type(con, sample, header, texts)
    if sql_type != "VARCHAR":
        return replace(one, sql_type=sql_type, doubts=tuple(doubts))
    longest = max(map(len, texts), default=0)
    if longest > _FREE_TEXT:
        doubts.append("is it what people write? then freeText: true keeps it out; it may name persons")
        return replace(one, free_text=True, length=None, doubts=tuple(doubts))
    if sample.records >= _RECORDS and 1 < len({*texts}) <= _FEW:
        doubts.append(
            f"a code list? the sample has {len({*texts})} different words: see status in fct_appeal.odcs.yaml for how to write one"
        )
    return replace(one, length=_length(texts), doubts=tuple(doubts))


def _name(header: str, taken: set[str]) -> str:
    """A name for SQL: the header in Latin letters."""
    plain = re.sub(r"[^a-z0-9]+", "_", transliterated(header)).strip("_")[:_LONGEST_NAME].strip("_") or "column"
    if not plain[0].isalpha() or _TAKEN.fullmatch(plain):
        plain = f"the_{plain}"
    number = 2
    name = plain
    while name in taken:
        name, number = f"{plain}_{number}", number + 1
    return name


def _length(texts: Sequence[str]) -> int:
    longest = 2 * max(map(len, texts), default=0)
    return next((n for n in _LENGTHS if n >= longest), _LENGTHS[-1])


def _type(con: duckdb.DuckDBPyConnection, sample: Sample, header: str, texts: Sequence[str]) -> str:
    """The narrowest type that reads every cell; codes of digits stay texts."""
    words = {t.casefold() for t in texts}
    if words and words <= TRUE_WORDS | FALSE_WORDS and not words <= {"1", "0", "+", "-"}:
        return "BOOLEAN"
    if sample.types.get(header, "") == "BOOLEAN":
        return "BOOLEAN"
    if not texts or any(re.fullmatch(r"0\d+|\d{10,}", t) for t in texts):
        return "VARCHAR"
    for numerals in NUMERALS:
        if _reads(con, header, Cell("BIGINT", numerals)):
            return "INTEGER" if _reads(con, header, Cell("INTEGER", numerals)) else "BIGINT"
    for numerals in NUMERALS:
        for scale in (2, 3, 6):
            if _reads(con, header, Cell(f"DECIMAL(18,{scale})", replace(numerals, declared=True))):
                return f"DECIMAL(18,{scale})"
    for pattern in (None, *PATTERNS):
        told, digits = strptime(pattern) if pattern else (None, None)
        if _reads(con, header, Cell("TIMESTAMP", Numerals(), pattern=told, digits=digits)):
            timed = "H" in pattern or "h" in pattern if pattern else any(":" in t for t in texts)
            return "TIMESTAMP" if timed else "DATE"
    return "VARCHAR"


def _reads(con: duckdb.DuckDBPyConnection, header: str, cell: Cell) -> bool:
    """Whether a grammar reads every cell of a column, and at least one."""
    x, value = quoted(header), cell.value(quoted(header), lambda instant: f"timezone('UTC', {instant})")
    row = con.execute(
        f"SELECT count(v), count(*) FILTER ({cell.unreadable('x', 'v')}) FROM (SELECT {x} AS x, {value} AS v FROM sample)"
    ).fetchone()
    return bool(row and row[0] and not row[1])
