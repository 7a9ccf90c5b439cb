"""A text in JSON read piece by piece: values as they stand in it, the way to them, and the place of what is wrong.

Numbers keep the letters they are written with. What the standard does not know is refused: NaN, names twice in one object, anything
behind the end. Does not belong here: what becomes of records (json_rows.py).
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from connectors.readers.headers import StructureError
from warehouse.messages.messages import DEFAULT, sentence

_BLOCK = 1 << 18
LONGEST = 16 << 20  # letters of one record, and of anything else that is read at once; our proposal, as the next
DEPTH = 64  # lists and objects inside one another
_BLANKS = " \t\n\r"
_NO_BLANK = re.compile(r"[^ \t\n\r]")


class Number(str):
    """A number, as it is written."""

    __slots__ = ()


class JsonError(ValueError):
    """What is no JSON, or none of ours. `code`: a message that says what; `at`: index of the letter in the text, where it is known."""

    def __init__(self, code: str, at: int = -1):
        self.code, self.at = code, at
        super().__init__(code)

    @property
    def words(self) -> str:
        """What is wrong, in English."""
        place = f" (letter {self.at + 1:,})" if self.at >= 0 else ""
        return sentence(self.code, DEFAULT) + place


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise JsonError("json.name_twice")
    return found


def _no_constant(_: str) -> NoReturn:
    raise JsonError("json.no_number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Number, parse_int=Number, parse_constant=_no_constant
)


def value_at(text: str, start: int) -> tuple[Any, int]:
    """The value that begins there, and where it ends. Raises JsonError."""
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        code = "json.breaks_off" if error.msg.startswith("Unterminated") else "json.broken"
        raise JsonError(code, error.pos) from None
    except RecursionError:
        raise JsonError("json.too_deep") from None


def opened(path: Path, name: str) -> BinaryIO:
    """A file in UTF-8, behind the mark that may stand at its beginning. Raises StructureError for UTF-16 and UTF-32."""
    source = path.open("rb")
    start = source.read(4)
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in start:
        source.close()
        raise StructureError("refusal.json_not_utf8", file=name, byte=1)
    source.seek(3 if start.startswith(codecs.BOM_UTF8) else 0)
    return source


class JsonText:
    """A file of which a window is held. Its methods raise StructureError with the byte, and the record, of what is wrong."""

    def __init__(self, path: Path, name: str):
        self._name, self._source = name, opened(path, name)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at, self._ended = "", 0, False
        self._before = self._source.tell()  # bytes before the window
        self.where = ""  # what is being read: $.data[16]

    def _more(self) -> bool:
        """Read on; the window begins where it is read. False if there is no more."""
        if self._ended:
            return False
        self._before += len(self._text[: self._at].encode())
        self._text, self._at = self._text[self._at :], 0
        block = self._source.read(max(_BLOCK, len(self._text)))
        try:
            self._text += self._decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            byte = self._before + len(self._text.encode()) + error.start + 1
            raise StructureError("refusal.json_not_utf8", file=self._name, byte=byte) from None
        if not block:
            self._ended = True
            self._source.close()
        return bool(block)

    def fail(self, code: str, at: int = -1) -> NoReturn:
        """Refuse the file. `at`: index in the window, else what is read next."""
        byte = self._before + len(self._text[: self._at if at < 0 else at].encode()) + 1
        raise StructureError("refusal.json", file=self._name, what={"code": code}, byte=byte, where=self.where or "$")

    def next(self) -> str:
        """The letter that comes next; nothing at the end."""
        while True:
            found = _NO_BLANK.search(self._text, self._at)
            if found:
                self._at = found.start()
                return found[0]
            self._at = len(self._text)
            if not self._more():
                return ""

    def _take(self, wanted: str) -> str:
        letter = self.next()
        if not letter or letter not in wanted:
            self.fail("json.broken" if letter else "json.breaks_off")
        self._at += 1
        return letter

    def value(self) -> tuple[Any, str]:
        """The value that comes next, and its text."""
        self.next()
        while True:
            try:
                found, end = value_at(self._text, self._at)
            except JsonError as error:
                place = error.at - self._at
                if error.code not in ("json.broken", "json.breaks_off"):
                    self.fail(error.code)
                if len(self._text) - self._at > LONGEST:
                    self.fail("json.too_long")
                if not self._more():
                    place += self._at
                    cut = error.code == "json.breaks_off" or not self._text[place:].strip(_BLANKS)
                    self.fail("json.breaks_off" if cut else "json.broken", len(self._text) if cut else place)
                continue
            letters = end - self._at
            if end < len(self._text) or not self._more():  # a number may go on
                text = self._text[self._at : self._at + letters]
                self._at += letters
                return found, text

    def members(self) -> Iterator[str]:
        """The names of an object's members; each time its value must be taken."""
        self._take("{")
        if self.next() == "}":
            self._at += 1
            return
        seen = set[str]()
        while True:
            if self.next() != '"':
                self._take('"')
            name, _ = self.value()
            if name in seen:
                self.fail("json.name_twice")
            seen.add(name)
            self._take(":")
            yield name
            if self._take(",}") == "}":
                return

    def elements(self) -> Iterator[int]:
        """The places of a list's elements, from 0; each time the element must be taken."""
        self._take("[")
        if self.next() == "]":
            self._at += 1
            return
        for place in count():
            yield place
            if self._take(",]") == "]":
                return

    def skip(self, depth: int = 0) -> None:
        """Pass over a value of any size."""
        letter = self.next()
        if letter not in ("{", "["):
            self.value()
            return
        with suppress(JsonError):
            _, end = value_at(self._text, self._at)
            self._at = end
            return
        if depth > DEPTH:
            self.fail("json.too_deep")
        for _ in self.members() if letter == "{" else self.elements():
            self.skip(depth + 1)

    def finish(self) -> None:
        """Raises StructureError if anything follows."""
        self.where = ""
        if self.next():
            self.fail("json.more_behind")
