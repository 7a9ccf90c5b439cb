"""The first gate: one compiled SQL pass over the files of many deliveries.

Every record is read as text, cast, and tried against the row rules of the table's contract; the first rule it breaks is
written beside it, with its text. Nothing goes through Python row by row. The result is a temporary table; what
the second gate (delivery_gate.py) needs to know of each delivery is summed up from it (profile.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

import duckdb

from connectors.mapping.civil_time import civil_time
from connectors.mapping.classification import personal_columns
from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.deidentification import guarded
from connectors.personal_data.detection import harmless, register
from connectors.personal_data.pseudonyms import Pseudonyms, at_work
from connectors.personal_data.rejected_values import Kept
from connectors.readers.headers import StructureError
from connectors.readers.readers import ROW_NUMBER, Readable, mend
from connectors.row_gate.emptied_cells import (
    CELLS,
    Condition,
    blamed,
    divided,
    emptied,
    spare_headers,
    spoilt_cells,
    without,
)
from warehouse.home.keys import Key, MissingKeyError
from warehouse.sql import literal, quoted
from warehouse.tables.contracts import SNAPSHOT_COLUMN, Table
from warehouse.tables.identifiers import blank, normal, plain
from warehouse.tables.rules import DUPLICATE, Rule
from warehouse.tables.rules import REPEATED as REPEATED_KEY
from warehouse.tables.settlements import settlements

_UNREADABLE = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException)
_NEVER_QUOTES = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
)  # a cell: they come before any is read
_LONGEST = 16 << 20  # bytes of one record; the buffers too, which are sixteen times that unless one says so
STAGED = "staged"  # view: delivery_id, row_no, kato, the table's columns, broken, emptied, raw
READ = "read_rows"  # view: the same, and of which staged table (part) each row is which (rid)
REPEATED = "repeated"  # table: delivery_id, row_no and key of rows whose key stands in another delivery's row too
# in the pass, beside the file's own columns: names no file has
_PLACE, _FOR, _PERIOD_END, _KATO, _BROKEN = '"==place"', '"==for"', '"==period_end"', '"==kato"', '"==broken"'
_EMPTIED, _SPOILT = '"==emptied"', '"==spoilt"'


@dataclass
class Incoming:
    """A delivery on its way through the gates."""

    delivery_id: int
    scope: str
    period_end: str
    file_name: str
    contract: SourceContract
    declared_rows: int | None
    readable: Readable


def stage(
    con: duckdb.DuckDBPyConnection, table: Table, incoming: list[Incoming], time_zone: str, key: Key | None
) -> dict[int, StructureError]:
    """Read, cast and try all deliveries; leaves the view `staged`. Returns those that cannot be read at all.

    `key`: of pseudonyms; None will do where no contract fills a personal column. Raises MissingKeyError.
    """
    if key is None and any(personal_columns(table, one.contract) for one in incoming):
        raise MissingKeyError(f"{table.name} has personal columns, and there is no pseudonym key")
    register(con)
    with at_work(con, key, table) as pseudonyms:
        return _stage(con, table, incoming, time_zone, pseudonyms)


def _stage(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    incoming: list[Incoming],
    time_zone: str,
    pseudonyms: Pseudonyms | None,
) -> dict[int, StructureError]:
    con.execute(f"SET TimeZone = {literal(time_zone)}")
    con.execute("SET disabled_optimizers = 'in_clause'")  # it would make a join of a long IN list: see _unjoined
    refused: dict[int, StructureError] = {}
    parts: list[tuple[str, list[Incoming]]] = []
    try:
        queue = _groups(incoming)
        while queue:
            group = queue.pop(0)
            name = f"stage_{len(parts)}"
            try:
                con.execute(_unjoined(con, _stage_sql(name, table, group, pseudonyms)))
                parts.append((name, group))
            except duckdb.Error as error:
                # what DuckDB throws while it decodes Parquet is of no subclass
                if not isinstance(error, _UNREADABLE) and type(error) is not duckdb.Error:
                    if isinstance(error, _NEVER_QUOTES):
                        raise
                    raise type(error)(harmless(error)) from None
                con.execute(f"DROP TABLE IF EXISTS {name}")
                queue = _isolate(table, group, error, refused) + queue
    finally:
        con.execute("SET TimeZone = 'UTC'")
        con.execute("RESET disabled_optimizers")
    bad = [
        (i.delivery_id, b.row_no, b.rule, b.raw)
        for i in incoming
        for b in i.readable.bad
        if i.delivery_id not in refused
    ]
    _unite(con, table, parts, bad)
    return refused


def _groups(incoming: Iterable[Incoming]) -> list[list[Incoming]]:
    """Deliveries that one scan can read: same contract, same header, and in Parquet the same types."""
    groups: dict[object, list[Incoming]] = {}
    for one in incoming:
        groups.setdefault(
            (
                one.contract.id,
                one.readable.header,
                one.readable.types,
                one.readable.parquet,
                one.readable.numbered,
                one.readable.alone and one.delivery_id,
            ),
            [],
        ).append(one)
    return list(groups.values())


def _isolate(
    table: Table, group: list[Incoming], error: duckdb.Error, refused: dict[int, StructureError]
) -> list[list[Incoming]]:
    """A scan failed: find the files at fault, mend them, and try again; what still fails is refused."""
    if len(group) > 1:
        half = len(group) // 2
        return [group[:half], group[half:]]
    one = group[0]
    if not one.readable.parquet and not one.readable.numbered:
        mend(one.readable, one.contract, spare_headers(table, one.contract))
        return [group]
    refused[one.delivery_id] = StructureError(
        f"{one.file_name}: cannot be read ({harmless(error)}); deliver it again or mend contract {one.contract.id}"
    )
    return []


def _stage_sql(name: str, table: Table, group: list[Incoming], pseudonyms: Pseudonyms | None) -> str:
    first = group[0]
    header, readable = first.readable.header, first.readable
    contract = first.contract
    own = contract.by_name.get("kato")  # the exchange format knows the column, a file need not have it
    without_kato = own is None or (own.header and own.header not in header)
    civil = civil_time(
        [one.scope for one in group], _FOR if without_kato else f"coalesce({contract.settlement()}, {_FOR})"
    )
    contract = contract.over(header, readable.types, civil)
    files = [(path, one) for one in group for path in one.readable.files]
    place = {one.delivery_id: number for number, one in enumerate(group)}
    position = {h: n for n, h in reversed(list(enumerate(header)))}
    needed = [h for h in dict.fromkeys(header) if h in {*contract.headers, *(c.header for c in contract.columns)}]

    def by_file(values: list[str]) -> str:
        """A value that differs from file to file, by the file's place in the list."""
        return f"list_extract([{', '.join(values)}], CAST(file_index AS BIGINT) + 1)"

    paths = ", ".join(literal(str(path)) for path, _ in files)
    if readable.parquet:
        source = f"read_parquet([{paths}])"
        texts = [f"CAST({quoted(h)} AS VARCHAR) AS {quoted(h)}" for h in needed]
    else:
        width = len(header) + 2 * readable.numbered
        names = ", ".join(f"'c{n}': 'VARCHAR'" for n in range(width))
        missing = ", ".join(literal(m) for m in contract.missing)
        delimiter, quote = literal(contract.delimiter), literal(contract.quote)
        source = (
            f"read_csv([{paths}], columns = {{{names}}}, header = true, auto_detect = false, delim = {delimiter}, quote = {quote}, "
            f"escape = {quote}, nullstr = [{missing}], strict_mode = true, null_padding = false, "
            f"max_line_size = {_LONGEST}, buffer_size = {_LONGEST})"
        )
        texts = [f"c{position[h]} AS {quoted(h)}" for h in needed]
    spoilt = None
    if readable.numbered:
        texts.append(f"CAST(c{len(header)} AS BIGINT) AS {ROW_NUMBER}")
        texts.append(f"{spoilt_cells(f'c{len(header) + 1}')} AS {_SPOILT}")
        spoilt = _SPOILT
    typed: list[str] = []
    conditions: list[Condition] = []
    delivered: dict[str, str] = {}
    kept_of = Kept(table, contract, header, needed)
    _, persons = guarded(table, contract, pseudonyms, "")
    for column in table.columns:
        raw, sql = contract.typed(column.name, column.sql_type)
        given = contract.by_name.get(column.name)
        delivered[column.name] = kept_of.cell(column.name, quoted(given.header) if given and given.header else raw)
        if column.name in persons:
            conditions.append(persons[column.name])
        if spoilt and column.name in table.optional:
            sql = without(spoilt, column.name, sql)
        typed.append(f"{sql} AS {quoted('=' + column.name)}")
        if raw != "NULL" and column.sql_type.upper() != "VARCHAR":
            conditions.append((f"{column.name}.type", contract.unreadable(column.name, column.sql_type)))
        for rule in column.rules:
            if rule.predicate and rule.severity == "error":
                conditions.append((rule.id, _breaks(rule, table)))
    for rule in table.row_rules:
        if rule.predicate and rule.severity == "error":
            conditions.append((rule.id, _breaks(rule, table)))
    scope = by_file([literal(one.scope) for _, one in files])
    places = by_file([str(place[one.delivery_id]) for _, one in files])
    kato = _FOR if without_kato else f"coalesce({contract.typed('kato', 'VARCHAR')[1]}, {_FOR})"
    made = "".join(f", {sql}" for sql in contract.made())
    conditions.append(("scope", f"NOT coalesce({_in_scope(_KATO)}, false)"))
    cells, conditions = divided(table, conditions)
    several = {r.id: r for r in table.row_rules if not r.column}
    told = {
        rule: blamed(several[rule], _EMPTIED, table) if rule in several else literal(rule) for rule, _ in conditions
    }
    whens = "\n".join(f"         WHEN {condition} THEN {told[rule]}" for rule, condition in conditions)
    snapshot = f"\n       {_PERIOD_END} AS {SNAPSHOT_COLUMN[0]}," if table.snapshot else ""
    period_end = (
        f", {by_file([f'DATE {literal(one.period_end)}' for _, one in files])} AS {_PERIOD_END}"
        if table.snapshot
        else ""
    )
    numbered = f", {ROW_NUMBER}" if readable.numbered else ""
    columns = ", ".join(f"{quoted('=' + c.name)} AS {quoted(c.name)}" for c in table.columns)
    # records that were numbered have been looked at one by one
    shown = (
        ""
        if readable.parquet or readable.numbered
        else f"\n                  WHERE {_some_cell(contract, table, header)}"
    )
    identified = f"""(SELECT *, {kato} AS {_KATO}, {", ".join(typed)}
            FROM (SELECT *{made} FROM (SELECT CAST({places} AS INTEGER) AS {_PLACE}, {scope} AS {_FOR}{period_end}, {", ".join(texts)}
                  FROM {source}{shown})))"""
    identified, _ = guarded(table, contract, pseudonyms, identified)
    if table.identifiers:
        plainly = ", ".join(f"{plain(quoted('=' + n))} AS {_plain(n)}" for n in table.identifiers)
        normally = ", ".join(
            f"CASE WHEN {_plain(n)} THEN {quoted('=' + n)} ELSE {normal(quoted('=' + n))} END AS {quoted('=' + n)}"
            for n in table.identifiers
        )
        identified = f"(SELECT * REPLACE ({normally}) FROM (SELECT *, {plainly} FROM {identified}))"
    kept = ", ".join(f"{without(_EMPTIED, n, quoted('=' + n))} AS {quoted('=' + n)}" for n in cells)
    listed = f"(SELECT *, {emptied(cells, delivered, spoilt)} AS {_EMPTIED} FROM {identified})"
    return f"""CREATE TEMP TABLE {name} AS
SELECT {_PLACE} AS place, CASE WHEN {_BROKEN} IS NULL OR {_registered(_KATO)} THEN {_KATO} END AS kato, {columns},{snapshot}
       {_BROKEN} AS broken, {_EMPTIED} AS emptied, CASE WHEN {_BROKEN} IS NOT NULL THEN CAST(to_json({kept_of.record()}) AS VARCHAR) END AS raw{numbered}
FROM (SELECT *, CASE
{whens}
       END AS {_BROKEN}
      FROM (SELECT *{f" REPLACE ({kept})" if kept else ""} FROM {listed}))"""


