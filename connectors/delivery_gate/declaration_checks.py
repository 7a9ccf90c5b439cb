"""What a delivery declares, compared with what it holds (adr/0020): its days, its keys, its bytes.

Works on what the first gate staged: rows that do not fit are marked broken there, and what concerns the delivery as a whole becomes a finding.
Does not belong here: whether a declaration can be right at all (receiving/deliver.py), comparison with former figures (earlier_deliveries.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import duckdb

from connectors.row_gate.staging import record
from warehouse.loading.deliveries import Delivery, Finding
from warehouse.messages.messages import recorded
from warehouse.sql import literal, quoted, statement
from warehouse.tables.assertions import Asserts, Cut
from warehouse.tables.assertions_sql import overlap, takes
from warehouse.tables.contracts import Table
from warehouse.tables.rules import BYTES_ELSEWHERE, DAYS, DAYS_SHARE, KEY_REUSED, OTHER_SYSTEM
from warehouse.tables.working_tables import create

LEAST_IN_DAYS = 5  # per cent of the rows of an extract that must lie in its own days, where rows of earlier days come again; our proposal
_NAMED = 5  # keys named in a finding


def check_declared_content(
    con: duckdb.DuckDBPyConnection, table: Table, batch: Sequence[Delivery], cuts: Mapping[int, Cut]
) -> list[Finding]:
    """Mark rows of `work_read_row` that do not fit what their delivery declares, and take them out of `work_repeated_key`.

    Returns a finding of each rule on declarations for each delivery of `batch`. `cuts`: by delivery, what its contract says it covers.
    """
    if not batch:
        return []
    _note_arriving(con, batch, cuts)
    findings = [*_check_days(con, batch, cuts, table), *_same_bytes_elsewhere(con, table)]
    unchangeable = table.cut.by if table.cut.by and table.cut.by not in table.key else None
    if unchangeable:
        _reject_reused_keys(con, table, unchangeable)
    if not table.national_keys:
        findings += _rows_of_other_systems(con, table, unchangeable)
    if _has_repeated_keys(con):
        marked = f"broken IN ({literal(DAYS)}, {literal(KEY_REUSED)})"
        con.execute(
            "DELETE FROM work_repeated_key WHERE (delivery_id, row_no) IN "
            f"(SELECT (delivery_id, row_no) FROM work_read_row WHERE {marked})"
        )
    con.execute("DROP TABLE work_arriving_delivery")
    return [*findings, *_passed(table, batch, findings)]


def _note_arriving(con: duckdb.DuckDBPyConnection, batch: Iterable[Delivery], cuts: Mapping[int, Cut]) -> None:
    """`work_arriving_delivery`: what the deliveries of the batch declare, and their place in the order."""
    create(con, "work_arriving_delivery")
    rows = []
    for one in batch:
        cut = cuts[one.delivery_id]
        days = (one.period, one.period_start, one.period_end)
        rows.append(
            (
                one.delivery_id,
                one.system,
                one.scope,
                *days,
                str(cut.kind),
                cut.by,
                cut.earlier,
                one.sha256,
                one.reread_of,
            )
        )
    # what is read again keeps the place of its first reading; all else comes after every delivery there is
    values = ", ".join(["unnest(?)"] * len(rows[0]))
    con.execute(
        f"INSERT INTO work_arriving_delivery SELECT {values}, NULL",
        [list(column) for column in zip(*rows, strict=True)],
    )
    con.execute(
        "UPDATE work_arriving_delivery AS arriving SET order_seq = earlier.order_seq FROM audit.delivery AS earlier "
        "WHERE earlier.delivery_id = arriving.reread_of"
    )
    con.execute(f"UPDATE work_arriving_delivery SET order_seq = {1 << 62} + delivery_id WHERE order_seq IS NULL")


def _passed(table: Table, batch: Iterable[Delivery], findings: Iterable[Finding]) -> list[Finding]:
    """Of each rule that has found nothing in a delivery, that it was met."""
    found = {(f.delivery_id, f.rule) for f in findings}
    rules = {rule.id: rule for rule in table.delivery_rules}
    nothing = recorded({"code": "finding.nothing"})
    return [
        Finding(one.delivery_id, rule.id, "warning", rule.dimension, True, nothing, rule.expected)
        for one in batch
        for rule in (rules[DAYS_SHARE], rules[OTHER_SYSTEM], rules[BYTES_ELSEWHERE])
        if (one.delivery_id, rule.id) not in found
    ]


def _has_repeated_keys(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether any key occurs twice in the batch: in few batches one does, and then the rows need not be looked at."""
    return bool(con.execute("SELECT 1 FROM work_repeated_key LIMIT 1").fetchall())


