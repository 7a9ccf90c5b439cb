"""From pending receipts to loaded or refused deliveries, batch by batch: the order in which the rooms of `connectors` work.

Does not belong here: how batches are made (batches.py), what happens to one (ingest_batch.py).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.archive.archive import Archive
from connectors.batches import OpenedBatch, batch_bytes, batches_of, one_ahead, open_batch, unpacking_threads
from connectors.corrections import DeclaredCorrection, read_corrections, requeue_for_corrections
from connectors.ingest_batch import FOOTER, MEMBERS, ingest_batch
from connectors.mapping.read_contracts import SHIPPED, load_sources
from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.pseudonyms import pseudonym_key_for
from connectors.personal_data.safe_names import named_safely
from warehouse.home.home import Home
from warehouse.home.keys import by_id
from warehouse.home.scratch import scratch
from warehouse.loading.deliveries import Corrected, Delivery, Finding, Outcome, decided, received, register
from warehouse.loading.withdrawals import enter_withdrawal
from warehouse.messages.messages import said
from warehouse.store.key_entries import enter_keys
from warehouse.store.store import Store
from warehouse.tables.assertions import Asserts
from warehouse.tables.contracts import Table

Progress = Callable[[str], None]
Contracts = Mapping[tuple[str, str], SourceContract]  # by system and table


@dataclass
class IngestReport:
    """What happened to a table's pending deliveries."""

    outcomes: list[Outcome] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    corrected: list[Corrected] = field(default_factory=list)

    def count(self, state: str) -> int:
        return sum(o.state == state for o in self.outcomes)

    @property
    def accepted(self) -> int:
        return sum(o.accepted for o in self.outcomes)

    @property
    def rejected(self) -> int:
        return sum(o.rejected for o in self.outcomes)


def load_source_contracts(home: Home, tables: Mapping[str, Table]) -> dict[tuple[str, str], SourceContract]:
    """Source contracts that come with qala and those this installation added, by (system, table). Raises DocumentError."""
    return load_sources(tables, [SHIPPED, home.contracts])


def register_pending(store: Store, archive: Archive, progress: Progress = lambda _: None) -> int:
    """Enter every pending receipt as a delivery, and what was taken back as withdrawn. Returns how many were new."""
    enter_keys(store)
    archive.sweep()
    for message in archive.set_aside():
        progress(message)
    enter_withdrawals(store, archive, progress)
    pending = archive.pending()
    new = register(store, named_safely(pending, lambda: load_source_contracts(store.home, store.tables)))
    for receipt_id in decided(store, pending):  # a run ended between its decision and putting the receipt away
        archive.settle(receipt_id)
    return new


def enter_withdrawals(store: Store, archive: Archive, progress: Progress = lambda _: None) -> None:
    """Enter in the ledger which receipts were taken back: their deliveries wait no longer."""
    for one in archive.withdrawn():
        (receipt,) = named_safely([one.receipt], lambda: load_source_contracts(store.home, store.tables))
        entered = enter_withdrawal(store, receipt, one.by, one.reason, one.account)
        archive.withdrawal_entered(one.receipt.receipt_id)
        progress(
            f"receipt {one.receipt.receipt_id} was taken back too late by {one.by}: delivery {entered.delivery_id} is {entered.decided} already; "
            "deliver a correction"
            if entered.decided
            else f"receipt {one.receipt.receipt_id} was taken back by {one.by}: {one.reason}"
        )


