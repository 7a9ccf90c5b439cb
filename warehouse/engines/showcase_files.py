"""Writing the showcase with its history as Parquet by table and month, only what changed since it was last written.

A row's month is the one in which the period of its delivery begins. Neither ever changes: a row that is sent again unchanged stays as it
is, one that is sent changed or taken away goes to history with the sequence at which it ceased to hold (loading/replace.py). So a month
has changed if a row of it came or ceased to hold after the sequence of the manifest, and a file is only ever replaced by another file.
The warehouse's connection may write no files (isolation/sandbox.py): DuckDB hands batches over, Arrow writes them.
Does not belong here: what the manifest says (showcase.py), reading the files into an engine (step.py).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from warehouse.engines.content import content_sql
from warehouse.engines.engine import EngineError, Load
from warehouse.engines.showcase import Showcase, write_manifest, written
from warehouse.sql import literal, quoted, statement
from warehouse.store.ledger import ledger_head
from warehouse.store.store import Store
from warehouse.tables.contracts import SYSTEM_COLUMNS, Table

# rows of a group of a file: sorted by settlement, so that who reads one settlement skips the others
_GROUP = 122_880


def write_showcase(store: Store, folder: Path) -> Showcase:
    """Bring the files in a folder up to what an open warehouse holds. Raises EngineError, and OSError if the disk is full.

    The manifest is replaced last: whenever this ends, the folder holds what it held or what it is to hold.
    """
    former = written(folder)
    if former and not _same_warehouse(store, former):
        former = None
    seq, head = ledger_head(store.con)
    columns = {name: columns_of(table) for name, table in sorted(store.tables.items())}
    loads = tuple(load for table in columns for load in _loads(store, table, columns[table], former, folder))
    showcase = Showcase(folder, seq, head, columns, loads)
    if showcase != former:
        folder.mkdir(parents=True, exist_ok=True)
        write_manifest(showcase)
    _remove_all_but(folder, loads)
    return showcase


def columns_of(table: Table) -> dict[str, str]:
    """Columns of a table's files, in their order: name → SQL type of the warehouse."""
    system = {name: sql_type for name, (sql_type, _) in SYSTEM_COLUMNS.items() if name != "kato"}
    return {"kato": SYSTEM_COLUMNS["kato"][0], **table.business_columns, **system, "valid_to_seq": "BIGINT"}


def counted(
    store: Store, table: str, columns: Mapping[str, str], months: Collection[str]
) -> dict[str, tuple[int, int, int]]:
    """Months → (rows, content, newest sequence at which a row came or ceased to hold), counted from the warehouse's rows."""
    if not months:
        return {}
    rows = store.con.execute(
        f"SELECT delivery_month, max(greatest(valid_from_seq, coalesce(valid_to_seq, 0))), {content_sql(columns, 'duckdb')} "
        f"FROM ({_rows(table, columns, months)}) GROUP BY delivery_month"
    ).fetchall()
    return {str(month): (int(rows), int(content), int(seq)) for month, seq, rows, content in rows}


def _same_warehouse(store: Store, former: Showcase) -> bool:
    """Whether what was written came from this warehouse as it went on from then: its ledger has that entry."""
    return store.con.execute("SELECT hash FROM audit.ledger WHERE seq = ?", [former.seq]).fetchall() == [(former.head,)]


def _loads(store: Store, table: str, columns: Mapping[str, str], former: Showcase | None, folder: Path) -> list[Load]:
    """A table's loads by month; the files of those that are new are written. Raises EngineError if they would not hold all rows."""
    (there,) = store.con.execute(
        f"SELECT (SELECT count(*) FROM showcase.{table}) + (SELECT count(*) FROM history.{table})"
    ).fetchall()[0]
    if former and former.columns.get(table) == columns:
        kept = {load.month: load for load in former.of(table) if load.file.is_file()}
        lost = {load.month for load in former.of(table)} - set(kept)
        found = kept | _new(store, table, columns, lost | changed_months(store, table, former.seq), folder)
        if sum(load.rows for load in found.values()) == there:
            return [found[month] for month in sorted(found)]
    # other columns, another warehouse, or rows that went past the ledger: all months are looked at again
    found = _new(store, table, columns, changed_months(store, table, -1), folder)
    if (on_record := sum(load.rows for load in found.values())) != there:
        raise EngineError(
            f"{table} has {there} rows with its history, of which {on_record} come from deliveries on record; "
            "nothing was handed to an engine. See which they are: qala verify"
        )
    return [found[month] for month in sorted(found)]


def changed_months(store: Store, table: str, since: int) -> set[str]:
    """Months of which rows came or ceased to hold after a sequence."""
    sql = statement(__file__, "changed_month", table=table, seq=str(since))
    return {str(month) for (month,) in store.con.execute(sql).fetchall()}


def _new(
    store: Store, table: str, columns: Mapping[str, str], months: Collection[str], folder: Path
) -> dict[str, Load]:
    """Month → load, its file written; a file's name has its content, so that one that is there is the one."""
    found = dict[str, Load]()
    for month, (rows, content, seq) in counted(store, table, columns, months).items():
        load = Load(table, month, seq, folder, rows, content)
        load = replace(load, file=folder / table / f"{load.name}.parquet")
        if not load.file.is_file():
            _write(store, load, columns)
        found[month] = load
    return found


def _rows(table: str, columns: Mapping[str, str], months: Iterable[str]) -> str:
    named = ", ".join(f"version.{quoted(name)}" for name in columns)
    return statement(__file__, "month_row", table=table, columns=named, months=", ".join(map(literal, sorted(months))))


def _write(store: Store, load: Load, columns: Mapping[str, str]) -> None:
    """One file, on the disk and whole before it has its name."""
    import pyarrow.parquet as pq

    named = ", ".join(map(quoted, columns))
    order = "kato, delivery_id, row_no, valid_from_seq, valid_to_seq"
    fresh, done = load.file.with_name(f".{load.file.name}.new"), 0
    fresh.parent.mkdir(parents=True, exist_ok=True)
    store.con.complete()  # DuckDB 2 refuses a second result on a connection, and an earlier statement may have left rows unread
    sql = f"SELECT {named} FROM ({_rows(load.table, columns, [load.month])}) ORDER BY {order}"
    try:
        with (
            fresh.open("wb") as handle,
            closing(store.con.sql(sql).to_arrow_reader(_GROUP)) as reader,
            pq.ParquetWriter(handle, reader.schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            for batch in reader:
                writer.write_batch(batch, _GROUP)
                done += batch.num_rows
            writer.close()
            handle.flush()
            os.fsync(handle.fileno())
    except OSError as error:  # Arrow's do not say where
        fresh.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(fresh)) from error
    if done != load.rows:
        raise EngineError(
            f"{load.table} of {load.month} has {load.rows} rows, {done} were written; run it again, and report it if it comes again"
        )
    fresh.replace(load.file)


def _remove_all_but(folder: Path, loads: Iterable[Load]) -> None:
    """Files that no load has, and what an earlier write left that did not end."""
    kept = {load.file for load in loads}
    for file in [*folder.glob("*/*.parquet"), *folder.glob("*/.*.new")]:
        if file not in kept:
            file.unlink(missing_ok=True)
