"""How the rows of deliveries enter a showcase table, and what of the rows that are there gives way to them (adr/0020).

Deliveries of one turn take nothing from each other; a batch is loaded turn by turn. Temporary tables, all of rows of the turn or of the table by
number: `met` (rows with a key that is there already), `taken` (rows that a delivery takes away), `kept` (rows sent again unchanged), `leaving` (rows
that cease to hold, and when), `aside` (rows of the turn that do not hold, or not for long: they go to history).
Does not belong here: what is decided on a delivery (load.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import duckdb

from warehouse.sql import literal, quoted
from warehouse.store.seals import seals_of_rows
from warehouse.tables.assertions_sql import overlap, same_slice, takes
from warehouse.tables.contracts import Table

if TYPE_CHECKING:
    from warehouse.loading.deliveries import Delivery


def turns_of(table: Table, deliveries: Iterable[Delivery]) -> dict[int, int]:
    """Deliveries of one batch that may be loaded together get the same turn.

    Two deliveries of one system whose days and territories meet must come one after the other; and no delivery may be loaded in an
    earlier turn than one that came before it for an overlapping territory.
    """
    exactly: dict[str, int] = {}  # territory → highest turn of deliveries for just that
    within: dict[str, int] = {}  # region, KZ → highest turn of deliveries for it or a part of it
    held: dict[tuple[str, str, str], int] = {}  # system, territory, month → as `exactly`
    held_within: dict[tuple[str, str, str], int] = {}
    turns = {}
    for one in deliveries:
        around = {one.scope, one.scope[:2], "KZ"}
        months = (one.closing_month,) if table.snapshot else one.months
        met = [held_within.get((one.system, one.scope, m), -1) for m in months]
        met += [held.get((one.system, t, m), -1) for m in months for t in around]
        turn = max(max(met) + 1, within.get(one.scope, 0), *(exactly.get(t, 0) for t in around))
        turns[one.delivery_id] = exactly[one.scope] = turn
        within |= {t: max(turn, within.get(t, 0)) for t in around}
        for month in months:
            held[one.system, one.scope, month] = turn
            held_within |= {
                (one.system, t, month): max(turn, held_within.get((one.system, t, month), -1)) for t in around
            }
    return turns


def load_turn(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    staged: str,
    repeated: str,
    seqs: Mapping[int, int],
    turn: int,
    now: dt.datetime,
) -> list[tuple[Any, ...]]:
    """Rows go from `staged` into the table in one pass; what is remembered of them is which few are left out. Returns their seals.

    Nothing large is copied before: what a transaction has written itself DuckDB reads with one thread.
    """
    names = ["kato", *table.business_columns]
    current, history = f"showcase.{table.name}", f"history.{table.name}"
    columns = ", ".join(f"s.{quoted(n)}" for n in names)
    columns += f", s.delivery_id, s.row_no, CAST({literal(now.isoformat())} AS TIMESTAMPTZ) AS sdu_load_in_dt"
    rows = f"{staged} s JOIN batch b ON b.delivery_id = s.delivery_id AND b.turn = {turn} AND s.broken IS NULL"
    con.execute(
        "CREATE OR REPLACE TEMP TABLE kept (rid BIGINT, delivery_id BIGINT, row_no BIGINT); "
        "CREATE OR REPLACE TEMP TABLE leaving (rid BIGINT, seq BIGINT); CREATE OR REPLACE TEMP TABLE lost (seq BIGINT); "
        "CREATE OR REPLACE TEMP TABLE aside (delivery_id BIGINT, row_no BIGINT, until BIGINT)"
    )
    there = _count(con, current) > 0
    if there:
        _meet(con, table, rows, turn)
    _overtaken(con, table, repeated, turn)
    if _count(con, "aside"):
        con.execute(
            f"INSERT INTO {history} BY NAME SELECT {columns}, b.seq AS valid_from_seq, o.until AS valid_to_seq "
            f"FROM {rows} JOIN (SELECT delivery_id, row_no, min(until) AS until FROM aside GROUP BY ALL) o "
            "ON (o.delivery_id, o.row_no) = (s.delivery_id, s.row_no)"
        )
    if there:
        _leave(con, table, turn)
    con.execute(f"""INSERT INTO {current} BY NAME SELECT {columns}, b.seq AS valid_from_seq FROM {rows}
