"""Something that is wrong in a home: what it is called through time, how grave it is, what is said of it and what to do.

Does not belong here: finding it (finders/), wording (composing.py).
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from connectors.personal_data.detection import scrubbed
from warehouse.home.home import Home
from warehouse.messages.messages import Message

_LONGEST = 400  # letters of a text that is quoted


class Severity(StrEnum):
    """How grave something is."""

    WARNING = "warning"  # for people to look at
    ERROR = "error"  # something did not happen that should have, or is not as it was


class Kind(StrEnum):
    """What can be told; in a message they follow each other like this."""

    VERIFICATION = "verification"  # something is not as it was recorded or published
    RUN = "run"  # a run in Dagster failed
    COMMAND = "command"  # a command failed
    RELEASE = "release"  # what was loaded or computed is not published, or the release cannot be read
    REFUSAL = "refusal"  # a delivery was refused
    DROP = "drop"  # a drop was turned away at the inbox, or a receipt cannot be read
    PULL = "pull"  # a source did not give what it should
    DOCUMENT = "document"  # a contract, correction, catalogue or settings file is at fault
    DISK = "disk"  # little room is left
    CHANNEL = "channel"  # a channel of notification itself fails
    INCIDENT = "incident"  # of data quality; a reconciliation that differs is one
    OVERDUE = "overdue"  # an extract did not come in time

    @property
    def severity(self) -> Severity:
        return Severity.WARNING if self in (Kind.INCIDENT, Kind.OVERDUE) else Severity.ERROR


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong. `said`: without its place, so that what is alike in many places is told once; `do`: a command to type."""

    kind: Kind
    said: Message
    where: Message | str
    do: str = ""
    since: str = ""  # ISO 8601, UTC, where it is known


# what is wrong by a key that stays the same as long as it is so, worded when it is new (None: another trouble tells it); None for all of it:
# it cannot be known just now, or is as it was
Found = Mapping[str, Callable[[], Trouble | None]] | None


def digest(text: str) -> str:
    """A few letters in place of a text, for a key."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def quoted(text: str) -> str:
    """What another part of qala, or a server, said, as a message may have it: without what gives a person away, of a bearable length."""
    text = " ".join(scrubbed(text, sure=True).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def command(home: Home, words: str) -> str:
    """A command with its home: who reads a message sits elsewhere."""
    return f"qala {words} --home {shlex.quote(str(home.root))}"