def _plain(name: str) -> str:
    """Where the pass keeps whether an identifier is in normal form and well formed as it stands."""
    return quoted(f"==plain {name}")


def _breaks(rule: Rule, table: Table) -> str:
    """SQL over the typed columns that is true of a row that breaks the rule."""
    condition = f"NOT ({_over_typed(str(rule.predicate), table)})"
    if rule.id == f"{rule.column}.form":
        return f"CASE WHEN {_plain(str(rule.column))} THEN FALSE ELSE {condition} END"
    return condition


def _some_cell(contract: SourceContract, table: Table, header: Sequence[str]) -> str:
    """Whether a record has anything in any of its cells: rows of delimiters are what spreadsheets leave behind, and no rows.

    As `readers.records` sees it: a cell is nothing if it has no letter to be seen or is one of the contract's words for nothing.
    """
    words = ", ".join(map(literal, {"", *contract.missing}))
    first = contract.by_name[table.key[0]].header
    sure = f"c{header.index(first)}" if first in header else "c0"
    # nearly every record has its key: that is told by comparing, and the rest is not looked at
    found = [f"({sure} >= '!' AND {sure} < chr(127) AND {sure} NOT IN ({words}))"]
    found += [f"NOT coalesce({blank(f'c{n}')} OR c{n} IN ({words}), true)" for n in range(len(header))]
    return " OR ".join(found)


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


