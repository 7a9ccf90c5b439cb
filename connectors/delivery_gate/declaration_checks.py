"""What a delivery declares, held against what it holds (adr/0020): its days, its keys, its bytes.

Works on what the first gate staged: rows that do not fit are marked broken there, and what concerns the delivery as a whole becomes a finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from warehouse.loading.deliveries import Delivery, Finding
from warehouse.sql import literal, quoted
from warehouse.tables.assertions import Asserts, Cut
from warehouse.tables.assertions_sql import overlap, takes
from warehouse.tables.contracts import Table
from warehouse.tables.rules import BYTES_ELSEWHERE, DAYS, DAYS_SHARE, KEY_REUSED, OTHER_SYSTEM

LEAST_IN_DAYS = 5  # per cent of the rows of an extract that must lie in its own days, where rows of earlier days come again; our proposal
_TOLD = 5  # keys named in a finding


def hold(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    batch: Sequence[Delivery],
    cuts: Mapping[int, Cut],
    staged: str,
    repeated: str,
) -> list[Finding]:
    """Mark rows of `staged` that do not fit what their delivery declares, and take them out of `repeated`. Returns what is to be told.

    `staged` is the view over all that was read (delivery_id, row_no, kato, columns, broken, part, rid), `repeated` the table of keys met twice in the batch.
    """
    if not batch:
        return []
    con.execute(
        "CREATE OR REPLACE TEMP TABLE arriving (delivery_id BIGINT, system VARCHAR, scope VARCHAR, period_id VARCHAR, period_start DATE, period_end DATE, "
        "kind VARCHAR, cut_by VARCHAR, earlier BOOLEAN, sha256 VARCHAR, order_seq BIGINT)"
    )
    rows = [(d.delivery_id, d.system, d.scope, d.period, d.period_start, d.period_end, str(cuts[d.delivery_id].kind), cuts[d.delivery_id].by,
             cuts[d.delivery_id].earlier, d.sha256) for d in batch]  # fmt: skip
    con.execute(
        f"INSERT INTO arriving SELECT {', '.join(['unnest(?)'] * len(rows[0]))}, NULL",
        [list(c) for c in zip(*rows, strict=True)],
    )
    # of what is read again, the place of the delivery it stands for; all else comes after everything there is
    again = ", ".join(f"({d.delivery_id}, {d.reread_of})" for d in batch if d.reread_of is not None)
    if again:
        con.execute(
            f"UPDATE arriving a SET order_seq = d.order_seq FROM (VALUES {again}) v(new, old), audit.delivery d "
            "WHERE a.delivery_id = v.new AND d.delivery_id = v.old"
        )
    con.execute(f"UPDATE arriving SET order_seq = {1 << 62} + delivery_id WHERE order_seq IS NULL")
    findings = [*_days(con, table, batch, cuts, staged), *_bytes(con, table, staged)]
    unchangeable = table.cut.by if table.cut.by and table.cut.by not in table.key else None
    if unchangeable:
        _reused(con, table, unchangeable, staged, repeated)
    if not table.national_keys:
        findings += _elsewhere(con, table, unchangeable, staged, repeated)
    if con.execute(
        f"SELECT 1 FROM {repeated} LIMIT 1"
    ).fetchall():  # few files repeat a key: the rows need not be looked at
        marked = f"SELECT (delivery_id, row_no) FROM {staged} WHERE broken IN ({literal(DAYS)}, {literal(KEY_REUSED)})"
        con.execute(f"DELETE FROM {repeated} WHERE (delivery_id, row_no) IN ({marked})")
    con.execute("DROP TABLE arriving")
    told = {(f.delivery_id, f.rule) for f in findings}
    rules = {rule.id: rule for rule in table.delivery_rules}
    findings += [
        Finding(d.delivery_id, rule, "warning", rules[rule].dimension, True, "nothing of the kind", rules[rule].description)
        for d in batch for rule in (DAYS_SHARE, OTHER_SYSTEM, BYTES_ELSEWHERE) if (d.delivery_id, rule) not in told
    ]  # fmt: skip
    return findings


def _mark(con: duckdb.DuckDBPyConnection, table: Table, rule: str, chosen: str) -> None:
    """Mark the rows that `chosen`, a SELECT of (part, rid), names: each part is a staged table."""
    names = ("kato", *table.business_columns)
    record = "{" + ", ".join(f"{literal(n)}: {quoted(n)}" for n in names) + "}"
    con.execute(f"CREATE OR REPLACE TEMP TABLE marked AS {chosen}")
    for (part,) in con.execute("SELECT DISTINCT part FROM marked ORDER BY 1").fetchall():
        con.execute(
            f"UPDATE {part} SET broken = {literal(rule)}, raw = CAST(to_json({record}) AS VARCHAR) "
            f"WHERE rowid IN (SELECT rid FROM marked WHERE part = {literal(part)})"
        )
    con.execute("DROP TABLE marked")


def _days(
    con: duckdb.DuckDBPyConnection, table: Table, batch: Sequence[Delivery], cuts: Mapping[int, Cut], staged: str
) -> list[Finding]:
    """Rows outside the declared days are rejected; least and greatest time of each delivery tell whether there are any."""
    findings = []
    for by in sorted({c.by for c in cuts.values() if c.by and c.kind is not Asserts.SNAPSHOT}):
        day = f"CAST({quoted(by)} AS TIMESTAMP)"
        inside = f"{day} < a.period_end AND (a.earlier OR a.kind = 'changes' OR {day} >= a.period_start)"
        inside = f"CASE WHEN a.kind = 'as_of' THEN {day} >= a.period_start AND {day} <= a.period_end ELSE {inside} END"
        found = con.execute(
            f"SELECT delivery_id, min({day}), max({day}) FROM {staged} WHERE broken IS NULL AND {quoted(by)} IS NOT NULL GROUP BY delivery_id"
        ).fetchall()
        spans = {delivery_id: (least, greatest) for delivery_id, least, greatest in found}
        outside, few = [], []
        for one in batch:
            cut = cuts[one.delivery_id]
            if cut.by != by or one.delivery_id not in spans:
                continue
            least, greatest = spans[one.delivery_id]
            early, late = least.date() < one.period_start, greatest.date() >= one.period_end
            if cut.kind is Asserts.AS_OF:
                late = greatest.date() > one.period_end
            if late or (early and not (cut.earlier or cut.kind is Asserts.CHANGES)):
                outside.append(one.delivery_id)
            elif early and cut.kind is Asserts.COMPLETE:
                few.append(one)
        if outside:
            chosen = f"s.delivery_id IN ({', '.join(map(str, outside))})"
            _mark(
                con,
                table,
                DAYS,
                f"SELECT s.part, s.rid FROM {staged} s JOIN arriving a USING (delivery_id) WHERE s.broken IS NULL AND {chosen} AND NOT ({inside})",
            )
        for one in few:
            rows, own = con.execute(
                f"SELECT count(*), count_if({day} >= DATE '{one.period_start}') FROM {staged} WHERE broken IS NULL AND delivery_id = {one.delivery_id}"
            ).fetchall()[0]
            findings.append(Finding(
                one.delivery_id, DAYS_SHARE, "warning", "conformity", 100 * own >= LEAST_IN_DAYS * rows,
                f"{own} of {rows} rows lie in {one.period}, all others before it: is it the extract of another period?",
                f"At least {LEAST_IN_DAYS} % of the rows of an extract lie in its own days by {by}"))  # fmt: skip
    return findings


def _bytes(con: duckdb.DuckDBPyConnection, table: Table, staged: str) -> list[Finding]:
    """Nobody has the very same rows as somebody else."""
    found = con.execute(f"""SELECT a.delivery_id, min(o.scope || ' (delivery ' || o.delivery_id || ')') FROM arriving a