def _mark(con: duckdb.DuckDBPyConnection, table: Table, rule: str, marked: str) -> None:
    """Mark the rows broken that the statement `marked` puts into `work_marked_row`."""
    con.execute(marked)
    for (name,) in con.execute("SELECT DISTINCT stage_table FROM work_marked_row ORDER BY 1").fetchall():
        con.execute(
            f"UPDATE {name} SET broken = {literal(rule)}, raw = CAST(to_json({record(table)}) AS VARCHAR) "
            f"WHERE rowid IN (SELECT stage_rowid FROM work_marked_row WHERE stage_table = {literal(name)})"
        )
    con.execute("DROP TABLE work_marked_row")


# --- days ---


def _check_days(
    con: duckdb.DuckDBPyConnection, batch: Sequence[Delivery], cuts: Mapping[int, Cut], table: Table
) -> list[Finding]:
    """Reject rows outside the declared days; a finding where most rows of an extract lie before its days."""
    findings: list[Finding] = []
    for by in sorted({c.by for c in cuts.values() if c.by and c.kind is not Asserts.SNAPSHOT}):
        outside, early = _not_in_their_days(con, [d for d in batch if cuts[d.delivery_id].by == by], cuts, by)
        if outside:
            day = f"CAST(read_row.{quoted(by)} AS TIMESTAMP)"
            numbers = ", ".join(map(str, outside))
            _mark(con, table, DAYS, statement(__file__, "work_marked_row__outside_days", day=day, deliveries=numbers))
        findings += _shares_in_days(con, early, by)
    return findings


def _not_in_their_days(
    con: duckdb.DuckDBPyConnection, batch: Iterable[Delivery], cuts: Mapping[int, Cut], by: str
) -> tuple[list[int], list[Delivery]]:
    """(deliveries that must not have rows outside their days and do, complete ones with rows before their days that may have them).

    Least and greatest time of each delivery tell it.
    """
    day = f"CAST({quoted(by)} AS TIMESTAMP)"
    spans = con.execute(
        f"SELECT delivery_id, min({day}), max({day}) FROM work_read_row WHERE broken IS NULL AND {quoted(by)} IS NOT NULL GROUP BY delivery_id"
    ).fetchall()
    of_delivery = {delivery_id: (least, greatest) for delivery_id, least, greatest in spans}
    outside, before = [], []
    for one in batch:
        if one.delivery_id not in of_delivery:
            continue
        cut, (least, greatest) = cuts[one.delivery_id], of_delivery[one.delivery_id]
        early, late = least.date() < one.period_start, greatest.date() >= one.period_end
        if cut.kind is Asserts.AS_OF:
            late = greatest.date() > one.period_end
        if late or (early and not (cut.earlier or cut.kind is Asserts.CHANGES)):
            outside.append(one.delivery_id)
        elif early and cut.kind is Asserts.COMPLETE:
            before.append(one)
    return outside, before


def _shares_in_days(con: duckdb.DuckDBPyConnection, early: Sequence[Delivery], by: str) -> Iterator[Finding]:
    """A finding for each of these deliveries, all of which have accepted rows: how many lie in its days, and not before them."""
    if not early:
        return
    begins = ", ".join(f"({one.delivery_id}, DATE '{one.period_start}')" for one in early)
    counted = con.execute(
        f"SELECT delivery_id, count(*), count_if(CAST({quoted(by)} AS TIMESTAMP) >= period.begins) FROM work_read_row "
        f"JOIN (VALUES {begins}) AS period (delivery_id, begins) USING (delivery_id) WHERE broken IS NULL GROUP BY delivery_id"
    ).fetchall()
    found = {delivery_id: (rows, own) for delivery_id, rows, own in counted}
    for one in early:
        rows, own = found[one.delivery_id]
        yield Finding(
            one.delivery_id,
            DAYS_SHARE,
            "warning",
            "conformity",
            100 * own >= LEAST_IN_DAYS * rows,
            recorded({"code": "finding.share_in_days", "own": own, "rows": rows, "period": one.period}),
            recorded({"code": "rule.share_in_days", "percent": LEAST_IN_DAYS, "column": by}),
        )


