"""Replay: what the ledger of a former warehouse says was done is done again, in a new warehouse beside it.

Deliveries in their order and batches, with the corrections then in force, decisions of people, computations with their day, assessments. What
cannot be done as it was then is reported, not guessed. Does not belong here: which file is replayed, and what becomes of the new one (rebuild.py).
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from typing import Any

from connectors.archive import receipts
from connectors.archive.archive import Archive, ArchiveError
from connectors.control.control_file import control_of
from connectors.corrections import DeclaredCorrection, read_corrections
from connectors.ingest import ingest_again, load_source_contracts
from connectors.mapping.source_contract import SourceContract, standard
from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.model import AssessmentRules
from warehouse.errors import StoreError
from warehouse.home.account import ACCOUNT, account, done_before
from warehouse.home.home import Home
from warehouse.kpi_values.assessment import assess
from warehouse.kpi_values.compute import compute
from warehouse.kpi_values.sound import refuse_faulty
from warehouse.loading.control_totals import NO_DELIVERY, reconcile_with
from warehouse.loading.deliveries import Receipt, received, register
from warehouse.loading.incidents import close_incident
from warehouse.loading.withdrawals import enter_withdrawal
from warehouse.messages.messages import messages_of, said
from warehouse.periods import parse_period
from warehouse.store.content import Content, content
from warehouse.store.former_ledger import DECISIONS, REBUILT, Entry, Former
from warehouse.store.ledger import EntryKind
from warehouse.store.sessions import opened
from warehouse.store.store import Store
from warehouse.tables.home_tables import tables_of

TOLD = 20  # of what could not be done as it was, entered in the ledger


class Replay:
    """Does again, in a new warehouse, what a former ledger says was done."""

    def __init__(
        self, home: Home, former: Former, archive: Archive, entry: Mapping[str, Any], say: Callable[[str], None]
    ):
        self.home, self.former, self.archive, self.say = home, former, archive, say
        self.first = [(REBUILT, f"from {former.head[0]}:{former.head[1]}", entry)]
        self.tables = tables_of(home)
        self.sources = load_source_contracts(home, self.tables)
        self.catalogue = load_catalogues(home.catalogues)
        refuse_faulty(self.catalogue, self.tables)
        self.by_receipt = {str(d["receipt_id"]): d for d in former.deliveries.values()}
        self.told: list[str] = []
        self.corrections = home.warehouse.with_name("corrections")
        self._open, self._hardened = ExitStack(), False
        self._store: Store | None = None
        self._numbers: dict[str, int] = {}  # receipt → delivery here

    @contextmanager
    def store(self, *, hardened: bool = False) -> Iterator[Store]:
        """The new warehouse, left open from one to the next of a kind."""
        if self._store is None or self._hardened != hardened:
            self._open.close()
            self._store = self._open.enter_context(opened(self.home, hardened=hardened, first=self.first))
            self._hardened = hardened
        try:
            yield self._store
        except BaseException:
            self._open.close()
            raise

    def do(self, done: Sequence[Sequence[Entry]]) -> None:
        self._look_ahead()
        whole, decided = len(self.former.deliveries), 0
        for group in done:
            kind = group[0].kind
            if kind in DECISIONS:
                self._decide(group)
                decided += len(group)
                self.say(f"{decided:,} of {whole:,} deliveries, to ledger sequence {group[-1].seq}")
            elif kind == "received":
                with self.store() as store, done_before(group[0].detail.get(ACCOUNT)):
                    register(store, [self._receipt(e) for e in group])
                    self._numbers = dict(
                        store.con.execute("SELECT receipt_id, delivery_id FROM audit.delivery").fetchall()
                    )
            elif kind == "computed":
                self._compute(group)
            elif kind in _ONE_BY_ONE:
                for entry in group:
                    with done_before(entry.detail.get(ACCOUNT)):
                        _ONE_BY_ONE[kind](self, entry)

    def _look_ahead(self) -> None:
        """Report what cannot be as it was: bytes that are gone, contracts and definitions of other versions."""
        one_of = {str(d["sha256"]): d for d in self.former.deliveries.values()}
        for sha256 in self.archive.missing(one_of):
            self.told.append(
                f"the bytes of {_named(one_of[sha256])} are gone (SHA-256 {sha256}): deliver the file again"
            )
        other = Counter[tuple[str, str, str, str]]()
        for one in self.former.deliveries.values():
            contract = self._contract(str(one["system"]), str(one["table_name"]))
            then, now = str(one["contract_version"]), contract.version if contract else "none"
            if one["state"] in ("loaded", "refused") and one["contract_version"] is not None and then != now:
                other[str(one["system"]), str(one["table_name"]), then, now] += 1
        for (system, table, then, now), count in sorted(other.items()):
            self.told.append(
                f"{count} deliveries of {table} by system {system} were read by version {then} of its contract, which is not here: they are read by {now}"
            )
        defined = {(k.code, k.version) for k in self.catalogue.kpis}
        for code, version in sorted(set(self.former.definitions) - defined):
            self.told.append(
                f"{code} version {version} is not defined here any more: what it published is not made again"
            )

    def _contract(self, system: str, table: str) -> SourceContract | None:
        found = self.sources.get((system, table))
        if found is None and system == "standard" and table in self.tables:
            return standard(self.tables[table])
        return found

    def _receipt(self, entry: Entry) -> Receipt:
        """As the old warehouse has it; what that does not know, from the receipt itself."""
        receipt_id = entry.subject
        row = self.by_receipt.get(receipt_id)
        if row is None:
            raise StoreError(
                f"the old ledger received {receipt_id}, of which the old warehouse has no delivery: see qala verify; take it from a backup"
            )
        has = {**row, "table": row["table_name"], "period": row["period_id"], "pulled": entry.detail.get("pulled")}
        has["received_at"] = row["received_at"].astimezone(dt.UTC).isoformat()
        if (again := row.get("reread_of")) is not None:
            has["reread_of"] = self._numbers[str(self.former.deliveries[again]["receipt_id"])]
        place, more = receipts.place_of(self.archive.root / "receipts", receipt_id), dict[str, Any]()
        if place is not None:
            try:
                more = asdict(receipts.read(place))
            except ValueError as error:
                self.told.append(
                    f"receipt {receipt_id} is damaged ({error}); what the old warehouse says of it is taken"
                )
        known: dict[str, Any] = {
            f.name: has.get(f.name, more.get(f.name)) for f in fields(Receipt) if f.name in {*has, *more}
        }
        return Receipt(**known)

    def _decide(self, group: Sequence[Entry]) -> None:
        old = [self.former.deliveries[e.detail["delivery_id"]] for e in group]
        name = str(old[0]["table_name"])
        if name not in self.tables:
            raise StoreError(
                f"the old warehouse has deliveries of {name}, which no contract describes any more; put {name}.odcs.yaml back"
            )
        wanted = {self._numbers[str(d["receipt_id"])]: d for d in old}
        with self.store() as store:
            batch = [d for d in received(store, name) if d.delivery_id in wanted]
            outcomes = ingest_again(
                store,
                self.archive,
                self.tables[name],
                self.sources,
                batch,
                self._declared([d["delivery_id"] for d in old]),
                next((e.detail["pseudonym_key"] for e in group if e.detail.get("pseudonym_key")), None),
            )
        for outcome in outcomes:
            was = wanted[outcome.delivery_id]
            then = (was["state"], was["accepted_rows"], was["rejected_rows"])
            if then != (outcome.state, outcome.accepted, outcome.rejected):
                why = f": {said(outcome.reason)}" if outcome.reason else ""
                self.told.append(
                    f"{_named(was)} was {_counted(*then)} and is now {_counted(outcome.state, outcome.accepted, outcome.rejected)}{why}"
                )

    def _declared(self, deliveries: Sequence[int]) -> list[DeclaredCorrection]:
        """The corrections that were in force when these deliveries were decided on, from the archive."""
        files = {name: sha256 for d in deliveries for name, sha256 in self.former.corrections.get(d, {}).items()}
        if not files:
            return []
        shutil.rmtree(self.corrections, ignore_errors=True)
        self.corrections.mkdir()
        for name, sha256 in files.items():
            try:
                with self.archive.open(sha256) as stream:
                    (self.corrections / f"{name}.yaml").write_bytes(stream.read())
            except ArchiveError as error:
                self.told.append(f"correction {name} cannot be applied as it was: {error}")
        return read_corrections(self.corrections, self.tables)

    def _compute(self, group: Sequence[Entry]) -> None:
        codes = [e.subject for e in group if e.subject in set(self.catalogue.codes)]
        detail = group[0].detail
        if codes:
            with self.store(hardened=True) as store:
                compute(
                    store, self.catalogue, detail["months"], codes=codes, today=dt.date.fromisoformat(detail["today"])
                )

    def _assess(self, entry: Entry) -> None:
        found = [one for one in self.catalogue.lists if one.head.id == entry.detail["catalogue"]]
        if not found:
            self.told.append(
                f"the assessment of {entry.subject} by {entry.detail['catalogue']} is not made again: that list is not here any more"
            )
            return
        rules = self.former.rules.get(entry.detail["assessment"])
        with self.store(hardened=True) as store:
            assess(
                store,
                found[0],
                int(entry.subject),
                freeze=bool(entry.detail["version"]),
                reason=entry.detail.get("reason"),
                by=entry.detail.get("by", ""),
                rules=AssessmentRules.model_validate_json(rules) if rules else None,
            )

    def _withdraw(self, entry: Entry) -> None:
        by = str(entry.detail["by"])
        detail = entry.detail
        if entry.subject in self.by_receipt:
            receipt = self._receipt(entry)
        else:  # taken back before a run had registered it
            receipt = Receipt(
                entry.subject,
                detail["table"],
                detail["system"],
                detail["scope"],
                detail["period"],
                detail["file"],
                detail["sha256"],
                detail["bytes"],
                "",
                pulled=detail.get("pulled"),
            )
        with self.store() as store:
            enter_withdrawal(
                store, receipt, by, _why(str(detail["reason"]), by), account() if detail.get(ACCOUNT) else None
            )

    def _reconcile(self, entry: Entry) -> None:
        sha256, (system, _, period) = str(entry.detail["control_sha256"]), entry.subject.rpartition(" ")
        try:
            with self.archive.open(sha256) as stream:
                content = stream.read()
        except ArchiveError as error:
            self.told.append(f"the reconciliation of {entry.subject} is not done again: {error}")
            return
        control = control_of(content, sha256, system, parse_period(period), sha256, str(entry.detail["origin"]))
        with self.store() as store:
            reconcile_with(store, control, who=str(entry.detail["by"]))

    def _close_incident(self, entry: Entry) -> None:
        delivery, rule, _ = self.former.incidents[int(entry.subject)]
        if delivery == NO_DELIVERY:
            self._close_without_delivery(entry)
            return
        number = self._numbers[str(self.former.deliveries[delivery]["receipt_id"])]
        with self.store() as store:
            row = store.con.execute(
                "SELECT min(incident_id) FROM audit.incident WHERE (delivery_id, rule) = (?, ?) AND closed_seq IS NULL",
                [number, rule],
            ).fetchone()
            if row is None or row[0] is None:
                self.told.append(
                    f"the incident {rule} of {_named(self.former.deliveries[delivery])}, closed by {entry.detail['by']}, was not opened"
                )
                return
            close_incident(store, row[0], str(entry.detail["by"]), str(entry.detail["reason"]))

    def _close_without_delivery(self, entry: Entry) -> None:
        """Of a reconciliation that found nothing delivered: known by what it observed."""
        observed = self.former.observed[int(entry.subject)]
        with self.store() as store:
            row = store.con.execute(
                "SELECT min(incident_id) FROM audit.incident WHERE delivery_id = ? AND observed = ? AND closed_seq IS NULL",
                [NO_DELIVERY, observed],
            ).fetchone()
            if row is None or row[0] is None:
                self.told.append(
                    f"incident {entry.subject} of a reconciliation, closed by {entry.detail['by']}, was not opened"
                )
                return
            close_incident(store, row[0], str(entry.detail["by"]), str(entry.detail["reason"]))

    def close(self, before: Content | None) -> Content:
        """What the new warehouse says, entered in its ledger beside what the old one said. It is closed, and on the disk."""
        with self.store() as store:
            after = content(store.con)
            said = {"before": before and before.sha256, "after": after.sha256, "told": self.told[:TOLD]}
            differing = {name: list(rows) for name, rows in (before.differing(after) if before else {}).items()}
            with store.transaction():
                store.record([(EntryKind.REBUILD_COMPARED, "content", {**said, "differing": differing})])
            store.con.execute("CHECKPOINT")
        self._open.close()
        return after


_ONE_BY_ONE: Mapping[str, Callable[[Replay, Entry], None]] = {
    "assessed": Replay._assess,
    "withdrawn": Replay._withdraw,
    "incident-closed": Replay._close_incident,
    "reconciled": Replay._reconcile,
}


def _why(reason: str, by: str) -> str:
    """What a person gave as reason for taking a receipt back; as a message it is a part of it, before there were messages the end of a sentence."""
    if recorded := messages_of(reason):
        return str(recorded[0]["why"])
    return re.sub(rf"^taken back by {re.escape(by)}( \([^)]*\))?: ", "", reason)


def _named(delivery: Mapping[str, Any]) -> str:
    return f"delivery {delivery['delivery_id']} ({delivery['table_name']} {delivery['scope']} {delivery['period_id']}, receipt {delivery['receipt_id']})"


def _counted(state: str, accepted: int | None, rejected: int | None) -> str:
    return f"{state} with {accepted or 0:,} rows and {rejected or 0:,} rejected"
