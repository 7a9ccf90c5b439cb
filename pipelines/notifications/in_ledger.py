"""What was told stands in the ledger, entry `notified`: written when the warehouse is free; until then the message is kept in `sent/`.

Addresses of recipients do not stand there: the channel's name does. Does not belong here: sending.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pipelines.notifications import outbox
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.store.ledger import EntryKind
from warehouse.store.sessions import locked, opened


def enter(home: Home) -> int:
    """Enter what was sent, if the warehouse is free; returns how many messages. What cannot be entered now stays for the next pass."""
    waiting = outbox.sent(home)
    if not waiting or not home.warehouse.exists():
        return 0
    try:
        # as it is: a warehouse of another version is fitted by the next run
        with locked(home, 0), opened(home, fit=False) as store:
            rows = store.con.execute("SELECT subject FROM audit.ledger WHERE kind = ?", [EntryKind.NOTIFIED]).fetchall()
            entered = {str(subject) for (subject,) in rows}
            new = [one for _, one in waiting if one["id"] not in entered]
            with store.transaction():
                store.record([(EntryKind.NOTIFIED, str(one["id"]), _detail(one)) for one in new])
    except StoreError:
        return 0
    for path, _ in waiting:
        path.unlink(missing_ok=True)
    return len(new)


def _detail(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "channel": one["channel"],
        "language": one["language"],
        "made": one["made"],
        "sent": one.get("sent", ""),
        "answer": one.get("answer", ""),
        "tries": one["tries"],
        "troubles": one["keys"],
        "text_sha256": hashlib.sha256(str(one["text"]).encode()).hexdigest(),
        "given_up": len(one["lost"]),
    }
