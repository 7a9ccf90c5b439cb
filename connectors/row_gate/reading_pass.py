"""SQL of one reading pass: the records of many files as text, cast, de-identified, and tried against the rules on rows.

One SELECT around the other, in this order: records → columns worked out → typed values (under '=name') → persons replaced →
identifiers in normal form → cells left empty → the first rule that the row breaks. Composed from contract and table, because no two have
the same columns; a contract that shapes its records (adr/0043) adds to the first steps, others pay nothing for it. Does not belong here:
running it (row_gate.py), what a cell's text means (mapping/), one row of several (one_per_key.py), what of a rejected row may be shown
(personal_data/rejected_values.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import sqlglot
from sqlglot import exp

from connectors.mapping.civil_time import civil_time
from connectors.mapping.source_contract import SourceContract
from connectors.mapping.transform import constant
from connectors.personal_data.deidentification import deidentified
from connectors.personal_data.pseudonyms import FORM, Pseudonyms
from connectors.personal_data.rejected_values import RejectedValues
from connectors.readers.readers import ROW_NUMBER, Readable
from connectors.row_gate import shaping
from connectors.row_gate.emptied_cells import (
    Condition,
    blamed,
    emptied_cells,
    split_by_consequence,
    spoilt_cells,
    without,
)
from connectors.row_gate.incoming import Incoming
from warehouse.sql import literal, quoted
from warehouse.tables.contracts import SNAPSHOT_COLUMN, Table
from warehouse.tables.identifiers import blank, normal, plain
from warehouse.tables.rules import Rule
from warehouse.tables.settlements import settlements

_LONGEST_RECORD = 16 << 20  # bytes; also DuckDB's buffer_size, whose default is 16 times the longest record
# columns that the pass adds to the file's own; '==' cannot begin a header
_DELIVERY_NO = '"==delivery_no"'  # of the scan's deliveries, from 0
_DECLARED_SCOPE, _PERIOD_END = '"==declared_scope"', '"==period_end"'
_PLACE, _KATO = '"==place"', '"==kato"'  # a row's settlement by its texts alone, and by the columns that are worked out
_BROKEN, _EMPTIED, _SPOILT = '"==broken"', '"==emptied"', '"==spoilt"'


@dataclass(frozen=True)
class _Scan:
    """Files that one scan reads, of one contract and one header."""

    table: Table
    deliveries: Sequence[Incoming]
    contract: SourceContract  # for these files: their header, their types, their civil time
    headers_read: Sequence[str]
    place: str  # SQL of a row's settlement over the file's text columns alone: its own, else the declared scope
    settlement_column: bool  # whether the files have a column of settlements; else each row is of the declared scope

    @property
    def readable(self) -> Readable:
        return self.deliveries[0].readable

    @property
    def spoilt(self) -> str | None:
        """Column of the cells that the reader has emptied; None where no file was repaired."""
        return _SPOILT if self.readable.numbered else None

    @property
    def headers_shown(self) -> list[str]:
        return shaping.headers_shown(self.contract, self.headers_read, self.readable.header)

    def by_file(self, value: Callable[[Incoming], str]) -> str:
        """SQL value that may differ from delivery to delivery, by the file's place in the scan."""
        values = [value(one) for one in self.deliveries for _ in one.readable.files]
        if len({*values}) == 1:
            return values[0]
        if values == [str(place) for place in range(len(values))]:
            return "file_index"
        return f"list_extract([{', '.join(values)}], CAST(file_index AS BIGINT) + 1)"


