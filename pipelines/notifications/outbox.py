"""Messages on their way: `<home>/notifications/outbox/`, a file each until the server took it, then `sent/` until the ledger has it.

A message is on the disk before it is sent and keeps its number, so that one whose taking could not be written down any more goes again under the
same number: the receiver can tell. Does not belong here: the ledger (in_ledger.py), sending (webhook.py, mail.py).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from connectors.archive.atomic_files import put_in_place, sweep, write_whole
from pipelines.notifications.message import Message
from warehouse.home.home import Home


class NotifyingError(RuntimeError):
    """Another process tells what is wrong just now."""


@contextmanager
def one_at_a_time(home: Home) -> Iterator[None]:
    """Raises NotifyingError while another process makes a pass."""
    folder = home.notifications
    for name in ("outbox", "sent", "notes"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            for place in (folder, folder / "outbox", folder / "sent"):
                sweep(place, ".tmp*")
            yield
    except Timeout:
        raise NotifyingError("another process is telling what is wrong just now; it is left to that") from None


def keep(home: Home, message: Message) -> None:
    """Put a message into the outbox, or keep how sending it went."""
    write_whole(_path(home, message), json.dumps(asdict(message), ensure_ascii=False, indent=1).encode())


def waiting(home: Home) -> list[Message]:
    """The messages of the outbox, the oldest first. One that cannot be read any more is set aside, and told again."""
    found = []
    for path in sorted((home.notifications / "outbox").glob("*.json")):
        try:
            found.append(Message(**json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError):
            path.replace(path.with_suffix(".damaged"))
    return found


def taken(home: Home, message: Message, when: dt.datetime, answer: str) -> None:
    """A server took a message: in one step it leaves the outbox, then what the ledger is to have is written down."""
    path = _path(home, message)
    target = home.notifications / "sent" / path.name
    if path.exists():
        put_in_place(path, target)
    content = asdict(message) | {"sent": when.isoformat(), "answer": answer}
    write_whole(target, json.dumps(content, ensure_ascii=False, indent=1).encode())


def sent(home: Home) -> list[tuple[Path, dict[str, Any]]]:
    """What was sent and is not in the ledger yet, the oldest first: file, and the message with `sent` and `answer` where they are known."""
    return [
        (path, json.loads(path.read_text(encoding="utf-8")))
        for path in sorted((home.notifications / "sent").glob("*.json"))
    ]


def _path(home: Home, message: Message) -> Path:
    return home.notifications / "outbox" / f"{message.id}.json"
