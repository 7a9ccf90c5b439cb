"""ClickHouse measures: a server, or several with a Distributed table each, or the engine in this process (chdb.py).

A load is a partition of its table, so that it comes and goes whole. With several servers the rows of a settlement are all on one of them, by
a hash of its code; `<table>` is then the Distributed table through which all are read, `<table>_local` holds the rows of one.
Does not belong here: how a server is talked to (clickhouse_connections.py), what it must be like (clickhouse_checks.py), the tables' columns
(clickhouse_tables.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from warehouse.engines import clickhouse_checks as checks
from warehouse.engines.clickhouse_answers import columns_of_answer, records
from warehouse.engines.clickhouse_connections import Connection, connect
from warehouse.engines.clickhouse_tables import (
    FIRST_WITH_CALENDAR,
    LOAD,
    Shape,
    load_name,
    rows_as_text,
    shard_of_row,
    text_literal,
)
from warehouse.engines.content import content_sql
from warehouse.engines.engine import EngineError, Facts, Load
from warehouse.sql import quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from kpi_definitions.engine_scans import EngineScan
    from warehouse.tables.contracts import Table

_ROWS = re.compile(r"\{rows\}( AS \w+)?")
_STEP = "bring the engine in step: qala engine load"
_READING_MEMORY = "256MB"  # of the DuckDB that turns a file's rows into text
# of an insert: each of these would lose or change rows, or take memory without bound
INSERT_SETTINGS: Mapping[str, str] = {
    "max_insert_block_size": "262144",
    "input_format_parallel_parsing": "0",
    "insert_deduplicate": "0",
    "async_insert": "0",
    "input_format_tsv_empty_as_default": "0",
    "format_tsv_null_representation": "\\N",
    "materialized_views_ignore_errors": "0",
}


@dataclass(frozen=True)
class Place:
    """Where an engine is and who asks it, connected to when it is first needed."""

    where: str
    database: str
    loader: Callable[[str], Connection]  # of an address
    reader: Callable[[], Connection]
    shards: tuple[str, ...]  # addresses of those that hold rows; of one server: its own
    front: str  # address that is asked
    cluster: str | None = None
    tried: Collection[str] = ()  # versions that were compared in this home
    tables: Mapping[str, Table] = field(default_factory=dict)  # what columns mean, for who looks at the server
    users: bool = True  # a server's users have rights, which are tried; in this process there are none


class ClickHouse:
    """Engine of warehouse/engines/engine.py; every method raises EngineError."""

    dialect = "clickhouse"

    def __init__(self, name: str, place: Place) -> None:
        self.name = name
        self._place = place
        self._loaders: dict[str, Connection] = {}
        self._shaped: dict[str, Shape] = {}  # as this engine last found or made them

    def ready(self, *, untried: bool = False) -> Facts:
        """`untried`: of whatever version, to try it."""
        place = self._place
        loaders = {address: self._loader(address) for address in (place.front, *place.shards)}
        version = checks.versions_agree(loaders)
        if not untried:
            checks.was_tried(place.where, version, place.tried)
        settings = checks.settings_of(self._reader, "reader")
        for address, loader in loaders.items():
            checks.settings_of(loader, f"user at {address}")
        if place.cluster:
            checks.shards_agree(loaders[place.front], place.cluster, place.shards)
        if place.users:
            checks.may_only_read(self._reader, place.database)
        return Facts(version, place.where, len(place.shards), settings)

    def rows(self, table: str) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for address in self._place.shards:
            sql = (
                "SELECT partition, sum(rows) FROM system.parts "
                f"WHERE database = {text_literal(self._place.database)} AND table = {text_literal(self._local(table))} AND active "
                "GROUP BY partition"
            )
            for partition, rows in records(self._loader(address).ask(sql)):
                load = partition.strip("'")
                found[load] = found.get(load, 0) + int(rows)
        return found

    def recounted(self, table: str, loads: Sequence[str], columns: Mapping[str, str]) -> Mapping[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        if not loads or not self.rows(table):
            return found
        counted = content_sql(columns, self.dialect)
        for shard, address in enumerate(self._place.shards):
            # rows that lie on a shard that is not their settlement's do not count
            here = f"AND {self._shard} = {shard}" if self._place.cluster else ""
            sql = f"SELECT {LOAD}, {counted} FROM {self._held(table)} WHERE {_named(loads)} {here} GROUP BY {LOAD}"
            for load, rows, content in records(self._loader(address).ask(sql)):
                before = found.get(load, (0, 0))
                found[load] = (before[0] + int(rows), (before[1] + int(content)) % 2**64)
        return found

    def take(self, load: Load, columns: Mapping[str, str]) -> None:
        import duckdb

        load_name(load.name)
        shape = Shape(load.table, columns, self._place.tables.get(load.table))
        self._shape(shape)
        self.drop(load.table, [load.name])  # what an earlier attempt left
        shards = self._place.shards
        with duckdb.connect(config={"memory_limit": _READING_MEMORY, "threads": 1}) as con:
            for shard, address in enumerate(shards):
                rows = rows_as_text(con, load, shape, shard, len(shards))
                names = ", ".join(quoted(name) for name in shape.types)
                try:
                    self._loader(address).pour(f"{self._held(load.table)} ({names})", rows)
                except duckdb.Error as error:
                    remedy = "write the showcase's files anew with qala engine load"
                    raise EngineError(f"{load.file} cannot be read: {error}; {remedy}") from error
        there = self.rows(load.table).get(load.name, 0)
        if there != load.rows:
            raise EngineError(
                f"{self._place.where} holds {there} of the {load.rows} rows of {load.table} {load.name} after they were read in: "
                "see that nobody else writes into its database, and try again"
            )

    def drop(self, table: str, loads: Sequence[str]) -> None:
        there = self.rows(table)
        for load in (load_name(load) for load in loads if load in there):
            for address in self._place.shards:
                self._loader(address).tell(f"ALTER TABLE {self._held(table)} DROP PARTITION {text_literal(load)}")

    def forget(self, table: str) -> None:
        """Take a table away, with all its loads."""
        self._shaped.pop(table, None)
        place = self._place
        for address in dict.fromkeys((place.front, *place.shards)) if place.cluster else ():
            self._loader(address).tell(f"DROP TABLE IF EXISTS {quoted(place.database)}.{quoted(table)}")
        for address in place.shards:
            self._loader(address).tell(f"DROP TABLE IF EXISTS {self._held(table)}")

    def measure(self, scan: EngineScan, loads: Sequence[Load]) -> pa.Table:
        where = self._place.where
        if not loads:
            header = ",".join(scan.columns) + "\n"
            return columns_of_answer(header.encode(), scan.columns, where)
        if astray := {load.table for load in loads} - {scan.table}:
            raise EngineError(f"a scan of {scan.table} was given loads of {', '.join(sorted(astray))}")
        # a name given in the answer stands, for older servers, in place of the column of that name everywhere in the statement
        if named := sorted((set(self._columns(self._reader, scan.table)) & set(scan.columns)) - {"kato"}):
            raise EngineError(
                f"a scan of {scan.table} calls what it measures as the table calls a column: {', '.join(named)}"
            )
        self._are_whole(scan.table, loads)
        table = f"{quoted(self._place.database)}.{quoted(scan.table)}"
        # PREWHERE, and no relation of its own: over that the server that is asked would fetch every row from the others
        chosen = f"PREWHERE {_named([load.name for load in loads])}"
        sql = _ROWS.sub(lambda found: f"{table}{found[1] or ''} {chosen}", scan.sql)
        checks.reads_only(self._reader, sql, {f"{self._place.database}.{scan.table}"})
        answer = columns_of_answer(self._ask(sql), scan.columns, where)
        keys = answer.select(["kato", "period_start"])
        if keys.group_by(["kato", "period_start"]).aggregate([]).num_rows != keys.num_rows:
            raise EngineError(
                f"{where} gave one cell of {scan.table} twice: the rows of a settlement lie on several shards; {_STEP}"
            )
        return answer

    def close(self) -> None:
        for connection in (*self._loaders.values(), *filter(None, [self.__dict__.pop("_reader", None)])):
            connection.close()
        self._loaders.clear()

    @cached_property
    def _reader(self) -> Connection:
        return self._place.reader()

    @property
    def _shard(self) -> str:
        return shard_of_row(len(self._place.shards))

    def _loader(self, address: str) -> Connection:
        if address not in self._loaders:
            self._loaders[address] = self._place.loader(address)
        return self._loaders[address]

    def _local(self, table: str) -> str:
        """Name of the table that holds the rows of one server."""
        return f"{table}_local" if self._place.cluster else table

    def _held(self, table: str) -> str:
        return f"{quoted(self._place.database)}.{quoted(self._local(table))}"

    def _ask(self, sql: str) -> bytes:
        """What the reader is answered; if a shard is the reason that it is not, the error names it."""
        try:
            return self._reader.ask(sql)
        except EngineError as error:
            checks.name_the_silent(self._place.shards, self._place.loader, error)
            raise

    def _are_whole(self, table: str, loads: Sequence[Load]) -> None:
        """The reader sees all rows of every load, on every shard, and none twice."""
        sql = (
            f"SELECT {LOAD}, count(*) FROM {quoted(self._place.database)}.{quoted(table)} "
            f"WHERE {_named([load.name for load in loads])} GROUP BY {LOAD}"
        )
        seen = {name: int(rows) for name, rows in records(self._ask(sql))}
        for load in loads:
            if seen.get(load.name, 0) != load.rows:
                raise EngineError(
                    f"{self._place.where} shows its reader {seen.get(load.name, 0)} of the {load.rows} rows of {table} {load.name}; {_STEP}"
                )

    def _shape(self, shape: Shape) -> None:
        """Have the table on every server, with these columns; one that has others is made anew."""
        place = self._place
        if self._shaped.get(shape.table) == shape:
            return
        for address in place.shards:
            loader = self._loader(address)
            statement = shape.create(self._held(shape.table), calendar=loader.version >= FIRST_WITH_CALENDAR)
            self._make(loader, self._local(shape.table), shape, statement)
        if place.cluster:
            through = f"{quoted(place.database)}.{quoted(shape.table)}"
            engine = f"Distributed({place.cluster}, {place.database}, {self._local(shape.table)})"
            for address in dict.fromkeys((place.front, *place.shards)):
                statement = f"CREATE TABLE {through} ({shape.listed}) ENGINE = {engine}"
                self._make(self._loader(address), shape.table, shape, statement)
        self._shaped[shape.table] = shape

    def _make(self, loader: Connection, table: str, shape: Shape, statement: str) -> None:
        there = self._columns(loader, table)
        if there and there != shape.types:
            loader.tell(f"DROP TABLE {quoted(self._place.database)}.{quoted(table)}")
        if there != shape.types:
            loader.tell(statement)

    def _columns(self, loader: Connection, table: str) -> dict[str, str]:
        """Columns of a server's table that hold something: name → type; empty if there is none."""
        sql = (
            f"SELECT name, type FROM system.columns WHERE database = {text_literal(self._place.database)} "
            f"AND table = {text_literal(table)} AND default_kind != 'ALIAS'"
        )
        return {row[0]: row[1] for row in records(loader.ask(sql))}


def open_clickhouse(
    *,
    address: str,
    database: str,
    user: str,
    password: str,
    reader: str,
    reader_password: str,
    cluster: str | None = None,
    shards: Sequence[str] = (),
    tried: Collection[str] = (),
    tables: Mapping[str, Table] | None = None,
) -> ClickHouse:
    """A server, or with `cluster` (its name in remote_servers) and `shards` (every shard's address) several. Nothing is asked of it yet.

    `tried`: versions that were compared in this home, beside those of qala's own tests (tried.py); `tables`: what columns mean, for who
    looks at the server.
    """
    place = Place(
        where=f"{address} (cluster {cluster}: {', '.join(shards)})" if cluster else address,
        database=database,
        loader=lambda at: connect(at, database, user, password, insert=INSERT_SETTINGS),
        reader=lambda: connect(address, database, reader, reader_password, insert={}),
        shards=tuple(shards) if cluster else (address,),
        front=address,
        cluster=cluster,
        tried=tried,
        tables=tables or {},
    )
    return ClickHouse("clickhouse", place)


def _named(loads: Sequence[str]) -> str:
    return f"{LOAD} IN ({', '.join(text_literal(load_name(load)) for load in loads)})"
