"""Pages of docs/ that are run as they stand: their commands and edits as one script for bash.

A page's blocks mean: `sh` commands to run; `sh fails` commands of which the last must fail; `diff` an edit: after `--- FILE`, lines with `-` are
replaced by the lines with `+` that follow them, and must stand there, one after the other; `text` lines that the commands before have said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    kind: str  # sh, diff, text
    fails: bool
    text: str


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return [Block(kind, "fails" in more, text) for kind, more, text in found]


def edits(diff: str) -> Iterator[tuple[str, str, str]]:
    """(file, former lines, new lines) of a diff block; `@@` parts edits that follow each other."""
    file, former, new = "", list[str](), list[str]()
    for line in [*diff.splitlines(keepends=True), "@@"]:
        if former and (line.startswith(("@@", "--- ")) or (line.startswith("-") and new)):
            yield file, "".join(former), "".join(new)
            former, new = [], []
        if line.startswith("--- "):
            file = line[4:].strip()
        elif line.startswith("-"):
            former.append(line[1:])
        elif line.startswith("+"):
            assert former, f"nothing is said of where {line!r} goes"
            new.append(line[1:])


def apply(diff: str, folder: Path) -> None:
    """Make the edits of a diff block in a folder; what is replaced must stand there."""
    for file, former, new in edits(diff):
        path = folder / file
        text = path.read_text(encoding="utf-8")
        assert former in text, f"{file} does not have what the page replaces:\n{former}"
        path.write_text(text.replace(former, new, 1), encoding="utf-8")
