"""After a reading pass, what a contract's shape does with several records: equal ones are left out, those of a key become one row.

The row stands under the number of the first of its records; `records_of_rows` finds the others again. Whatever makes the row doubtful
rejects every record of its key: one of them is rejected, columns that no aggregate is declared for differ, first or last cannot be told,
a result breaks a rule of the table. Does not belong here: what is done row by row (shaping.py), keys that are rejected without an
aggregate (staging.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import duckdb

from connectors.mapping.cell_grammar import INTEGERS
from connectors.mapping.shape import FIRST_OR_LAST, Aggregate
from connectors.mapping.source_contract import SourceContract
from connectors.row_gate.emptied_cells import CELLS
from connectors.row_gate.incoming import Incoming
from connectors.row_gate.shaping import RECORD, is_left_out, order_of
from warehouse.sql import literal, quoted, statement
from warehouse.tables.contracts import Table
from warehouse.tables.rules import (
    KEY_INCOMPLETE,
    KEY_ORDER,
    LEFT_OUT_COMBINED,
    LEFT_OUT_DUPLICATE,
    REPEATED,
)

_SHOWN = 5  # records named in a finding


def shape_part(con: duckdb.DuckDBPyConnection, table: Table, name: str, group: Sequence[Incoming], row_no: str) -> None:
    """Leave out equal records, make one row per key, and count what is left out in `work_left_out_count`.

    `name`: the table that a reading pass filled; it is made anew, with row numbers of its own, where keys are combined. `row_no`: SQL of a row's
    number over it.
    """
    contract = group[0].contract
    delivery = f"CAST([{', '.join(str(one.delivery_id) for one in group)}][delivery_no + 1] AS BIGINT)"
    _leave_out_equal_records(con, name, contract)
    width = contract.shape.rows_of_record(group[0].readable.header)
    counted = {"stage": name, "delivery": delivery, "record": f"({row_no} - 1) // {width} + 1", "shown": str(_SHOWN)}
    con.execute(statement(__file__, "work_left_out_count", left_out=is_left_out("broken"), **counted))
    if contract.shape.aggregates:
        _combine(con, table, name, group, row_no)
        con.execute(
            statement(
                __file__, "work_left_out_count__combined", delivery=delivery, combined_rule=literal(LEFT_OUT_COMBINED)
            )
        )
        con.execute(
            f"DROP TABLE {name}; ALTER TABLE work_combined_stage RENAME TO {name}; DROP TABLE work_combined_key"
        )


def records_of_rows(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    name: str,
    group: Sequence[Incoming],
    row_no: str,
    wanted: Collection[int],
) -> dict[int, list[int]]:
    """Row number → the numbers of all rows that the row was made of, in order; of a delivery alone in the pass's table."""
    _leave_out_equal_records(con, name, group[0].contract)
    key = ", ".join(map(quoted, table.identity))
    listed = ", ".join(map(str, wanted)) or "NULL"
    rows = con.execute(
        statement(
            __file__,
            "work_stage__records",
            stage=name,
            key=key,
            number=row_no,
            rows=listed,
            left_out=is_left_out("broken"),
        )
    ).fetchall()
    return {row: list(records) for row, records in rows}


def _leave_out_equal_records(con: duckdb.DuckDBPyConnection, name: str, contract: SourceContract) -> None:
    """Mark records that are equal to an earlier one, if the contract drops them."""
    if contract.shape.drops_duplicates:
        rule, left_out = literal(LEFT_OUT_DUPLICATE), is_left_out("broken")
        con.execute(
            statement(__file__, "work_stage__duplicates", stage=name, record=RECORD, rule=rule, left_out=left_out)
        )