def reading_pass(
    name: str, table: Table, deliveries: Sequence[Incoming], pseudonyms: Pseudonyms | None, to_holder: bool
) -> str:
    """CREATE TABLE `name`: delivery_no, kato, the table's columns, broken (rule or NULL), emptied, raw; row numbers where files have them."""
    scan = _scan(table, deliveries)
    contract, header = scan.contract, scan.readable.header
    worked_out = "".join(f", {sql}" for sql in (*contract.made(), *shaping.worked_out(contract)))
    records = shaping.rows_of_columns(contract, header, scan.readable.types, _records(scan))
    rows = f"(SELECT *{worked_out} FROM (SELECT *, {scan.place} AS {_PLACE} FROM ({records})))"
    rows = f"(SELECT *, {_settlement(scan)} AS {_KATO}, {', '.join(_typed(scan))} FROM {rows})"
    rows, personal = deidentified(table, contract, pseudonyms, rows)
    rows = _identifiers_in_normal_form(table, rows)
    cell_conditions, row_conditions = split_by_consequence(table, _conditions(scan, personal))
    shown = RejectedValues(
        table, contract, shaping.headers_shown(contract, header, header), scan.headers_shown, to_holder=to_holder
    )
    rows = (
        f"(SELECT *, {emptied_cells(cell_conditions, _delivered(scan, shown), scan.spoilt)} AS {_EMPTIED} FROM {rows})"
    )
    emptied = ", ".join(f"{without(_EMPTIED, n, quoted('=' + n))} AS {quoted('=' + n)}" for n in cell_conditions)
    rows = f"(SELECT *{f' REPLACE ({emptied})' if emptied else ''} FROM {rows})"
    row_conditions = [*shaping.conditions(contract), *row_conditions]
    rows = f"(SELECT *, {_first_broken(table, row_conditions)} AS {_BROKEN} FROM {rows})"
    columns = [f"{quoted('=' + c.name)} AS {quoted(c.name)}" for c in table.columns]
    columns += [f"{_PERIOD_END} AS {SNAPSHOT_COLUMN[0]}"] if table.snapshot else []
    kept = "".join(f", {column}" for column in shaping.kept_columns(contract))
    numbered = f", {shaping.row_number(contract, header)} AS {ROW_NUMBER}" if scan.readable.numbered else ""
    lost = f"{_BROKEN} IS NOT NULL" + (f" AND NOT {shaping.is_left_out(_BROKEN)}" if contract.shape.leaves_out else "")
    return f"""CREATE TEMP TABLE {name} AS
SELECT {_DELIVERY_NO} AS delivery_no, CASE WHEN {_BROKEN} IS NULL OR {_registered(_KATO)} THEN {_KATO} END AS kato, {", ".join(columns)},
       {_BROKEN} AS broken, {_EMPTIED} AS emptied, CASE WHEN {lost} THEN CAST(to_json({shown.record()}) AS VARCHAR) END AS raw{numbered}{kept}
FROM {rows}"""


def _scan(table: Table, deliveries: Sequence[Incoming]) -> _Scan:
    contract, readable = deliveries[0].contract, deliveries[0].readable
    own = contract.by_name.get("kato")  # the exchange format knows the column, a file need not have it
    has_settlements = own is not None and (not own.header or own.header in readable.header)
    # a column of its own, as every time names it once for each zone; by the clocks of none, as these follow from it
    place = f"coalesce({contract.settlement()}, {_DECLARED_SCOPE})" if has_settlements else _DECLARED_SCOPE
    contract = contract.over(readable.header, readable.types, civil_time([one.scope for one in deliveries], _PLACE))
    mapped = contract.read_from(readable.header)
    headers_read = [h for h in dict.fromkeys(readable.header) if h in mapped]
    return _Scan(table, deliveries, contract, headers_read, place, has_settlements)


# --- the steps, the innermost first ---