def _over_typed(predicate: str, table: Table) -> str:
    """A rule's predicate names the table's columns; in the pass their typed values stand under '=name'."""
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(predicate, dialect="duckdb", into=exp.Condition)
    names = {c.name for c in table.columns}
    for column in tree.find_all(exp.Column):
        if column.name in names:
            column.set("this", exp.to_identifier("=" + column.name, quoted=True))
    return tree.sql("duckdb")


def _in_scope(kato: str) -> str:
    """A settlement stands for itself, two digits for their region, KZ for the country; the settlement must be registered."""
    return f"CASE WHEN length({_FOR}) = 9 THEN {kato} = {_FOR} ELSE ({_FOR} = 'KZ' OR starts_with({kato}, {_FOR})) AND {_registered(kato)} END"


def _registered(kato: str) -> str:
    # a code list as a type is looked up by hash; IN compares with one after the other
    return f"TRY_CAST({kato} AS ENUM ({', '.join(map(literal, settlements()))})) IS NOT NULL"


def _unite(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    parts: list[tuple[str, list[Incoming]]],
    bad: list[tuple[int, int, str, str]],
) -> None:
    """One view over all groups with row numbers, records that could not be split, and keys given twice marked.

    It has no joins: these would cost as much as what reads it, and its rows would come in no order.
    """
    names = ["kato", *table.business_columns]
    columns = ", ".join(quoted(n) for n in names)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE unreadable (delivery_id BIGINT, row_no BIGINT, broken VARCHAR, raw VARCHAR)"
    )
    if bad:
        # columns as lists: row by row a hopeless file of a million lines would take minutes
        con.execute(
            "INSERT INTO unreadable SELECT unnest(?), unnest(?), unnest(?), unnest(?)",
            [list(c) for c in zip(*bad, strict=True)],
        )
    typed = "{" + ", ".join(f"{literal(n)}: {quoted(n)}" for n in names) + "}"
    types = {"kato": "VARCHAR", **table.business_columns}
    nothing = ", ".join(f"CAST(NULL AS {types[n]}) AS {quoted(n)}" for n in names)
    selects = [
        f"SELECT delivery_id, row_no, {nothing}, broken, CAST(NULL AS {CELLS}) AS emptied, raw, CAST(NULL AS VARCHAR) AS part, rowid AS rid FROM unreadable"
    ]
    for name, group in parts:
        row_no = ROW_NUMBER
        if not group[0].readable.numbered:
            # files are read in order and each delivery's are together, so a row's number is its distance from the first
            first = dict(con.execute(f"SELECT place, min(rowid) FROM {name} GROUP BY place").fetchall())
            row_no = f"rowid - [{', '.join(str(first.get(n, 0)) for n in range(len(group)))}][place + 1] + 1"
        deliveries = f"CAST([{', '.join(str(one.delivery_id) for one in group)}][place + 1] AS BIGINT)"
        selects.append(
            f"SELECT {deliveries} AS delivery_id, {row_no} AS row_no, {columns}, broken, emptied, "
            f"CASE WHEN broken IN ('{REPEATED_KEY}', '{DUPLICATE}') THEN CAST(to_json({typed}) AS VARCHAR) ELSE raw END AS raw, "
            f"'{name}' AS part, rowid AS rid FROM {name}"
        )
    con.execute("CREATE OR REPLACE TEMP VIEW read_rows AS " + "\nUNION ALL ".join(selects))
    key = ", ".join(quoted(k) for k in table.identity)
    # few keys come again: their rows are found by a number made of the key, and only these are looked at
    con.execute(f"""CREATE OR REPLACE TEMP TABLE {REPEATED} AS
SELECT delivery_id, row_no, {key}, part, rid, count(*) OVER (PARTITION BY delivery_id, {key}) > 1 AS again
FROM read_rows WHERE broken IS NULL AND hash({key}) IN (
    SELECT h FROM (SELECT hash({key}) AS h FROM read_rows WHERE broken IS NULL) GROUP BY h HAVING count(*) > 1)""")
    # rows of one key that say different things are all rejected; of those that say the same the first is kept
    con.execute(f"""CREATE OR REPLACE TEMP TABLE overruled AS
SELECT part, rid, CASE WHEN min(whole) OVER same <> max(whole) OVER same THEN '{REPEATED_KEY}' ELSE '{DUPLICATE}' END AS rule
FROM (SELECT r.*, CAST(to_json({typed}) AS VARCHAR) AS whole FROM read_rows r SEMI JOIN (FROM {REPEATED} WHERE again) USING (part, rid))
WINDOW same AS (PARTITION BY delivery_id, {key})
QUALIFY rule = '{REPEATED_KEY}' OR row_number() OVER (PARTITION BY delivery_id, {key} ORDER BY row_no) > 1""")
    for (name,) in con.execute("SELECT DISTINCT part FROM overruled ORDER BY 1").fetchall():
        con.execute(
            f"UPDATE {name} SET broken = o.rule FROM overruled o WHERE o.part = '{name}' AND o.rid = {name}.rowid"
        )
    con.execute(f"DELETE FROM {REPEATED} WHERE (part, rid) IN (SELECT (part, rid) FROM overruled)")
    con.execute(f"ALTER TABLE {REPEATED} DROP again")
    con.execute("DROP TABLE overruled")
    con.execute(f"CREATE OR REPLACE TEMP VIEW {STAGED} AS SELECT * EXCLUDE (part, rid) FROM read_rows")


def clear(con: duckdb.DuckDBPyConnection) -> None:
    """Drop everything staged."""
    con.execute(
        f"DROP VIEW IF EXISTS {STAGED}; DROP VIEW IF EXISTS read_rows; DROP TABLE IF EXISTS {REPEATED}; DROP TABLE IF EXISTS unreadable"
    )
    with suppress(duckdb.CatalogException):
        for (
            number
        ) in count():  # as `stage` counts them; to look them up among all tables takes longer than to drop them
            con.execute(f"DROP TABLE stage_{number}")
