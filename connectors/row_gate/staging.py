"""Staging: what the reading passes left, under one view with row numbers, and keys that come again marked.

Each pass fills a table of its own, `work_stage` with its number. Over all of them lie `work_read_row` (with the table and the rowid of each row, so
that it can still be marked broken) and `work_staged_row`, which the delivery gate and the warehouse read. Views without joins: these would cost as
much as what reads them, and their rows would come in no order. Does not belong here: what breaks a rule on rows (reading_pass.py), keys that other
deliveries have brought (delivery_gate/declaration_checks.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import count

import duckdb

from connectors.readers.readers import ROW_NUMBER
from connectors.row_gate.emptied_cells import CELLS
from connectors.row_gate.incoming import Incoming
from connectors.row_gate.one_per_key import shape_part
from connectors.row_gate.shaping import is_left_out
from warehouse.sql import literal, quoted, statement
from warehouse.tables.contracts import Table
from warehouse.tables.rules import DUPLICATE, REPEATED
from warehouse.tables.working_tables import create

Part = tuple[str, list[Incoming]]  # a stage table, and the deliveries read into it in order
_STAGE = "work_stage"


def stage_table(number: int) -> str:
    """Name of the table that the pass with this number fills."""
    return f"{_STAGE}_{number}"


def unite(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    parts: Sequence[Part],
    unreadable: Sequence[tuple[int, int, str, str]],
) -> None:
    """Make the views over all parts and the records that could not be split (delivery, row number, rule, what is kept of it)."""
    create(con, "work_unreadable_record")
    if unreadable:
        # columns as lists: row by row a hopeless file of a million lines would take minutes
        con.execute(
            "INSERT INTO work_unreadable_record SELECT unnest(?), unnest(?), unnest(?), unnest(?)",
            [list(column) for column in zip(*unreadable, strict=True)],
        )
    create(con, "work_left_out_count")
    for name, group in parts:
        if group[0].contract.shape.leaves_out:
            shape_part(con, table, name, group, row_number(con, name, group))
    selects = [_unreadable_rows(table), *(_rows_of(con, table, part) for part in parts)]
    con.execute("CREATE OR REPLACE TEMP VIEW work_read_row AS " + "\nUNION ALL ".join(selects))
    _mark_repeated_keys(con, table)
    con.execute(
        "CREATE OR REPLACE TEMP VIEW work_staged_row AS SELECT * EXCLUDE (stage_table, stage_rowid) FROM work_read_row"
    )


def record(table: Table) -> str:
    """A typed row as a struct. SQL."""
    return "{" + ", ".join(f"{literal(n)}: {quoted(n)}" for n in ("kato", *table.business_columns)) + "}"


def _unreadable_rows(table: Table) -> str:
    types = {"kato": "VARCHAR", **table.business_columns}
    nothing = ", ".join(f"CAST(NULL AS {sql_type}) AS {quoted(n)}" for n, sql_type in types.items())
    return f"""SELECT delivery_id, row_no, {nothing}, broken, CAST(NULL AS {CELLS}) AS emptied, raw,
    CAST(NULL AS VARCHAR) AS stage_table, rowid AS stage_rowid FROM work_unreadable_record"""


def _rows_of(con: duckdb.DuckDBPyConnection, table: Table, part: Part) -> str:
    """SELECT of a stage table's rows, each with its delivery and its number in it."""
    name, group = part
    shape = group[0].contract.shape
    row_no = ROW_NUMBER if shape.aggregates else row_number(con, name, group)
    deliveries = f"CAST([{', '.join(str(one.delivery_id) for one in group)}][delivery_no + 1] AS BIGINT)"
    columns = ", ".join(quoted(n) for n in ("kato", *table.business_columns))
    raw = (
        f"CASE WHEN broken IN ('{REPEATED}', '{DUPLICATE}') THEN CAST(to_json({record(table)}) AS VARCHAR) ELSE raw END"
    )
    return f"""SELECT {deliveries} AS delivery_id, {row_no} AS row_no, {columns}, broken, emptied, {raw} AS raw,
    '{name}' AS stage_table, rowid AS stage_rowid FROM {name}{f" WHERE NOT {is_left_out('broken')}" if shape.leaves_out else ""}"""


def row_number(con: duckdb.DuckDBPyConnection, name: str, group: Sequence[Incoming]) -> str:
    """SQL of a row's number in its delivery, over the table that a reading pass filled."""
    if group[0].readable.numbered:
        return ROW_NUMBER
    # files are read in order and each delivery's are together, so a row's number is its distance from the first
    first = dict(con.execute(f"SELECT delivery_no, min(rowid) FROM {name} GROUP BY delivery_no").fetchall())
    return f"rowid - [{', '.join(str(first.get(n, 0)) for n in range(len(group)))}][delivery_no + 1] + 1"


def _mark_repeated_keys(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Reject rows whose key their own delivery has twice; leaves `work_repeated_key`, of keys that several deliveries have.

    Rows of one key that say different things are all rejected; of those that say the same the first is kept.
    """
    key = ", ".join(quoted(k) for k in table.identity)
    con.execute(statement(__file__, "work_repeated_key", key=key))
    con.execute(
        statement(
            __file__,
            "work_overruled_row",
            key=key,
            record=record(table),
            repeated=literal(REPEATED),
            duplicate=literal(DUPLICATE),
        )
    )
    for (name,) in con.execute("SELECT DISTINCT stage_table FROM work_overruled_row ORDER BY 1").fetchall():
        con.execute(
            f"UPDATE {name} SET broken = overruled.rule FROM work_overruled_row AS overruled "
            f"WHERE overruled.stage_table = '{name}' AND overruled.stage_rowid = {name}.rowid"
        )
    con.execute(
        "DELETE FROM work_repeated_key WHERE (stage_table, stage_rowid) IN (SELECT (stage_table, stage_rowid) FROM work_overruled_row); "
        "ALTER TABLE work_repeated_key DROP in_one_delivery; DROP TABLE work_overruled_row"
    )


def drop_staging(con: duckdb.DuckDBPyConnection) -> None:
    """Drop everything staged."""
    con.execute(
        "DROP VIEW IF EXISTS work_staged_row; DROP VIEW IF EXISTS work_read_row; "
        "DROP TABLE IF EXISTS work_repeated_key; DROP TABLE IF EXISTS work_unreadable_record; "
        "DROP TABLE IF EXISTS work_left_out_count"
    )
    with suppress(duckdb.CatalogException):
        for number in count():  # to look their names up among all tables takes longer than to drop them
            con.execute(f"DROP TABLE {stage_table(number)}")
