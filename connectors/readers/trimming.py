"""The lines of a CSV file that are no records: titles above the header, units below it, totals and signatures at the end.

What is left is a plain CSV file, whose bytes are copied and not written anew: DuckDB reads it, and an auditor is shown its lines as they
came. Does not belong here: sheets (workbooks.py), what a layout may say (mapping/layout.py).
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.mapping.source_contract import SourceContract
from connectors.readers.headers import HEADER_LETTERS, StructureError
from warehouse.messages.messages import Message
from warehouse.tables.identifiers import BLANKS

_BLOCK = 1 << 20
_BELOW = 1 << 16  # bytes of what may stand below the records; our proposal
_RECORDS = 100  # of the last ones, that tell what a record looks like


@dataclass(frozen=True)
class Trimmed:
    """A file of header and records alone, and what is to be told of lines left out below them."""

    path: Path
    below: tuple[Message, ...] = ()


def trimmed(path: Path, contract: SourceContract, name: str, *, beginning: bool = False) -> Trimmed:
    """A file in UTF-8 without the lines that its contract's layout says are no records: itself if there are none.

    `beginning`: it is only the beginning of the file, and nothing stands at its end. Raises StructureError.
    """
    layout = contract.layout
    if (layout.header_row, layout.header_lines, layout.skip_after_header, layout.footer) == (1, 1, 0, ()):
        return Trimmed(path)
    header, start = _top(path, contract, name)
    footer = None if beginning or not layout.footer else _footer(path, start, contract, name)
    target = path.with_suffix(".trimmed")
    with path.open("rb") as source, target.open("wb") as sink:
        sink.write(header)
        source.seek(start)
        if footer is None:
            shutil.copyfileobj(source, sink, _BLOCK)
        else:
            _copy(source, sink, footer.at - start)
    return Trimmed(target, () if footer is None else (footer.told(name),))


def records_from(lines: Iterable[str], contract: SourceContract) -> Iterator[list[str]]:
    """The header that stands in a text's lines, then its records. Raises csv.Error."""
    layout, every = contract.layout, iter(lines)
    for _ in range(layout.header_row - layout.header_lines):
        next(every, None)
    reader = csv.reader(every, delimiter=contract.delimiter, quotechar=contract.quote or None)
    heads = [head for _ in range(layout.header_lines) if (head := next(reader, None)) is not None]
    if not heads:
        return
    yield heads[0] if len(heads) == 1 else joined(heads)
    for _ in range(layout.skip_after_header):
        next(reader, None)
    yield from reader


def joined(heads: Sequence[Sequence[str]]) -> list[str]:
    """One header of several lines: what stands in a column one below the other, joined by blanks where it differs.

    Above the last line a cell without anything has what stands to the left of it: so cells that were merged are exported.
    """
    width, columns = max(map(len, heads)), list[list[str]]()
    lines = [[cell.strip() for cell in head] + [""] * (width - len(head)) for head in heads]
    for line in lines[:-1]:
        for n in range(1, width):
            line[n] = line[n] or line[n - 1]
    for n in range(width):
        columns.append(list(dict.fromkeys(line[n] for line in lines if line[n])))
    return [" ".join(column) for column in columns]


class _Counted:
    """Lines of a text, and how many letters of it they are."""

    def __init__(self, text: str):
        self._lines, self.letters = io.StringIO(text, newline=""), 0

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.letters += len(line)
        return line


def _top(path: Path, contract: SourceContract, name: str) -> tuple[bytes, int]:
    """The header as it is to stand in the file, and the byte at which its records begin."""
    layout = contract.layout
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as handle:
        text = handle.read(HEADER_LETTERS)
        whole = not handle.read(1)
    lines = _Counted(text)
    for _ in range(layout.header_row - layout.header_lines):
        next(lines, None)
    above = lines.letters
    delimiter, quote = contract.delimiter, contract.quote or None
    reader = csv.reader(lines, delimiter=delimiter, quotechar=quote)
    try:
        heads = [head for _ in range(layout.header_lines) if (head := next(reader, None)) is not None]
        below = lines.letters
        for _ in range(layout.skip_after_header):
            next(reader, None)
    except csv.Error as error:
        raise StructureError("refusal.no_header", file=name, error=str(error), contract=contract.id) from error
    if len(heads) < layout.header_lines:
        raise StructureError("refusal.no_header_row", file=name, row=layout.header_row, contract=contract.id)
    if lines.letters == len(text) and not whole:
        raise StructureError("refusal.first_line_too_long", file=name, most=HEADER_LETTERS, contract=contract.id)
    header = text[above:below]
    if len(heads) > 1:
        written = io.StringIO()
        csv.writer(written, lineterminator="\n", delimiter=delimiter, quotechar=quote).writerow(joined(heads))
        header = written.getvalue()
    elif not header.endswith(("\n", "\r")):
        header += "\n"
    return _bytes(header), len(_bytes(text[: lines.letters]))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