def _combine(con: duckdb.DuckDBPyConnection, table: Table, name: str, group: Sequence[Incoming], row_no: str) -> None:
    """`work_combined_key`, and `work_combined_stage` from the pass's table `name`."""
    plan = _Plan(table, group)
    con.execute(
        statement(
            __file__,
            "work_combined_key",
            stage=name,
            key=plan.key,
            key_of_records=", ".join(f"records.{quoted(k)}" for k in table.identity),
            some_key=" AND ".join(f"{quoted(k)} IS NOT NULL" for k in table.identity),
            left_out=is_left_out("broken"),
            measures="".join(f",\n        {m}" for m in plan.measures()),
            joins="".join(plan.joins(name)),
            values="".join(f",\n        {v}" for v in plan.values()),
            emptied_cells=plan.emptied(),
            first_doubt=_first(plan.doubts()),
            broken_rule=_first(plan.broken_rules()),
        )
    )
    others = [c for c in table.business_columns if c not in table.identity]
    result = ", ".join(
        f"CASE WHEN combined.rule IS NULL AND combined.first_rowid IS NOT NULL THEN combined.{quoted(c)} ELSE stage.{quoted(c)} END AS {quoted(c)}"
        for c in others
    )
    whole = "{" + ", ".join(f"{literal(c)}: stage.{quoted(c)}" for c in ("kato", *table.business_columns)) + "}"
    con.execute(
        statement(
            __file__,
            "work_combined_stage",
            stage=name,
            row_no=row_no,
            columns="".join(f", stage.{quoted(c)}" for c in table.identity) + (f", {result}" if result else ""),
            same_key=plan.same_key("stage", "combined"),
            left_out=is_left_out("stage.broken"),
            whole=whole,
        )
    )


