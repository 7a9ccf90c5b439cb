"""The first gate: every record of many deliveries read, cast and tried against the rules on rows, into the view `work_staged_row`.

Nothing goes through Python row by row. Deliveries that one scan can read share a reading pass (reading_pass.py); when a scan fails, the
file at fault is found, repaired or refused, and the others go on. Does not belong here: the SQL of the pass, the tables it leaves
(staging.py), rules of which a delivery is the subject (delivery_gate/).
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import duckdb

from connectors.mapping.classification import personal_columns
from connectors.personal_data.detection import harmless, register
from connectors.personal_data.pseudonyms import Pseudonyms, pseudonyms_on
from connectors.readers.headers import StructureError
from connectors.readers.readers import repair
from connectors.row_gate.emptied_cells import optional_headers
from connectors.row_gate.incoming import Incoming
from connectors.row_gate.reading_pass import reading_pass
from connectors.row_gate.staging import Part, stage_table, unite
from warehouse.home.keys import Key, MissingKeyError
from warehouse.sql import literal
from warehouse.tables.contracts import Table

_UNREADABLE = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException)
# errors that come before a cell is read, so that their text holds none
_BEFORE_READING = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)


def stage(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    incoming: list[Incoming],
    time_zone: str,
    key: Key | None,
    *,
    to_holder: bool = False,
) -> dict[int, StructureError]:
    """Read, cast and try all deliveries; leaves the view `work_staged_row`. Returns those that cannot be read at all.

    `key`: of pseudonyms; None will do where no contract fills a personal column. `to_holder`: nothing is kept, and who is shown what was rejected
    holds the file (RejectedValues). Raises MissingKeyError.
    """
    if key is None and any(personal_columns(table, one.contract) for one in incoming):
        raise MissingKeyError(f"{table.name} has personal columns, and there is no pseudonym key")
    parts, refused = _read(con, table, incoming, time_zone, key, to_holder=to_holder)
    unreadable = [
        (one.delivery_id, (record.row_no - 1) * one.rows_of_record + 1, record.rule, record.raw)
        for one in incoming
        for record in one.readable.bad
        if one.delivery_id not in refused
    ]
    unite(con, table, parts, unreadable)
    return refused


def read_alone(con: duckdb.DuckDBPyConnection, table: Table, one: Incoming, time_zone: str, key: Key) -> str:
    """Read, cast and try one delivery that was taken in before. Returns the stage table's name. Raises StructureError."""
    parts, refused = _read(con, table, [one], time_zone, key)
    if one.delivery_id in refused:
        raise refused[one.delivery_id]
    return parts[0][0]


def _read(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    incoming: Iterable[Incoming],
    time_zone: str,
    key: Key | None,
    *,
    to_holder: bool = False,
) -> tuple[list[Part], dict[int, StructureError]]:
    """(stage tables, those that cannot be read at all)"""
    register(con)
    refused: dict[int, StructureError] = {}
    with pseudonyms_on(con, key, table) as pseudonyms:
        con.execute(f"SET TimeZone = {literal(time_zone)}")
        # the one would make a join of a long IN list (see _unjoined); the other a cast by the CSV reader of a TRY_CAST, which fails
        # the whole file for one cell (duckdb#23818)
        con.execute("SET disabled_optimizers = 'in_clause,type_pushdown'")
        try:
            parts = _read_groups(con, table, incoming, pseudonyms, refused, to_holder)
        finally:
            con.execute("SET TimeZone = 'UTC'")
            con.execute("RESET disabled_optimizers")
    return parts, refused


def _read_groups(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    incoming: Iterable[Incoming],
    pseudonyms: Pseudonyms | None,
    refused: dict[int, StructureError],
    to_holder: bool,
) -> list[Part]:
    """Read group after group, each into a table of its own; what cannot be read goes into `refused`."""
    parts: list[Part] = []
    queue = _groups(incoming)
    while queue:
        group = queue.pop(0)
        name = stage_table(len(parts))
        try:
            con.execute(_unjoined(con, reading_pass(name, table, group, pseudonyms, to_holder)))
            parts.append((name, group))
        except duckdb.Error as error:
            # what DuckDB throws while it decodes Parquet is of no subclass
            if not isinstance(error, _UNREADABLE) and type(error) is not duckdb.Error:
                if isinstance(error, _BEFORE_READING):
                    raise
                raise type(error)(harmless(error)) from None
            con.execute(f"DROP TABLE IF EXISTS {name}")
            queue = _isolate(table, group, error, refused) + queue
    return parts


def _groups(incoming: Iterable[Incoming]) -> list[list[Incoming]]:
    """Deliveries that one scan can read: same contract, same header, split alike, and in Parquet the same types."""
    groups: dict[object, list[Incoming]] = {}
    for one in incoming:
        file = one.readable
        alone = file.alone and one.delivery_id
        split = (one.contract.delimiter, one.contract.quote, one.contract.missing)
        alike = (one.contract.id, split, file.header, file.types, file.parquet, file.numbered, alone)
        groups.setdefault(alike, []).append(one)
    return list(groups.values())


def _isolate(
    table: Table, group: list[Incoming], error: duckdb.Error, refused: dict[int, StructureError]
) -> list[list[Incoming]]:
    """A scan failed: find the files at fault, repair them, and try again; what still fails is refused."""
    if len(group) > 1:
        half = len(group) // 2
        return [group[:half], group[half:]]
    one = group[0]
    if not one.readable.parquet and not one.readable.numbered:
        repair(one.readable, one.contract, optional_headers(table, one.contract))
        return [group]
    refused[one.delivery_id] = StructureError(
        "refusal.scan_failed", file=one.file_name, error=harmless(error), contract=one.contract.id
    )
    return []


def _unjoined(con: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The statement, if nothing in its plan changes the order of rows: a row's number is its place in the scan.

    DuckDB keeps the order of files and rows through projections, but not through a join, and makes joins of its own accord.
    """
    plan = con.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall()[0][1]
    steps, found = json.loads(plan), set()
    while steps:
        step = steps.pop()
        found.add(step["name"].strip())
        steps += step["children"]
    if any("JOIN" in name for name in found):
        raise RuntimeError(
            f"the reading pass would lose the order of rows ({', '.join(sorted(found))}); write its rules without IN over a query"
        )
    return sql
