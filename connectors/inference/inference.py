"""What a source contract would have to say of a sample: which header is which column, how dates and numbers are written, which codes stand for what.

Every guess is tried on the sample's cells by the grammar that reads deliveries (mapping/cell_grammar.py): what is written reads the sample as a run would.
What cannot be decided is a doubt, in words. Values of cells are handed out as codes only, and never of a column that may hold data of
persons (docs/personal-data.md). Does not belong here: the text of a contract (pipelines/new_source.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from connectors.inference.header_words import Likeness, likenesses, names_a_person
from connectors.inference.sample import Sample
from connectors.mapping.cell_grammar import INTEGERS, MOMENTS, Cell, Numerals
from connectors.mapping.column_cells import cells_of_table
from connectors.mapping.contract_checks import strptime
from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.detection import scrubbed
from warehouse.sql import quoted
from warehouse.tables.contracts import Column, Table

# JDK patterns that are tried where a date is not written as ISO 8601 has it; of those that read all cells the first is taken
PATTERNS = (
    "dd.MM.yyyy HH:mm:ss", "dd.MM.yyyy HH:mm", "dd.MM.yyyy", "d.M.yyyy HH:mm:ss", "d.M.yyyy H:mm", "d.M.yyyy", "dd.MM.yy HH:mm", "dd.MM.yy",
    "dd/MM/yyyy HH:mm:ss", "dd/MM/yyyy HH:mm", "dd/MM/yyyy", "MM/dd/yyyy HH:mm:ss", "MM/dd/yyyy HH:mm", "MM/dd/yyyy", "MM/dd/yyyy hh:mm:ss a",
    "M/d/yyyy h:mm a", "dd-MM-yyyy HH:mm:ss", "dd-MM-yyyy HH:mm", "dd-MM-yyyy", "yyyy.MM.dd HH:mm:ss", "yyyy.MM.dd HH:mm", "yyyy.MM.dd",
    "yyyyMMdd HH:mm:ss", "yyyyMMddHHmmss", "yyyyMMdd", "HH:mm dd.MM.yyyy", "dd.MM.yyyy, HH:mm",
)  # fmt: skip
# separators that are tried: decimal, group, and whether the point's meaning must be declared
NUMERALS = (
    Numerals(declared=False), Numerals(","), Numerals(",", " "), Numerals(".", " "), Numerals(",", "."), Numerals(".", ","), Numerals(".", "'"),
    Numerals("."),
)  # fmt: skip
TRUE_WORDS = frozenset(["да", "иә", "ия", "д", "yes", "y", "true", "t", "есть", "бар", "+", "1"])
FALSE_WORDS = frozenset(["нет", "жоқ", "н", "no", "n", "false", "f", "-", "0"])
_READABLE = 0.8  # share of cells that must be readable for a header to be taken for a column of a type; our proposals, as the next
_CODES_AT_MOST = 3  # times a code list's length: more different words in the sample are no codes
_LETTERS = 40  # of a word that is a code
_FULL_NAME = re.compile(r"\w+ \w\.|\w+ \w+(вич|вна|ұлы|улы|қызы|кызы)\b")


@dataclass(frozen=True)
class Mapped:
    """One column of the table as a source contract would have it. `doubts`: what is to be decided, in words."""

    column: str
    header: str
    how: str
    pattern: str | None = None  # of dates; None: as ISO 8601 has them
    true_values: tuple[str, ...] = ()
    false_values: tuple[str, ...] = ()
    codes: Mapping[str, str] | None = None  # None: as they are in the table's code list; '' for one that is not known
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inferred:
    """What a contract over a sample would say."""

    columns: tuple[Mapped, ...]
    numerals: Numerals
    personal: Mapping[str, bool]  # headers not taken that seem to hold data of persons: whether their cells show it
    others: tuple[str, ...]  # headers not taken
    missing: tuple[str, ...]  # columns that must be filled, and no header was found for
    unfilled: tuple[str, ...]  # columns that may be empty, and no header was found for
    doubts: tuple[str, ...] = ()


def infer(table: Table, sample: Sample, known: Mapping[tuple[str, str], SourceContract]) -> Inferred:
    """What a contract of a system for a table would say of its file. `known`: contracts of other systems, by (system, table)."""
    with duckdb.connect() as con:
        sample.loaded(con)
        trial = _Trial(con, table, sample)
        chosen = _chosen(table, sample, known, trial)
        numerals, doubts = _numerals(chosen, trial)
        trial.numerals = numerals
        mapped = tuple(_mapped(one, table, sample, known, trial) for one in chosen)
    taken = {one.header for one in mapped}
    given = {one.column for one in mapped}
    left = [h for h in sample.cells if h not in taken]
    shows = {h: shows_persons(sample.cells[h]) for h in left}
    personal = {h: shows[h] for h in left if shows[h] or names_a_person(h)}
    lacking = [c for c in table.columns if c.name not in given]
    return Inferred(
        columns=mapped,
        numerals=numerals,
        personal=personal,
        others=tuple(h for h in left if h not in personal),
        missing=tuple(c.name for c in lacking if c.required or c.name in table.key),
        unfilled=tuple(c.name for c in lacking if not c.required and c.name not in table.key),
        doubts=(*sample.doubts, *doubts),
    )


class _Trial:
    """Cells of the sample, read by a grammar that may be the right one."""

    def __init__(self, con: duckdb.DuckDBPyConnection, table: Table, sample: Sample):
        self.con, self.sample = con, sample
        self.cells = cells_of_table(table)
        self.columns = {c.name: c for c in table.columns}
        self.numerals = Numerals(declared=False)

    def cell(self, column: str, header: str) -> Cell:
        kind = self.sample.types.get(header, "VARCHAR")
        native = kind not in ("VARCHAR", "BOOLEAN", "DATE") and not kind.startswith("TIMESTAMP")
        return replace(self.cells.get(column, Cell("VARCHAR")), numerals=self.numerals, native=native)

    def read(self, header: str, cell: Cell) -> tuple[int, int]:
        """(cells that hold a value, cells that hold something that is none)."""
        x, value = quoted(header), cell.value(quoted(header), lambda instant: f"timezone('UTC', {instant})")
        bad = cell.unreadable("x", "v")
        row = self.con.execute(
            f"SELECT count(v), count(*) FILTER ({bad}) FROM (SELECT {x} AS x, {value} AS v FROM sample)"
        ).fetchone()
        return (int(row[0]), int(row[1])) if row else (0, 0)

    def differ(self, header: str, one: Cell, other: Cell) -> bool:
        """Whether two grammars read a cell as different values."""
        sides = [c.value(quoted(header), lambda instant: f"timezone('UTC', {instant})") for c in (one, other)]
        row = self.con.execute(f"SELECT count(*) FROM sample WHERE {sides[0]} IS DISTINCT FROM {sides[1]}").fetchone()
        return bool(row and row[0])

    def patterns(self, header: str, cell: Cell) -> list[tuple[str | None, int, int]]:
        """Date patterns with what they read, those that read most first; None: ISO 8601."""
        found: list[tuple[str | None, int, int]] = [(None, *self.read(header, cell))]
        for pattern in PATTERNS if found[0][2] else ():
            told, digits = strptime(pattern)
            found.append((pattern, *self.read(header, replace(cell, pattern=told, digits=digits))))
        return sorted(found, key=lambda one: (one[2], -one[1]))

    def fits(self, column: str, header: str) -> bool:
        """Whether most cells can be read as the column's type, whatever the way they are written in."""
        cell = self.cell(column, header)
        if cell.sql_type == "VARCHAR":
            return True
        if cell.sql_type in MOMENTS:
            _, good, bad = self.patterns(header, cell)[0]
        elif cell.sql_type == "BOOLEAN":
            words = {w.strip().casefold() for w in self.sample.cells[header] if w and w.strip()}
            return len(words) <= 3
        else:
            good, bad = max((self.read(header, replace(cell, numerals=n)) for n in NUMERALS), key=lambda r: r[0] - r[1])
        return good + bad == 0 or good >= _READABLE * (good + bad)


