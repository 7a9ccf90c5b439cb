"""Opening the one DuckDB file: who may write it, who may look, and reading the release.

One process writes, guarded by a lock file that also covers the moment of publishing. Analysts never open this file: they open
the release. Does not belong here: what is done with an open warehouse (store.py and the rooms above).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from warehouse.errors import BusyError, StoreError
from warehouse.home import file_modes
from warehouse.home.account import ACCOUNT, account
from warehouse.home.home import Home
from warehouse.isolation.sandbox import harden, share_mib
from warehouse.store import succession, write_ahead_log
from warehouse.store.ledger import Entries, EntryKind
from warehouse.store.store import Store
from warehouse.tables import views

LOCK_SECONDS = 600  # for which a run waits while another process writes
HELD_SECONDS = 20.0  # for which a run waits while another program has the warehouse open
MEMORY_LIMIT = "QALA_MEMORY_LIMIT"  # of a run that writes: 1GB, 800MiB
# MiB of that limit reserved for everything but DuckDB (Python, Dagster, Great Expectations, both processes), and the least DuckDB gets
BESIDE_MIB, LEAST_MIB = 800, 256
_FROM_BACKUP = "restore it from a backup (qala restore), or make it anew: qala rebuild"
_MAGIC = slice(8, 12)  # bytes of a DuckDB file that say that it is one
_ANEW = "move it away and publish it anew from the warehouse: qala run MONTH, of any month; or restore it from a backup"


@contextmanager
def locked(home: Home, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the home's writer lock. Raises BusyError if another process keeps it too long."""
    from filelock import FileLock, Timeout  # who reads a release locks nothing

    home.root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home.root / ".writer.lock", timeout=seconds)
    try:
        lock.acquire()
    except Timeout as error:
        raise BusyError(
            f"another process has been writing {home.warehouse} for {seconds:g} s; "
            "wait for its run to end, or stop it in the Dagster UI"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def writing(home: Home, run_id: str | None = None, *, hardened: bool = False) -> Iterator[Store]:
    """Open the warehouse for writing, creating or extending it as the contracts demand.

    `hardened`: SQL can reach no file but the warehouse itself, and no setting, afterwards (KPI computation, item 12(4)).
    """
    with locked(home), opened(home, run_id, hardened=hardened) as store:
        yield store


@contextmanager
def opened(
    home: Home, run_id: str | None = None, *, hardened: bool = False, fit: bool = True, first: Entries = ()
) -> Iterator[Store]:
    """As `writing`, for a caller that holds the lock itself. `fit`: False leaves the tables as they are; `first`: a new ledger's first entries."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
        "error_on_division_by_zero": "false",  # a // 0 and a % 0 of a source contract are NULL, as they were in DuckDB 1.5
    }
    if limit := os.environ.get(MEMORY_LIMIT):
        config["memory_limit"] = f"{_left_for_duckdb(limit)}MiB"
    file_modes.close(home)
    succession.refuse_lost(home)
    # what a killed process could not hold in memory: nobody else writes while this process does
    shutil.rmtree(home.warehouse.with_name(f"{home.warehouse.name}.tmp"), ignore_errors=True)
    write_ahead_log.check_log(home)
    log = write_ahead_log.note_log(home)
    if not home.warehouse.exists():
        from warehouse.store.blank import make_blank

        make_blank(home)
    con = _connected(home.warehouse, HELD_SECONDS, config=config)
    try:
        if log:
            write_ahead_log.keep_note(home, log)
        con.execute("SET TimeZone = 'UTC'")
        succession.refuse_older(home, con)
        store = Store(con, home, run_id)
        if fit:
            from warehouse.store.schema import ensure_schema  # who only reads needs nothing of it

            ensure_schema(store, first)
        if hardened:
            _refuse_foreign_objects(store, home.warehouse)
            # two limits may be set, of the run and of the process that computes: the smaller holds
            share = min(share_mib(), _left_for_duckdb(limit)) if limit else share_mib()
            harden(con, read_only=False, memory_mib=share)
        yield store
    finally:
        con.close()


@contextmanager
def looking(home: Home) -> Iterator[Store]:
    """Open the warehouse itself for a moment, to read what is not released yet. Raises BusyError if another process writes it."""
    with locked(home, 0):
        write_ahead_log.check_log(home)
        con = _connected(home.warehouse, read_only=True)
        try:
            succession.refuse_older(home, con)
            yield Store(con, home)
        finally:
            con.close()


def _connected(file: Path, seconds: float = 0, remedy: str = _FROM_BACKUP, **how: Any) -> duckdb.DuckDBPyConnection:
    """Open a file; if another process holds it, try again for so many seconds. Raises BusyError, StoreError with the remedy."""
    until = time.monotonic() + seconds
    while True:
        try:
            return duckdb.connect(str(file), **how)
        except duckdb.Error as error:
            said = str(error).splitlines()[0]
            held = "lock" in said.lower()
            if held and time.monotonic() < until:
                time.sleep(0.2)
                continue
            if held or "different configuration" in said:
                raise BusyError(f"{file} is held by another process or connection ({said}); close it there") from error
            if "Permission denied" in said or "Read-only" in said:
                raise StoreError(
                    f"{file} cannot be opened ({said}); give this user the right, or act as its owner"
                ) from error
            raise StoreError(f"{file} cannot be opened ({said}); {remedy}") from error


def _refuse_no_database(file: Path, remedy: str) -> None:
    """Raises StoreError if a file does not begin as DuckDB's do: of such a one DuckDB says what nobody understands."""
    if not file.is_file():
        return
    with file.open("rb") as handle:
        beginning = handle.read(_MAGIC.stop)
    if beginning[_MAGIC] != b"DUCK":
        what = "is empty" if not beginning else "is no DuckDB database, or its beginning is damaged"
        raise StoreError(f"{file} cannot be opened: it {what}; {remedy}")


def _left_for_duckdb(limit: str) -> int:
    """MiB. Raises StoreError if the limit is no size."""
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        size = TypeAdapter(ByteSize).validate_python(limit)
    except ValidationError as error:
        raise StoreError(
            f"{MEMORY_LIMIT} is {limit!r}: write a number and a unit, as in {MEMORY_LIMIT}=2GB or 1500MiB"
        ) from error
    return max((size >> 20) - BESIDE_MIB, LEAST_MIB)


@contextmanager
def reading(
    home: Home, *, threads: int | None = None, hardened: bool = True, with_views: bool = True
) -> Iterator[Store]:
    """Open the published release, read-only: it works while a run goes on. Raises StoreError if there is none.

    Hardened it reaches no file but its own, for good; otherwise it may write exports, and spill what does not fit into memory.
    `with_views`: False for a question that reads no view; to make them is a third of the time that most take.
    """
    if not home.released_file.exists():
        raise StoreError(f"nothing has been released in {home.root} yet; run: qala run   (or: qala demo)")
    with reading_file(
        home.released_file, threads=threads, hardened=hardened, home=home, with_views=with_views
    ) as store:
        yield store


@contextmanager
def reading_file(
    file: Path,
    *,
    threads: int | None = None,
    hardened: bool = True,
    home: Home | None = None,
    with_views: bool = True,
) -> Iterator[Store]:
    """As `reading`, of a released file wherever it lies. Raises StoreError if it cannot be read as one."""
    write_ahead_log.refuse_log(file)
    _refuse_no_database(file, _ANEW)
    con = _connected(file, remedy=_ANEW, read_only=True)
    try:
        # a file that this process has open already is the same database, with the same settings
        locked_already = con.execute("SELECT current_setting('lock_configuration')").fetchall()[0][0]
        if not locked_already:
            con.execute("SET GLOBAL TimeZone = 'UTC'")
        if hardened and not locked_already:
            harden(con, read_only=True, threads=threads)
        store = Store(con, home or Home(file.parent.parent))
        _refuse_foreign_objects(store, file)
        # what a view says follows from the code, not from a person who could write the file
        views.make_own(con, views.all_views(store.tables)) if with_views else views.hide(con)
        yield store
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise StoreError(
            f"{file} was released by another version of qala ({str(error).splitlines()[0]}); run: qala run"
        ) from error
    finally:
        con.close()


def _refuse_foreign_objects(store: Store, file: Path) -> None:
    """Raises StoreError if a file has macros or views that would be read in place of DuckDB's functions or of tables."""
    if found := views.foreign(store.con):
        raise StoreError(
            f"{file} holds what qala never made, and what may change any number: {', '.join(found)}; "
            "restore the file from a backup"
        )


def enter_start(home: Home, aside: Path | None, waiting: int) -> None:
    """Enter in the ledger that a person had the warehouse go on without its release: by which account, where the release is now (`aside`),
    and how many receipts wait again.
    """
    with writing(home) as store, store.transaction():
        detail = {"release": aside.name if aside else None, "receipts": waiting, ACCOUNT: account()}
        store.record([(EntryKind.STARTED_ANEW, "warehouse", detail)])
