"""The ledger as a log: each entry, once it is committed, is a record of the Python logger `qala.ledger`, which says nothing unless somebody listens.

A record carries what the entry says of table, delivery, settlement and period (as `record.qala`), never what rows hold. Does not belong here: how a
record is written (pipelines/structured_logs.py), what is entered (store.py).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from warehouse.messages.messages import said
from warehouse.store.ledger import EntryKind

_log = logging.getLogger("qala.ledger")
# what of an entry's detail a record has, under its name there
_SAME = ("table", "system", "period", "delivery_id", "bytes", "cells", "months")
_TOLD = {one: one for one in _SAME} | {
    "scope": "settlement",
    "received": "rows_received",
    "accepted": "rows_accepted",
    "rejected": "rows_rejected",
    "opened": "incidents_opened",
    "closed": "incidents_closed",
    "written": "cells_written",
    "restated": "cells_restated",
}


@dataclass(frozen=True)
class Entered:
    """An entry of the ledger. `detail`: as JSON."""

    seq: int
    kind: str  # an EntryKind
    subject: str
    run_id: str | None
    detail: str


_LEVELS: Mapping[str, int] = {EntryKind.REFUSED: logging.WARNING, EntryKind.SEALED: logging.DEBUG}


def wanted() -> bool:
    """Whether anybody listens."""
    return _log.isEnabledFor(logging.INFO)


def log(con: duckdb.DuckDBPyConnection, entries: Sequence[Entered]) -> None:
    """Log entries that were committed. Of a decided delivery its table, territory and period are looked up."""
    details = [json.loads(one.detail) for one in entries]
    numbers = ", ".join(str(int(one["delivery_id"])) for one in details if "delivery_id" in one)
    sql = f"SELECT delivery_id, table_name, system, scope, period_id FROM audit.delivery WHERE delivery_id IN ({numbers or 'NULL'})"
    known = {
        number: {"table": table, "system": system, "scope": scope, "period": period}
        for number, table, system, scope, period in con.execute(sql).fetchall()
    }
    for one, detail in zip(entries, details, strict=True):
        _log.log(
            _LEVELS.get(one.kind, logging.INFO),
            f"{one.kind} {one.subject}",
            extra={"qala": _fields(one, {**detail, **known.get(detail.get("delivery_id"), {})})},
        )


def _fields(one: Entered, detail: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: detail[key] for key, name in _TOLD.items() if detail.get(key) is not None}
    if one.kind in (EntryKind.REFUSED, EntryKind.DUPLICATE) and detail.get("reason"):
        own["reason"] = said(detail["reason"])
    return {"seq": one.seq, "run_id": one.run_id, **own}