ANTI JOIN (SELECT delivery_id, row_no FROM kept UNION ALL SELECT delivery_id, row_no FROM aside) o
    ON (o.delivery_id, o.row_no) = (s.delivery_id, s.row_no)""")
    written = f"SELECT s.delivery_id AS grp, {columns} FROM {staged} s WHERE s.broken IS NULL"
    if set(seqs) != {d for (d,) in con.execute("SELECT delivery_id FROM batch").fetchall()}:
        written += f" AND s.delivery_id IN ({', '.join(map(str, seqs))})"
    if _count(con, "kept"):
        written += " AND (s.delivery_id, s.row_no) NOT IN (SELECT (delivery_id, row_no) FROM kept)"
    back = _back_again(con, table)
    if back:
        written += f" UNION ALL BY NAME SELECT b.delivery_id AS grp, r.* EXCLUDE (valid_from_seq) FROM {back} r JOIN batch b ON b.seq = r.valid_from_seq"
    seals = seals_of_rows(con, table.name, written, seqs, mixed=back is not None)
    con.execute(
        "DROP TABLE kept; DROP TABLE aside; DROP TABLE leaving; DROP TABLE lost; DROP TABLE IF EXISTS back_again"
    )
    return seals


def _count(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(row[0]) if row else 0


def _meet(con: duckdb.DuckDBPyConnection, table: Table, rows: str, turn: int) -> None:
    """Fill `met`, `taken`, `kept`, `leaving`, and `aside` with rows that what is there is newer than."""
    rest = [n for n in ("kato", *table.business_columns) if n not in table.identity]
    current = f"showcase.{table.name}"
    mine = f"d.table_name = {literal(table.name)} AND d.state = 'loaded'"
    con.execute(f"""CREATE OR REPLACE TEMP TABLE taker AS
SELECT d.delivery_id, n.delivery_id AS new_delivery, n.seq, {same_slice("n", "d")} AS same FROM audit.delivery d
JOIN batch n ON n.turn = {turn} AND {overlap("n", "d")} WHERE {mine} AND d.loaded_seq < n.seq""")
    # first by keys alone: in most months nothing is met, and the table's other columns need not be read
    same_key = " AND ".join(f"c.{quoted(k)} = s.{quoted(k)}" for k in table.identity)
    own = "" if table.national_keys else " AND d.system = b.system"
    con.execute(f"""CREATE OR REPLACE TEMP TABLE met AS
SELECT c.rowid AS rid, c.delivery_id AS old_delivery, s.delivery_id, s.row_no, b.seq,
       (d.period_end, d.order_seq) <= (b.period_end, b.order_seq) AS newer
FROM {rows} JOIN {current} c ON {same_key} JOIN audit.delivery d ON d.delivery_id = c.delivery_id{own}""")
    former = [str(row[0]) for row in con.execute("SELECT DISTINCT delivery_id FROM taker ORDER BY 1").fetchall()]
    con.execute("CREATE OR REPLACE TEMP TABLE taken (rid BIGINT, new_delivery BIGINT, seq BIGINT)")
    if former:
        con.execute(f"""INSERT INTO taken SELECT c.rowid, t.new_delivery, t.seq FROM {current} c JOIN taker t USING (delivery_id)
JOIN audit.delivery d ON d.delivery_id = t.delivery_id JOIN batch n ON n.delivery_id = t.new_delivery
WHERE c.delivery_id IN ({", ".join(former)}) AND {takes(table, "n", "d", "c")}""")
        # re-sent unchanged, before any other delivery of this turn brings the key: what is there already says the same
        same = " AND ".join(f"c.{quoted(n)} IS NOT DISTINCT FROM s.{quoted(n)}" for n in rest) or "true"
        con.execute(f"""INSERT INTO kept
SELECT m.rid, m.delivery_id, m.row_no FROM met m JOIN (SELECT rid, min(seq) AS seq FROM met GROUP BY rid) USING (rid, seq)
JOIN taker l ON l.same AND (l.delivery_id, l.new_delivery) = (m.old_delivery, m.delivery_id)
JOIN (SELECT rowid AS rid, * FROM {current} WHERE delivery_id IN ({", ".join(former)})) c ON c.rid = m.rid
JOIN (SELECT s.* FROM {rows}) s ON (s.delivery_id, s.row_no) = (m.delivery_id, m.row_no) WHERE {same}""")
    _overruled(con, table, rows, turn)
    _outranked(con, table, turn)
    # a row leaves when a newer one of its key comes, or when a delivery that takes it does, whichever is earlier
    con.execute("""INSERT INTO leaving
