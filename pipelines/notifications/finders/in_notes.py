"""Commands that failed and what the last verification found, by the notes that commands leave (notifications/notes.py)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from connectors.personal_data.detection import harmless
from pipelines.notifications import notes
from pipelines.notifications.finders.look import Look
from pipelines.notifications.trouble import Found, Kind, Trouble, command, digest, quoted
from warehouse.home.home import Home
from warehouse.store.differences import Difference

_EXPORTS, _UNOPENED = 7, "the released file cannot be opened"  # what verify.py establishes by that number, and says
_FAULT = re.compile(r"(?P<kind>\w+): (?P<said>.*)(?P<rest>; this is a fault of qala, please report it.*)", re.DOTALL)


def failed_commands(look: Look) -> Found:
    """The same failure again is the same trouble, until the command does well."""
    return {
        f"command/{one['command']}/{digest(re.sub('[0-9]+', '#', str(one['said'])))}": partial(
            _failed, look, str(one["command"]), str(one["said"]), str(one["when"])
        )
        for one in notes.failed_commands(look.home)
    }


def verification(look: Look) -> Found:
    """What `qala verify` found when it ran last."""
    note = notes.verified(look.home)
    when, differences = str(note.get("when", "")), note.get("differences", ())
    # a file that was changed is found again where its rows are compared, or when it is opened
    files = {str(one["said"]).split()[0] for one in differences if one["number"] == 1}
    differences = [one for one in differences if not (one["number"] == _EXPORTS and _file(one) in files)]
    unopened = [one for one in differences if str(one["said"]).startswith(_UNOPENED)]
    if any(one["number"] == 1 and one not in unopened for one in differences):
        differences = [one for one in differences if one not in unopened]
    return {
        key_of(str(one["kind"]), str(one["subject"]), str(one["said"])): partial(
            not_as_recorded, look.home, int(one["number"]), f"{one['subject']}: {one['said']}", when
        )
        for one in differences
    }


def _file(one: Mapping[str, Any]) -> str:
    return str(one["said"]).split()[0].rstrip(":")


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


def _failed(look: Look, name: str, said: str, when: str) -> Trouble | None:
    """None: it failed by a file that is told as what is wrong."""
    if any(cause in said for cause in look.causes):
        return None
    if fault := _FAULT.fullmatch(said):  # of no sentence of ours: what it quotes may be a cell
        said = f"{fault['kind']}: {harmless(fault['said'])}{fault['rest']}"
    message = {"code": "notification.command", "command": f"qala {name}", "reason": quoted(said)}
    return Trouble(Kind.COMMAND, message, "", command(look.home, name), when)
