"""The home folder and the one DuckDB file: who may write it, and its ledger.

One process writes, guarded by a lock file that also covers the moment of publishing. Analysts never open this file:
they read the release.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock, Timeout
from pydantic import ByteSize, TypeAdapter, ValidationError

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import columns_of
from warehouse.isolation.sandbox import harden, share_mib
from warehouse.moments import at
from warehouse.periods import add_months, month_id
from warehouse.sql import literal
from warehouse.store.seals import CATALOGUE, REGISTRIES, seal
from warehouse.store.upgrade_steps import LATEST
from warehouse.tables import system_tables
from warehouse.tables.contracts import Table, load_tables
from warehouse.tables.passports import case_passports, data_passport, standards
from warehouse.tables.rules import CRITERIA

REGISTRY_FILES = Path(__file__).parents[1] / "registries"
FIRST_YEAR, LAST_YEAR = 2000, 2040  # of the registry of periods
LOCK_SECONDS = 600
HELD_SECONDS = 20.0  # that a program which looks into the warehouse itself may take, before a run fails by it
MEMORY_LIMIT = "QALA_MEMORY_LIMIT"  # of a run that writes: 1GB, 800MiB
# of it, what all else takes beside DuckDB's limit, both processes together; and what DuckDB has at least
BESIDE_MIB, LEAST_MIB = 800, 256
# rows that are cheaper handed over as lists; of others than these types, and of NaN, DuckDB 1.5 does not make the same: 1E+2 becomes 1
_FEW, _PLAIN = 200, frozenset({type(None), bool, int, str, dt.date, dt.datetime})
NOTHING = "0" * 64  # the hash before the first ledger row
_FROM_BACKUP = "restore it from a backup (qala restore), or make it anew: qala rebuild"
_ANEW = "move it away and publish it anew from the warehouse: qala run MONTH, of any month; or restore it from a backup"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
Entries = Sequence[tuple[str, str, Mapping[str, Any]]]  # ledger entries as (kind, subject, detail)


def settlements() -> dict[str, str]:
    """KATO code → English name of every registered settlement, without opening the warehouse."""
    with (REGISTRY_FILES / "settlements.csv").open(encoding="utf-8", newline="") as handle:
        return {row["kato"]: row["name_en"] for row in csv.DictReader(handle)}


def territory(scope: str) -> str:
    """A territory under the name it goes by here: a region with a single settlement, as Almaty's 75, is that settlement."""
    inside = [kato for kato in settlements() if kato[:2] == scope]
    return inside[0] if len(inside) == 1 else scope


def time_zones() -> dict[str, str]:
    """KATO code → IANA zone of every registered settlement: its civil time, then and now."""
    with (REGISTRY_FILES / "settlements.csv").open(encoding="utf-8", newline="") as handle:
        return {row["kato"]: row["time_zone"] for row in csv.DictReader(handle)}


class StoreError(RuntimeError):
    """The warehouse cannot be opened or does not fit the contracts; the message says what to do."""


class BusyError(StoreError):
    """Another process writes the warehouse."""


@dataclass(frozen=True)
class Home:
    """Where one installation keeps everything: `QALA_HOME`, or ./qala-home."""

    root: Path

    @classmethod
    def default(cls) -> Home:
        return cls(Path(os.environ.get("QALA_HOME", "qala-home")).resolve())

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse.duckdb"

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def scratch(self) -> Path:
        """Extracts in clear text while they are read (warehouse/home/scratch.py)."""
        return self.root / "scratch"

    @property
    def inbox(self) -> Path:
        return self.root / "inbox"

    @property
    def contracts(self) -> Path:
        """Source contracts of this installation, beside those that come with qala."""
        return self.root / "contracts"

    @property
    def catalogues(self) -> Path:
        """KPI catalogues of this installation, beside those that come with qala."""
        return self.root / "catalogues"

    @property
    def corrections(self) -> Path:
        """Declared corrections of what sources have wrong (connectors/corrections.py)."""
        return self.root / "corrections"

    @property
    def release(self) -> Path:
        return self.root / "release"

    @property
    def released_file(self) -> Path:
        return self.release / "qala.duckdb"


