"""When a source was asked last for each extract, and what came of it: `<home>/pulls/<source>.json`.

A pull that finds nothing new makes no delivery, so that the ledger does not know of it; without these notes it could not be told from a
source that nobody asked. They may be lost: then nothing is known of the last look, and of deliveries everything. Does not belong here:
where the next pull begins, which follows from the deliveries (regulation.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from filelock import FileLock, Timeout

from connectors.archive.atomic_files import sweep, write_whole
from warehouse.home.home import Home
from warehouse.moments import at


class PullBusyError(RuntimeError):
    """Another process pulls this source."""


@dataclass(frozen=True)
class Note:
    """The last look at one extract of one settlement. `looked`: the last one without an error."""

    looked: str | None  # ISO 8601, UTC
    outcome: str
    period: str
    said: str


def key_of(table: str, system: str, scope: str) -> str:
    return f"{table} {system} {scope}"


def read_notes(home: Home, source: str) -> dict[str, Note]:
    """By `key_of`. What cannot be read is as if it were not there."""
    try:
        content = json.loads((home.pulls / f"{source}.json").read_text(encoding="utf-8"))
        return {key: Note(**one) for key, one in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_notes(home: Home, source: str, notes: dict[str, Note]) -> None:
    content = json.dumps({key: asdict(one) for key, one in sorted(notes.items())}, ensure_ascii=False, indent=1)
    write_whole(home.pulls / f"{source}.json", content.encode())
    at("pull.noted")


@contextmanager
def one_at_a_time(home: Home, source: str) -> Iterator[None]:
    """Raises PullBusyError while another process pulls the source."""
    home.pulls.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(home.pulls / f".{source}.lock", timeout=0):
            sweep(home.pulls, ".tmp*")
            yield
    except Timeout:
        raise PullBusyError(f"source {source}: another process is pulling it just now; it is left to that") from None