def _records(scan: _Scan) -> str:
    """SELECT of every record's cells as text under their headers, with its delivery's number and declared scope."""
    number = {one.delivery_id: n for n, one in enumerate(scan.deliveries)}
    columns = [
        f"CAST({scan.by_file(lambda one: str(number[one.delivery_id]))} AS INTEGER) AS {_DELIVERY_NO}",
        f"{scan.by_file(lambda one: literal(one.scope))} AS {_DECLARED_SCOPE}",
    ]
    if scan.table.snapshot:
        columns.append(f"{scan.by_file(lambda one: f'DATE {literal(one.period_end)}')} AS {_PERIOD_END}")
    columns += [f"{scan.by_file(partial(_constant, name))} AS {constant(name)}" for name in scan.contract.constants]
    paths = ", ".join(literal(str(path)) for one in scan.deliveries for path in one.readable.files)
    if scan.readable.parquet:
        columns += [f"CAST({quoted(h)} AS VARCHAR) AS {quoted(h)}" for h in scan.headers_read]
        columns += shaping.record_digest(scan.contract, (f"CAST({quoted(h)} AS VARCHAR)" for h in scan.readable.header))
        return f"SELECT {', '.join(columns)} FROM read_parquet([{paths}])"
    header, contract = scan.readable.header, scan.contract
    position = {h: n for n, h in reversed(list(enumerate(header)))}
    columns += [f"c{position[h]} AS {quoted(h)}" for h in scan.headers_read]
    columns += shaping.record_digest(contract, (f"c{n}" for n in range(len(header))))
    where = f" WHERE {_some_cell(contract, scan.table, header)}"
    if scan.readable.numbered:  # its records have been looked at one by one
        columns.append(f"CAST(c{len(header)} AS BIGINT) AS {ROW_NUMBER}")
        columns.append(f"{spoilt_cells(f'c{len(header) + 1}')} AS {_SPOILT}")
        where = ""
    types = ", ".join(f"'c{n}': 'VARCHAR'" for n in range(len(header) + 2 * scan.readable.numbered))
    quote, missing = literal(contract.quote), ", ".join(literal(m) for m in contract.missing)
    return f"""SELECT {", ".join(columns)}
FROM read_csv([{paths}], columns = {{{types}}}, header = true, auto_detect = false, delim = {literal(contract.delimiter)}, quote = {quote},
    escape = {quote}, nullstr = [{missing}], strict_mode = true, null_padding = false,
    max_line_size = {_LONGEST_RECORD}, buffer_size = {_LONGEST_RECORD}){where}"""


def _constant(name: str, one: Incoming) -> str:
    """A constant of the delivery (mapping/transform.py) as an SQL value."""
    if name == "settlement":
        return literal(one.scope if len(one.scope) == len("710000000") else None) + "::VARCHAR"
    day = one.period_start if name == "period_start" else one.period_end
    return f"DATE {literal(day)}" + (" - 1" if name == "period_end" else "")


def _some_cell(contract: SourceContract, table: Table, header: Sequence[str]) -> str:
    """Whether a record has anything in any of its cells: rows of delimiters are what spreadsheets leave behind, and no rows.

    As `readers.records` sees it: a cell is nothing if it has no letter to be seen or is one of the contract's words for nothing.
    """
    words = ", ".join(map(literal, {"", *contract.missing}))
    first = contract.by_name[table.key[0]].header
    sure = f"c{header.index(first)}" if first in header else "c0"
    # nearly every record has its key: comparing one cell shows it, and the others are not looked at
    found = [f"({sure} >= '!' AND {sure} < chr(127) AND {sure} NOT IN ({words}))"]
    found += [f"NOT coalesce({blank(f'c{n}')} OR c{n} IN ({words}), true)" for n in range(len(header))]
    return " OR ".join(found)


def _settlement(scan: _Scan) -> str:
    if not scan.settlement_column or not scan.contract.by_name["kato"].logic:
        return _PLACE
    return f"coalesce({scan.contract.typed('kato', 'VARCHAR')[1]}, {_DECLARED_SCOPE})"


def _typed(scan: _Scan) -> list[str]:
    """Each column of the table as a value of its type, under '=name'; NULL where its cell is not readable."""
    found = []
    for column in scan.table.columns:
        _, value = scan.contract.typed(column.name, column.sql_type)
        if scan.spoilt and column.name in scan.table.optional:
            value = without(scan.spoilt, column.name, value)
        found.append(f"{value} AS {quoted('=' + column.name)}")
    return found


def _identifiers_in_normal_form(table: Table, rows: str) -> str:
    if not table.identifiers:
        return rows
    is_plain = ", ".join(f"{plain(quoted('=' + n))} AS {_is_plain(n)}" for n in table.identifiers)
    normally = ", ".join(
        f"CASE WHEN {_is_plain(n)} THEN {quoted('=' + n)} ELSE {normal(quoted('=' + n))} END AS {quoted('=' + n)}"
        for n in table.identifiers
    )
    return f"(SELECT * REPLACE ({normally}) FROM (SELECT *, {is_plain} FROM {rows}))"


