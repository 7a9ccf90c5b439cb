"""How text becomes a value: one grammar, in every path (CSV, text in Parquet, results and casts of `transformLogic`).

Every function makes SQL of SQL. `x` is always a cell's text as it was delivered; NULL goes in and comes out. What nearly all cells
look like is recognised by comparing; the regular expressions are for the rest. What does not fit is NULL: `Cell.unreadable` tells
whether the cell held nothing, a placeholder for nothing, or something that is no value. Does not belong here: which cells a column has
(column_cells.py, read_contracts.py), running the SQL (row_gate/).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from warehouse.sql import literal

# what may be at the edges of a cell without being part of it: Unicode's blanks, and letters without width
BLANK = r"[\s\v\x{85}\p{Z}\x{200b}\x{2060}\x{feff}]"
_EDGE = f"^{BLANK}|{BLANK}$"
_ENDS = " \t\n\r"
INTEGERS = frozenset({"INTEGER", "BIGINT", "SMALLINT", "TINYINT", "HUGEINT"})
MOMENTS = frozenset({"TIMESTAMP", "DATE"})

# --- placeholders: what people and systems write where they have nothing to write (our proposal; contracts add and take away) ---
# in every column, letter case aside; of ASCII's letters and digits they begin with n alone: `Cell.text` counts on it
WORDS = (
    "н/д",
    "нд",
    "н.д.",
    "нет данных",
    "#н/д",
    "мәлімет жоқ",
    "n/a",
    "#n/a",
    "n.a.",
    "null",
    "nan",
    "-",
    "--",
    "–",
    "—",
    "...",
    "…",
)
# where the column is no text, so that they cannot be its words; `none` may mean zero
TYPED_WORDS = ("na", "nat", "<na>", "no data", "not available", "не указано", "не определено", "деректер жоқ")
# errors of spreadsheets: nothing in texts, unreadable where something else is wanted
ERRORS = ("#null!", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#calc!", "#error!")
# empty dates of MySQL and of 1C
NO_DATES = ("0000-00-00", "0000-00-00 00:00:00", "00.00.0000", "00.00.0000 00:00:00", ". .", "  .  .    ")
# days that stand for no date or for ever: at any time of theirs
DAYS = ("0001-01-01", "1601-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "2999-12-31", "3000-01-01", "9999-12-31")
# only to the second: somebody may be born on such a day. An empty Unix time is midnight, or that in our civil time
SECONDS = (
    "1900-01-01 00:00:00",
    "1970-01-01 00:00:00",
    "1970-01-01 05:00:00",
    "1970-01-01 06:00:00",
    "2099-12-31 00:00:00",
)
# -999, -9999.0, -99.9 is none: where the column's contract lets nothing be so far below zero
NINES = "-9{3,}(?:[.,][0-9]+)?"
LOWEST_PLACEHOLDER = -999
EARLIEST, LATEST = "1900-01-01", "2100-12-31"  # outside is no date unless the column's contract allows for it

# the date pattern of a column in which plain numbers are days of a spreadsheet: 45413.5 is noon of 1 May 2024
SERIAL = "excel"
# plain ISO dates that comparing text recognises; dates outside may be placeholders
_PLAIN = ("1970-01-02", "2099-12-31")
_DAY = "[0-9]{4}(?:-[0-9]{1,2}-|/[0-9]{1,2}/)[0-9]{1,2}"
_OFFSET = "(?:[Zz]| [Uu][Tt][Cc]|[+-][0-9]{2}(?::?[0-9]{2})?)"
_CLOCK = "[ T][0-9]{1,2}:[0-9]{1,2}"

Civil = Callable[[str], str]  # SQL of an instant (TIMESTAMPTZ) to SQL of the civil time there and then


@dataclass(frozen=True)
class Numerals:
    """How an extract writes numbers."""

    decimal: str = "."
    group: str = ""
    declared: bool = True  # whether the decimal separator is given a meaning, or only taken for granted
    rounding: bool = False  # whether finer decimals than the column's are rounded instead of refused

    @property
    def groups(self) -> str:
        """The group separator as a pattern: a blank is one of any width, and not a line's end."""
        return r"[ \p{Zs}]" if self.group.isspace() else re.escape(self.group)


