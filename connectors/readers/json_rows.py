"""Rows of JSON: a list of objects, or of lists under a header, somewhere in a document; and JSON lines, a record to each.

A field is called by the way to it: address.street, phones[0]. A number keeps the letters it is written with; a list or an object where a
value should be is shown as JSON, which no number and no date is. Does not belong here: the text itself (json_text.py), which fields there
must be (fields.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.safe_names import safe_name
from connectors.readers.fields import Fields
from connectors.readers.headers import StructureError, listed
from connectors.readers.json_text import DEPTH, LONGEST, JsonError, JsonText, Number, opened, value_at
from connectors.readers.record import Record, Rows, holds_something
from connectors.readers.written_cells import WrittenCells

LINES = "jsonl"  # the format of JSON lines, as kinds.py has it
KEY = "@key"  # field of a record that is a member of an object: the name it has there
_FAR = 40  # digits that a number written with an exponent may come to without it


def rows(path: Path, contract: SourceContract, name: str) -> Rows:
    """The rows that the contract means. Raises StructureError, also while they are read."""
    first, others = _begun(path, contract, name)
    if first is not None and isinstance(first.value, list):
        table = _Table(contract, name)
        return Rows(table.begin(first), table.records(first, others))
    fields = Fields(contract, name)
    if fields.finds:
        for _ in _Objects(contract, name, fields).records(first, others):
            pass
        fields = Fields(contract, name, fields.unpivoted)
        first, others = _begun(path, contract, name)
    return Rows(fields.header, _Objects(contract, name, fields).records(first, others), unmet=fields.unmet)


def _begun(path: Path, contract: SourceContract, name: str) -> tuple[_Found | None, Iterator[_Found]]:
    """The first record, if there is one, and those behind it."""
    found = _lines(path, name) if contract.format == LINES else _Document(path, contract, name).records()
    return next(found, None), found


def fields_of(path: Path, contract: SourceContract, name: str, most: int) -> list[str]:
    """The ways to the values of the first records that are objects: for who has to find out what there is. Raises StructureError."""
    found = _lines(path, name) if contract.format == LINES else _Document(path, contract, name).records()
    return list(dict.fromkeys(way for one in islice(found, most) for way in _ways("", one.value) if way))


def _ways(way: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _ways(f"{way}.{key}" if way else key, inner)
    elif isinstance(value, list) and value and way:
        for place, inner in enumerate(value):
            yield from _ways(f"{way}[{place}]", inner)
    elif not isinstance(value, list):
        yield way


class _Found:
    """A record as it was found: its value, its text, its place; `broken`: why it has no value; `told`: the place as it may be told."""

    __slots__ = ("broken", "header", "key", "text", "told", "value", "where")

    def __init__(
        self, value: Any, text: str, where: str, broken: str = "", key: str | None = None, told: str | None = None
    ):
        self.value, self.text, self.where, self.broken, self.key = value, text, where, broken, key
        self.told = where if told is None else told
        self.header: Sequence[str] | None = None  # names that stand beside a list of lists

    def shown(self) -> tuple[str, str]:
        return self.where, self.text


# --- finding records ---


def _lines(path: Path, name: str) -> Iterator[_Found]:
    """Of JSON lines. A line that is no JSON is a broken record, and no broken file."""
    with opened(path, name) as source:
        for number in count(1):
            line = source.readline(4 * LONGEST)
            if not line:
                return
            if not line.strip():
                continue
            where = f"line {number}"
            try:
                text = line.decode().strip(" \t\n\r")
                value, end = value_at(text, 0)
            except UnicodeDecodeError:
                raise StructureError("refusal.json_not_utf8", file=name, byte=source.tell() - len(line) + 1) from None
            except JsonError as error:
                yield _Found(None, text, where, error.words)
                continue
            yield _Found(value, text, where, "" if end == len(text) else JsonError("json.more_behind").words)


class _Document:
    """One document, with the rows somewhere in it."""

    def __init__(self, path: Path, contract: SourceContract, name: str):
        self._path, self._contract, self._name = path, contract, name
        self._text = JsonText(path, name)
        self._columns: list[str] | None = None

    def records(self) -> Iterator[_Found]:
        way = self._contract.layout.row_path.strip().removeprefix("$").strip(".")
        steps = way.split(".") if way else self._outermost()
        if steps is None:
            yield self._record("$")  # one object alone
        else:
            yield from self._down(steps, "$")
        self._text.finish()

    def _down(self, steps: Sequence[str], where: str) -> Iterator[_Found]:
        text, letter = self._text, self._text.next()
        if steps == ["*"] and letter == "{":
            for key in text.members():
                yield self._record(where, key)
        elif steps and letter == "{":
            yield from self._inside(steps, where)
        elif not steps and letter == "[":
            for place in text.elements():
                yield self._record(f"{where}[{place}]")
        elif not letter:
            text.fail("json.breaks_off")
        else:
            text.where = where
            text.fail("json.no_list" if not steps else "json.no_object")

    def _inside(self, steps: Sequence[str], where: str) -> Iterator[_Found]:
        met, found = list[str](), False
        for key in self._text.members():
            met.append(key)
            if key == steps[0]:
                found = True
                yield from self._down(steps[1:], f"{where}.{key}")
            elif key == "columns" and self._text.next() == "[":
                value, _ = self._text.value()
                self._columns = value if all(type(v) is str for v in value) else None
            else:
                self._text.skip()
        if not found:
            shown, contract = listed(safe_name(k) for k in met), self._contract.id
            raise StructureError(
                "refusal.no_such_path", file=self._name, step=steps[0], where=where, names=shown, contract=contract
            )

    def _record(self, where: str, key: str | None = None) -> _Found:
        told = where if key is None else f"{where}.{safe_name(key)}"
        self._text.where = told
        value, text = self._text.value()
        found = _Found(value, text, where if key is None else f"{where}.{key}", key=key, told=told)
        found.header = self._columns
        return found

    def _outermost(self) -> list[str] | None:
        """The way to the only list of records that no other list holds; None if there is no list. Raises StructureError if there are several."""
        if self._text.next() == "[":
            return []
        found = list(_lists(JsonText(self._path, self._name), (), 0))
        full = [way for way, is_empty in found if not is_empty] or [way for way, _ in found]
        if not full:
            return None
        least = min(map(len, full))
        ways = [way for way in full if len(way) == least]
        if len(ways) > 1:
            shown = listed(safe_name(".".join(way)) for way in ways)
            raise StructureError("refusal.which_path", file=self._name, names=shown, contract=self._contract.id)
        return list(ways[0])


def _lists(text: JsonText, way: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Ways to lists that may be the rows, and whether each is empty: its first element is an object or a list, and no list holds it."""
    letter = text.next()
    if letter == "{" and depth <= DEPTH:
        for key in text.members():
            yield from _lists(text, (*way, key), depth + 1)
    elif letter == "[":
        place = -1
        for place in text.elements():
            if place == 0 and text.next() in ("{", "["):
                yield way, False
            text.skip()
        if place < 0:
            yield way, True
    else:
        text.skip()


