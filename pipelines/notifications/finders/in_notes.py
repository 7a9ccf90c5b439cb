"""Commands that failed and what the last verification found, by the notes that commands leave (notifications/notes.py)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

from connectors.personal_data.detection import harmless
from pipelines.notifications import notes
from pipelines.notifications.finders.look import Look
from pipelines.notifications.trouble import Found, Kind, Trouble, command, digest, quoted
from warehouse.home.home import Home
from warehouse.store.differences import Difference

_FAULT = re.compile(r"(?P<kind>\w+): (?P<said>.*)(?P<rest>; this is a fault of qala, please report it.*)", re.DOTALL)


def failed_commands(look: Look) -> Found:
    """The same failure again is the same trouble, until the command does well."""
    return {
        f"command/{one['command']}/{digest(re.sub('[0-9]+', '#', str(one['said'])))}": partial(
            _failed, look.home, str(one["command"]), str(one["said"]), str(one["when"])
        )
        for one in notes.failed_commands(look.home)
    }


def verification(look: Look) -> Found:
    """What `qala verify` found when it ran last."""
    note = notes.verified(look.home)
    when = str(note.get("when", ""))
    return {
        key_of(str(one["kind"]), str(one["subject"]), str(one["said"])): partial(
            not_as_recorded, look.home, int(one["number"]), f"{one['subject']}: {one['said']}", when
        )
        for one in note.get("differences", ())
    }


def touched(home: Home, found: Iterable[Difference], when: str) -> Found:
    """Differences as troubles, under the keys that a verification gives them too."""
    return {
        key_of(str(one.kind), one.subject, one.message): partial(
            not_as_recorded, home, one.kind.number, f"{one.subject}: {one.message}", when
        )
        for one in found
    }


def key_of(kind: str, subject: str, said: str) -> str:
    return f"verification/{kind}/{digest(f'{subject} {said}')}"


def not_as_recorded(home: Home, number: int, said: str, when: str) -> Trouble:
    return Trouble(
        Kind.VERIFICATION, {"code": f"notification.point.{number}"}, quoted(said), command(home, "verify"), when
    )


def _failed(home: Home, name: str, said: str, when: str) -> Trouble:
    if fault := _FAULT.fullmatch(said):  # of no sentence of ours: what it quotes may be a cell
        said = f"{fault['kind']}: {harmless(fault['said'])}{fault['rest']}"
    message = {"code": "notification.command", "command": f"qala {name}", "reason": quoted(said)}
    return Trouble(Kind.COMMAND, message, "", command(home, name), when)
