"""What every kind of source does: it is asked for one extract and leaves its bytes in a folder, as received.

A kind is a module beside this one with settings of its own. It knows nothing of deliveries, receipts or the ledger: pull.py
makes one delivery of what was fetched, or of nothing. Does not belong here: how a system is spoken to (the kinds' modules).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from warehouse.periods import Period


class SourceError(RuntimeError):
    """A system did not give an extract: which source, which setting is concerned, what it said, and what to do.

    `passing`: it may go well when it is tried again (no connection, a time-out, a server that is busy). No secret is ever part of it.
    """

    def __init__(self, source: str, setting: str, said: str, remedy: str, *, passing: bool = False):
        self.source, self.setting, self.remedy, self.passing = source, setting, remedy, passing
        super().__init__(f"source {source}: {said} ({setting}); {remedy}")


@dataclass(frozen=True)
class Asked:
    """One extract that a source is asked for. `since`: the newest value of the change attribute that was taken in, as text."""

    table: str
    scope: str
    period: Period
    since: str | None = None


@dataclass(frozen=True)
class Fetched:
    """Bytes as received, complete: their files in order. `until`: the newest value of the change attribute among them."""

    files: tuple[Path, ...]
    rows: int | None = None  # as the source itself says
    until: str | None = None
    sha256: str | None = None  # as a checksum file beside it says; already compared


class Source(Protocol):
    """One system, with its settings. Nothing is connected before the first question."""

    def fetch(self, asked: Asked, folder: Path) -> Fetched | None:
        """Leave the bytes of an extract in `folder`; None: the system has none for it yet. Raises SourceError; then nothing counts."""

    def check(self) -> Sequence[str]:
        """Connect, and say what was found (server, user, what may be read). Raises SourceError."""