def _chosen(
    table: Table, sample: Sample, known: Mapping[tuple[str, str], SourceContract], trial: _Trial
) -> list[Likeness]:
    """For each header at most one column, the surest first."""
    personal = {c.name for c in table.columns if c.personal}
    found = [
        one
        for header in sample.cells
        for one in likenesses(header, table, known)
        if one.sure or one.column in personal or not names_a_person(header)
    ]
    headers, columns, chosen = set[str](), set[str](), []
    for one in sorted(found, key=lambda o: -o.score):
        if one.header in headers or one.column in columns or not trial.fits(one.column, one.header):
            continue
        headers.add(one.header)
        columns.add(one.column)
        chosen.append(one)
    order = [*(c.name for c in table.columns), "kato"]
    return sorted(chosen, key=lambda one: order.index(one.column))


def _numerals(chosen: Sequence[Likeness], trial: _Trial) -> tuple[Numerals, tuple[str, ...]]:
    """The separators of the whole file's numbers: those that read all of them; and what is doubtful about that."""
    numbers = [one for one in chosen if _is_number(trial.cell(one.column, one.header))]
    if not numbers:
        return Numerals(declared=False), ()

    def unread(numerals: Numerals) -> int:
        return sum(trial.read(n.header, replace(trial.cell(n.column, n.header), numerals=numerals))[1] for n in numbers)

    tried = [(unread(numerals), numerals) for numerals in NUMERALS]
    best, taken = min(tried, key=lambda one: one[0])
    doubts = [
        f"numbers: also decimalSeparator {other.decimal!r} with groupSeparator {other.group!r} reads every number, as another one: which is it?"
        for count, other in tried
        if count == best and other != taken and _reads_otherwise(numbers, trial, taken, other)
    ]
    twin = replace(taken, decimal={",": ".", ".": ","}[taken.decimal])
    unshown = (
        taken.group and not doubts and any(trial.cell(n.column, n.header).sql_type not in INTEGERS for n in numbers)
    )
    if unshown and unread(twin) == best and not _reads_otherwise(numbers, trial, taken, twin):
        doubts.append("numbers: the sample has no decimals: is the comma really what stands before them?")
    return taken, tuple(doubts[:1])


