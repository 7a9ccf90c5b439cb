"""Incidents that are open and refusals that stand, by the warehouse or, while a run holds it, by the release; and what is not released.

Values of rejected rows are never read here: what is told is the rule, the table, the place and counts. Does not belong here: how
the release itself is (in_release.py).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import duckdb

from connectors.personal_data.detection import scrubbed
from connectors.sources.pull import Known
from pipelines.notifications.finders.look import Look, signature
from pipelines.notifications.trouble import Found, Kind, Trouble, command, quoted
from warehouse.audit.refusals import Refused, refused_deliveries
from warehouse.errors import BusyError, StoreError
from warehouse.loading.pulls import known_receipts, pulled_deliveries
from warehouse.messages.messages import LANGUAGES, embedded, messages_of, rendered
from warehouse.store.sessions import looking, reading
from warehouse.store.store import Store
from warehouse.store.succession import released_here

_BEHIND = dt.timedelta(minutes=30)  # for which something may be loaded and not released, with no run going on
_COUNT = re.compile(r"[-+\d.,:/%=– ]*")
_BY_RULE = "refusal.rule"


def in_warehouse(look: Look) -> Found:
    """Incidents and refusals; fills `look.known` and `look.busy`."""
    home = look.home
    if not home.warehouse.exists():
        look.known = Known()
        if not home.released_file.exists():
            return {}
        return {"warehouse/gone": partial(_unreadable, look, f"{home.warehouse.name} is gone")}
    sign = signature([home.warehouse, home.warehouse.with_name(f"{home.warehouse.name}.wal")])
    if look.seen.get("warehouse") == sign and not _has_sources(look):
        return None
    try:
        with looking(home) as store:
            found = _found(look, store)
            look.seen["unreleased"] = _unreleased(store)
            look.seen["seq"] = str(store.last_seq)
    except BusyError:
        look.busy = True
        return _in_release(look)
    except StoreError as error:
        return {"warehouse/unreadable": partial(_unreadable, look, str(error))}
    except duckdb.Error:  # made by another version: the next run fits it
        return None
    look.seen["warehouse"] = sign
    return found


def unreleased(look: Look) -> Found:
    """What was loaded or computed and not released for some time, with no run going on and no failed one that would tell of it."""
    if look.busy or look.failed:
        return None
    released, _, since = look.seen.get("unreleased", "").partition(" ")
    if not since or look.now - (when := dt.datetime.fromisoformat(since)) < _BEHIND:
        return {}
    said = {"code": "notification.unreleased", "when": f"{when:%Y-%m-%d %H:%M}"}
    trouble = Trouble(Kind.RELEASE, said, "", command(look.home, "run"), since)
    return {f"unreleased/{released}": lambda: trouble}


def _has_sources(look: Look) -> bool:
    return any(look.home.sources.glob("*.yaml"))


def _unreadable(look: Look, reason: str) -> Trouble:
    said = {"code": "notification.warehouse", "reason": quoted(reason)}
    return Trouble(Kind.RELEASE, said, "", command(look.home, "status"), look.now.isoformat())


def _in_release(look: Look) -> Found:
    """As the release has it, unless the warehouse was seen in a later state."""
    try:
        with reading(look.home) as store:
            found = _found(look, store)
            return found if store.last_seq >= int(look.seen.get("seq", "0")) else None
    except (StoreError, duckdb.Error):
        return None


def _found(look: Look, store: Store) -> dict[str, Callable[[], Trouble]]:
    look.known = Known(pulled_deliveries(store), known_receipts(store))
    open_now = store.select(
        "SELECT incident_id, delivery_id, table_name, system, scope, period_id, rule, criterion, observed, expected, "
        "epoch_us(opened_at) AS opened FROM audit.incident WHERE closed_seq IS NULL AND NOT EXISTS (SELECT 1 FROM audit.delivery AS one "
        "WHERE one.delivery_id = incident.delivery_id AND one.state = 'refused') ORDER BY incident_id"  # it is told as refused
    )
    found: dict[str, Callable[[], Trouble]] = {
        f"incident/{one['incident_id']}-{one['delivery_id']}": partial(_incident, look, one) for one in open_now
    }
    standing = [one for one in refused_deliveries(store) if one.stands]
    return found | {f"refusal/{one.delivery_id}": partial(_refusal, look, one) for one in reversed(standing)}


def _incident(look: Look, one: Mapping[str, Any]) -> Trouble:
    names, table, known = look.names, one["table_name"], _known_words(look, one["table_name"])
    said = {
        "code": "notification.incident",
        "table": names.table(table),
        "rule": _rule(look, table, one["rule"], embedded(one["expected"] or "")),
        "observed": _counted(str(one["observed"]), known),
        "criterion": {"code": f"criterion.{one['criterion']}"},
        "kpis": names.kpis(table),
    }
    where = {
        "code": "notification.of_incident",
        "incident": str(one["incident_id"]),
        "place": names.place(one["scope"]),
        "period": one["period_id"],
        "system": one["system"],
        "delivery": str(one["delivery_id"]),
    }
    opened = dt.datetime.fromtimestamp(one["opened"] / 1e6, dt.UTC)
    return Trouble(Kind.INCIDENT, said, where, command(look.home, "incidents"), opened.isoformat())


def _refusal(look: Look, one: Refused) -> Trouble:
    names, table = look.names, one.table_name
    first = (messages_of(one.reason) or [{}])[0]
    said: dict[str, Any] = {"table": names.table(table), "kpis": names.kpis(table)}
    if first.get("code") == _BY_RULE:
        said |= {
            "code": "notification.refusal_by_rule",
            "rule": _rule(look, table, str(first["rule"]), first["expected"]),
            "observed": first["observed"] if _counts(first["observed"], _known_words(look, table)) else _HIDDEN,
        }
    else:
        reason = {language: quoted(str(rendered(one.reason, language))) for language in LANGUAGES}
        said |= {"code": "notification.refusal", "reason": reason if first else _HIDDEN}
    where = {
        "code": "notification.of_delivery",
        "delivery": str(one.delivery_id),
        "place": names.place(one.scope),
        "period": one.period_id,
        "system": one.system,
    }
    return Trouble(
        Kind.REFUSAL, said, where, command(look.home, f"refusals --table {table}"), one.refused_at.isoformat()
    )


_HIDDEN = {"code": "notification.not_shown"}


def _rule(look: Look, table: str, rule: str, expected: Any) -> Any:
    """What must hold, in three languages: as the table's contract says it, else as it was recorded if that holds no value, else its name."""
    contract = look.names.tables.get(table)
    of_contract = next((r for r in contract.all_rules if r.id == rule), None) if contract else None
    if of_contract is not None:
        return {language: of_contract.description(language) for language in LANGUAGES}
    return expected if not isinstance(expected, str) and _counts(expected, _known_words(look, table)) else rule


