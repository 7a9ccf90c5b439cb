"""A file's header, compared with the contract: in time that grows with its length alone, and with a short message however long it is.

Whoever reads a file as a whole refuses it by `StructureError`. Does not belong here: how bytes become text (decoding.py).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.safe_names import safe_header
from warehouse.messages.messages import Message, MessageError, and_more

HEADER_LETTERS = 1 << 20  # what is read of a file to find its header; our proposal, as the next
HEADER_CELLS = 5_000
HEADER = "refusal.header"  # code of the refusal of a header that is not the contract's
_AT_FIRST = 1 << 13
_NAMES, _LETTERS = 10, 60  # names of a header shown in a message, letters of each


class StructureError(MessageError, ValueError):
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
        raise StructureError("refusal.first_line_too_long", file=name, most=HEADER_LETTERS, contract=contract.id)
    if len(record) > HEADER_CELLS:
        wide = {"file": name, "names": len(record), "most": HEADER_CELLS, "contract": contract.id}
        if whole and lines == head:
            raise StructureError("refusal.one_line", **wide, letters=len(lines))
        raise StructureError("refusal.header_too_wide", **wide)
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
        raise StructureError("refusal.no_header", file=name, error=str(error), contract=contract.id) from error
    if record is None:
        raise StructureError("refusal.empty_file", file=name)
    return record, "".join(used)


def check_header(header: tuple[str, ...], contract: SourceContract, name: str, path: Path | None = None) -> None:
    """Whether a header is the contract's; `path`: the file of text it stands in. Raises StructureError."""
    found = Counter(header)
    if len(header) > HEADER_CELLS:
        raise StructureError("refusal.too_many_columns", file=name, columns=len(header), most=HEADER_CELLS)
    wanted = {*contract.headers}
    known = {*contract.read_from(header), *contract.personal_headers}
    missing = [h for h in contract.headers if h not in found]
    other = [h for h in header if h not in known] if contract.other_headers == "refuse" else []
    twice = sorted(h for h, times in found.items() if times > 1 and h in known)
    found_out = (("lacks", listed(missing)), ("unknown", _unknown(header, other, known)), ("repeats", listed(twice)))
    problems: list[Message] = [{"code": f"header.{what}", "names": names} for what, names in found_out if names]
    problems += _problems_of_shape(found, contract)
    if not problems:
        return
    one_line = _letters_of_one_line(path) if path else 0
    if one_line and len(header) >= 2 * len(wanted) > 2:
        hint: Message | str = {"code": "header.one_line", "letters": one_line}
    elif len(header) > 1 and len(set(header)) == 1:
        hint = {"code": "header.title"}
    elif len(header) > 1 or len(wanted) == 1:
        hint = ""
    else:
        hint = {"code": "header.delimiter", "delimiter": repr(contract.delimiter)[1:-1]}
    raise StructureError(HEADER, file=name, problems=problems, hint=hint, contract=contract.id)


def _problems_of_shape(found: Collection[str], contract: SourceContract) -> list[Message]:
    """Headers that the contract gives a meaning of its own, and a pattern that finds no columns or two of one label."""
    taken = sorted({*contract.shape.made, *contract.constants} & {*found})
    problems: list[Message] = [{"code": "header.taken", "names": listed(taken)}] if taken else []
    unpivot = contract.shape.unpivot
    if unpivot and unpivot.pattern:
        labels = Counter(unpivot.labels(tuple(found)).values())
        if not labels:
            problems.append({"code": "header.no_column", "pattern": unpivot.pattern})
        if twice := sorted(label for label, times in labels.items() if times > 1):
            problems.append({"code": "header.one_label", "names": listed(twice)})
    return problems


def _unknown(header: tuple[str, ...], other: list[str], known: Collection[str]) -> Any:
    """Names that nobody declared; of a file without a header they are data."""
    places = {h: n for n, h in reversed(list(enumerate(header, 1)))}
    names = list(dict.fromkeys(other))
    shown = [safe_header(places[h], h, known) for h in names[:_NAMES]]
    return and_more([_cut(name) for name in shown], len(names) - _NAMES)


def _letters_of_one_line(path: Path) -> int:
    """How many letters a file has if it is one line, else 0. Looks at no more of it than is read for its header."""
    with path.open(encoding="utf-8", errors="replace", newline="") as handle:
        head = handle.read(HEADER_LETTERS + 1)
    plain = head.rstrip("\r\n")
    return 0 if len(head) > HEADER_LETTERS or "\n" in plain or "\r" in plain else len(plain)


def listed(names: Iterable[str]) -> Any:
    """The first names of many as a part of a message, each cut to what can be read, and how many more there are."""
    every = list(names)
    return and_more([_cut(name) for name in every[:_NAMES]], len(every) - _NAMES)


def _cut(name: Any) -> Any:
    return f"{name[:_LETTERS]}…" if isinstance(name, str) and len(name) > _LETTERS else name