def _is_plain(name: str) -> str:
    """Column of the pass: whether an identifier is in normal form and well formed as delivered."""
    return quoted(f"==plain {name}")


def _delivered(scan: _Scan, shown: RejectedValues) -> dict[str, str]:
    """By column, SQL of what its cell held, as it may be shown."""
    found = {}
    for column in scan.table.columns:
        source = scan.contract.by_name.get(column.name)
        text, _ = scan.contract.typed(column.name, column.sql_type)
        found[column.name] = shown.cell(column.name, quoted(source.header) if source and source.header else text)
    return found


# --- what a row may break ---


def _conditions(scan: _Scan, personal: Mapping[str, Condition]) -> list[Condition]:
    """Every rule on rows and what breaks it, in the order in which the first broken one is written down."""
    found: list[Condition] = []
    for column in scan.table.columns:
        if column.name in personal:
            found.append(personal[column.name])
        text, _ = scan.contract.typed(column.name, column.sql_type)
        if text != "NULL" and column.sql_type.upper() != "VARCHAR":
            found.append((f"{column.name}.type", scan.contract.unreadable(column.name, column.sql_type)))
        replaced = personal.get(column.name, ("",))[0] == f"{column.name}.identifier"
        # pseudonyms need not be looked at to be of their form
        form = f"regexp_full_match({quoted(column.name)}, {literal(FORM)})" if replaced else None
        found += _broken_by([rule for rule in column.rules if rule.predicate != form], scan.table)
    found += _broken_by(scan.table.row_rules, scan.table)
    found.append(("scope", f"NOT coalesce({_in_scope(_KATO)}, false)"))
    return found


def _broken_by(rules: Sequence[Rule], table: Table) -> list[Condition]:
    """SQL over the typed columns that is true of a row that breaks the rule, of each rule that rejects rows."""
    found = []
    for rule in rules:
        if rule.predicate and rule.severity == "error":
            condition = f"NOT ({_over_typed(rule.predicate, table)})"
            if rule.id == f"{rule.column}.form":
                condition = f"CASE WHEN {_is_plain(str(rule.column))} THEN FALSE ELSE {condition} END"
            found.append((rule.id, condition))
    return found


def _first_broken(table: Table, conditions: Sequence[Condition]) -> str:
    """The first rule that the row breaks; NULL if none."""
    several = {r.id: r for r in table.row_rules if not r.column}
    named = {
        rule: blamed(several[rule], _EMPTIED, table) if rule in several else literal(rule) for rule, _ in conditions
    }
    whens = "\n".join(f"         WHEN {condition} THEN {named[rule]}" for rule, condition in conditions)
    return f"CASE\n{whens}\n       END"


def _over_typed(predicate: str, table: Table) -> str:
    """A rule's predicate names the table's columns; in the pass their typed values stand under '=name'."""
    tree = sqlglot.parse_one(predicate, dialect="duckdb", into=exp.Condition)
    names = {c.name for c in table.columns}
    for column in tree.find_all(exp.Column):
        if column.name in names:
            column.set("this", exp.to_identifier("=" + column.name, quoted=True))
    return tree.sql("duckdb")


def _in_scope(kato: str) -> str:
    """Whether a row's settlement lies in the declared scope (a settlement, two digits of a region, or KZ) and is registered."""
    wider = f"({_DECLARED_SCOPE} = 'KZ' OR starts_with({kato}, {_DECLARED_SCOPE})) AND {_registered(kato)}"
    return f"CASE WHEN length({_DECLARED_SCOPE}) = 9 THEN {kato} = {_DECLARED_SCOPE} ELSE {wider} END"


def _registered(kato: str) -> str:
    # a code list as a type is looked up by hash; IN compares with one after the other
    return f"TRY_CAST({kato} AS ENUM ({', '.join(map(literal, settlements()))})) IS NOT NULL"
