"""Rows of XML: every element at one path, read one by one. A field is called by the way to it: address/street, @id, address/@kind, . (text).

Names count without their namespaces. Entities, document types and whatever would be fetched are refused (safe_xml.py). Does not belong
here: which fields there must be (fields.py).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.detection import harmless
from connectors.personal_data.safe_names import safe_name
from connectors.readers.fields import Fields
from connectors.readers.headers import StructureError, listed
from connectors.readers.record import Record, Rows, holds_something
from connectors.readers.safe_xml import SETTINGS, refuse_document_type

_DECLARED = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_FARTHEST = 64 << 20  # bytes from the end of one record to that of the next; our proposal
_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"
_BETWEEN = " | "  # of the values of an element that stands several times where one value should be


def rows(path: Path, contract: SourceContract, name: str) -> Rows:
    """The rows that the contract means. Raises StructureError, also while they are read."""
    fields = Fields(contract, name)
    if fields.finds:
        for _ in _Elements(path, contract, name, fields).records():
            pass
        fields = Fields(contract, name, fields.unpivoted)
    return Rows(fields.header, _Elements(path, contract, name, fields).records(), unmet=fields.unmet)


class _Bytes:
    """A file as the parser is given it: in UTF-8 where its encoding is a page of eight bits, which the parser need not know.

    Raises StructureError where no record ends for too long: all that is read since the last one is held.
    """

    def __init__(self, path: Path, contract: SourceContract, name: str):
        self._name, self._contract, self._source = name, contract, path.open("rb")
        found = _DECLARED.match(self._source.read(1 << 10).removeprefix(codecs.BOM_UTF8))
        self._source.seek(0)
        self._encoding = found[1].decode("ascii") if found else contract.encoding
        try:
            codec = codecs.lookup(self._encoding)
        except LookupError:
            raise StructureError("refusal.xml_encoding", file=name, encoding=self._encoding) from None
        own = codec.name.startswith("utf") or codec.name == "ascii"
        self._decoder = None if own else codec.incrementaldecoder()
        self.encoding = None if own else "utf-8"
        self._read = self.last = 0

    def read(self, size: int) -> bytes:
        block = self._source.read(size)
        self._read += len(block)
        if self._read - self.last > _FARTHEST:
            raise StructureError(
                "refusal.xml_no_record", file=self._name, most=_FARTHEST >> 20, contract=self._contract.id
            )
        if self._decoder is None:
            return block
        try:
            return self._decoder.decode(block, final=not block).encode()
        except UnicodeDecodeError as error:
            byte = self._read - len(block) + error.start + 1
            raise StructureError(
                "refusal.byte_of_other_encoding", file=self._name, byte=byte, encoding=self._encoding
            ) from None

    def reached(self) -> None:
        """A record has ended."""
        self.last = self._read

    def close(self) -> None:
        self._source.close()


class _Elements:
    """The elements at the contract's path."""

    def __init__(self, path: Path, contract: SourceContract, name: str, fields: Fields):
        self._path, self._contract, self._name, self._fields = path, contract, name, fields
        self._steps = [s.rpartition(":")[2] for s in contract.layout.row_path.split("/") if s]
        self._above = {field[: m.start()] for field in fields.places for m in re.finditer("/", field)}

    def records(self) -> Iterator[Record]:
        """All records. Each is shown only until the next is asked for: then its element is gone."""
        count, parent, several = 0, None, False
        for count, element in enumerate(self._found(), 1):
            several = several or parent not in (None, element.getparent())
            parent = element.getparent()
            where = self._where(element, count, several)
            cells: list[str | None] = [None] * len(self._fields.header)
            self._fill(cells, "", element, where)
            if holds_something(cells, self._contract):
                yield Record(cells, partial(_shown, element, where))

    def _where(self, element: Any, count: int, several: bool) -> str:
        way = "/".join(_local(e) for e in (*reversed([*element.iterancestors()]), element))
        return f"(/{way})[{count}]" if several else f"/{way}[{count}]"

    def _found(self) -> Iterator[Any]:
        from lxml import etree

        source = _Bytes(self._path, self._contract, self._name)
        tag = "{*}" + self._steps[-1] if self._steps else "*"
        try:
            events = etree.iterparse(source, events=("end",), tag=tag, encoding=source.encoding, **SETTINGS)
            checked, found = False, ""
            for _, element in events:
                if not checked:
                    refuse_document_type(element, self._name)
                    checked = True
                if not self._is_record(element):
                    continue
                if found not in ("", _local(element)):  # without a path
                    several = [
                        f"/{safe_name(_local(element.getparent()))}/{safe_name(n)}" for n in (found, _local(element))
                    ]
                    raise StructureError(
                        "refusal.which_path", file=self._name, names=several, contract=self._contract.id
                    )
                found = _local(element)
                yield element
                _forget(element)
                source.reached()
            refuse_document_type(events.root, self._name)
            if not found:
                self._nothing(events.root)
        except etree.XMLSyntaxError as error:
            line = (error.position or (0,))[0]
            raise StructureError("refusal.xml", file=self._name, line=line, error=harmless(error)) from None
        finally:
            source.close()

    def _is_record(self, element: Any) -> bool:
        above = [_local(e) for e in element.iterancestors()]
        if not self._steps:
            return len(above) == 1
        return above == self._steps[-2::-1]

    def _nothing(self, root: Any) -> None:
        """There was no record: as it may be where the path to them is there. Raises StructureError where it is not."""
        there = [root] if not self._steps or _local(root) == self._steps[0] else []
        for step in self._steps[1:-1]:
            there = [child for element in there for child in _children(element) if _local(child) == step]
        if not there or len(self._steps) == 1:
            met = [_local(root), *dict.fromkeys(f"{_local(root)}/{_local(child)}" for child in _children(root))]
            names, contract = listed(map(safe_name, met)), self._contract.id
            raise StructureError(
                "refusal.xml_no_such_path",
                file=self._name,
                path="/".join(("", *self._steps)),
                names=names,
                contract=contract,
            )

    # --- fields ---

    def _fill(self, cells: list[str | None], way: str, element: Any, where: str) -> None:
        """The attributes of an element, what stands in it, and its own text."""
        before = f"{way}/" if way else ""
        for name, value in element.attrib.items():
            if not name.startswith(_INSTANCE):
                self._put(cells, f"{before}@{_plain(name)}", value, where)
        inside = 0
        for child in element:
            if not isinstance(child.tag, str):  # a comment
                continue
            inside += 1
            field = before + _plain(child.tag)
            if not len(child) and not child.attrib:
                self._put(cells, field, child.text or "", where)
            elif field in self._fields.places and _children(child):
                self._put(cells, field, _xml(child), where)
            else:
                self._fill(cells, field, child, where)
        text = "".join([element.text or "", *(child.tail or "" for child in element)])
        if not inside or text.strip():
            nil = element.get(f"{_INSTANCE}nil") in ("true", "1")
            if way or text.strip() or "." in self._fields.places:
                self._put(cells, way or ".", None if nil else text, where)

    def _put(self, cells: list[str | None], field: str, value: str | None, where: str) -> None:
        place = self._fields.places.get(field)
        if place is None:
            if (value and value.strip()) or field not in self._above:
                self._fields.unknown(field, where)
            else:  # an object of which nothing is there
                self._fields.unmet.difference_update([f for f in self._fields.unmet if f.startswith(f"{field}/")])
            return
        self._fields.unmet.discard(field)
        if place >= 0 and value is not None:
            before = cells[place]
            cells[place] = value if before is None else f"{before}{_BETWEEN}{value}"


def _children(element: Any) -> list[Any]:
    """The elements in an element; no comments."""
    return [child for child in element if isinstance(child.tag, str)]


def _plain(name: str) -> str:
    return name.rpartition("}")[2]


def _local(element: Any) -> str:
    return _plain(element.tag) if isinstance(element.tag, str) else ""


def _xml(element: Any) -> str:
    from lxml import etree

    return str(etree.tostring(element, encoding="unicode", with_tail=False))


def _shown(element: Any, where: str) -> tuple[str, str]:
    return where, _xml(element)


def _forget(element: Any) -> None:
    """Give back the memory of an element and of all that stands before it and before what it stands in."""
    element.clear()
    while element is not None:
        parent = element.getparent()
        while parent is not None and element.getprevious() is not None:
            del parent[0]
        element = parent