SELECT rid, min(seq) AS seq FROM (
    SELECT rid, seq FROM met
    WHERE newer AND (delivery_id, row_no) NOT IN (SELECT (delivery_id, row_no) FROM kept UNION ALL SELECT (delivery_id, row_no) FROM aside)
    UNION ALL
    SELECT rid, seq FROM taken WHERE rid NOT IN (SELECT rid FROM kept))
GROUP BY rid""")
    con.execute("""INSERT INTO aside SELECT m.delivery_id, m.row_no, m.seq FROM met m LEFT JOIN leaving l USING (rid)
WHERE (l.seq IS NULL OR l.seq > m.seq) AND (m.delivery_id, m.row_no) NOT IN (SELECT (delivery_id, row_no) FROM kept)""")


def _outranked(con: duckdb.DuckDBPyConnection, table: Table, turn: int) -> None:
    """Add to `aside` rows that take the place of one that is there, where another standing delivery tells newer of the key.

    What it tells lies in history, as the row that is there was newer still.
    """
    kept = "SELECT (delivery_id, row_no) FROM kept UNION ALL SELECT (delivery_id, row_no) FROM aside"
    if not _count(con, "taken") or not _count(con, f"(SELECT 1 FROM history.{table.name} LIMIT 1)"):
        return
    same_key = " AND ".join(f"h.{quoted(k)} = c.{quoted(k)}" for k in table.identity)
    own = "" if table.national_keys else " AND d.system = b.system"
    con.execute(f"""CREATE OR REPLACE TEMP TABLE rival AS
SELECT row_number() OVER () AS candidate, h.*, m.delivery_id AS new_delivery, m.row_no AS new_row, m.seq AS since
FROM met m JOIN taken t ON t.rid = m.rid AND t.new_delivery = m.delivery_id JOIN batch b ON b.delivery_id = m.delivery_id AND b.turn = {turn}
JOIN (SELECT rowid AS rid, {", ".join(map(quoted, table.identity))} FROM showcase.{table.name}) c ON c.rid = m.rid
JOIN history.{table.name} h ON {same_key}
JOIN audit.delivery d ON d.delivery_id = h.delivery_id AND d.state = 'loaded'{own} AND (d.period_end, d.order_seq) > (b.period_end, b.order_seq)
WHERE (m.delivery_id, m.row_no) NOT IN ({kept})""")
    if _count(con, "rival"):
        con.execute(
            f"INSERT INTO aside SELECT DISTINCT new_delivery, new_row, since FROM rival ANTI JOIN ({_gone(table, 'rival')}) USING (candidate)"
        )
    con.execute("DROP TABLE rival")


def _gone(table: Table, relation: str) -> str:
    """The `candidate` numbers of former versions that a delivery took by the sequence `since`, other than one during which they held.

    That one sent them again unchanged. `relation` has rows of the table's history with these two columns.
    """
    return f"""SELECT f.candidate FROM {relation} f JOIN audit.delivery d ON d.delivery_id = f.delivery_id
    JOIN audit.delivery m ON m.table_name = {literal(table.name)} AND m.state = 'loaded' AND m.loaded_seq <= f.since
        AND (m.loaded_seq > d.loaded_seq OR m.order_seq > d.order_seq) AND {overlap("m", "d")}
    WHERE {takes(table, "m", "d", "f")} AND NOT (f.valid_from_seq < m.loaded_seq AND m.loaded_seq < f.valid_to_seq)"""


def _overruled(con: duckdb.DuckDBPyConnection, table: Table, rows: str, turn: int) -> None:
    """Add to `aside` what is read again of a delivery and was taken away by one that came after it in order."""
    if not con.execute(f"SELECT count(*) FROM batch WHERE turn = {turn} AND order_seq < seq").fetchall()[0][0]:
        return
    con.execute(f"""INSERT INTO aside SELECT s.delivery_id, s.row_no, b.seq FROM {rows}
