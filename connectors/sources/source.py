"""What every kind of source does: it is asked for one extract and leaves its bytes in a folder, as received.

A kind is a module beside this one with settings of its own. It knows nothing of deliveries, receipts or the ledger: pull.py
makes one delivery of what was fetched, or of nothing. Does not belong here: how a system is spoken to (the kinds' modules).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from connectors.sources.settings import NUMBERS, Extract, Placeholder, Regulation, parts
from warehouse.periods import Period


class SourceError(RuntimeError):
    """A system did not give an extract: which source, which setting is concerned, what it said, and what to do.

    `passing`: it may go well when it is tried again (no connection, a time-out, a server that is busy). No secret is ever part of it.
    """

    def __init__(self, source: str, setting: str, said: str, remedy: str, *, passing: bool = False):
        self.source, self.setting, self.said, self.remedy, self.passing = source, setting, said, remedy, passing
        super().__init__(f"source {source}: {said} ({setting}); {remedy}")

    def __reduce__(self) -> tuple[Callable[..., SourceError], tuple[str, ...]]:
        return partial(SourceError, passing=self.passing), (self.source, self.setting, self.said, self.remedy)


@dataclass(frozen=True)
class Asked:
    """One extract that a source is asked for, and what the placeholders of its settings stand for.

    `place`: what the source calls the settlement. `since`: the newest value of the change attribute that was taken in, as text; None before
    the first pull and where the extract names no change attribute.
    """

    extract: Extract
    regulation: Regulation
    scope: str
    period: Period
    since: str | None = None

    @property
    def place(self) -> str:
        return self.extract.places[self.scope]

    def value(self, one: Placeholder) -> str:
        """What a placeholder stands for, as text: dates as 2026-03-01, a month as 03; {since} is empty before the first pull."""
        start, after = self.period.start, self.period.end
        dates = {"period_start": start, "period_end": after - dt.timedelta(days=1), "period_after": after}
        if one.name in dates:
            return dates[one.name].strftime(one.written or "%Y-%m-%d")
        if one.name in NUMBERS:
            number = {"year": start.year, "month": start.month, "quarter": (start.month + 2) // 3}[one.name]
            return f"{number:0{one.written or NUMBERS[one.name]}d}"
        texts = {"period": self.period.id, "settlement": self.scope, "place": self.place, "since": self.since or ""}
        return texts[one.name]

    def fill(self, text: str) -> str:
        """A text with its placeholders filled in. Not for SQL, which is given values apart (`parts`, `value`)."""
        return "".join(part if isinstance(part, str) else self.value(part) for part in parts(text))


@dataclass(frozen=True)
class Fetched:
    """Bytes as received, complete: their files in order. `until`: the newest value of the change attribute among them.

    `about`: what there is to say of several files together, without secrets, and the same whenever they are the same.
    """

    files: tuple[Path, ...]
    rows: int | None = None  # as the source itself says
    until: str | None = None
    sha256: str | None = None  # as a checksum file beside it says; already compared
    about: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """One system, with its settings. Nothing is connected before the first question."""

    def fetch(self, asked: Asked, folder: Path) -> Fetched | None:
        """Leave the bytes of an extract in `folder`; None: the system has none for it yet. Raises SourceError; then nothing counts."""

    def check(self) -> Sequence[str]:
        """Connect, and say what was found (server, user, what may be read). Raises SourceError."""
