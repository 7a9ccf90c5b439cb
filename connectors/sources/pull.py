"""What is due of a source is fetched and becomes deliveries, each whole or not at all; what is not there, unchanged or at fault is told.

A kill at any moment leaves nothing half-delivered: bytes lie in a scratch folder until their receipt is written, in one step, and where the
next pull begins follows from receipts and ledger alone. Does not belong here: how a system is spoken to (the kinds' modules), what is due
(regulation.py), whether a declaration can be right (receiving/deliver.py).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from connectors.archive import receipts
from connectors.archive.archive import Archive, ArchiveError
from connectors.archive.bundle import BundleError, bundle
from connectors.mapping.source_contract import SourceContract, standard
from connectors.personal_data.detection import scrubbed
from connectors.receiving.deliver import DeclaredDelivery, DeliveryError, deliver
from connectors.sources.connections import Connected
from connectors.sources.notes import Note, key_of, one_at_a_time, read_notes, write_notes
from connectors.sources.regulation import due_on, since_of, wanted
from connectors.sources.secrets import Secrets
from connectors.sources.settings import Extract
from connectors.sources.source import Asked, Fetched, Source, SourceError
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.home.scratch import scratch
from warehouse.loading.deliveries import DeliveryState, Receipt
from warehouse.loading.pulls import PulledDelivery, pulled_by
from warehouse.messages.messages import said
from warehouse.moments import at
from warehouse.periods import Period
from warehouse.tables.contracts import Table

_BLOCK = 1 << 20
_T = TypeVar("_T")


class Outcome(StrEnum):
    """What became of one question to a source."""

    DELIVERED = "delivered"
    UNCHANGED = "unchanged"  # the same bytes were taken in before, or nothing changed since
    NOT_YET = "not there yet"
    OVERDUE = "overdue"  # not there, and it should be
    REFUSED = "refused before"  # the same bytes, which nothing would make of another
    FAILED = "failed"


@dataclass(frozen=True)
class Told:
    """What became of one question, in words that hold no secret. `passing`: it may go well when it is tried again."""

    source: str
    table: str
    system: str
    scope: str
    period: str
    outcome: Outcome
    said: str
    receipt: Receipt | None = None
    passing: bool = False
    lost: bool = False  # the source itself cannot be asked: there is no use in asking for more

    @property
    def well(self) -> bool:
        return self.outcome in (Outcome.DELIVERED, Outcome.UNCHANGED, Outcome.NOT_YET)


@dataclass(frozen=True)
class Known:
    """What the release says of deliveries: those of sources, and which receipts it knows at all."""

    deliveries: Sequence[PulledDelivery] = ()
    receipts: Collection[str] = ()


@dataclass(frozen=True)
class Setting:
    """The home's contracts, and the day by the national clock."""

    home: Home
    tables: Mapping[str, Table]
    contracts: Mapping[tuple[str, str], SourceContract]
    today: dt.date
    again: bool = False  # also what was refused before, by the same contract

    def contract(self, extract: Extract) -> SourceContract:
        return self.contracts.get((extract.system, extract.table)) or standard(self.tables[extract.table])


def pulled_before(home: Home, known: Known) -> list[PulledDelivery]:
    """Every delivery of any source, in order of arrival: as the release knows it, and as receipts that came since say."""
    newer = receipts.beyond(home.archive / "receipts", set(known.receipts))
    found = [pulled_by(receipt, taken_back=back) for receipt, back in newer]
    return sorted([*known.deliveries, *(one for one in found if one)], key=lambda one: one.receipt_id)


def pull(
    setting: Setting, connected: Connected, known: Known, say: Callable[[Told], None] = lambda _: None
) -> list[Told]:
    """Ask a source for all that is due, and deliver it. Raises PullBusyError; every other fault is told, and stops no more than it must.

    `connected` has been checked (connection_checks.py).
    """
    with one_at_a_time(setting.home, connected.name):
        secrets = Secrets(connected.name, setting.home.root)
        pulling = _Pulling(setting, connected, secrets, pulled_before(setting.home, known))
        told = []
        for one in pulling.all():
            told.append(one)
            say(one)
        return told


def check_source(home: Home, connected: Connected) -> Sequence[str]:
    """Connect to a source and say what was found. Raises SourceError, free of secrets."""
    secrets = Secrets(connected.name, home.root)
    found = _guarded(secrets, lambda: connected.open(secrets).check())
    return [secrets.scrub(line) for line in found]