JOIN audit.delivery m ON m.table_name = {literal(table.name)} AND m.state = 'loaded' AND m.loaded_seq < b.seq AND m.order_seq > b.order_seq
    AND {overlap("m", "b")}
WHERE b.order_seq < b.seq AND {takes(table, "m", "b", "s")}""")


def _overtaken(con: duckdb.DuckDBPyConnection, table: Table, repeated: str, turn: int) -> None:
    """Add to `aside` rows whose key another delivery of the turn brings too: the one whose period ends later holds, then the later one."""
    key = ", ".join((*(f"s.{quoted(k)}" for k in table.identity), *(() if table.national_keys else ("b.system",))))
    con.execute(f"""INSERT INTO aside SELECT delivery_id, row_no, greatest(seq, first_newer) FROM (
    SELECT s.delivery_id, s.row_no, b.seq, min(b.seq) OVER (PARTITION BY {key} ORDER BY b.period_end DESC, b.order_seq DESC, b.seq DESC
                                                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS first_newer
    FROM {repeated} s JOIN batch b ON b.delivery_id = s.delivery_id AND b.turn = {turn}
    WHERE (s.delivery_id, s.row_no) NOT IN (SELECT (delivery_id, row_no) FROM kept))
WHERE first_newer IS NOT NULL""")


def _leave(con: duckdb.DuckDBPyConnection, table: Table, turn: int) -> None:
    """Move to history what leaves; `lost`: the keys of which nothing of the turn takes the place."""
    current, history = f"showcase.{table.name}", f"history.{table.name}"
    if not _count(con, "leaving"):
        return
    key = ", ".join(f"c.{quoted(k)}" for k in table.identity)
    con.execute(f"""CREATE OR REPLACE TEMP TABLE lost AS SELECT {key}, d.system, l.seq FROM {current} c JOIN leaving l ON c.rowid = l.rid
JOIN audit.delivery d ON d.delivery_id = c.delivery_id
WHERE l.rid NOT IN (SELECT rid FROM met WHERE (delivery_id, row_no) NOT IN (SELECT (delivery_id, row_no) FROM aside))""")
    con.execute(
        f"INSERT INTO {history} BY NAME SELECT c.*, l.seq AS valid_to_seq FROM {current} c JOIN leaving l ON c.rowid = l.rid"
    )
    con.execute(f"DELETE FROM {current} WHERE rowid IN (SELECT rid FROM leaving)")
    con.execute(f"DELETE FROM lost WHERE seq NOT IN (SELECT seq FROM batch WHERE turn = {turn})")


def _back_again(con: duckdb.DuckDBPyConnection, table: Table) -> str | None:
    """Rows that another standing delivery still asserts of `lost` keys hold again; the relation of them, None if there are none.

    A row of history is still asserted if no later delivery takes it, other than one during which it held: that one sent it unchanged.
    """
    if not _count(con, "lost"):
        return None
    current, history = f"showcase.{table.name}", f"history.{table.name}"
    same_key = " AND ".join(f"h.{quoted(k)} = l.{quoted(k)}" for k in table.identity)
    own = "" if table.national_keys else " AND d.system = l.system"
    con.execute(f"""CREATE OR REPLACE TEMP TABLE back_again AS
WITH former AS (
    SELECT h.*, l.seq AS since, d.period_end AS ending, d.order_seq, row_number() OVER () AS candidate, l.system AS lost_by
    FROM {history} h JOIN lost l ON {same_key} JOIN audit.delivery d ON d.delivery_id = h.delivery_id AND d.state = 'loaded'{own}),
gone AS ({_gone(table, "former")})
SELECT * FROM former ANTI JOIN gone USING (candidate)
QUALIFY row_number() OVER (PARTITION BY {", ".join(quoted(k) for k in table.identity)}, lost_by
                           ORDER BY ending DESC, order_seq DESC, valid_from_seq DESC) = 1""")
    if not _count(con, "back_again"):
        return None
    names = ", ".join(quoted(n) for n in ("kato", *table.business_columns, "delivery_id", "row_no", "sdu_load_in_dt"))
    relation = f"(SELECT {names}, since AS valid_from_seq FROM back_again)"
    con.execute(f"INSERT INTO {current} BY NAME SELECT * FROM {relation}")
    return relation
