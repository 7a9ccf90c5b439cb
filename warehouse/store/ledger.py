"""The ledger as a chain (adr/0014): each row is hashed with the hash of the row before it.

Does not belong here: which rows are appended (store.py), whether the chain still holds (recorded.py).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import duckdb

GENESIS_HASH = "0" * 64  # the hash before the first ledger row
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class EntryKind(StrEnum):
    """Kinds of ledger entries: audit.ledger.kind."""

    # of deliveries; the subject is the receipt
    RECEIVED = "received"
    LOADED = "loaded"
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    WITHDRAWN = "withdrawn"
    # of incidents
    INCIDENTS = "incidents"  # opened and closed by a load
    INCIDENT_CLOSED = "incident-closed"  # by a person
    RECONCILED = "reconciled"  # with what a source says it has
    # of people
    NOTIFIED = "notified"  # of what is wrong, by a channel of notifications.yaml
    # of definitions and values
    CATALOGUE = "catalogue"
    DEFINITION = "definition"
    DEFINITION_ENDED = "definition-ended"
    COMPUTED = "computed"
    ASSESSED = "assessed"
    # of releases
    RELEASED = "released"
    MANIFEST = "manifest"
    # of the warehouse itself
    SCHEMA = "schema"
    UPGRADED = "upgraded"
    SEALED = "sealed"
    RECOVERED = "recovered"  # a write-ahead log was applied
    REBUILT = "rebuilt"
    REBUILD_COMPARED = "rebuild-compared"
    STARTED_ANEW = "started-anew"
    KEY = "key"
    ARCHIVE_ENCRYPTED = "archive-encrypted"


# ledger entries as (kind, subject, detail); qala itself writes no other kinds than EntryKind
Entries = Sequence[tuple[str, str, Mapping[str, Any]]]


def ledger_hash(
    seq: int, at: dt.datetime, kind: str, subject: str, run_id: str | None, detail: str, previous: str
) -> str:
    """SHA-256 of one ledger row and the hash before it: canonical JSON, the time in microseconds since 1970."""
    micros = (at - _EPOCH) // dt.timedelta(microseconds=1)
    text = json.dumps([seq, micros, kind, subject, run_id, detail, previous], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def ledger_head(con: duckdb.DuckDBPyConnection) -> tuple[int, str]:
    """Sequence and hash of the newest ledger row: what is anchored outside."""
    row = con.execute("SELECT seq, hash FROM audit.ledger ORDER BY seq DESC LIMIT 1").fetchone()
    return (int(row[0]), str(row[1])) if row else (0, GENESIS_HASH)