@dataclass(frozen=True)
class Cell:
    """What a column's cells may hold: its type, its numerals or date pattern, and what stands for nothing."""

    sql_type: str
    numerals: Numerals = Numerals()
    pattern: str | None = None  # strptime
    digits: str | None = None  # a pattern of fields without anything between them: these must be complete
    true_values: tuple[str, ...] = ()
    false_values: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # as they are written, blanks around them aside
    placeholders: tuple[str, ...] = ()  # letter case aside too
    real: frozenset[str] = frozenset()  # placeholders that are values here
    lowest: float | None = None  # of numbers
    earliest: str = EARLIEST
    latest: str = LATEST
    native: bool = False  # a number in the file, not a text: Parquet

    # --- what is nothing ---

    @property
    def words(self) -> tuple[str, ...]:
        """Texts that stand for nothing, letter case aside."""
        common: tuple[str, ...] = (*WORDS, *(ERRORS if self.sql_type == "VARCHAR" else TYPED_WORDS))
        if self.sql_type in MOMENTS:
            common = (*common, *NO_DATES)
        own = {w.casefold() for w in (*self.true_values, *self.false_values)}
        return tuple(w for w in (*common, *self.placeholders) if w not in self.real and w.casefold() not in own)

    @property
    def _nines(self) -> bool:
        number = self.sql_type in INTEGERS or self.sql_type.startswith("DECIMAL")
        return number and self.lowest is not None and self.lowest > LOWEST_PLACEHOLDER and "-999" not in self.real

    def _nothing(self) -> str:
        """Pattern of a cell that holds nothing, without the blanks around it."""
        zeros = "" if self.sql_type == "VARCHAR" else "(?:[.,]0+)?"
        words = [escaped(w.strip()) + (zeros if w[-1:].isdigit() else "") for w in self.words if w.strip()]
        exact = [escaped(w.strip()) for w in self.missing if w.strip()]
        return (
            f"(?:(?i:{'|'.join(words)})" + "".join(f"|{w}" for w in exact) + (f"|{NINES}" if self._nines else "") + ")?"
        )

    def _days(self) -> tuple[list[str], list[str]]:
        """Placeholder dates: whole days, and seconds."""
        own = [w for w in (*self.placeholders, *self.missing) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", w)]
        days = [d for d in (*DAYS, *own) if d not in self.real]
        return days, [s for s in SECONDS if s[:10] not in self.real]

    def nothing(self, x: str) -> str:
        """Condition: a cell that is not NULL holds nothing, or a placeholder for nothing."""
        told = f"regexp_full_match({x}, {literal(f'{BLANK}*{self._nothing()}{BLANK}*')})"
        if self.sql_type not in MOMENTS:
            return told
        return f"({told} OR coalesce({self._no_day(self._written(stripped(x)))}, false))"

    def unreadable(self, x: str, value: str) -> str:
        """Condition: the cell holds something that is neither nothing nor readable; `value` is what `value(x)` gave."""
        if self.sql_type == "VARCHAR":
            return "false"
        return f"{value} IS NULL AND {x} IS NOT NULL AND NOT {self.nothing(x)}"

    # --- what is a value ---

    def value(self, x: str, civil: Civil) -> str:
        """The cell as a value of the column's type; NULL if it is empty, a placeholder, or no such value."""
        if self.sql_type == "VARCHAR":
            return self.text(x)
        if self.sql_type in MOMENTS:
            return self._by_pattern(x) if self.pattern else self._moment(x, civil)
        if self.sql_type == "BOOLEAN":
            return self._truth(x)
        return self._whole(x) if self.sql_type in INTEGERS else self._decimal(x)

    def text(self, x: str) -> str:
        """Without the blanks around it; few texts have any, and to look is half the cost of cutting."""
        ends = f"{x}[-1] NOT IN ({', '.join(map(literal, _ENDS))})"
        # no placeholder begins like this
        safe = f"({x} < 'N' OR ({x} >= 'O' AND {x} < 'n') OR {x} >= 'o' OR ({x} >= 'N0' AND {x} < 'NA'))"
        plain = f"{x} >= '0' AND {safe} AND strlen({x}) = length({x}) AND {ends}"
        own = [w.strip()[0] for w in (*self.placeholders, *self.missing) if w.strip()]
        first = sorted({c for w in own for c in (w.lower(), w.upper()) if "0" <= c <= "\x7f"})
        plain += "".join(
            f" AND NOT starts_with({x}, {literal(c)})" for c in first
        )  # these are left to the regular expressions
        nothing = self._nothing()
        return (
            f"CASE WHEN {plain} THEN {x} WHEN NOT regexp_matches({x}, {literal(f'{_EDGE}|^{nothing}$')}) THEN {x} "
            f"WHEN NOT regexp_full_match({x}, {literal(f'(?s){BLANK}*{nothing}{BLANK}*')}) THEN {stripped(x)} END"
        )

    def _truth(self, x: str) -> str:
        if not self.true_values and not self.false_values:
            return f"coalesce(TRY_CAST({x} AS BOOLEAN), TRY_CAST({stripped(x)} AS BOOLEAN))"
        sides = [(v, w) for v, w in (("TRUE", self.true_values), ("FALSE", self.false_values)) if w]
        plain = " ".join(f"WHEN {x} IN ({', '.join(map(literal, words))}) THEN {value}" for value, words in sides)
        other = " ".join(
            f"WHEN regexp_full_match({x}, {literal(f'(?i){BLANK}*(?:' + '|'.join(escaped(w.strip()) for w in words) + f'){BLANK}*')}) THEN {value}"
            for value, words in sides
        )
        return f"CASE {plain} {other} END"

    # numbers: a sign, digits or groups of three digits, decimals. `_clean` takes out what the pattern let pass

    def _digits(self) -> str:
        group = self.numerals.groups
        grouped = f"|[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}})+" if self.numerals.group and not self.native else ""
        return f"(?:[0-9]+{grouped})"

    @property
    def _point(self) -> str:
        return "." if self.native else self.numerals.decimal

    def _clean(self, x: str) -> str:
        group = "" if self.native or self.numerals.group.isspace() else self.numerals.group
        x = f"regexp_replace({x}, {literal(BLANK + '+')}, '', 'g')"
        x = f"replace({x}, {literal(group)}, '')" if group else x
        return f"replace({x}, {literal(self._point)}, '.')" if self._point != "." else x

    def _by_comparing(self, x: str, compared: str) -> tuple[str, str]:
        """Condition and value of a number that is written as DuckDB writes it; `compared` holds {cast} and {n}."""
        point = self._point
        number = f"replace({x}, {literal(point)}, '.')" if point != "." else x
        cast = f"TRY_CAST({number} AS {self.sql_type})"
        condition = compared.format(cast=f"CAST({cast} AS VARCHAR)", n=number)
        if point != ".":
            condition = f"NOT contains({x}, '.') AND {condition}"
        if self._nines:
            condition = f"{x} >= '0' AND {condition}"  # a minus stands before all digits
        if self._numbers_for_nothing:
            condition += f" AND NOT {self.nothing(x)}"
        return condition, cast

    @property
    def _numbers_for_nothing(self) -> bool:
        """99999 where nothing is known."""
        return any(c.isdigit() for w in (*self.placeholders, *self.missing) for c in w)

    def _number(self, x: str, condition: str, cast: str, pattern: str, read: Callable[[str], str]) -> str:
        """By comparing; else by the pattern, blanks around it aside."""
        nothing = f"WHEN {self.nothing(x)} THEN NULL " if self._nines or self._numbers_for_nothing else ""
        slow = f"WHEN regexp_full_match({x}, {literal(f'{BLANK}*{pattern}{BLANK}*')}) THEN {read(self._clean(x))}"
        return f"CASE WHEN {condition} THEN {cast} {nothing}{slow} END"

    def _whole(self, x: str) -> str:
        """5, +5, 5.0, 1 000: never rounded. 1.000 is one or a thousand, unless the contract says what both separators are."""
        both = self.native or (self.numerals.declared and self.numerals.group)
        zeros = "0+" if both else "(?:00?|0000+)"
        pattern = f"[+-]?{self._digits()}(?:{re.escape(self._point)}(?:{zeros})?)?"
        condition, cast = self._by_comparing(x, "{cast} = {n}")
        return self._number(
            x, condition, cast, pattern, lambda n: f"TRY_CAST(split_part({n}, '.', 1) AS {self.sql_type})"
        )

    def _decimal(self, x: str) -> str:
        """12.5, 1 234,50, 1.5e-3. Finer than the column: only zeros, the noise of binary fractions, or where the contract rounds."""
        point, scale = re.escape(self._point), int(self.sql_type.rstrip(")").rpartition(",")[2])
        exponent = f"[+-]?[0-9]+(?:{point}[0-9]+)?[eE][+-]?[0-9]{{1,2}}"
        pattern = f"(?:[+-]?(?:{self._digits()}(?:{point}[0-9]*)?|{point}[0-9]+)|{exponent})"
        # 12.500 may be twelve thousand and a half thousand, if nobody has said what the point is
        unclear = f"[+-]?[0-9]{{1,3}}{point}[0-9]{{3}}"
        ambiguous = not self.numerals.declared and not self.native
        condition, cast = self._by_comparing(x, "starts_with({cast}, {n})")
        if ambiguous and scale > 2:
            condition = f"{condition} AND NOT regexp_full_match({x}, {literal(unclear)})"

        def read(n: str) -> str:
            kept = f"TRY_CAST({n} AS {self.sql_type})"
            if self.numerals.rounding:
                return kept
            exact = literal(f"[+-]?[0-9]*(?:[.][0-9]{{0,{scale}}}0*)?")
            noise = f"abs(TRY_CAST({n} AS DOUBLE) - CAST({kept} AS DOUBLE))"
            small = f"{noise} < 1e-{scale + 2} AND {noise} <= 1e-7 * abs(CAST({kept} AS DOUBLE))"
            return f"CASE WHEN regexp_full_match({n}, {exact}) OR ({small}) THEN {kept} END"

        found = self._number(x, condition, cast, pattern, read)
        if ambiguous:
            refused = literal(f"{BLANK}*{unclear}{BLANK}*")
            found = found.replace(
                " WHEN regexp_full_match(",
                f" WHEN regexp_full_match({x}, {refused}) THEN NULL WHEN regexp_full_match(",
                1,
            )
        return found

    # times: year, month, day, and a time of day; with an offset, that instant in the civil time of its settlement

    def _moment(self, x: str, civil: Civil) -> str:
        low, high = max(_PLAIN[0], self.earliest), min(_PLAIN[1], self.latest)
        own = [d for d in self._days()[0] if _PLAIN[0] <= d <= _PLAIN[1]]
        also = "".join(f" AND NOT starts_with({x}, {literal(d)})" for d in own)
        inside = f"{x} > {literal(low)} AND {x} < {literal(high)}{also}"
        day = f"{x} LIKE '____-__-__' AND {inside}"
        second = f"{x} LIKE '____-__-_____:__:__' AND {inside} AND NOT ends_with({x}, 'Z') AND NOT ends_with({x}, 'z')"
        first, then = (day, second) if self.sql_type == "DATE" else (second, day)

        # the year alone shows of most that they are no placeholder and in range
        usual = f"{x} > {literal(max('1971', self.earliest))} AND {x} < {literal(min('2099', self.latest))}{also}"
        bare = stripped(x)
        whole = (
            f"CASE WHEN {first} THEN TRY_CAST({x} AS TIMESTAMP) WHEN {then} THEN TRY_CAST({x} AS TIMESTAMP) WHEN {x} IS NOT NULL THEN "
            f"coalesce(CASE WHEN {usual} THEN {self._instant(x, civil)} END, {self._plausible(self._written(bare), self._instant(bare, civil))}) END"
        )
        return whole if self.sql_type == "TIMESTAMP" else f"CAST({whole} AS DATE)"

    def _written(self, t: str) -> str:
        """The time as written, without its offset."""
        if self.pattern == SERIAL:
            number = f"TRY_CAST(replace({t}, {literal(self.numerals.decimal)}, '.') AS DOUBLE)"
            plain = literal(f"[0-9]{{1,7}}(?:{re.escape(self.numerals.decimal)}[0-9]+)?")
            return f"CASE WHEN regexp_full_match({t}, {plain}) THEN {_of_serial(number)} ELSE {replace(self, pattern=None)._written(t)} END"
        if self.pattern:
            return f"try_strptime({t}, {literal(self.pattern)})"
        pattern = literal(f"{_DAY}(?:{_CLOCK}(?::[0-9]{{1,2}}(?:[.][0-9]+)?)?{_OFFSET}?)?")
        bare = f"regexp_replace({t}, {literal(f'({_CLOCK}(?::[0-9.]+)?){_OFFSET}$')}, '\\1')"
        return f"CASE WHEN regexp_full_match({t}, {pattern}) THEN TRY_CAST({bare} AS TIMESTAMP) END"

    def _instant(self, t: str, civil: Civil) -> str:
        offset = f"{_DAY}{_CLOCK}(?::[0-9]{{1,2}}(?:[.][0-9]+)?)?{_OFFSET}"
        with_seconds = f"regexp_replace(upper({t}), {literal(f'({_CLOCK})({_OFFSET})$')}, '\\1:00\\2')"
        return (
            f"CASE WHEN {t} LIKE '____-__-_____:__:__Z' OR {t} LIKE '____-__-_____:__:__+__:__' THEN {civil(f'TRY_CAST({t} AS TIMESTAMPTZ)')} "
            f"WHEN regexp_full_match({t}, {literal(offset)}) THEN {civil(f'TRY_CAST({with_seconds} AS TIMESTAMPTZ)')} ELSE {self._written(t)} END"
        )

    def _no_day(self, moment: str) -> str:
        """Condition: a placeholder for no date."""
        days, seconds = self._days()
        pattern = "^(?:" + "|".join([*days, *(f"{s}$" for s in seconds), "$"]) + ")"
        return f"regexp_matches(CAST({moment} AS VARCHAR), {literal(pattern)})"

    def _plausible(self, written: str, moment: str) -> str:
        """Not a placeholder, and inside the column's years: the year 26 and the year 3026 are no dates."""
        last = f"TIMESTAMP {literal(self.latest + ' 23:59:59.999999')}"
        return (
            f"CASE WHEN {self._no_day(written)} THEN NULL "
            f"WHEN {moment} BETWEEN TIMESTAMP {literal(self.earliest)} AND {last} THEN {moment} END"
        )

    def _by_pattern(self, x: str) -> str:
        moment, bare = self._written(x), self._written(stripped(x))
        plain = [
            f"{moment} BETWEEN TIMESTAMP {literal(max(_PLAIN[0], self.earliest))} AND TIMESTAMP {literal(min('2099-12-30', self.latest))}"
        ]
        own = [d for d in self._days()[0] if _PLAIN[0] <= d <= _PLAIN[1]]
        if own:
            plain.append(f"NOT {self._no_day(moment)}")
        whole = f"CASE WHEN {' AND '.join(plain)} THEN {moment} ELSE coalesce({self._plausible(moment, moment)}, {self._plausible(bare, bare)}) END"
        if self.digits:
            whole = f"CASE WHEN regexp_full_match({x}, {literal(f'{BLANK}*{self.digits}{BLANK}*')}) THEN {whole} END"
        return whole if self.sql_type == "TIMESTAMP" else f"CAST({whole} AS DATE)"

    def of(self, sql_type: str) -> Cell:
        """The same grammar for another type: what an expression casts to."""
        return replace(self, sql_type=sql_type, pattern=None, digits=None, true_values=(), false_values=(), lowest=None)


def _of_serial(number: str) -> str:
    """The moment of a spreadsheet's number, counted from 1900 with the 29 February that year has there; to the millisecond."""
    moment = f"TIMESTAMP '1899-12-30' + to_milliseconds(CAST(round({number} * 86400000) AS BIGINT))"
    return f"CASE WHEN {number} >= 61 THEN {moment} WHEN {number} >= 1 AND {number} < 60 THEN {moment} + INTERVAL 1 DAY END"


def stripped(x: str) -> str:
    """Without the blanks around it."""
    return f"regexp_replace({x}, {literal(f'^{BLANK}+|{BLANK}+$')}, '', 'g')"


def escaped(word: str) -> str:
    """A word as a pattern of RE2; its blanks are blanks of any width and number."""
    return "".join(rf"\x{{{ord(c):x}}}" if not c.isalnum() else c for c in re.sub(r"\s+", " ", word)).replace(
        r"\x{20}", rf"{BLANK}+"
    )
