"""How a first version is written: YAML with comments, TODOs where something is to be decided, and never over what is there."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kpi_definitions.documents import DocumentError, read

_WIDTH = 150


class FirstVersionError(ValueError):
    """Nothing was written; the message says why, and what to do instead."""


@dataclass(frozen=True)
class FirstVersion:
    """Texts of new files by path; additions: files that are there, each with its former text and its new one; what to do next, in order."""

    texts: Mapping[Path, str]
    steps: tuple[tuple[str, str], ...]  # a command, or a file to be opened, and why
    additions: Mapping[Path, tuple[str, str]] = field(default_factory=dict)

    def write(self) -> list[tuple[Path, int]]:
        """Write all, or nothing. Returns each file with the number of its TODOs.

        Raises FirstVersionError if a file is there already, or an addition does not fit.
        """
        for path in self.texts:
            if path.exists() or path.is_symlink():
                raise FirstVersionError(
                    f"{path} is there already, and nothing is overwritten: move it away, or choose another name"
                )
        with ExitStack() as stack:
            made = [
                (stack.enter_context(_beside(path, former, text)), path)
                for path, (former, text) in self.additions.items()
            ]
            for path, text in self.texts.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("x", encoding="utf-8") as file:
                    file.write(text)
            for new, path in made:
                new.replace(path)
        return [(path, len(read(path).undecided())) for path in (*self.texts, *self.additions)]


@contextmanager
def _beside(path: Path, former: str, text: str) -> Iterator[Path]:
    """A file's new text in a file beside it, read once: what it said before must still be there."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        if path.read_text(encoding="utf-8") != former:
            raise FirstVersionError(f"{path} was changed meanwhile; try again")
        read(new)
        yield new
    except DocumentError as error:
        raise FirstVersionError(f"{path}: what is to be added does not fit: {error}; write it by hand") from None
    finally:
        new.unlink(missing_ok=True)


def scalar(value: Any) -> str:
    """A value as YAML on one line, as it may stand inside {} and []."""
    text = yaml.safe_dump([value], allow_unicode=True, default_flow_style=True, width=1 << 20, sort_keys=False)
    return str(text).strip()[1:-1]


def todo(doubts: Iterable[str], indent: int = 0) -> str:
    """Comment lines, one TODO for each doubt; nothing without doubts. To be put before the line they are about."""
    return "".join(f"{' ' * indent}# TODO: {' '.join(doubt.split())}\n" for doubt in doubts)


def comment(text: str, indent: int = 0) -> str:
    """A comment of as many lines as it needs."""
    margin = f"{' ' * indent}# "
    return (
        textwrap.fill(
            text,
            _WIDTH,
            initial_indent=margin,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
        )
        + "\n"
    )
