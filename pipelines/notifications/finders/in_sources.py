"""Sources that did not give what they should, and extracts that are overdue, by the notes of the last pulls and by what was delivered.

An extract whose pull failed or whose delivery was refused is not told as overdue too: why it is not there is told. Does not belong here: when
an extract is due (connectors/sources/regulation.py), asking sources.
"""

from __future__ import annotations

import re
from functools import partial
from zoneinfo import ZoneInfo

from connectors.sources.connections import Connected, load_connections
from connectors.sources.notes import Note, key_of, read_notes
from connectors.sources.pull import Outcome, Setting
from connectors.sources.settings import Extract
from pipelines.months import CIVIL_TIME
from pipelines.notifications.finders.look import Look
from pipelines.notifications.trouble import Found, Kind, Trouble, command, digest, quoted
from pipelines.source_pulls import ExtractStanding, Sources
from warehouse.loading.deliveries import DeliveryState


def failed_pulls(look: Look) -> Found:
    """Extracts whose last pull failed; another failure of the same one is told anew."""
    return {
        f"pull/{one.name}/{key}/{digest(re.sub('[0-9]+', '#', note.said))}": partial(
            _failed, look, one, extract, scope, note
        )
        for one in load_connections(look.home)[0].values()
        for notes in [read_notes(look.home, one.name)]
        for extract in one.extracts
        for scope in extract.places
        for key in [key_of(extract.table, extract.system, scope)]
        if (note := notes.get(key)) and note.outcome == Outcome.FAILED
    }


def overdue(look: Look) -> Found:
    """Extracts that did not come by the end of the delay that the regulation permits."""
    if look.known is None:
        return None
    connections, _ = load_connections(look.home)
    today = look.now.astimezone(ZoneInfo(CIVIL_TIME)).date()
    sources = Sources(connections, (), Setting(look.home, {}, {}, today), look.known)
    return {
        f"overdue/{one.source}/{key_of(one.extract.table, one.extract.system, one.scope)}/{one.standing.due}": partial(
            _overdue, look, one
        )
        for one in sources.standings()
        if one.standing.late_since is not None and not _told_otherwise(one)
    }


def _told_otherwise(one: ExtractStanding) -> bool:
    failed = one.note is not None and one.note.outcome == Outcome.FAILED
    return failed or (one.last is not None and one.last.state == DeliveryState.REFUSED)


def _failed(look: Look, connected: Connected, extract: Extract, scope: str, note: Note) -> Trouble:
    said = {
        "code": "notification.pull",
        "table": look.names.table(extract.table),
        "source": connected.name,
        "reason": quoted(note.said),
    }
    where = {"code": "notification.of_extract", "place": look.names.place(scope), "period": note.period}
    return Trouble(
        Kind.PULL, said, where, command(look.home, f"sources {connected.name} --check"), look.now.isoformat()
    )


def _overdue(look: Look, one: ExtractStanding) -> Trouble:
    said = {
        "code": "notification.overdue",
        "table": look.names.table(one.extract.table),
        "source": one.source,
        "due": str(one.standing.due),
    }
    since = str(one.standing.late_since)
    return Trouble(Kind.OVERDUE, said, look.names.place(one.scope), command(look.home, f"pull {one.source}"), since)