def _reads_otherwise(numbers: Sequence[Likeness], trial: _Trial, one: Numerals, other: Numerals) -> bool:
    return any(
        trial.differ(n.header, *(replace(trial.cell(n.column, n.header), numerals=side) for side in (one, other)))
        for n in numbers
    )


def _is_number(cell: Cell) -> bool:
    return cell.sql_type in INTEGERS or cell.sql_type.startswith("DECIMAL")


def _mapped(
    one: Likeness, table: Table, sample: Sample, known: Mapping[tuple[str, str], SourceContract], trial: _Trial
) -> Mapped:
    """A chosen header with how its cells are written."""
    column, cell = trial.columns.get(one.column), trial.cell(one.column, one.header)
    doubts = [] if one.sure else [f"is {one.header} what {_told(column)}?"]
    found = Mapped(one.column, one.header, one.how)
    if cell.sql_type in MOMENTS:
        tried = trial.patterns(one.header, cell)
        pattern, _, bad = tried[0]
        found, cell = replace(found, pattern=pattern), _with(cell, pattern)
        twin = next(
            (
                p
                for p, _, n in tried[1:]
                if n == bad and trial.differ(one.header, cell, _with(trial.cell(one.column, one.header), p))
            ),
            None,
        )
        if twin and not bad:
            doubts.append(f"{twin} reads every date too, as another day: which is it?")
    elif cell.sql_type == "BOOLEAN":
        yes, no, strange = _truths(sample.cells[one.header], trial, one, cell)
        found, cell = replace(found, true_values=yes, false_values=no), replace(cell, true_values=yes, false_values=no)
        if strange:
            doubts.append(f"{strange} more different words stand there: which mean true, which false?")
    elif one.column in table.codes:
        codes, told = _codes(one, table, sample, known)
        found = replace(found, codes=codes)
        doubts += told
    if cell.sql_type != "VARCHAR" and not (cell.sql_type == "BOOLEAN" and doubts):
        good, bad = trial.read(one.header, cell)
        if bad:
            doubts.append(
                f"{bad:,} of {good + bad:,} cells of the sample cannot be read so: see the table in docs/connect-a-system.md"
            )
    if column and not column.personal and not column.free_text and shows_persons(sample.cells[one.header]):
        doubts.append(
            "cells hold numbers or addresses of persons: is it the right header? then its class is personal, see docs/personal-data.md"
        )
    return replace(found, doubts=tuple(doubts))


