"""YAML documents that remember on which line everything stands.

A definition or a contract is law-like text: a fault in it must name the file and the line. PyYAML's own
loader forgets lines and lets a repeated key silently win, so the node tree is read here instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

Where = tuple[str | int, ...]

_MOST, _DEEPEST = 100_000, 50  # nodes of a document, and one inside the other, with every alias written out

_TODO = re.compile(r"\bTODO\b[\s:]*(.*)")  # what a first version (`qala new`) leaves to be decided


@cache
def _loader() -> Any:
    """PyYAML's safe loader, the fast one where there is one; imported when the first text is read: most commands read none."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def loaded(text: str) -> Any:
    """What a YAML text of the package says, without the places of its faults (`read`), by the fast loader where there is one."""
    loader = _loader()(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


@dataclass(frozen=True, order=True)
class Fault:
    """One mistake in one file, with the line it stands on (from 1) and what to do about it."""

    path: Path
    line: int
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" + (f" — {self.remedy}" if self.remedy else "")


class DocumentError(ValueError):
    """One or more faults in definitions or contracts."""

    def __init__(self, faults: Iterable[Fault]):
        self.faults = sorted(set(faults))
        super().__init__("\n".join(map(str, self.faults)))

    def __reduce__(self) -> tuple[type[DocumentError], tuple[list[Fault]]]:
        return type(self), (self.faults,)


@dataclass(frozen=True)
class Document:
    """A YAML file's content and, for each place in it (path of keys and indexes), its line."""

    path: Path
    data: Any
    lines: dict[Where, int] = field(repr=False)
    todos: tuple[tuple[int, str], ...] = ()  # line and words of each TODO, in a value or a comment

    def line(self, where: Sequence[str | int]) -> int:
        """The line of `where`, or of its nearest existing parent (a missing key stands nowhere)."""
        spot = tuple(where)
        while spot and spot not in self.lines:
            spot = spot[:-1]
        return self.lines.get(spot, 1)

    def fault(self, where: Sequence[str | int], message: str, remedy: str = "") -> Fault:
        return Fault(self.path, self.line(where), message, remedy)

    def undecided(self) -> list[Fault]:
        """What a first version left to be decided: every line with the word TODO. Nothing is computed or taken in by such a document."""
        return [
            Fault(self.path, line, f"TODO: {text or 'not decided yet'}", "decide it, then take the word TODO out")
            for line, text in self.todos
        ]


def read(path: Path) -> Document:
    """Read one YAML file. Raises DocumentError on bad syntax, a repeated key, or a link: what it leads to could be any file."""
    if path.is_symlink():
        raise DocumentError([Fault(path, 1, "is a link: links are not followed", "put the file itself there")])
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DocumentError([Fault(path, line, "not UTF-8 text", "save the file as UTF-8")]) from error
    import yaml

    loader = _loader()(text)
    try:
        root = loader.get_single_node()
        lines: dict[Where, int] = {}
        faults: list[Fault] = []
        data = _build(loader, root, (), lines, faults, path) if root is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DocumentError([Fault(path, line, f"not valid YAML: {error.problem}", "mend the syntax")]) from error
    except RecursionError as error:
        raise DocumentError([Fault(path, 1, "is nested too deeply", f"nest at most {_DEEPEST} deep")]) from error
    finally:
        loader.dispose()
    if faults:
        raise DocumentError(faults)
    todos = (
        (n, found[1].strip(" '\"}]")) for n, line in enumerate(text.splitlines(), 1) if (found := _TODO.search(line))
    )
    return Document(path, data, lines, tuple(todos))


def _build(loader: Any, node: Any, where: Where, lines: dict[Where, int], faults: list[Fault], path: Path) -> Any:
    line = node.start_mark.line + 1
    if len(where) > _DEEPEST or len(lines) > _MOST:
        # an alias that holds others, or itself, is written out here: nine lines make a thousand million nodes
        message = (
            "is nested too deeply" if len(where) > _DEEPEST else f"makes more than {_MOST:,} entries of its aliases"
        )
        raise DocumentError([Fault(path, line, message, "write it out without aliases (&, *)")])
    lines[where] = line
    if node.id == "mapping":
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.id != "scalar":
                faults.append(Fault(path, line, "a key must be a word, not a list or a mapping", "mend the syntax"))
                continue
            key = _scalar(loader, key_node, faults, path)
            if key in result:
                faults.append(Fault(path, line, f"key {key!r} is given twice", "keep one of them"))
            result[key] = _build(loader, value_node, (*where, key), lines, faults, path)
            lines[(*where, key)] = line
        return result
    if node.id == "sequence":
        return [_build(loader, child, (*where, i), lines, faults, path) for i, child in enumerate(node.value)]
    return _scalar(loader, node, faults, path)


def _scalar(loader: Any, node: Any, faults: list[Fault], path: Path) -> Any:
    try:
        return loader.construct_object(node, deep=True)
    except ValueError as error:  # 2026-02-30 looks like a date and is none
        faults.append(Fault(path, node.start_mark.line + 1, f"{node.value!r}: {error}", "mend the value"))
        return None
