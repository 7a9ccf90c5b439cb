"""`qala rebuild`: the warehouse made anew, from archive, receipts, contracts, catalogues, corrections and what the old ledger says was done.

The old file is read, never written. Everything is done again in the order of its ledger, in the same batches, with the decisions of people
where they stood, in a file beside; that takes the old one's place when both say the same (warehouse/store/content.py). Killed in the
middle it leaves the old one as it was, and begins from the beginning the next time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from connectors.archive.archive import Archive
from pipelines.recovery.replay import Replay
from warehouse.errors import BusyError, StoreError
from warehouse.home.copies import file_sha256
from warehouse.home.home import Home
from warehouse.store.content import Content, content
from warehouse.store.former_ledger import Former, events, write_ledger
from warehouse.store.sessions import locked, opened
from warehouse.store.succession import released_head

FOLDER = ".rebuild"
Say = Callable[[str], None]


class _Beside(Home):
    """The home, with a warehouse and a release of its own: what is read is the home's, what is written is not."""

    @property
    def warehouse(self) -> Path:
        return self.root / FOLDER / "warehouse.duckdb"

    @property
    def release(self) -> Path:
        return self.root / FOLDER / "release"


@dataclass(frozen=True)
class Rebuilt:
    """What came of it."""

    source: Path  # the file whose ledger was followed
    head: tuple[int, str]  # of that ledger
    deliveries: int
    before: Content | None  # None: the old file's rows cannot be read any more
    after: Content
    told: tuple[str, ...]  # what could not be done as it was done then
    kept: Path | None  # the old warehouse, if it was there and gave its place
    in_place: bool

    @property
    def differing(self) -> dict[str, tuple[int, int]]:
        """Tables that say something else, with their rows before and after."""
        return self.before.differing(self.after) if self.before else {}


def rebuild(home: Home, *, source: Path | None = None, accept: bool = False, say: Say = lambda _: None) -> Rebuilt:
    """Make the warehouse anew. It takes the old one's place if it says the same, or with `accept`. Raises StoreError, DocumentError.

    `source`: a warehouse file whose ledger is followed; None: the warehouse itself or, if that is gone, damaged or older, the release.
    """
    beside = _Beside(home.root)
    with locked(home), _in_words():
        file = _source(home, source, say)
        shutil.rmtree(home.root / FOLDER, ignore_errors=True)
        (home.root / FOLDER).mkdir(parents=True)
        con = duckdb.connect(str(file), read_only=True)
        try:
            con.execute("SET TimeZone = 'UTC'")
            former = Former.of(con)
            _refuse_behind(home, file, former)
            ledger = home.root / FOLDER / "ledger.jsonl"
            write_ledger(con, ledger)
            archive = Archive(home.archive)
            entry = {
                "head": list(former.head),
                "source": file.name,
                "releases": former.releases[-100:],
                "ledger_sha256": file_sha256(ledger),
            }
            work = Replay(beside, former, archive, entry, say)
            work.do(list(events(con)))
            say("comparing what both say")
            before = _content_of(con, work.told)
        finally:
            con.close()
        after = work.close(before)
        told = tuple(work.told)
        fits = accept or before is None or not before.differing(after)
        if fits:  # what is only tried leaves nothing in the archive
            archive.keep(ledger)
        kept = _put_in_place(home, beside, former.head[0], archive) if fits else None
    return Rebuilt(file, former.head, len(former.deliveries), before, after, told, kept, fits)


@contextmanager
def _in_words() -> Iterator[None]:
    """What disk and engine do not allow is a sentence; whatever it is, the old warehouse is as it was."""
    try:
        yield
    except duckdb.Error as error:
        raise StoreError(
            f"the warehouse could not be made anew ({type(error).__name__}: {str(error).splitlines()[0]}); the old one is as it was"
        ) from error
    except OSError as error:
        raise StoreError(
            f"the warehouse could not be made anew ({error.strerror or error}: {error.filename}); the old one is as it was; "
            "make room or mend the rights, and begin again"
        ) from error


def _content_of(con: duckdb.DuckDBPyConnection, told: list[str]) -> Content | None:
    try:
        return content(con)
    except duckdb.Error as error:
        told.append(
            f"the rows of the old file cannot be read any more ({str(error).splitlines()[0]}): nothing was compared"
        )
        return None


def _source(home: Home, given: Path | None, say: Say) -> Path:
    """The file whose ledger is followed."""
    if given is not None:
        if not given.is_file():
            raise StoreError(f"{given} is no file")
        return given
    why = "it is gone"
    if home.warehouse.exists():
        try:
            with opened(home, fit=False) as store:  # a log that a killed run left is taken in
                if store.con.execute("FROM duckdb_tables() WHERE table_name = 'ledger'").fetchall():
                    store.con.execute("CHECKPOINT")
                    return home.warehouse
            why = "it is empty"
        except BusyError:
            raise
        except (StoreError, duckdb.Error) as error:
            why = str(error).partition(";")[0].splitlines()[0]
    if not home.released_file.exists():
        raise StoreError(
            f"{home.warehouse} cannot be followed ({why}) and there is no release; name a warehouse file of a backup: qala rebuild --from FILE, "
            "or make a new one from the receipts alone: qala run --start-anew"
        )
    say(f"{home.warehouse} cannot be followed ({why}): the release is")
    return home.released_file


def _refuse_behind(home: Home, file: Path, former: Former) -> None:
    """A ledger that does not know the release beside it would make a warehouse that has to be refused."""
    seq, digest = released_head(home)
    if seq and (seq, digest) not in {*former.releases, former.head}:
        raise StoreError(
            f"the ledger of {file} does not know the release of sequence {seq} in {home.release}: it is older, or of another warehouse; "
            f"follow the release itself: qala rebuild --from {home.released_file}"
        )


def _put_in_place(home: Home, beside: Home, seq: int, archive: Archive) -> Path | None:
    """The old file stays under another name. What was received after the ledger that was followed waits again first: lost it never is."""
    con = duckdb.connect(str(beside.warehouse), read_only=True)
    decided = "SELECT receipt_id FROM audit.delivery WHERE state <> 'received' UNION SELECT subject FROM audit.ledger WHERE kind = 'withdrawn'"
    known = {receipt_id for (receipt_id,) in con.execute(decided).fetchall()}
    con.close()
    archive.wait_again(known)
    with beside.warehouse.open("rb") as handle:
        os.fsync(handle.fileno())
    kept = home.warehouse.with_name(f"{home.warehouse.name}.before-rebuild-{seq}") if home.warehouse.exists() else None
    if kept is not None:
        kept.unlink(missing_ok=True)
        os.link(home.warehouse, kept)
    log = home.warehouse.with_name(home.warehouse.name + ".wal")
    if log.exists():  # of a file that could not be opened
        log.replace(home.warehouse.with_name(f"{home.warehouse.name}.before-rebuild-{seq}.wal"))
    beside.warehouse.replace(home.warehouse)
    shutil.rmtree(home.root / FOLDER, ignore_errors=True)
    return kept
