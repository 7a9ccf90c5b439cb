"""Values of formats that have types (workbooks, JSON) written as text, so that the one grammar reads what was meant, and nothing else.

Decided by what the contract says of the columns that a header feeds: its decimal separator, date pattern and words for yes and no.
Does not belong here: taking files apart (workbooks.py, json_rows.py), what a text means (mapping/cell_grammar.py).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from connectors.mapping.cell_grammar import SERIAL
from connectors.mapping.source_contract import SourceContract

_EXACT_WHOLE = 1 << 53  # whole numbers up to here are exact as binary fractions
_DIGITS = 15  # that a spreadsheet keeps and shows of a number
_MIDNIGHT = dt.time()
_UNCLEAR = re.compile(r"-?[0-9]{1,3}\.[0-9]{3}")
_FIELD = re.compile("%-?.")
# what stands for a letter of a date pattern (mapping/contract_checks.py)
_FIELDS: Mapping[str, Callable[[dt.datetime], str]] = {
    "%Y": lambda t: f"{t.year:04}",
    "%y": lambda t: f"{t.year % 100:02}",
    "%m": lambda t: f"{t.month:02}",
    "%-m": lambda t: str(t.month),
    "%d": lambda t: f"{t.day:02}",
    "%-d": lambda t: str(t.day),
    "%H": lambda t: f"{t.hour:02}",
    "%-H": lambda t: str(t.hour),
    "%I": lambda t: f"{t.hour % 12 or 12:02}",
    "%-I": lambda t: str(t.hour % 12 or 12),
    "%M": lambda t: f"{t.minute:02}",
    "%S": lambda t: f"{t.second:02}",
    "%f": lambda t: f"{t.microsecond:06}",
    "%g": lambda t: f"{t.microsecond // 1000:03}",
    "%p": lambda t: "AM" if t.hour < 12 else "PM",
    "%%": lambda _: "%",
}


class WrittenCells:
    """Writes values of the columns that one header feeds."""

    def __init__(self, contract: SourceContract, header: str):
        unpivot = contract.shape.unpivot
        named = unpivot.value if unpivot and header in unpivot.labels([header]) else header
        fed = [c for c in contract.columns if named in c.fed_by]
        direct = [c for c in fed if c.logic is None]
        self._point = contract.decimal
        text = bool(fed) and all(c.logic is None and c.cell.sql_type == "VARCHAR" for c in fed)
        self._unclear = not contract.numerals.declared and not text
        self._true = _only(c.cell.true_values[:1] for c in direct)
        self._false = _only(c.cell.false_values[:1] for c in direct)
        self.serial = any(c.cell.pattern == SERIAL for c in direct)  # plain numbers are dates
        self._pattern = _only((c.cell.pattern,) for c in direct if c.cell.pattern and c.cell.pattern != SERIAL)
        self._day = bool(direct) and all(c.cell.sql_type == "DATE" for c in direct)

    def number(self, text: str) -> str:
        """A number as it is written with a point: with the contract's decimal separator, and not to be taken for thousands."""
        if self._unclear and _UNCLEAR.fullmatch(text):
            return text + "0"  # 12.125 could be twelve thousand and more; here it is known what the point is
        return text if self._point == "." else text.replace(".", self._point)

    def double(self, value: float) -> str:
        """A number of a spreadsheet as it shows it. A whole number that it cannot keep exactly has an exponent, so that it is no key."""
        if value.is_integer() and abs(value) <= _EXACT_WHOLE:
            return str(int(value))
        text = f"{value:.{_DIGITS}g}"
        if "e-" in text:
            text = format(Decimal(text), "f")
        elif value.is_integer():
            text = format(Decimal(text).normalize(), "E")
        return self.number(text)

    def doubles(self, values: Sequence[float]) -> list[str]:
        """The same of many at once."""
        texts = [f"{value:.{_DIGITS}g}" for value in values]
        together = "".join(texts)
        if "e" in together or "n" in together:  # exponents, and what is no number
            return [self.double(value) if value == value else "nan" for value in values]
        if "." in together and (self._unclear or self._point != "."):
            return [self.number(text) if "." in text else text for text in texts]
        return texts

    def truth(self, value: bool) -> str:
        """The columns' own word for it, if they have one."""
        return (self._true if value else self._false) or ("true" if value else "false")

    def moment(self, value: dt.date) -> str:
        """By the columns' date pattern if that loses nothing of what they hold, else as ISO 8601 has it."""
        time = value if isinstance(value, dt.datetime) else dt.datetime.combine(value, _MIDNIGHT)
        if self._day:
            time = time.replace(hour=0, minute=0, second=0, microsecond=0)
        if self._pattern and not _lost(time, self._pattern):
            return _FIELD.sub(lambda found: _FIELDS[found[0]](time), self._pattern)
        return str(time.date() if time.time() == _MIDNIGHT else time)

    def moments(self, values: Sequence[dt.datetime]) -> list[str]:
        """The same of many at once."""
        if self._pattern or self._day:
            return [self.moment(value) for value in values]
        return [str(value).removesuffix(" 00:00:00") for value in values]


def _only(found: object) -> str:
    """The one word that is found in each, else nothing."""
    words = {word for words in found for word in words}  # type: ignore[attr-defined]
    return words.pop() if len(words) == 1 else ""


def _lost(time: dt.datetime, pattern: str) -> bool:
    """Whether a pattern has no place for a part of a time."""
    fields = {found.replace("-", "") for found in _FIELD.findall(pattern)}
    century = "%y" in fields and not 1969 <= time.year <= 2068
    hour = bool(time.hour) and "%H" not in fields and not {"%I", "%p"} <= fields
    fraction = bool(time.microsecond) and not {"%f", "%g"} & fields
    return century or hour or bool(time.minute) > ("%M" in fields) or bool(time.second) > ("%S" in fields) or fraction