def _guarded(secrets: Secrets, do: Callable[[], _T]) -> _T:
    """Whatever goes wrong in a source becomes a SourceError without secrets, and without the errors that led to it: they may hold some."""
    try:
        return do()
    except SourceError as error:
        told = SourceError(
            secrets.source, error.setting, secrets.scrub(error.said), secrets.scrub(error.remedy), passing=error.passing
        )
    except (DeliveryError, ArchiveError, BundleError, StoreError) as error:
        told = SourceError(secrets.source, "extracts", secrets.scrub(str(error)), "nothing was taken in")
    except OSError as error:
        text = secrets.scrub(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        told = SourceError(secrets.source, "connection", text, "it is tried again by the next pull", passing=True)
    except Exception as error:
        text = secrets.scrub(f"{type(error).__name__}: {error}")
        told = SourceError(secrets.source, "extracts", text, "nothing was taken in; please report it")
    raise told  # here, where no other error is its context


@dataclass
class _Pulling:
    """One pull of one source."""

    setting: Setting
    connected: Connected
    secrets: Secrets
    before: list[PulledDelivery]

    def all(self) -> Iterator[Told]:
        extracts = self.connected.extracts
        notes = read_notes(self.setting.home, self.connected.name)
        try:
            source = _guarded(self.secrets, lambda: self.connected.open(self.secrets))
        except SourceError as error:
            for one, scope in [(extract, scope) for extract in extracts for scope in extract.places]:
                failed = self._failed(one, scope, "", error)
                yield failed
                self._note(notes, one, scope, [failed])
            return
        for extract in extracts:
            for scope in extract.places:
                told: list[Told] = []
                for period in wanted(extract, self._of(extract, scope), self.setting.today):
                    told.append(self._ask(source, extract, scope, period))
                    yield told[-1]
                    if told[-1].lost:
                        break
                self._note(notes, extract, scope, told)
                if told and told[-1].lost:
                    return

    def _ask(self, source: Source, extract: Extract, scope: str, period: Period) -> Told:
        try:
            return _guarded(self.secrets, lambda: self._one(source, extract, scope, period))
        except SourceError as error:
            return self._failed(extract, scope, period.id, error)

    def _of(self, extract: Extract, scope: str) -> list[PulledDelivery]:
        own = (self.connected.name, extract.table, extract.system, scope)
        return [one for one in self.before if (one.source, one.table, one.system, one.scope) == own]

    def _one(self, source: Source, extract: Extract, scope: str, period: Period) -> Told:
        """One period of one settlement. Raises SourceError and what `_guarded` takes; then nothing was delivered."""
        before = self._of(extract, scope)
        since = since_of(extract, before)
        asked = Asked(extract, self.connected.regulation(extract), scope, period, since)
        with scratch(self.setting.home.scratch) as folder:
            files = folder / "files"
            files.mkdir()
            fetched = source.fetch(asked, files)
            at("pull.fetched")
            if fetched is None or (extract.changed_by is not None and fetched.rows == 0):
                return self._nothing(asked)
            self._verify(asked, fetched)
            file = self._one_file(asked, fetched, files, folder)
            if (same := self._same(asked, file, before)) is not None:
                return same
            pulled = {
                "source": self.connected.name,
                "since": since,
                "until": fetched.until,
                "when": dt.datetime.now(dt.UTC).isoformat(),
                "tool": f"qala {version('qala-kpi')}",
            }
            receipt = deliver(
                Archive(self.setting.home.archive),
                DeclaredDelivery(file, extract.table, scope, period.id, extract.system, fetched.rows, pulled=pulled),
                self.setting.tables,
                self.setting.contracts,
            )
        at("pull.entered")
        entered = pulled_by(receipt, taken_back=False)
        assert entered is not None
        self.before.append(entered)
        rows = "" if fetched.rows is None else f", {fetched.rows:,} rows"
        return self._told(
            asked, Outcome.DELIVERED, f"{receipt.bytes:,} bytes{rows}, receipt {receipt.receipt_id}", receipt
        )

    def _verify(self, asked: Asked, fetched: Fetched) -> None:
        rows = asked.regulation.rows
        if not fetched.files:
            raise SourceError(self.connected.name, "extracts", "no file was fetched", "please report it")
        if asked.extract.changed_by is not None and fetched.until is None:
            raise SourceError(
                self.connected.name,
                "extracts.changed_by",
                f"the rows have no {asked.extract.changed_by}, by which the next pull would begin",
                "name an attribute that every row has",
            )
        if fetched.rows is not None and not rows.expect(fetched.rows):
            raise SourceError(
                self.connected.name,
                "regulation.rows",
                f"{asked.period.id} of {asked.scope} has {fetched.rows:,} rows, expected were {rows}; nothing was taken in",
                "ask the source; if it is right, mend what is expected",
            )

    def _one_file(self, asked: Asked, fetched: Fetched, files: Path, folder: Path) -> Path:
        if len(fetched.files) == 1:
            return fetched.files[0]
        about = {
            "source": self.connected.name,
            "table": asked.extract.table,
            "settlement": asked.scope,
            "period": asked.period.id,
            **fetched.about,
        }
        members = [(str(path.relative_to(files)), path) for path in fetched.files]
        return bundle(
            members, folder / f"{asked.extract.table}-{asked.scope}-{asked.period.id.replace('/', '_')}.zip", about
        )

    def _same(self, asked: Asked, file: Path, before: Sequence[PulledDelivery]) -> Told | None:
        """What is to be told of bytes that would change nothing, or that were refused and would be again."""
        alike = [one for one in before if one.period == asked.period.id or asked.extract.changed_by is not None]
        if not alike:
            return None
        with file.open("rb") as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        newest = next((one for one in reversed(alike) if one.taken), None)
        if newest is not None and newest.sha256 == sha256:
            return self._told(asked, Outcome.UNCHANGED, f"the same bytes as in receipt {newest.receipt_id}")
        if self.setting.again:
            return None
        contract = self.setting.contract(asked.extract)
        for one in alike:
            if one.sha256 != sha256 or one.taken:
                continue
            if one.state == DeliveryState.WITHDRAWN:
                why = "they were taken back; if they are to be loaded after all: qala pull --again"
            elif one.contract_version == contract.version:
                reason = f": {said(one.reason)}" if one.reason else ""
                why = (
                    f"version {contract.version} of {contract.id} refused them{reason}; "
                    "mend the contract and give it a new version, or have the source mend the extract"
                )
            else:
                continue
            return self._told(asked, Outcome.REFUSED, f"the same bytes as in receipt {one.receipt_id}; {why}")
        return None

    def _nothing(self, asked: Asked) -> Told:
        if asked.extract.changed_by is not None and (asked.since is not None or asked.regulation.rows.least == 0):
            since = f" since {asked.since}" if asked.since is not None else ""
            return self._told(asked, Outcome.UNCHANGED, f"nothing changed{since}")
        due = due_on(asked.period, asked.regulation)
        late = (self.setting.today - due).days - asked.regulation.delay_days
        if late > 0 and asked.extract.changed_by is None:
            return self._told(asked, Outcome.OVERDUE, f"it was due on {due}, and is overdue by {late} days")
        return self._told(asked, Outcome.NOT_YET, f"due on {due}")

    def _told(self, asked: Asked, outcome: Outcome, text: str, receipt: Receipt | None = None) -> Told:
        extract = asked.extract
        text = scrubbed(self.secrets.scrub(text), sure=True)
        return Told(
            self.connected.name, extract.table, extract.system, asked.scope, asked.period.id, outcome, text, receipt
        )

    def _failed(self, extract: Extract, scope: str, period: str, error: SourceError) -> Told:
        return Told(
            self.connected.name,
            extract.table,
            extract.system,
            scope,
            period,
            Outcome.FAILED,
            scrubbed(str(error), sure=True),
            passing=error.passing,
            lost=error.setting.startswith("connection"),
        )

    def _note(self, notes: dict[str, Note], extract: Extract, scope: str, told: Sequence[Told]) -> None:
        if not told:
            return
        key, last = key_of(extract.table, extract.system, scope), told[-1]
        former = notes.get(key)
        now = dt.datetime.now(dt.UTC).isoformat()
        looked = now if last.outcome is not Outcome.FAILED else former.looked if former else None
        # a period that failed is not hidden by a later one that came
        one = next((one for one in told if one.outcome is Outcome.FAILED), last)
        notes[key] = Note(looked, str(one.outcome), one.period, one.said)
        write_notes(self.setting.home, self.connected.name, notes)
