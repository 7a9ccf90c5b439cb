"""A source that gives what a test says, and fails in every way a test says: registered as the kind `fake`.

What there is lies in `World`; `register` makes the kind known for a test. Does not belong here: servers (the kinds' own tests).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

from connectors.sources import connections, settings
from connectors.sources.secrets import Reference, Secret, Secrets
from connectors.sources.settings import PeriodTemplate, Strict
from connectors.sources.source import Asked, Fetched, SourceError

WORD = "Tr0ub4dor&3/é"
VARIABLE = "QALA_TEST_SOURCE_PASSWORD"


class Settings(Strict):
    """A source of tests."""

    password: Reference


class Extract(settings.Extract):
    """Files by scope and period."""

    path: PeriodTemplate = "{period}.csv"


@dataclass
class World:
    """What the source has. `files`: by scope and period; `rows`: (change attribute, line) by scope, for extracts of what changed."""

    header: str = ""
    files: dict[tuple[str, str], tuple[bytes, ...]] = field(default_factory=dict)
    rows: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    failure: Callable[[str], Exception | None] = lambda _: None  # by what is asked: scope and period, or connect
    told_rows: int | None = None
    asked: list[Asked] = field(default_factory=list)


def register(patch: pytest.MonkeyPatch, world: World) -> None:
    """Make the kind known until the test ends."""
    module = ModuleType("connectors.sources.fake")

    def open_source(name: str, settings: Settings, secrets: Secrets) -> FakeSource:
        return FakeSource(name, world, secrets.read(settings.password, "connection.password"))

    module.__dict__.update(Settings=Settings, Extract=Extract, open_source=open_source)
    patch.setitem(sys.modules, "connectors.sources.fake", module)
    patch.setattr(connections, "KINDS", (*connections.KINDS, "fake"))
    patch.setenv(VARIABLE, WORD)


class FakeSource:
    """See connectors/sources/source.py."""

    def __init__(self, name: str, world: World, password: Secret):
        self.name, self.world, self.password = name, world, password

    def check(self) -> Sequence[str]:
        self._fail("connect")
        return ["it is there"]

    def fetch(self, asked: Asked, folder: Path) -> Fetched | None:
        self.world.asked.append(asked)
        self._fail("connect")
        if asked.extract.changed_by is not None:
            return self._changed(asked, folder)
        files = self.world.files.get((asked.scope, asked.period.id))
        if files is None:
            return None
        for number, content in enumerate(files):
            (folder / f"{number}.csv").write_bytes(content)
            self._fail(f"{asked.scope} {asked.period.id}")  # in the middle
        return Fetched(tuple(sorted(folder.iterdir())), rows=self.world.told_rows)

    def _changed(self, asked: Asked, folder: Path) -> Fetched | None:
        rows = [row for row in self.world.rows.get(asked.scope, ()) if asked.since is None or row[0] > asked.since]
        target = folder / "changes.csv"
        target.write_text("".join([self.world.header, *(line for _, line in rows)]))
        self._fail(asked.scope)
        return Fetched((target,), rows=len(rows), until=max((value for value, _ in rows), default=None))

    def _fail(self, what: str) -> None:
        if (error := self.world.failure(what)) is not None:
            raise error


def failures(name: str) -> list[Exception]:
    """Errors as sources raise them, each with the secret in it, as it is and as others write it."""
    return [
        SourceError(name, "connection.address", f"connection refused for user:{WORD}", "is it running?", passing=True),
        SourceError(name, "extracts.path", f"denied: {WORD!r}", f"try {WORD}"),
        OSError(110, f"timed out: https://u:{WORD}@host"),
        ValueError(f"cannot parse {WORD.encode()!r}"),
        KeyError(WORD),
    ]