def _counted(recorded: str, known: Collection[str]) -> Any:
    """What was found, if it is counts and names that the contract knows."""
    part = embedded(recorded)
    return part if not isinstance(part, str) and _counts(part, known) else _HIDDEN


def _counts(part: Any, known: Collection[str]) -> bool:
    """Whether a part of a message holds no value of a cell: only numbers, days and names that are known."""
    if isinstance(part, Mapping):
        return "code" not in part or all(_counts(value, known) for name, value in part.items() if name != "code")
    if isinstance(part, Sequence) and not isinstance(part, str):
        return all(_counts(one, known) for one in part)
    if isinstance(part, str):
        return part in known or (bool(_COUNT.fullmatch(part)) and len(part) <= 40 and scrubbed(part) == part)
    return True


def _known_words(look: Look, table: str) -> set[str]:
    """Names of a table, its columns and rules, and of tables it refers to."""
    contract = look.names.tables.get(table)
    if contract is None:
        return {table}
    return {table, *(c.name for c in contract.columns), *(r.id for r in contract.all_rules), *look.names.tables}


def _unreleased(store: Store) -> str:
    """The ledger sequence of the release, and when the newest entry that it does not hold was made, ISO 8601; empty: there is none."""
    try:
        seq = released_here(store.home, store.con)
    except StoreError:  # the release cannot be read, which in_release.py tells
        return ""
    sql = "SELECT max(epoch_us(recorded_at)) FROM audit.ledger WHERE seq > ? AND kind IN ('loaded', 'computed', 'assessed')"
    row = store.con.execute(sql, [seq]).fetchone()
    return f"{seq} {dt.datetime.fromtimestamp(row[0] / 1e6, dt.UTC).isoformat()}" if row and row[0] else ""