class Store:
    """An open warehouse. Get one from `writing` or `reading`."""

    def __init__(self, con: duckdb.DuckDBPyConnection, home: Home, run_id: str | None = None):
        self.con, self.home, self.run_id = con, home, run_id
        # of the ledger, once read: nobody else writes it while this is open
        self._newest: tuple[int, str] | None = None

    @cached_property
    def tables(self) -> dict[str, Table]:
        return load_tables()

    @cached_property
    def fingerprint(self) -> str:
        """What a file that this version of qala makes for these tables says it was made from (registry.setting)."""
        return shipped_fingerprint() if self.tables == load_tables() else _fingerprint(self.tables)

    @property
    def head(self) -> int:
        """The newest ledger sequence, 0 in an empty warehouse."""
        self._newest = self._newest or ledger_head(self.con)
        return self._newest[0]

    def record(self, entries: Entries) -> list[int]:
        """Append (kind, subject, detail) rows to the ledger; to be called inside `transaction`. Returns their sequences."""
        seq, previous = self._newest or ledger_head(self.con)
        now = dt.datetime.now(dt.UTC)
        rows: list[tuple[Any, ...]] = []
        for kind, subject, detail in entries:
            seq += 1
            text = json.dumps(detail, ensure_ascii=False, sort_keys=True, default=str)
            digest = ledger_hash(seq, now, kind, subject, self.run_id, text, previous)
            rows.append((seq, now, kind, subject, self.run_id, text, previous, digest))
            previous = digest
        columns = ["seq", "recorded_at", "kind", "subject", "run_id", "detail", "prev_hash", "hash"]
        self.insert("audit.ledger", columns, rows)
        self._newest = seq, previous
        at("ledger.recorded")
        return [int(row[0]) for row in rows]

    @cached_property
    def code_version(self) -> str:
        """Version of qala that is at work, for the ledger."""
        try:
            return version("qala-kpi")
        except PackageNotFoundError:
            return "not installed"

    def insert(self, table: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
        """Insert rows given as tuples: many at once as an Arrow table, few as lists, in a third of the time."""
        if not rows:
            return
        values, into = [list(c) for c in zip(*rows, strict=True)], f"INSERT INTO {table} ({', '.join(columns)})"
        if len(rows) <= _FEW and all(type(v) in _PLAIN or (type(v) is float and v == v) for c in values for v in c):
            self.con.execute(f"{into} SELECT {', '.join(['unnest(?)'] * len(values))}", values)
            return
        import pyarrow as pa

        self.con.register("handed_over", pa.table([pa.array(c) for c in values], names=columns))
        self.con.execute(f"{into} SELECT * FROM handed_over")
        self.con.unregister("handed_over")

    def replace(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        """Make a registry table hold just these rows, given in the order of its columns."""
        self.con.execute(f"DELETE FROM {table}")
        columns = [str(d[0]) for d in self.con.execute(f"SELECT * FROM {table} LIMIT 0").description or ()]
        self.insert(table, columns, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.con.execute("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            self._newest = None
            # after a fatal error there is nothing to roll back: what went wrong is to be told, not this
            with suppress(duckdb.Error):
                self.con.execute("ROLLBACK")
            raise
        newest, self._newest = self._newest, None  # should this fail, it is to be read again
        self.con.execute("COMMIT")
        self._newest = newest

    def columns(self) -> dict[str, dict[str, str]]:
        """Table → column → SQL type, as the KPI compiler wants them."""
        return {name: table.business_columns for name, table in self.tables.items()}


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
    return (int(row[0]), str(row[1])) if row else (0, NOTHING)


@contextmanager
def locked(home: Home, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the home's writer lock. Raises BusyError if another process keeps it too long."""
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
def writing(home: Home, run_id: str | None = None, *, sealed: bool = False) -> Iterator[Store]:
    """Open the warehouse for writing, creating or extending it as the contracts demand.

    `sealed`: SQL can reach no file but the warehouse itself, and no setting, afterwards (KPI computation, item 12(4)).
    """
    with locked(home), opened(home, run_id, sealed=sealed) as store:
        yield store


@contextmanager
def opened(
    home: Home, run_id: str | None = None, *, sealed: bool = False, fit: bool = True, first: Entries = ()
) -> Iterator[Store]:
    """As `writing`, for a caller that holds the lock itself. `fit`: False leaves the tables as they are; `first`: a new ledger's first entries."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
    }
    if limit := os.environ.get(MEMORY_LIMIT):
        config["memory_limit"] = f"{_left_for_duckdb(limit)}MiB"
    from warehouse.home import file_modes
    from warehouse.store import succession, write_ahead_log

    file_modes.close(home)
    succession.refuse_lost(home)
    # what a killed process could not hold in memory: nobody else writes while this process does
    shutil.rmtree(home.warehouse.with_name(f"{home.warehouse.name}.tmp"), ignore_errors=True)
    write_ahead_log.check_log(home)
    log = write_ahead_log.note_log(home)
    con = _connected(home.warehouse, HELD_SECONDS, config=config)
    try:
        if log:
            write_ahead_log.keep_note(home, log)
        con.execute("SET TimeZone = 'UTC'")
        succession.refuse_older(home, con)
        store = Store(con, home, run_id)
        if fit:
            _fit(store, first)
        if sealed:
            _no_objects_of_its_own(store, home.warehouse)
            # two limits may be set, of the run and of the process that computes: the smaller holds
            share = min(share_mib(), _left_for_duckdb(limit)) if limit else share_mib()
            harden(con, read_only=False, memory_mib=share)
        yield store
    finally:
        con.close()


@contextmanager
def looking(home: Home) -> Iterator[Store]:
    """Open the warehouse itself for a moment, to read what no release tells. Raises BusyError if another process writes it just now."""
    from warehouse.store import succession, write_ahead_log

    with locked(home, 0):
        write_ahead_log.check_log(home)
        con = _connected(home.warehouse, read_only=True)
        try:
            succession.refuse_older(home, con)
            yield Store(con, home)
        finally:
            con.close()


def _connected(file: Path, seconds: float = 0, remedy: str = _FROM_BACKUP, **how: Any) -> duckdb.DuckDBPyConnection:
    """Open a file, waiting so many seconds for whoever holds it: that passes, and nothing else is tried again."""
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


def _left_for_duckdb(limit: str) -> int:
    """MiB. Raises StoreError if the limit is no size."""
    try:
        size = TypeAdapter(ByteSize).validate_python(limit)
    except ValidationError as error:
        raise StoreError(
            f"{MEMORY_LIMIT} is {limit!r}: write a number and a unit, as in {MEMORY_LIMIT}=2GB or 1500MiB"
        ) from error
    return max((size >> 20) - BESIDE_MIB, LEAST_MIB)


@contextmanager
def reading(home: Home, *, threads: int | None = None, hardened: bool = True) -> Iterator[Store]:
    """Open the published release, read-only: it works while a run goes on. Raises StoreError if there is none.

    Hardened it reaches no file but its own, for good; otherwise it may write exports, and spill what does not fit into memory.
    """
    if not home.released_file.exists():
        raise StoreError(f"nothing has been released in {home.root} yet; run: qala run   (or: qala demo)")
    from warehouse.store.write_ahead_log import refuse_log
    from warehouse.tables.views import all_views, make_own

    refuse_log(home.released_file)
    con = _connected(home.released_file, remedy=_ANEW, read_only=True)
    try:
        # a file that this process has open already is the same database, with the same settings
        locked_already = con.execute("SELECT current_setting('lock_configuration')").fetchall()[0][0]
        if not locked_already:
            con.execute("SET GLOBAL TimeZone = 'UTC'")
        if hardened and not locked_already:
            harden(con, read_only=True, threads=threads)
        store = Store(con, home)
        _no_objects_of_its_own(store, home.released_file)
        make_own(
            con, all_views(store.tables)
        )  # what a view says follows from the code, not from whoever could write the file
        yield store
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise StoreError(
            f"{home.released_file} was released by another version of qala ({str(error).splitlines()[0]}); run: qala run"
        ) from error
    finally:
        con.close()


def _no_objects_of_its_own(store: Store, file: Path) -> None:
    """A macro may stand in place of a function of DuckDB's, a view in place of a table: both would be read as if they were it."""
    from warehouse.tables.views import foreign

    if found := foreign(store.con):
        raise StoreError(
            f"{file} holds what qala never made, and what may change any number: {', '.join(found)}; "
            "restore the file from a backup"
        )


@cache
def shipped_fingerprint() -> str:
    """`_fingerprint` of the shipped contracts, worked out once a process: a run opens the warehouse for every table."""
    return _fingerprint(load_tables())


def _fingerprint(tables: Mapping[str, Table]) -> str:
    from warehouse.tables.views import VIEWS

    # another DuckDB may spell the same view otherwise: it makes them anew
    return system_tables.fingerprint([*map(repr, tables.values()), repr(VIEWS), duckdb.__version__])


def _fit(store: Store, entries: Entries = ()) -> None:
    """Create or extend tables when the contracts differ from what the file was made for."""
    wanted, con = store.fingerprint, store.con
    known = con.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'registry' AND table_name = 'setting'"
    ).fetchone()
    if known and known[0]:
        found = con.execute("SELECT value FROM registry.setting WHERE name = 'schema'").fetchone()
        if found and found[0] == wanted:
            return
    from warehouse.store import fitting
    from warehouse.tables import ddl, views

    with store.transaction():
        fitting.refuse_older(store)
        fitting.fit_fixed(store)
        fitting.add_columns(store)
        meta = ddl.metadata(store.tables.values())
        con.execute("; ".join((*ddl.ddl(meta), *ddl.descriptions(meta))))
        views.make(con, views.all_views(store.tables))
        _fill_registries(store)
        con.execute("DELETE FROM registry.setting")
        con.execute("INSERT INTO registry.setting VALUES ('schema', ?)", [wanted])
        if entries and store.head == 0:
            store.record(entries)
        (first,) = store.record([("schema", "warehouse", {"sha256": wanted, "number": LATEST})])
        seal(store, first, {}, REGISTRIES)
        at("schema.committing")
    at("schema.committed")


def _rules(store: Store) -> list[tuple[Any, ...]]:
    """Every rule of every table as registry.rule has it."""
    return [
        (table.name, r.id, r.description, r.dimension, r.criterion, r.incident_kind, r.severity)
        for table in store.tables.values()
        for r in table.all_rules
    ]


def _fill_registries(store: Store) -> None:
    con = store.con
    store.replace("registry.data_passport", list(data_passport(store.tables.values())))
    store.replace("registry.rule", _rules(store))
    store.replace("registry.criterion", [(n, name, ru, kk) for n, (name, (ru, kk)) in enumerate(CRITERIA.items(), 1)])
    for name in ("region", "settlement"):
        con.execute(f"DELETE FROM registry.{name}")
    con.execute(
        f"INSERT INTO registry.region BY NAME SELECT * FROM read_csv({literal(REGISTRY_FILES / 'regions.csv')}, all_varchar = true)"
    )
    con.execute(
        "INSERT INTO registry.settlement BY NAME SELECT *, kato[:2] AS kato2, kato[:4] AS kato4, kato[:6] AS kato6 "
        f"FROM read_csv({literal(REGISTRY_FILES / 'settlements.csv')}, all_varchar = true)"
    )
    rows: list[tuple[Any, ...]] = []
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        start = dt.date(year, 1, 1)
        for grain, months in (("M", 1), ("Q", 3), ("A", 12)):
            for number in range(12 // months):
                first, after = add_months(start, number * months), add_months(start, (number + 1) * months)
                label = {"M": month_id(first), "Q": f"{year}-Q{number + 1}", "A": str(year)}[grain]
                rows.append((label, grain, first, after, month_id(add_months(after, -1))))
    store.replace("registry.period", rows)


def register_catalogue(store: Store, catalogue: Catalogues, hashes: Mapping[tuple[str, int], str]) -> None:
    """Bring spheres, initiatives and KPI versions of a catalogue into the registry, in a transaction of its own.

    Raises StoreError if a version already used here has another meaning now, or has given its place to another: a definition is
    never edited after use.
    """
    known = {(code, version): digest for code, version, digest in
             store.con.execute("SELECT code, version, definition_hash FROM registry.kpi").fetchall()}  # fmt: skip
    for place, digest in hashes.items():
        if known.get(place, digest) != digest:
            raise StoreError(
                f"{place[0]} version {place[1]} was used in this warehouse with another meaning; "
                "restore it, and write the change as a new version with its own valid_from"
            )
    defined = {code for code, _ in hashes}
    for code, former in sorted(set(known) - set(hashes)):
        if code in defined:  # a list that was taken away whole is another matter
            raise StoreError(
                f"{code} version {former} was used in this warehouse and is no longer defined; "
                "put it back beside the newer version, and end it with valid_to"
            )
    setting = store.con.execute("SELECT value FROM registry.setting WHERE name = 'catalogue'").fetchone()
    if setting and setting[0] == catalogue.digest:
        return
    lists = [(one.head, one) for one in catalogue.lists]
    with store.transaction():
        (first,) = store.record([("catalogue", ", ".join(h.id for h, _ in lists), {"sha256": catalogue.digest})])
        store.con.execute("DELETE FROM registry.setting WHERE name = 'catalogue'")
        store.con.execute("INSERT INTO registry.setting VALUES ('catalogue', ?)", [catalogue.digest])
        store.replace("registry.catalogue", [
            (h.id, h.version, h.name.en, h.name.ru, h.name.kk, h.status, h.legal_basis, h.valid_from, h.valid_to) for h, _ in lists])  # fmt: skip
        spheres = {s.code: s for h, _ in lists for s in h.spheres}
        store.replace(
            "registry.sphere", [(s.code, s.number, s.name.en, s.name.ru, s.name.kk) for s in spheres.values()]
        )
        store.replace("registry.initiative", [
            (i.code, i.sphere, i.name.en, i.name.ru, i.name.kk, i.named_in_order, i.basis, h.id, " ".join(i.categories))
            for h, one in lists for i in one.initiatives])  # fmt: skip
        store.replace("registry.case_passport", list(case_passports(catalogue, store.tables)))
        store.replace("registry.kpi_standard", standards(catalogue))
        new = [kpi for kpi in catalogue.kpis if (kpi.code, kpi.version) not in known]
        sources = [(kpi.code, kpi.version, table, column) for kpi in new for table, column in columns_of(kpi)]
        store.insert("registry.kpi_source", ["code", "version", "table_name", "column_name"], sources)
        ends = {(code, version): end for code, version, end in
                store.con.execute("SELECT code, version, valid_to FROM registry.kpi").fetchall()}  # fmt: skip
        for kpi in catalogue.kpis:  # a version may be ended after it was used; nothing else of it may change
            place = (kpi.code, kpi.version)
            if place in ends and ends[place] != kpi.valid_to:
                store.con.execute(
                    "UPDATE registry.kpi SET valid_to = ? WHERE (code, version) = (?, ?)", [kpi.valid_to, *place]
                )
                store.record([("definition-ended", f"{kpi.code}@{kpi.version}", {"valid_to": kpi.valid_to})])
        seqs = store.record(
            [
                (
                    "definition",
                    f"{k.code}@{k.version}",
                    {"hash": hashes[k.code, k.version], "change_note": k.change_note},
                )
                for k in new
            ]
        )
        store.insert("registry.kpi", [
            "code", "version", "initiative", "sphere", "name_en", "name_ru", "name_kk", "unit", "direction", "kind", "grain", "valid_from", "valid_to",
            "sensitivity", "definition", "definition_hash", "catalogue_id", "catalogue_version", "catalogue_status", "registered_seq",
        ], [(k.code, k.version, catalogue.initiative_of(k.code).code, catalogue.sphere_of(k.code).code, k.name.en, k.name.ru, k.name.kk, k.unit, k.direction,
             str(k.kind), str(k.period), k.valid_from, k.valid_to, k.sensitivity, k.model_dump_json(by_alias=True),
             hashes[k.code, k.version], h.id, h.version, h.status, seq)
            for k, seq in zip(new, seqs, strict=True) for h in [catalogue.of(k.code).head]])  # fmt: skip
        seal(store, first, {}, CATALOGUE)
        at("catalogue.committing")
    at("catalogue.committed")
