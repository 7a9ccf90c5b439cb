"""What a ledger says was done, in order, so that it can be done again (`qala rebuild`); and the ledger of a former warehouse, as it is kept.

A warehouse that was made anew begins its ledger with the entry `rebuilt`: the head of the former ledger, the releases that were made of it, and the
SHA-256 under which the archive keeps all of its rows. So whoever wrote a head down before can still hold it against what was (`kept_heads`).
Read only, off a file of any version. Does not belong here: the doing (pipelines/recovery/rebuild.py).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

import duckdb

from warehouse.errors import StoreError
from warehouse.store.ledger import GENESIS_HASH, EntryKind, ledger_hash, ledger_head

REBUILT = EntryKind.REBUILT
DECISIONS = (EntryKind.LOADED, EntryKind.REFUSED, EntryKind.DUPLICATE)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LEDGER = (
    "SELECT seq, epoch_us(recorded_at), kind, subject, run_id, detail, prev_hash, hash FROM audit.ledger ORDER BY seq"
)


@dataclass(frozen=True)
class Entry:
    """A ledger row."""

    seq: int
    kind: str
    subject: str
    detail: Mapping[str, Any]


@dataclass
class Former:
    """A former warehouse, as far as it is needed to make it anew."""

    head: tuple[int, str]
    deliveries: Mapping[int, Mapping[str, Any]]  # by number, rows of audit.delivery
    incidents: Mapping[int, tuple[int, str, int]]  # by number, (delivery, rule, sequence of its opening)
    corrections: Mapping[
        int, Mapping[str, str]
    ]  # by delivery, SHA-256 of the file of each correction that met its rows
    rules: Mapping[int, str]  # by assessment, the rules as JSON
    definitions: Mapping[tuple[str, int], str]  # KPI versions ever used, and their fingerprints
    observed: Mapping[int, str]  # by incident, what was found
    releases: list[tuple[int, str]] = field(default_factory=list)  # (sequence, hash), those of its own predecessors too

    @classmethod
    def of(cls, con: duckdb.DuckDBPyConnection) -> Former:
        """Raises StoreError if the ledger's chain is broken: what was done is read off it."""
        incidents = con.execute("SELECT incident_id, delivery_id, rule, opened_seq FROM audit.incident").fetchall()
        observed = con.execute("SELECT incident_id, observed FROM audit.incident").fetchall()
        # of a file of an older version by its names of then
        named = "COLUMNS('^(kpi_)?code$'), COLUMNS('^(definition_)?version$')"
        kpis = con.execute(f"SELECT {named}, definition_hash FROM registry.kpi").fetchall()
        met = con.execute("SELECT DISTINCT delivery_id, correction_id, sha256 FROM audit.correction").fetchall()
        corrections: dict[int, dict[str, str]] = {}
        for delivery_id, name, sha256 in met:
            corrections.setdefault(delivery_id, {})[name] = sha256
        former = cls(
            head=ledger_head(con),
            deliveries={row["delivery_id"]: row for row in _rows(con, "SELECT * FROM audit.delivery")},
            incidents={incident_id: (delivery_id, rule, seq) for incident_id, delivery_id, rule, seq in incidents},
            corrections=corrections,
            rules=dict(con.execute("SELECT assessment_id, rules FROM kpi.assessment").fetchall()),
            observed=dict(observed),
            definitions={(code, version): digest for code, version, digest in kpis},
        )
        previous = GENESIS_HASH
        for seq, micros, kind, subject, run_id, detail, prev_hash, digest in _ledger(con):
            at = _EPOCH + dt.timedelta(microseconds=micros)
            if prev_hash != previous or ledger_hash(seq, at, kind, subject, run_id, detail, prev_hash) != digest:
                raise StoreError(
                    f"the ledger is broken at row {seq} ({kind} {subject}): nothing is made anew by it; take it from a backup: qala rebuild --from FILE"
                )
            previous = digest
            if kind == EntryKind.RELEASED:
                former.releases.append((seq, digest))
            elif kind == REBUILT:
                former.releases += [(int(n), str(h)) for n, h in json.loads(detail)["releases"]]
        return former