# --- records become cells ---


class _Objects:
    """Records that are objects."""

    def __init__(self, contract: SourceContract, name: str, fields: Fields):
        self._contract, self._name, self._fields = contract, name, fields
        self._above = {p for field in fields.places for p in _prefixes(field)}  # objects that have fields of ours

    def records(self, first: _Found | None, others: Iterator[_Found]) -> Iterator[Record]:
        """All records."""
        for found in chain([first] if first else [], others):
            if not found.broken and not isinstance(found.value, dict):
                found.broken = "it is no object"
            cells: list[str | None] = []
            if not found.broken:
                cells = [None] * len(self._fields.header)
                if found.key is not None:
                    self._fill(cells, "", {KEY: found.key}, found.told, 0)
                try:
                    self._fill(cells, "", found.value, found.told, 0)
                except RecursionError:
                    raise StructureError("refusal.json_too_deep", file=self._name, where=found.told) from None
            if found.broken or holds_something(cells, self._contract):
                yield Record(cells, found.shown, found.broken)

    def _fill(self, cells: list[str | None], way: str, value: Any, where: str, depth: int) -> None:
        if depth > DEPTH:
            raise StructureError("refusal.json_too_deep", file=self._name, where=where)
        named, places, writers = isinstance(value, dict), self._fields.places, self._fields.writers
        members: Iterable[tuple[Any, Any]] = value.items() if named else enumerate(value)
        for key, inner in members:
            field = (f"{way}.{key}" if way else key) if named else f"{way}[{key}]"
            place = places.get(field)
            if place is None:
                self._beside(cells, field, inner, where, depth)
                continue
            if place >= 0:
                if cells[place] is not None:  # "a.b" beside b in a
                    raise StructureError("refusal.field_twice", file=self._name, names=[field], where=where)
                cells[place] = inner if type(inner) is str else _cell(inner, writers[place])
            self._fields.unmet.discard(field)

    def _beside(self, cells: list[str | None], field: str, value: Any, where: str, depth: int) -> None:
        """What is no field of the contract's: it may hold some."""
        if value and isinstance(value, dict | list):
            self._fill(cells, field, value, where, depth + 1)
        elif field in self._above and (value is None or value == {} or value == []):
            self._fields.unmet.difference_update([f for f in self._fields.unmet if field in _prefixes(f)])
        else:
            self._fields.unknown(field, where)