# --- what stands below the records ---


@dataclass(frozen=True)
class _Footer:
    """Where the records end: the byte, the line, the word that it begins with; and the last line of the file."""

    at: int
    line: int
    word: str
    last: int = 0

    def told(self, name: str) -> Message:
        return {"code": "finding.footer", "file": name, "word": self.word, "first": self.line, "last": self.last}


def begins_with(cells: Sequence[str | None], words: Sequence[str]) -> str:
    """The word with which a line begins, in its first cell that has anything; large and small letters are alike."""
    first = next((text for cell in cells if (text := (cell or "").strip(BLANKS))), "").casefold()
    return next((word for word in words if first.startswith(word.casefold())), "")


def _footer(path: Path, start: int, contract: SourceContract, name: str) -> _Footer | None:
    """Where the records end, if there is anything below them. Raises StructureError if there seem to be records too."""
    footer = _found(path, start, contract)
    if footer is None:
        return None
    with path.open("rb") as handle:
        handle.seek(max(start, footer.at - _BELOW))
        before = handle.read(footer.at - handle.tell())
        below = handle.read(_BELOW + 1)
    records = _cells(before, contract)[-_RECORDS:]
    least = min((_filled(one) for one in records if _filled(one)), default=2)
    after = _cells(below, contract)
    number = next(
        (
            n
            for n, one in enumerate(after)
            if _filled(one) >= max(least, 2) and not begins_with(one, contract.layout.footer)
        ),
        None,
    )
    if number is not None or len(below) > _BELOW:
        line = footer.line + (number or 0)
        said = {"file": name, "word": footer.word, "line": footer.line, "record": line, "contract": contract.id}
        raise StructureError("refusal.records_below_footer", **said)
    return _Footer(footer.at, footer.line, footer.word, footer.line + max(_lines(below.rstrip(b"\r\n")), 0))


def _cells(text: bytes, contract: SourceContract) -> list[list[str]]:
    lines = text.decode("utf-8", "replace").splitlines(keepends=True)
    try:
        return list(csv.reader(lines, delimiter=contract.delimiter, quotechar=contract.quote or None))
    except csv.Error:
        return []


def _filled(cells: Sequence[str]) -> int:
    return sum(bool(cell.strip(BLANKS)) for cell in cells)


def _found(path: Path, start: int, contract: SourceContract) -> _Footer | None:
    """The first line that begins with a word of the footer, and is not inside of a cell."""
    words = {
        w.encode(): word
        for word in contract.layout.footer
        for w in (word, word.upper(), word.lower(), word.capitalize())
    }
    quote = contract.quote.encode()
    with path.open("rb") as handle:
        line, quotes, at, rest = 1 + _lines(handle.read(start)), 0, start, b""
        while block := handle.read(_BLOCK):
            block = rest + block
            end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
            if (place := _in_block(block[:end], words, quotes, contract)) is not None:
                return _Footer(at + place[0], line + _lines(block[: place[0]]), place[1])
            line, at, rest = line + _lines(block[:end]), at + end, block[end:]
            quotes += block.count(quote, 0, end) if quote else 0
        place = _in_block(rest, words, quotes, contract)
        return _Footer(at + place[0], line, place[1]) if place else None


def _in_block(block: bytes, words: dict[bytes, str], quotes: int, contract: SourceContract) -> tuple[int, str] | None:
    """The byte of whole lines at which the first such line begins, and its word. `quotes`: how many stand before the block."""
    quote, nothing = contract.quote.encode(), BLANKS + contract.delimiter + contract.quote
    found = list[tuple[int, str]]()
    for letters, word in words.items():
        at = block.find(letters)
        while at >= 0:
            begin = max(block.rfind(b"\n", 0, at), block.rfind(b"\r", 0, at)) + 1
            alone = not block[begin:at].decode("utf-8", "replace").strip(nothing)
            if alone and not (quote and (quotes + block.count(quote, 0, begin)) % 2):
                found.append((begin, word))
                break
            at = block.find(letters, at + 1)
    return min(found, default=None)


def _lines(text: bytes) -> int:
    return text.count(b"\n") or text.count(b"\r")


def _copy(source: Any, sink: Any, size: int) -> None:
    while size > 0 and (block := source.read(min(_BLOCK, size))):
        sink.write(block)
        size -= len(block)