class _Plan:
    """SQL of one table's aggregates."""

    def __init__(self, table: Table, group: Sequence[Incoming]):
        self._table, self._contract = table, group[0].contract
        self._aggregates = {one.column: one for one in self._contract.shape.aggregates}
        self._others = [c for c in table.business_columns if c not in table.identity and c not in self._aggregates]
        self.key = ", ".join(map(quoted, table.identity))
        ordered = [one for one in self._aggregates.values() if one.how in FIRST_OR_LAST]
        self._orders = {pair: n for n, pair in enumerate(dict.fromkeys((one.how, self._by(one)) for one in ordered))}

    def _by(self, one: Aggregate) -> str:
        return order_of(self._contract, one.by)

    def _ordered(self, number: int) -> list[str]:
        """Columns that the first or last record of this order gives."""
        return [
            c
            for c, one in self._aggregates.items()
            if one.how in FIRST_OR_LAST and self._orders[one.how, self._by(one)] == number
        ]

    def same_key(self, left: str, right: str) -> str:
        names = ("delivery_no", *self._table.identity)
        return " AND ".join(f"{left}.{quoted(n)} = {right}.{quoted(n)}" for n in names)

    def measures(self) -> Iterator[str]:
        """Of all records of a key: what each column comes to, and what shows that it comes to nothing sure."""
        for column in self._others:
            x = quoted(column)
            yield f"min({x}) AS {x}"
            yield f"{_differs(x)} AS {quoted('differs ' + column)}"
        for column, one in self._aggregates.items():
            x = quoted(column)
            if one.how in ("min", "max"):
                yield f"{one.how}({x}) AS {x}"
            elif one.how not in FIRST_OR_LAST:
                yield f"sum({x}) AS {quoted('sum ' + column)}"
                yield f"count({x}) AS {quoted('count ' + column)}"
        for (how, by), number in self._orders.items():
            extreme = "min" if how == "first" else "max"
            yield f"CASE WHEN count({by}) = count(*) THEN {extreme}({by}) END AS {quoted(f'order {number}')}"

    def joins(self, stage: str) -> Iterator[str]:
        """By order, the records that are first or last: what they say, and whether they say the same."""
        for (_, by), number in self._orders.items():
            found = []
            for column in self._ordered(number):
                x = f"stage.{quoted(column)}"
                cell = f"list_filter(stage.emptied, lambda cell: cell.column_name = {literal(column)})[1]"
                found += [f"min({x}) AS {quoted(column)}", f"{_differs(x)} AS {quoted('differs ' + column)}"]
                found.append(f"any_value({cell} ORDER BY stage.rowid) AS {quoted('emptied ' + column)}")
            key = ", ".join(f"found.{quoted(n)}" for n in ("delivery_no", *self._table.identity))
            chosen = statement(
                __file__,
                "work_combined_key__chosen",
                stage=stage,
                key=key,
                measures=", ".join(found),
                same_key=self.same_key("stage", "found"),
                order=by,
                extreme=quoted(f"order {number}"),
                left_out=is_left_out("stage.broken"),
            )
            yield f"\nLEFT JOIN ({chosen}) AS chosen_{number} ON {self.same_key('records', f'chosen_{number}')}"

    def values(self) -> Iterator[str]:
        """The columns of the row. A result is left empty where a cell of it was: it would be one of fewer than all."""
        for column in self._others:
            yield f"records.{quoted(column)}"
        for column, one in self._aggregates.items():
            if one.how in FIRST_OR_LAST:
                yield f"chosen_{self._orders[one.how, self._by(one)]}.{quoted(column)}"
            else:
                spoilt = (
                    f"list_contains(list_transform(records.cells, lambda cell: cell.column_name), {literal(column)})"
                )
                yield f"CASE WHEN records.cells IS NULL OR NOT {spoilt} THEN {self._result(column, one.how)} END AS {quoted(column)}"

    def _result(self, column: str, how: str) -> str:
        kind = self._table.business_columns[column].upper()
        total, count = f"records.{quoted('sum ' + column)}", f"records.{quoted('count ' + column)}"
        if how in ("min", "max"):
            return f"records.{quoted(column)}"
        if how == "sum":
            return f"TRY_CAST({total} AS {kind})"
        # whole units of the last decimal, so that nothing is rounded but the quotient, half away from zero as everywhere
        scale = 0 if kind in INTEGERS else int(kind.rstrip(")").rpartition(",")[2])
        units = f"CAST(replace(CAST({total} AS VARCHAR), '.', '') AS HUGEINT)"
        rounded = f"sign({total}) * ((2 * abs({units}) + {count}) // (2 * {count}))"
        if not scale:
            return f"TRY_CAST({rounded} AS {kind})"
        return f"TRY_CAST(CAST({rounded} AS DECIMAL(38, 0)) * CAST('1e-{scale}' AS DECIMAL({scale + 1}, {scale})) AS {kind})"

    def emptied(self) -> str:
        """The emptied cells of the row: one of each column in which a record has one, of first and last only theirs."""
        plain = [
            c
            for c in (*self._others, *self._aggregates)
            if c not in self._aggregates or self._aggregates[c].how not in FIRST_OR_LAST
        ]
        found = [f"list_filter(records.cells, lambda cell: cell.column_name = {literal(c)})[1]" for c in plain]
        for number in self._orders.values():
            found += [f"chosen_{number}.{quoted('emptied ' + c)}" for c in self._ordered(number)]
        some = f"list_filter(CAST([{', '.join(found)}] AS {CELLS}), lambda cell: cell IS NOT NULL)"
        return f"CASE WHEN records.cells IS NOT NULL AND len({some}) > 0 THEN {some} END"

    def doubts(self) -> Iterator[str]:
        """Why no row is made, the first that holds."""
        yield f"WHEN records.incomplete THEN {literal(KEY_INCOMPLETE)}"
        for column in self._others:
            yield f"WHEN records.{quoted('differs ' + column)} THEN {literal(REPEATED)}"
        for number in self._orders.values():
            yield f"WHEN records.{quoted(f'order {number}')} IS NULL THEN {literal(KEY_ORDER)}"
            for column in self._ordered(number):
                yield f"WHEN chosen_{number}.{quoted('differs ' + column)} THEN {literal(KEY_ORDER)}"
        for column, one in self._aggregates.items():
            if one.how in ("sum", "mean"):
                found = f"{self._result(column, one.how)} IS NULL AND records.{quoted('count ' + column)} > 0"
                yield f"WHEN {found} THEN {literal(f'{column}.type')}"

    def broken_rules(self) -> Iterator[str]:
        """Rules of the table that a row may break though none of its records does."""
        for rule in (*(r for c in self._table.columns for r in c.rules), *self._table.row_rules):
            if rule.predicate and rule.severity == "error" and not rule.id.endswith(".form"):
                yield f"WHEN NOT ({rule.predicate}) THEN {literal(rule.id)}"


def _differs(x: str) -> str:
    """Whether a column is not the same throughout, nothing being one thing. SQL over grouped rows."""
    return f"(min({x}) <> max({x}) OR count({x}) NOT IN (0, count(*)))"


def _first(whens: Iterator[str]) -> str:
    return f"CASE {' '.join(some)} END" if (some := list(whens)) else "NULL"