def _prefixes(field: str) -> set[str]:
    """The objects and lists that a field is in: address of address.street, phones of phones[0]."""
    return {field[: found.start()] for found in re.finditer(r"[.\[]", field)}


class _Table:
    """Records that are lists, under a header: names that stand beside them, or the first of them."""

    def __init__(self, contract: SourceContract, name: str):
        self._contract, self._name = contract, name
        self._header: tuple[str, ...] = ()
        self._first_is_header = False

    def begin(self, first: _Found | None) -> tuple[str, ...]:
        """The header. Raises StructureError if there is none."""
        assert first is not None
        self._first_is_header = first.header is None
        names = first.value if first.header is None else first.header
        if not all(type(n) is str for n in names):
            raise StructureError(
                "refusal.list_without_header", file=self._name, where=first.told, contract=self._contract.id
            )
        self._header = tuple(n.strip() for n in names)
        return self._header

    def records(self, first: _Found | None, others: Iterator[_Found]) -> Iterator[Record]:
        """All records."""
        writers = [WrittenCells(self._contract, h) for h in self._header]
        for found in others if self._first_is_header else chain([first], others):
            assert found is not None
            if not found.broken and not isinstance(found.value, list):
                found.broken = "it is no list"
            if not found.broken and len(found.value) != len(writers):
                found.broken = f"{len(found.value):,} cells, the header has {len(writers):,}"
            cells = [] if found.broken else [_cell(v, w) for v, w in zip(found.value, writers, strict=True)]
            if found.broken or holds_something(cells, self._contract):
                yield Record(cells, found.shown, found.broken)


def _cell(value: Any, written: WrittenCells) -> str | None:
    """A value as text."""
    kind = type(value)
    if kind is str or value is None:
        return value  # type: ignore[no-any-return]
    if kind is Number:
        return written.number(_without_exponent(value) if "e" in value or "E" in value else str(value))
    return written.truth(value) if kind is bool else _json(value)


def _without_exponent(number: str) -> str:
    """1E3 as 1000, where that is no giant."""
    exact = Decimal(number)
    _, digits, exponent = exact.as_tuple()
    if isinstance(exponent, int) and abs(exponent) + len(digits) <= _FAR:
        return format(exact, "f")
    return number


def _json(value: Any) -> str:
    """A value as JSON, numbers as they were written."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)
