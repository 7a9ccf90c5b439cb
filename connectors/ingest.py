"""From pending receipts to loaded or refused deliveries: archive, readers, both gates, the warehouse's door."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from connectors.archive.archive import Archive, ArchiveError
from connectors.corrections import Declared, apply, read_corrections, retake
from connectors.delivery_gate.declaration_checks import hold
from connectors.delivery_gate.delivery_gate import judge
from connectors.delivery_gate.earlier_deliveries import look_back
from connectors.delivery_gate.near_duplicates import twins
from connectors.delivery_gate.profile import profile as profile_of
from connectors.mapping.classification import personal_columns
from connectors.mapping.contract_checks import STANDARD
from connectors.mapping.read_contracts import SHIPPED, load_sources
from connectors.mapping.source_contract import SourceContract, standard
from connectors.personal_data import deidentification as guard
from connectors.personal_data.detection import harmless
from connectors.personal_data.pseudonyms import InForce, mixed, pseudonyms_of
from connectors.personal_data.safe_names import named_safely
from connectors.readers.headers import StructureError, listed
from connectors.readers.readers import Readable, unpack
from connectors.readers.zip_members import of_the_machine
from connectors.row_gate import row_gate
from connectors.row_gate.emptied_cells import spare_headers
from warehouse.home.home import Home
from warehouse.home.keys import MissingKeyError, by_id
from warehouse.home.scratch import scratch
from warehouse.loading.deliveries import (
    Corrected,
    Delivery,
    Finding,
    Gaps,
    Outcome,
    decided,
    received,
    register,
    same_bytes,
)
from warehouse.loading.load import load
from warehouse.loading.withdrawals import enter_withdrawal
from warehouse.store.key_entries import enter_keys as enter_keys
from warehouse.store.store import Store
from warehouse.tables.contracts import Table
from warehouse.tables.rules import FOUND_PERSONAL
from warehouse.tables.usual import counted_columns

TIME_ZONE = "Asia/Almaty"  # national civil time: timestamps with an offset are brought to it
BATCH_BYTES, BATCH_DELIVERIES = 1 << 27, 2000  # what is gated, judged and loaded at once
LARGE_ROWS, LARGEST_BATCH = 1 << 24, 8  # of a table from which on batches grow with it; up to so many times BATCH_BYTES
MEMBERS = "members"  # rule of the finding that tells what was left out of an archive
Progress = Callable[[str], None]
T = TypeVar("T")


@dataclass
class Report:
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


def sources_of(home: Home, tables: Mapping[str, Table]) -> dict[tuple[str, str], SourceContract]:
    """Source contracts that come with qala and those this installation added. Raises DocumentError."""
    return load_sources(tables, [SHIPPED, home.contracts])


def register_pending(store: Store, archive: Archive, progress: Progress = lambda _: None) -> int:
    """Enter every pending receipt as a delivery, and what was taken back as withdrawn. Returns how many were new."""
    enter_keys(store)
    archive.sweep()
    for told in archive.set_aside():
        progress(told)
    enter_withdrawals(store, archive, progress)
    pending = archive.pending()
    new = register(store, named_safely(pending, lambda: sources_of(store.home, store.tables)))
    for receipt_id in decided(store, pending):  # a run ended between its decision and putting the receipt away
        archive.settle(receipt_id)
    return new


def enter_withdrawals(store: Store, archive: Archive, progress: Progress = lambda _: None) -> None:
    """Enter in the ledger which receipts were taken back: their deliveries wait no longer."""
    for one in archive.withdrawn():
        (receipt,) = named_safely([one.receipt], lambda: sources_of(store.home, store.tables))
        entered = enter_withdrawal(store, receipt, one.by, one.reason, one.account)
        archive.withdrawal_entered(one.receipt.receipt_id)
        progress(
            f"receipt {one.receipt.receipt_id} was taken back too late by {one.by}: delivery {entered.delivery_id} is {entered.decided} already; "
            "deliver a correction"
            if entered.decided
            else f"receipt {one.receipt.receipt_id} was taken back by {one.by}: {one.reason}"
        )


def take_in(store: Store, archive: Archive, table: Table, sources: Mapping[tuple[str, str], SourceContract],
            months: Iterable[str] | None = None, progress: Progress = lambda _: None) -> Report:  # fmt: skip
    """Decide on every waiting delivery of a table that closes in `months` (all, if None), batch by batch."""
    report, corrections = Report(), read_corrections(store.home.corrections, {table.name: table, **store.tables})
    enter_withdrawals(store, archive, progress)  # taken back since the receipts were registered
    retake(store, archive, table, corrections)
    waiting = [d for d in received(store, table.name) if d.reread_of is not None]
    waiting = sorted({*waiting, *received(store, table.name, months)}, key=lambda d: d.delivery_id)
    started, whole, done = time.monotonic(), sum(d.bytes for d in waiting), 0
    key = pseudonyms_of(store, table, waiting, sources)
    # the folder goes when nobody writes into it any more
    with scratch(store.home.scratch) as place, _pool() as pool:

        def open_up(batch: list[Delivery]) -> _Opened:
            return _open(pool, place, archive, table, sources, batch)

        # while a batch is gated, judged and loaded, the next one's files are unpacked
        for opened in _one_ahead(map(open_up, _batches(waiting, lambda: _batch_bytes(store, table)))):
            batch = opened.batch
            outcomes, findings, corrected = _take_batch(store, archive, table, opened, corrections, key)
            shutil.rmtree(opened.folder)
            report.outcomes += outcomes
            report.findings += findings
            report.corrected += corrected
            for finding in findings:
                if finding.rule == MEMBERS:
                    names = {d.delivery_id: d.file_name for d in batch}
                    progress(f"delivery {finding.delivery_id} ({names[finding.delivery_id]}): {finding.observed}")
            for one in batch:
                archive.settle(one.receipt_id)
            done += sum(d.bytes for d in batch)
            progress(
                f"{table.name}: {len(report.outcomes)} of {len(waiting)} deliveries, {_pace(report, time.monotonic() - started, done, whole)}"
            )
    return report


def take_again(store: Store, archive: Archive, table: Table, sources: Mapping[tuple[str, str], SourceContract],
               batch: list[Delivery], corrections: Sequence[Declared], key_id: str | None = None) -> list[Outcome]:  # fmt: skip
    """Decide on just these waiting deliveries of a table, in one batch, with corrections as given: what was done before is done again.

    `key_id`: the key their pseudonyms were made by. Raises MissingKeyError if it is not here any more.
    """
    with scratch(store.home.scratch) as place, _pool() as pool:
        opened = _open(pool, place, archive, table, sources, batch)
        key = pseudonyms_of(store, table, batch, sources)
        if key and key_id:
            key = replace(key, key=by_id(store.home, "pseudonym", key_id))
        return _take_batch(store, archive, table, opened, corrections, key)[0]


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that unpack; after an error those that have begun end, and no other begins."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _pace(report: Report, seconds: float, done: int, whole: int) -> str:
    """How many rows so far, how fast, and how long the rest will take by its bytes."""
    rows = report.accepted + report.rejected
    left = seconds * (whole - done) / max(done, 1)
    told = f"{report.accepted:,} rows accepted, {report.rejected:,} rejected, {rows / max(seconds, 0.001):,.0f} rows/s"
    return f"{told}, about {left:,.0f} s left" if done < whole else told


def _batches(deliveries: Sequence[Delivery], limit: Callable[[], int]) -> Iterator[list[Delivery]]:
    """Few batches and of one size: the largest decides how much memory is taken, and a small one costs much for what it brings.

    `limit` tells how many bytes the next batch may have, when the former ones are loaded.
    """
    rest = list(deliveries)
    while rest:
        most = limit()
        even = sum(d.bytes for d in rest) / _fewest(rest, most)
        size, count = rest[0].bytes, 1
        for one in rest[1:BATCH_DELIVERIES]:
            if size + one.bytes > most or size + one.bytes / 2 > even:
                break
            size, count = size + one.bytes, count + 1
        yield rest[:count]
        rest = rest[count:]


def _fewest(deliveries: Iterable[Delivery], most: int) -> int:
    """How many batches of at most so many bytes they make, each filled before the next."""
    batches = size = 0
    for one in deliveries:
        if not batches or size + one.bytes > most:
            batches, size = batches + 1, 0
        size += one.bytes
    return batches


def _batch_bytes(store: Store, table: Table) -> int:
    """Each batch looks its keys up in the whole table: the larger that is, the more is taken at once."""
    row = store.con.execute(f"SELECT count(*) FROM showcase.{table.name}").fetchone()
    assert row is not None
    return int(BATCH_BYTES * min(max(row[0] / LARGE_ROWS, 1), LARGEST_BATCH))


def _one_ahead(things: Iterable[T]) -> Iterator[T]:
    """Each thing when the next one has been made."""
    made = iter(things)
    before = next(made, None)
    while before is not None:
        after = next(made, None)
        yield before
        before = after


@dataclass(frozen=True)
class _Opened:
    """A batch whose files are being unpacked; by delivery, what each must look like, and what is found."""

    batch: list[Delivery]
    folder: Path
    contracts: Mapping[int, SourceContract]
    found: Mapping[int, Future[Readable | StructureError | ArchiveError]]


def _open(pool: ThreadPoolExecutor, scratch: Path, archive: Archive, table: Table, sources: Mapping[tuple[str, str], SourceContract],
          batch: list[Delivery]) -> _Opened:  # fmt: skip
    """Have a batch's files unpacked, hashed and decoded side by side: that leaves Python's lock alone."""
    contracts = {d.delivery_id: sources.get((d.system, table.name)) or standard(table) for d in batch}
    folder = scratch / str(batch[0].delivery_id)
    folder.mkdir()

    def unpacked(one: Delivery) -> Readable | StructureError | ArchiveError:
        if one.system != STANDARD and (one.system, table.name) not in sources:
            return StructureError(
                f"{one.file_name}: no source contract of system {one.system!r} for {table.name}; "
                "add one to the home's contracts/ folder or deliver without --system"
            )
        place = folder / str(one.delivery_id)
        place.mkdir()
        try:
            contract = contracts[one.delivery_id]
            return unpack(archive, one.sha256, contract, place, one.file_name, spare_headers(table, contract))
        except (StructureError, ArchiveError) as error:
            return error
        except Exception as error:
            if of_the_machine(error) or isinstance(error, MissingKeyError):
                raise
            return StructureError(
                f"{one.file_name}: it cannot be read ({type(error).__name__}: {harmless(error)}); deliver it as contract "
                f"{contracts[one.delivery_id].id} says, or mend the contract"
            )

    return _Opened(batch, folder, contracts, {one.delivery_id: pool.submit(unpacked, one) for one in batch})


def _take_batch(store: Store, archive: Archive, table: Table, opened: _Opened, corrections: Sequence[Declared],
                key: InForce | None) -> tuple[list[Outcome], list[Finding], list[Corrected]]:  # fmt: skip
    batch, contracts = opened.batch, opened.contracts
    repeated = same_bytes(store, batch, {d: (c.id, c.version) for d, c in contracts.items()})
    refusals: dict[int, str] = {}
    incoming: list[row_gate.Incoming] = []
    row_gate.clear(store.con)
    for one in batch:
        if one.delivery_id in repeated:
            continue
        found = opened.found[one.delivery_id].result()
        if not isinstance(found, Readable):
            refusals[one.delivery_id] = str(found)
            continue
        incoming.append(
            row_gate.Incoming(
                one.delivery_id,
                one.scope,
                one.period_end.isoformat(),
                one.file_name,
                contracts[one.delivery_id],
                one.declared_rows,
                found,
            )
        )
    refusals |= {
        delivery_id: str(error)
        for delivery_id, error in row_gate.stage(
            store.con, table, incoming, TIME_ZONE, key.key if key else None
        ).items()
    }
    judged = [i for i in incoming if i.delivery_id not in refusals]
    chosen = {i.delivery_id for i in judged}
    cuts = {one.delivery_id: contracts[one.delivery_id].cut for one in batch}
    findings = hold(
        store.con, table, [d for d in batch if d.delivery_id in chosen], cuts, row_gate.READ, row_gate.REPEATED
    )
    findings += [Finding(d, "structure", "error", "conformity", False, reason, "Headers, encoding and format are those of the contract")
                for d, reason in refusals.items()]  # fmt: skip
    counts: dict[int, tuple[int, int, int]] = {}
    relation, corrected, gaps = row_gate.STAGED, list[Corrected](), list[Gaps]()
    findings += [Finding(i.delivery_id, MEMBERS, "warning", "conformity", True, f"left out: {listed(i.readable.left_out)}",
                         "What is in an archive beside the extract has none of its columns") for i in judged if i.readable.left_out]  # fmt: skip
    if judged:
        profile, broken = profile_of(store.con, table, judged)
        findings += judge(table, profile, broken)
        failed_whole = {f.delivery_id for f in findings if f.severity == "error" and not f.passed}
        looked, gaps = look_back(
            store.con, table, judged, counted_columns(table.name, store.home.catalogues), failed_whole
        )
        findings += looked
        findings += twins(store.con, table, judged)
        findings += guard.told(store.con, table, row_gate.STAGED, [i.delivery_id for i in judged])
        findings += mixed(key, table, {i.delivery_id: bool(personal_columns(table, i.contract)) for i in judged})
        counts = {
            int(r["delivery_id"]): (int(r["received"]), int(r["accepted"]), int(r["rejected"]))
            for r in profile.to_dict("records")
        }
        relation, corrected, failed = apply(store, archive, table, corrections, row_gate.STAGED)
        findings += failed
    names = {d.delivery_id: d.file_name for d in batch}
    for finding in findings:
        if finding.severity == "error" and not finding.passed and finding.delivery_id not in refusals:
            refusals[finding.delivery_id] = (
                f"{names[finding.delivery_id]}: rule {finding.rule} not met ({finding.observed}): {finding.expected}; "
                "see audit.rejected_row for the rows, correct the extract and deliver it again"
            )
    # what is wrong with bytes is wrong with them every time they come
    findings += [
        replace(finding, delivery_id=again)
        for again, first in repeated.items()
        if first in refusals
        for finding in findings
        if finding.delivery_id == first
    ]
    replaced = {f.delivery_id for f in findings if f.rule == FOUND_PERSONAL and not f.passed}
    replaced |= {i.delivery_id for i in judged if personal_columns(table, i.contract)}
    outcomes = []
    for one in batch:
        contract, counted = contracts[one.delivery_id], counts.get(one.delivery_id, (0, 0, 0))
        common = (contract.id, contract.version)
        if one.delivery_id in repeated:
            first = repeated[one.delivery_id]
            same = f"same bytes as delivery {first}"
            if first in refusals:  # in this very batch
                outcomes.append(
                    Outcome(one.delivery_id, "refused", f"{same}, which was refused: {refusals[first]}", *common)
                )
            else:
                outcomes.append(Outcome(one.delivery_id, "duplicate", same, *common))
        elif one.delivery_id in refusals:
            # refused whole: no row is loaded, so all that were read count as rejected
            outcomes.append(
                Outcome(one.delivery_id, "refused", refusals[one.delivery_id], *common, counted[0], 0, counted[0])
            )
        else:
            unmapped = ",".join(contract.unmapped(table)) or None
            made_by = key.key.id if key and one.delivery_id in replaced else None
            outcomes.append(
                Outcome(one.delivery_id, "loaded", None, *common, *counted, contract.cut, unmapped, made_by)
            )
    load(store, table, relation, batch, outcomes, findings, corrected, row_gate.REPEATED if judged else None, gaps)
    store.con.execute("DROP VIEW IF EXISTS corrected")
    row_gate.clear(store.con)
    return outcomes, findings, corrected