def ingest_table(
    store: Store,
    archive: Archive,
    table: Table,
    sources: Mapping[tuple[str, str], SourceContract],
    months: Iterable[str] | None = None,
    progress: Progress = lambda _: None,
) -> IngestReport:
    """Decide on every waiting delivery of a table that closes in `months` (all, if None), batch by batch."""
    report, corrections = IngestReport(), read_corrections(store.home.corrections, {table.name: table, **store.tables})
    enter_withdrawals(store, archive, progress)  # taken back since the receipts were registered
    requeue_for_corrections(store, archive, table, corrections)
    waiting = _waiting(store, table, sources, months)
    pace = _Pace(table.name, len(waiting), sum(d.bytes for d in waiting))
    key = pseudonym_key_for(store, table, waiting, sources)
    # the folder goes when nobody writes into it any more
    with scratch(store.home.scratch) as folder, unpacking_threads() as pool:

        def opened(batch: list[Delivery]) -> OpenedBatch:
            return open_batch(pool, folder, archive, table, sources, batch)

        # while a batch is gated, judged and loaded, the next one's files are unpacked
        for one in one_ahead(map(opened, batches_of(waiting, lambda: batch_bytes(store, table)))):
            outcomes, findings, corrected = ingest_batch(store, archive, table, one, corrections, key)
            shutil.rmtree(one.folder)
            report.outcomes += outcomes
            report.findings += findings
            report.corrected += corrected
            _report_left_out(one.batch, findings, progress)
            for delivery in one.batch:
                archive.settle(delivery.receipt_id)
            pace.bytes += sum(d.bytes for d in one.batch)
            progress(pace.message(report))
    return report


def brings_changes(contracts: Contracts, system: str, table: str) -> bool:
    """Whether a system's deliveries for a table say only what changed."""
    contract = contracts.get((system, table))
    return contract is not None and contract.cut.kind is Asserts.CHANGES


def _waiting(store: Store, table: Table, contracts: Contracts, months: Iterable[str] | None) -> list[Delivery]:
    """Waiting deliveries that close in the months; those to be read again and those of changes whatever their months. In order of arrival."""
    every = received(store, table.name)
    now = [d for d in every if d.reread_of is not None or brings_changes(contracts, d.system, d.table)]
    return sorted({*now, *received(store, table.name, months)}, key=lambda d: d.delivery_id)


def _report_left_out(batch: Sequence[Delivery], findings: Sequence[Finding], progress: Progress) -> None:
    names = {d.delivery_id: d.file_name for d in batch}
    for finding in findings:
        if finding.rule in (MEMBERS, FOOTER):
            progress(f"delivery {finding.delivery_id} ({names[finding.delivery_id]}): {said(finding.observed)}")


@dataclass
class _Pace:
    """How fast a table's deliveries are ingested, and how long the rest will take by its bytes."""

    table: str
    deliveries: int
    all_bytes: int
    bytes: int = 0  # done
    started: float = field(default_factory=time.monotonic)

    def message(self, report: IngestReport) -> str:
        seconds, rows = time.monotonic() - self.started, report.accepted + report.rejected
        text = (
            f"{self.table}: {len(report.outcomes)} of {self.deliveries} deliveries, "
            f"{report.accepted:,} rows accepted, {report.rejected:,} rejected, {rows / max(seconds, 0.001):,.0f} rows/s"
        )
        left = seconds * (self.all_bytes - self.bytes) / max(self.bytes, 1)
        return f"{text}, about {left:,.0f} s left" if self.bytes < self.all_bytes else text


def ingest_again(
    store: Store,
    archive: Archive,
    table: Table,
    sources: Mapping[tuple[str, str], SourceContract],
    batch: list[Delivery],
    corrections: Sequence[DeclaredCorrection],
    key_id: str | None = None,
) -> list[Outcome]:
    """Decide on just these waiting deliveries of a table, in one batch, with corrections as given: what was done before is done again.

    `key_id`: the key their pseudonyms were made by. Raises MissingKeyError if it is not here any more.
    """
    with scratch(store.home.scratch) as folder, unpacking_threads() as pool:
        opened = open_batch(pool, folder, archive, table, sources, batch)
        key = pseudonym_key_for(store, table, batch, sources)
        if key and key_id:
            key = replace(key, key=by_id(store.home, "pseudonym", key_id))
        return ingest_batch(store, archive, table, opened, corrections, key)[0]
