"""An open warehouse: its connection, its tables, its ledger, its transactions. Opened by sessions.py."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import duckdb

from kpi_definitions.documents import DocumentError
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.moments import at
from warehouse.store import ledger_log
from warehouse.store.ledger import Entries, ledger_hash, ledger_head
from warehouse.tables.contracts import Table, load_tables
from warehouse.tables.fingerprint import schema_fingerprint, shipped_fingerprint
from warehouse.tables.home_tables import has_own_tables, tables_of
from warehouse.version import qala_version

# up to so many rows are passed as lists, which is faster than Arrow; only values of these types: of others DuckDB guesses the type
# from the list (1.5 made Decimal 1E+2 a 1), Arrow says it
_FEW, _PLAIN = 200, frozenset({type(None), bool, int, str, dt.date, dt.datetime})


class Store:
    """An open warehouse. Get one from `writing` or `reading`."""

    def __init__(self, con: duckdb.DuckDBPyConnection, home: Home, run_id: str | None = None):
        self.con, self.home, self.run_id = con, home, run_id
        # of the ledger, once read: nobody else writes it while this is open
        self._newest: tuple[int, str] | None = None
        self._entered: list[ledger_log.Entered] = []  # in this transaction, if the log is wanted

    @cached_property
    def tables(self) -> dict[str, Table]:
        """Those that come with qala and the home's own. Raises StoreError."""
        try:
            return tables_of(self.home)
        except DocumentError as error:
            raise StoreError(f"contracts of the home's own tables are at fault (qala check):\n{error}") from None

    @cached_property
    def fingerprint(self) -> str:
        """What a file that this version of qala makes for these tables says it was made from (registry.setting)."""
        if not has_own_tables(self.home) or self.tables == load_tables():
            return shipped_fingerprint()
        return schema_fingerprint(self.tables)

    @property
    def last_seq(self) -> int:
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
            rows.append((seq, now, str(kind), subject, self.run_id, text, previous, digest))
            previous = digest
        columns = ["seq", "recorded_at", "kind", "subject", "run_id", "detail", "prev_hash", "hash"]
        self.insert("audit.ledger", columns, rows)
        self._newest = seq, previous
        if ledger_log.wanted():
            self._entered += [ledger_log.Entered(row[0], row[2], row[3], row[4], row[5]) for row in rows]
        at("ledger.recorded")
        return [int(row[0]) for row in rows]

    @cached_property
    def code_version(self) -> str:
        """Version of qala that runs, for the ledger."""
        return qala_version()

    def select(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query, each a dict: column → value."""
        cursor = self.con.execute(sql, list(parameters))
        columns = [d[0] for d in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

    def insert(self, table: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
        """Insert rows given as tuples: many at once as an Arrow table, few as lists, in a third of the time."""
        if not rows:
            return
        values, into = [list(c) for c in zip(*rows, strict=True)], f"INSERT INTO {table} ({', '.join(columns)})"
        if len(rows) <= _FEW and all(type(v) in _PLAIN or (type(v) is float and v == v) for c in values for v in c):
            self.con.execute(f"{into} SELECT {', '.join(['unnest(?)'] * len(values))}", values)
            return
        import pyarrow as pa

        self.con.complete()  # DuckDB 2 registers nothing while an earlier result has rows left: one that `fetchone` read, say
        self.con.register("handed_over", pa.table([pa.array(c) for c in values], names=columns))
        self.con.execute(f"{into} SELECT * FROM handed_over")
        self.con.unregister("handed_over")

    def insert_rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows that name their columns, all of them the same; a dataclass comes as `vars(row)`."""
        if rows:
            self.insert(table, list(rows[0]), [tuple(row.values()) for row in rows])

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
            self._entered.clear()
            # after a fatal error there is nothing to roll back: the first error is the one to report
            with suppress(duckdb.Error):
                self.con.execute("ROLLBACK")
            raise
        newest, self._newest = self._newest, None  # should this fail, it is to be read again
        self.con.execute("COMMIT")
        self._newest = newest
        if self._entered:
            ledger_log.log(self.con, self._entered)
            self._entered.clear()

    def columns(self) -> dict[str, dict[str, str]]:
        """Table → column → SQL type, as the KPI compiler wants them."""
        return {name: table.business_columns for name, table in self.tables.items()}
