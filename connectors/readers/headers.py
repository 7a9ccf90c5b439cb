"""A file's header, compared with the contract: in time that grows with its length alone, and with a short message however long it is.

Whoever reads a file as a whole refuses it by `StructureError`. Does not belong here: how bytes become text (decoding.py).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.safe_names import safe_header

HEADER_LETTERS = 1 << 20  # what is read of a file to find its header; our proposal, as the next
HEADER_CELLS = 5_000
_AT_FIRST = 1 << 13
_NAMES, _LETTERS = 10, 60  # names of a header shown in a message, letters of each


class StructureError(ValueError):
    """The file as a whole is not what the contract describes; the message names file, what is wrong and the remedy."""


def header_of(path: Path, contract: SourceContract, name: str) -> tuple[str, ...]:
    """The first record of a file in UTF-8. Raises StructureError if there is none, or none of a header's size."""
    for letters in (_AT_FIRST, HEADER_LETTERS):  # few headers are longer than the first
        with path.open(encoding="utf-8", errors="replace", newline="") as handle:
            head = handle.read(letters + 1)
        whole = len(head) <= letters
        if not whole and letters < HEADER_LETTERS and "\n" not in head and "\r" not in head:
            continue
        record, lines = _first_record(head[:letters], contract, name)
        if whole or lines != head[:letters]:
            break
    else:
        raise StructureError(
            f"{name}: its first line is longer than {HEADER_LETTERS:,} letters: are its line ends lost? or is it no text file? "
            f"deliver it as contract {contract.id} says"
        )
    if len(record) > HEADER_CELLS:
        lost = f"one line of {len(lines):,} letters and " if whole and lines == head else ""
        raise StructureError(
            f"{name}: {lost}{len(record):,} names in the header, of at most {HEADER_CELLS:,}: are its line ends lost? "
            f"deliver it with the columns of contract {contract.id}, a record to a line"
        )
    return tuple(cell.strip() for cell in record)


def _first_record(text: str, contract: SourceContract, name: str) -> tuple[list[str], str]:
    """The first record and the lines it is made of."""
    used: list[str] = []

    def lines() -> Iterable[str]:
        for line in io.StringIO(text, newline=""):
            used.append(line)
            yield line

    try:
        record = next(csv.reader(lines(), delimiter=contract.delimiter, quotechar=contract.quote or None), None)
    except csv.Error as error:
        raise StructureError(
            f"{name}: no header can be read ({error}); is it a text file? deliver it as contract {contract.id} says"
        ) from error
    if record is None:
        raise StructureError(f"{name}: the file is empty, not even a header; deliver it again")
    return record, "".join(used)


def check_header(header: tuple[str, ...], contract: SourceContract, name: str, path: Path | None = None) -> None:
    """Whether a header is the contract's; `path`: the file of text it stands in. Raises StructureError."""
    found = Counter(header)
    if len(header) > HEADER_CELLS:
        raise StructureError(f"{name}: it has {len(header):,} columns, of at most {HEADER_CELLS:,}")
    wanted = {*contract.headers}
    known = wanted | {c.header for c in contract.columns if c.header} | {*contract.personal_headers}
    missing = [h for h in contract.headers if h not in found]
    other = [h for h in header if h not in known] if contract.other_headers == "refuse" else []
    twice = sorted(h for h, times in found.items() if times > 1 and h in known)
    told = (("lacks", listed(missing)), ("has unknown", _unknown(header, other, known)), ("repeats", listed(twice)))
    problems = [f"{what} {names}" for what, names in told if names]
    if not problems:
        return
    one_line = _letters_of_one_line(path) if path else 0
    if one_line and len(header) >= 2 * len(wanted) > 2:
        hint = f"; it is one line of {one_line:,} letters: are its line ends lost?"
    elif len(header) > 1 or len(wanted) == 1:
        hint = ""
    else:
        hint = f"; is the delimiter really {contract.delimiter!r}?"
    raise StructureError(
        f"{name}: the header {' and '.join(problems)}{hint}; deliver it with the columns of contract {contract.id} "
        "or mend the contract"
    )


def _unknown(header: tuple[str, ...], other: list[str], known: Collection[str]) -> str:
    """Names that nobody declared; of a file without a header they are data."""
    places = {h: n for n, h in reversed(list(enumerate(header, 1)))}
    shown = [safe_header(places[h], h, known) for h in other[:_NAMES]]
    return listed([*shown, *other[_NAMES:]])


def _letters_of_one_line(path: Path) -> int:
    """How many letters a file has if it is one line, else 0. Looks at no more of it than is read for its header."""
    with path.open(encoding="utf-8", errors="replace", newline="") as handle:
        head = handle.read(HEADER_LETTERS + 1)
    plain = head.rstrip("\r\n")
    return 0 if len(head) > HEADER_LETTERS or "\n" in plain or "\r" in plain else len(plain)


def listed(names: Iterable[str]) -> str:
    """The first names of many, each cut to what can be read, and how many more there are."""
    every = list(names)
    shown = [name if len(name) <= _LETTERS else f"{name[:_LETTERS]}…" for name in every[:_NAMES]]
    more = f" and {len(every) - _NAMES:,} more" if len(every) > _NAMES else ""
    return ", ".join(shown) + more