# --- bytes and keys that others have too ---


def _same_bytes_elsewhere(con: duckdb.DuckDBPyConnection, table: Table) -> list[Finding]:
    """A finding for each delivery with accepted rows whose bytes came for another territory before."""
    found = con.execute(
        statement(__file__, "work_arriving_delivery__same_bytes", table_name=literal(table.name))
    ).fetchall()
    if not found:
        return []
    filled = {
        d for (d,) in con.execute("SELECT DISTINCT delivery_id FROM work_read_row WHERE broken IS NULL").fetchall()
    }
    expected = recorded({"code": "rule.bytes_elsewhere"})
    return [
        Finding(d, BYTES_ELSEWHERE, "warning", "uniqueness", False, recorded(observed), expected)
        for d, scope, first in found
        if d in filled
        for observed in [{"code": "finding.bytes_elsewhere", "scope": scope, "delivery": first}]
    ]


def _reject_reused_keys(con: duckdb.DuckDBPyConnection, table: Table, unchangeable: str) -> None:
    """A key that comes again with another time is another thing: it is kept out, unless the new delivery takes the old row away."""
    showcase, time = f"showcase.{table.name}", quoted(unchangeable)
    of_one_system = "" if table.national_keys else " AND earlier.system = arriving.system"

    def taken_away(row: str) -> str:
        return f"{overlap('arriving', 'earlier')} AND {takes(table, 'arriving', 'earlier', row)}"

    if con.execute(f"SELECT 1 FROM {showcase} LIMIT 1").fetchall():
        same_key = _equal("current_row", "read_row", table.identity)
        con.execute(statement(__file__, "work_key_clash", showcase_table=showcase, same_key=same_key, time=time))
        if con.execute("SELECT 1 FROM work_key_clash LIMIT 1").fetchall():
            marked = statement(
                __file__,
                "work_marked_row__key_in_warehouse",
                showcase_table=showcase,
                of_one_system=of_one_system,
                taken_away=taken_away("current_row"),
            )
            _mark(con, table, KEY_REUSED, marked)
        con.execute("DROP TABLE work_key_clash")
    if _has_repeated_keys(con):
        marked = statement(
            __file__,
            "work_marked_row__key_in_batch",
            same_key=_equal("earlier_row", "later_row", table.identity),
            time=time,
            of_one_system=of_one_system,
            taken_away=taken_away("earlier_row"),
        )
        _mark(con, table, KEY_REUSED, marked)


def _rows_of_other_systems(con: duckdb.DuckDBPyConnection, table: Table, unchangeable: str | None) -> list[Finding]:
    """The same thing from two systems counts twice: rows that another system delivers with the same key and the same time."""
    own = {system for (system,) in con.execute("SELECT DISTINCT system FROM work_arriving_delivery").fetchall()}
    others = con.execute(
        "SELECT DISTINCT system FROM audit.delivery WHERE table_name = ? AND state = 'loaded'", [table.name]
    ).fetchall()
    if len(own | {system for (system,) in others}) < 2:
        return []
    compared = list(dict.fromkeys([*table.identity, *([unchangeable] if unchangeable else [])]))
    rows = con.execute(
        statement(
            __file__,
            "work_read_row__other_systems",
            compared=", ".join(map(quoted, compared)),
            showcase_table=f"showcase.{table.name}",
            same_key=_equal("other_row", "read_row", compared),
            named=f"CAST(read_row.{quoted(table.key[0])} AS VARCHAR)",
            shown=str(_NAMED),
        )
    ).fetchall()
    return [
        Finding(
            delivery_id,
            OTHER_SYSTEM,
            "warning",
            "uniqueness",
            False,
            recorded({"code": "finding.other_system", "rows": count, "system": system, "names": names}),
            recorded({"code": "rule.other_system"}),
            count,
        )
        for delivery_id, system, count, names in rows
    ]


def _equal(left: str, right: str, columns: Iterable[str]) -> str:
    return " AND ".join(f"{left}.{quoted(c)} = {right}.{quoted(c)}" for c in columns)