JOIN audit.delivery o ON o.table_name = {literal(table.name)} AND o.sha256 = a.sha256 AND o.delivery_id < a.delivery_id AND o.state IN ('loaded', 'received')
    AND o.scope <> 'KZ' AND a.scope <> 'KZ' AND o.scope <> a.scope AND (o.scope[:2] <> a.scope[:2] OR length(o.scope) = length(a.scope))
GROUP BY a.delivery_id""").fetchall()
    if not found:
        return []
    filled = {d for (d,) in con.execute(f"SELECT DISTINCT delivery_id FROM {staged} WHERE broken IS NULL").fetchall()}
    return [
        Finding(delivery_id, BYTES_ELSEWHERE, "warning", "uniqueness", False, f"the same bytes were delivered for {where}",
                "No other territory delivered the very same file")
        for delivery_id, where in found if delivery_id in filled
    ]  # fmt: skip


def _reused(con: duckdb.DuckDBPyConnection, table: Table, unchangeable: str, staged: str, repeated: str) -> None:
    """A key that comes again with another time is another thing: it is kept out, unless the new delivery takes the old row away."""
    column, current = quoted(unchangeable), f"showcase.{table.name}"
    key = " AND ".join(f"c.{quoted(k)} = s.{quoted(k)}" for k in table.identity)
    own = "" if table.national_keys else " AND d.system = a.system"
    if con.execute(f"SELECT 1 FROM {current} LIMIT 1").fetchall():
        con.execute(f"""CREATE OR REPLACE TEMP TABLE clash AS SELECT s.part, s.rid, s.delivery_id, c.delivery_id AS old_delivery, c.rowid AS old_rid