def _with(cell: Cell, pattern: str | None) -> Cell:
    told, digits = strptime(pattern) if pattern else (None, None)
    return replace(cell, pattern=told, digits=digits)


def _told(column: Column | None) -> str:
    return (
        f"the table calls {column.name}: {column.description_ru or column.description}"
        if column
        else "the row's settlement is"
    )


def _truths(
    texts: Sequence[str | None], trial: _Trial, one: Likeness, cell: Cell
) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """Words for true and for false, where they are not read by themselves, and how many other words there are."""
    if not trial.read(one.header, cell)[1]:
        return (), (), 0
    words = _words(texts)
    yes = tuple(w for w in words if w.casefold() in TRUE_WORDS)
    no = tuple(w for w in words if w.casefold() in FALSE_WORDS)
    return yes, no, len(words) - len(yes) - len(no)


def _words(texts: Sequence[str | None]) -> list[str]:
    return sorted({w.strip() for w in texts if w and w.strip()})


def _codes(
    one: Likeness, table: Table, sample: Sample, known: Mapping[tuple[str, str], SourceContract]
) -> tuple[dict[str, str] | None, list[str]]:
    """What the words of a column stand for in the table's code list; '' where nobody knows. And doubts."""
    listed = table.codes[one.column]
    words = [w for w in _words(sample.cells[one.header]) if w not in listed and w not in ("-", "—")]
    if not words:
        return None, []
    elsewhere = {w.casefold(): code for w, code in _used_elsewhere(table.name, one.column, known)}
    by_form = {code.casefold(): code for code in listed}
    codes = {w: by_form.get(w.casefold()) or elsewhere.get(w.casefold(), "") for w in words}
    codes = {w: code if code in listed else "" for w, code in codes.items()}
    unknown = [w for w, code in codes.items() if not code]
    if not unknown:
        return codes, []
    list_told = f"the table's codes are {', '.join(listed)}"
    safe = (
        len(words) <= _CODES_AT_MOST * len(listed)
        and not names_a_person(one.header)
        and not any(map(_like_a_person, words))
    )
    if safe and (one.sure or len(unknown) < len(words)):
        return codes, []
    kept = {w: code for w, code in codes.items() if code}
    return kept, [
        f"{len(unknown)} more different words stand there and are not shown here: write each into codes; {list_told}"
    ]


def _used_elsewhere(
    table: str, column: str, known: Mapping[tuple[str, str], SourceContract]
) -> Iterator[tuple[str, str]]:
    """Words and the codes they stand for by contracts of other systems."""
    for contract in known.values():
        if contract.table == table and column in contract.by_name:
            yield from contract.by_name[column].codes.items()


def _like_a_person(word: str) -> bool:
    return len(word) > _LETTERS or scrubbed(word) != word or bool(_FULL_NAME.search(word))


def shows_persons(texts: Sequence[str | None]) -> bool:
    """Whether a column's cells hold numbers or addresses of persons, or names with initials."""
    return any(text and (scrubbed(text, sure=True) != text or _FULL_NAME.search(text)) for text in texts)
