"""What was last done about a home besides its runs, and when: `<home>/last/verified.json`, `<home>/last/backed-up.json`.

For who watches over the home; nothing is decided by it, and it may be lost. Does not belong here: what the ledger has.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from contextlib import suppress
from typing import Any

from warehouse.home.home import Home

_FOLDER = "last"


def note(home: Home, what: str, told: dict[str, int]) -> None:
    """Write down that something was done just now. Who may not write the home leaves no note."""
    content = json.dumps({"at": dt.datetime.now(dt.UTC).isoformat(), **told})
    path = home.root / _FOLDER / f"{what}.json"
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(mode=0o750, exist_ok=True)
        fresh.write_text(content, encoding="ascii")
        fresh.replace(path)


def noted(home: Home, what: str) -> dict[str, Any]:
    """The last note, its moment as `at` (an aware datetime); empty if there is none, or none that can be read."""
    try:
        told = json.loads((home.root / _FOLDER / f"{what}.json").read_text(encoding="ascii"))
        return {**told, "at": dt.datetime.fromisoformat(told["at"])}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