def events(con: duckdb.DuckDBPyConnection) -> Iterator[list[Entry]]:
    """What was done, transaction by transaction as far as that matters: entries of one kind that were written together.

    Drafts of assessments that a later draft replaced are left out, and what follows by itself: definitions, seals, incidents, releases.
    """
    rows = [(seq, kind, subject, json.loads(detail)) for seq, _, kind, subject, _, detail, *_ in _ledger(con)]
    drafts = [row for row in rows if row[1] == EntryKind.ASSESSED and row[3].get("version") == 0]
    newest = set({(subject, detail.get("catalogue")): seq for seq, _, subject, detail in drafts}.values())

    def together(entry: Entry) -> tuple[object, ...]:
        if entry.kind in DECISIONS:
            return ("decided",)
        if entry.kind == EntryKind.COMPUTED:
            return (EntryKind.COMPUTED, entry.detail.get("as_of"))
        return (entry.kind,) if entry.kind == EntryKind.RECEIVED else (entry.kind, entry.seq)

    entries = (Entry(*row) for row in rows if row[1] != EntryKind.ASSESSED or row[3].get("version") or row[0] in newest)
    for _, group in groupby(entries, together):
        yield list(group)


def write_ledger(con: duckdb.DuckDBPyConnection, file: Path) -> None:
    """The rows of a ledger as lines of JSON, as they are kept in the archive."""
    with file.open("w", encoding="utf-8") as handle:
        for row in _ledger(con):
            handle.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def rebuilt_entry(con: duckdb.DuckDBPyConnection) -> Mapping[str, Any] | None:
    """What the warehouse says of its predecessor, if it was made anew: `head` [sequence, hash], `releases`, `ledger_sha256`, `source`."""
    row = con.execute("SELECT detail FROM audit.ledger WHERE kind = ? ORDER BY seq LIMIT 1", [REBUILT]).fetchone()
    return json.loads(row[0]) if row else None


def kept_heads(lines: Iterable[bytes], head: tuple[int, str]) -> dict[int, str]:
    """Sequence → hash of a kept ledger. Raises StoreError if it is not the chain that ends in `head`."""
    previous, found = GENESIS_HASH, dict[int, str]()
    for number, line in enumerate(lines, 1):
        seq, micros, kind, subject, run_id, detail, prev_hash, digest = json.loads(line)
        at = _EPOCH + dt.timedelta(microseconds=micros)
        if prev_hash != previous or ledger_hash(seq, at, kind, subject, run_id, detail, prev_hash) != digest:
            raise StoreError(f"the kept ledger of the former warehouse is broken in line {number} (row {seq})")
        found[seq] = previous = digest
    if found.get(head[0]) != head[1]:
        raise StoreError(f"the kept ledger of the former warehouse does not end in {head[0]}:{head[1]}")
    return found


def anchored_before(
    con: duckdb.DuckDBPyConnection, kept: Callable[[str], AbstractContextManager[BinaryIO]], anchor: tuple[int, str]
) -> tuple[bool, str] | None:
    """Whether a head that was written down is of a ledger before the open one was made anew, and what to say; None: it was never made anew.

    `kept`: opens archived bytes by their SHA-256. Raises StoreError if a kept ledger is not the chain whose head was entered.
    """
    newest = rebuilt_entry(con)
    if newest is None:
        return None
    for head, sha256, lines in former_ledgers(con, kept):
        if kept_heads(lines, head).get(anchor[0]) == anchor[1]:
            return True, (
                f"the ledger was rebuilt from head {head[0]}:{head[1]}; the anchored head {anchor[0]} is row {anchor[0]} of the former ledger, "
                f"which the archive keeps as {sha256}"
            )
    seq, digest = newest["head"]
    return False, (
        f"the ledger was rebuilt from head {seq}:{digest}; the anchored head {anchor[0]}:{anchor[1]} is in no ledger before it"
    )


def former_ledgers(
    con: duckdb.DuckDBPyConnection, kept: Callable[[str], AbstractContextManager[BinaryIO]]
) -> Iterator[tuple[tuple[int, str], str, list[bytes]]]:
    """(head, SHA-256 of what is kept, its lines) of each ledger before the open one, the newest first."""
    said = rebuilt_entry(con)
    while said is not None:
        head, sha256 = (int(said["head"][0]), str(said["head"][1])), str(said["ledger_sha256"])
        with kept(sha256) as stream:
            lines = stream.read().splitlines()
        yield head, sha256, lines
        entries = (json.loads(line) for line in lines)
        said = next((json.loads(row[5]) for row in entries if row[2] == REBUILT), None)


def _ledger(con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return con.execute(_LEDGER).fetchall()


def _rows(con: duckdb.DuckDBPyConnection, sql: str) -> Iterator[dict[str, Any]]:
    cursor = con.execute(sql)
    names = [str(d[0]) for d in cursor.description or ()]
    return (dict(zip(names, row, strict=True)) for row in cursor.fetchall())
