"""What commands leave in a home for who tells people: that one failed, and what a verification found. A note stands until the command does well.

Written only where the home has a notifications.yaml; never a reason for a command to fail. Does not belong here: what failed in Dagster,
which Dagster knows, and what was refused, which the ledger knows.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.archive.atomic_files import write_whole
from warehouse.home.home import Home

if TYPE_CHECKING:
    from warehouse.store.differences import Difference

# commands that run by themselves, by a timer or a script: what else fails is seen by who typed it
WATCHED = frozenset(
    [
        "run",
        "reread",
        "pull",
        "reconcile",
        "verify",
        "reperform",
        "backup",
        "rebuild",
        "report",
        "publish",
        "contracts",
        "openlineage",
        "assess",
        "anchor",
    ]
)
_VERIFIED = "verification"


def note_command(home: Home, name: str, said: str | None) -> None:
    """How a command ended; `said`: the error, None if it did well."""
    if name in WATCHED:
        _keep(home, f"command-{name}", None if said is None else {"command": name, "said": said})


def note_verification(home: Home, found: Iterable[Difference]) -> None:
    """What `qala verify` found."""
    differences = [
        {"number": d.kind.number, "kind": str(d.kind), "subject": d.subject, "said": d.message} for d in found
    ]
    _keep(home, _VERIFIED, {"differences": differences} if differences else None)


def failed_commands(home: Home) -> Iterator[Mapping[str, Any]]:
    """The notes of commands that failed: command, said, when."""
    for path in sorted((home.notifications / "notes").glob("command-*.json")):
        if (note := _read(path)) is not None:
            yield note


def verified(home: Home) -> Mapping[str, Any]:
    """The note of the last verification that found something: differences, when; empty if it found nothing."""
    return _read(home.notifications / "notes" / f"{_VERIFIED}.json") or {}


def _keep(home: Home, name: str, content: Mapping[str, Any] | None) -> None:
    if not home.notification_settings.exists():
        return
    path = home.notifications / "notes" / f"{name}.json"
    with suppress(OSError):
        if content is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        note = {**content, "when": dt.datetime.now(dt.UTC).isoformat()}
        write_whole(path, json.dumps(note, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace"))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