FROM {staged} s JOIN {current} c ON {key} AND c.{column} IS DISTINCT FROM s.{column} WHERE s.broken IS NULL""")
        if con.execute("SELECT 1 FROM clash LIMIT 1").fetchall():
            _mark(
                con,
                table,
                KEY_REUSED,
                f"""SELECT x.part, x.rid FROM clash x JOIN {current} c ON c.rowid = x.old_rid
JOIN audit.delivery d ON d.delivery_id = x.old_delivery JOIN arriving a ON a.delivery_id = x.delivery_id{own}
WHERE NOT ({overlap("a", "d")} AND {takes(table, "a", "d", "c")})""",
            )
        con.execute("DROP TABLE clash")
    pairs = " AND ".join(f"e.{quoted(k)} = s.{quoted(k)}" for k in table.identity)
    own = "" if table.national_keys else " AND b.system = a.system"
    chosen = f"(SELECT * FROM {staged} WHERE broken IS NULL AND (delivery_id, row_no) IN (SELECT (delivery_id, row_no) FROM {repeated}))"
    if con.execute(f"SELECT 1 FROM {repeated} LIMIT 1").fetchall():
        _mark(
            con,
            table,
            KEY_REUSED,
            f"""SELECT DISTINCT s.part, s.rid FROM {chosen} s JOIN {chosen} e ON {pairs} AND e.delivery_id < s.delivery_id
    AND e.{column} IS DISTINCT FROM s.{column}
JOIN arriving a ON a.delivery_id = s.delivery_id JOIN arriving b ON b.delivery_id = e.delivery_id{own}
WHERE NOT ({overlap("a", "b")} AND {takes(table, "a", "b", "e")})""",
        )


def _elsewhere(
    con: duckdb.DuckDBPyConnection, table: Table, unchangeable: str | None, staged: str, repeated: str
) -> list[Finding]:
    """The same thing from two systems counts twice: rows that another system delivers with the same key and the same time."""
    own = {one[0] for one in con.execute("SELECT DISTINCT system FROM arriving").fetchall()}
    others = con.execute(
        "SELECT DISTINCT system FROM audit.delivery WHERE table_name = ? AND state = 'loaded'", [table.name]
    ).fetchall()
    if len(own | {one[0] for one in others}) < 2:
        return []
    compared = list(dict.fromkeys([*table.identity, *([unchangeable] if unchangeable else [])]))
    same = " AND ".join(f"c.{quoted(k)} = s.{quoted(k)}" for k in compared)
    columns, name = ", ".join(map(quoted, compared)), f"s.{quoted(table.key[0])}::VARCHAR"
    at_hand = f"FROM {staged} WHERE broken IS NULL AND (delivery_id, row_no) IN (SELECT (delivery_id, row_no) FROM {repeated})"
    rows = con.execute(f"""SELECT s.delivery_id, d.system, count(*), list(DISTINCT {name} ORDER BY {name})[:{_TOLD}]
FROM {staged} s JOIN arriving a USING (delivery_id)
JOIN (SELECT {columns}, delivery_id FROM showcase.{table.name} UNION ALL SELECT {columns}, delivery_id {at_hand}) c ON {same}
JOIN audit.delivery d ON d.delivery_id = c.delivery_id AND d.system <> a.system AND d.delivery_id < s.delivery_id
WHERE s.broken IS NULL GROUP BY ALL ORDER BY ALL""").fetchall()
    return [
        Finding(delivery_id, OTHER_SYSTEM, "warning", "uniqueness", False, f"{count} rows are in system {system!r} too, as {', '.join(names)}",
                "One thing is delivered by one system", count)
        for delivery_id, system, count, names in rows
    ]  # fmt: skip
