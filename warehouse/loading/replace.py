"""How the rows of one turn of deliveries enter a showcase table, and which rows they replace there (adr/0020).

Rows of the turn are matched with current rows by key (work_matched_row); a delivery takes away current rows that lie in it
(work_taken_row); rows sent again unchanged stay (work_resent_row); current rows leave for history (work_leaving_row); rows of the
turn that do not hold, or not for long, go there at once (work_superseded_row); of keys that are lost, what another delivery
still asserts holds again (work_restored_row).
Does not belong here: what is decided on a delivery (load.py), which deliveries make a turn (turns.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from warehouse.sql import literal, quoted, statement
from warehouse.store.seals import seals_of_rows
from warehouse.tables import working_tables
from warehouse.tables.assertions_sql import overlap, same_slice, takes
from warehouse.tables.contracts import Table


@dataclass(frozen=True)
class Turn:
    """Deliveries of work_decided_delivery that are loaded together.

    `staged` and `repeated`: relations as `load` has them. `seqs`: delivery → its ledger sequence.
    """

    con: duckdb.DuckDBPyConnection
    table: Table
    staged: str
    repeated: str
    number: int
    seqs: Mapping[int, int]

    def count(self, relation: str) -> int:
        row = self.con.execute(f"SELECT count(*) FROM {relation}").fetchone()
        return int(row[0]) if row else 0

    def same_key(self, one: str, other: str) -> str:
        """Whether two rows have the same key. SQL."""
        return " AND ".join(f"{one}.{quoted(k)} = {other}.{quoted(k)}" for k in self.table.identity)

    def own_system(self, one: str, other: str) -> str:
        """Whether a key of one delivery is the other's too: keys are a system's own, unless they are national. SQL."""
        return "true" if self.table.national_keys else f"{one}.system = {other}.system"


def load_turn(turn: Turn, now: dt.datetime) -> list[tuple[Any, ...]]:
    """Take rows from `staged` into the table in one pass. Returns their seals (SEAL_COLUMNS).

    Working tables hold only what is left out or leaves, which is little. Rows are not copied before they are inserted: what a
    transaction has written itself DuckDB reads with one thread.
    """
    con, table = turn.con, turn.table
    names = ", ".join(f"incoming.{quoted(n)}" for n in ("kato", *table.business_columns))
    columns = (
        f"{names}, incoming.delivery_id, incoming.row_no, "
        f"CAST({literal(now.isoformat())} AS TIMESTAMPTZ) AS sdu_load_in_dt"
    )
    parts = {"table": table.name, "staged": turn.staged, "turn": str(turn.number), "columns": columns}
    working_tables.create(con, "work_resent_row", "work_leaving_row", "work_superseded_row")
    filled = turn.count(f"showcase.{table.name}") > 0
    if filled:
        _match(turn)
    _supersede_overtaken(turn)
    if turn.count("work_superseded_row"):
        con.execute(statement(__file__, "history_row__superseded", **parts))
    lost = filled and _leave(turn)
    con.execute(statement(__file__, "showcase_row", **parts))
    restored = _restore(turn) if lost else None
    written = _written(turn, columns, restored)
    seals = seals_of_rows(con, table.name, written, turn.seqs, mixed=restored is not None)
    con.execute("DROP TABLE work_resent_row; DROP TABLE work_superseded_row; DROP TABLE work_leaving_row")
    con.execute("DROP TABLE IF EXISTS work_lost_key; DROP TABLE IF EXISTS work_restored_row")
    return seals


def _match(turn: Turn) -> None:
    """Fill the working tables with what rows of the turn and current rows are to each other."""
    con, table = turn.con, turn.table
    working_tables.create(con, "work_taken_row")
    same = {"table_name": literal(table.name), "turn": str(turn.number), "overlap": overlap("later", "earlier")}
    con.execute(statement(__file__, "work_taking_delivery", **same, same_slice=same_slice("later", "earlier")))
    con.execute(
        statement(
            __file__,
            "work_matched_row",
            table=table.name,
            staged=turn.staged,
            turn=str(turn.number),
            same_key=turn.same_key("present", "incoming"),
            own_system=turn.own_system("delivery", "decided"),
        )
    )
    earlier = con.execute("SELECT DISTINCT delivery_id FROM work_taking_delivery ORDER BY 1").fetchall()
    if earlier:
        _take(turn, ", ".join(str(row[0]) for row in earlier))
    _supersede_overruled(turn)
    _supersede_outranked(turn)
    con.execute(statement(__file__, "work_leaving_row"))
    con.execute(statement(__file__, "work_superseded_row__older_than_current"))


def _take(turn: Turn, earlier_deliveries: str) -> None:
    """Current rows that deliveries of the turn take away, and those they send again unchanged."""
    table = turn.table
    values = [n for n in ("kato", *table.business_columns) if n not in table.identity]
    same = " AND ".join(f"present.{quoted(n)} IS NOT DISTINCT FROM incoming.{quoted(n)}" for n in values) or "true"
    turn.con.execute(
        statement(
            __file__,
            "work_taken_row",
            table=table.name,
            earlier_deliveries=earlier_deliveries,
            takes=takes(table, "later", "earlier", "present"),
        )
    )
    turn.con.execute(
        statement(
            __file__,
            "work_resent_row",
            table=table.name,
            staged=turn.staged,
            turn=str(turn.number),
            earlier_deliveries=earlier_deliveries,
            same_values=same,
        )
    )


def _supersede_overruled(turn: Turn) -> None:
    """Rows that are read again and were taken away by a delivery that came after theirs in order."""
    reread = f"(FROM work_decided_delivery WHERE turn = {turn.number} AND order_seq < seq)"
    if turn.count(reread):
        turn.con.execute(
            statement(
                __file__,
                "work_superseded_row__overruled",
                staged=turn.staged,
                turn=str(turn.number),
                table_name=literal(turn.table.name),
                overlap=overlap("later", "decided"),
                takes=takes(turn.table, "later", "decided", "incoming"),
            )
        )


def _supersede_outranked(turn: Turn) -> None:
    """Rows that would take the place of a current one, where another delivery in force tells newer of the key.

    What that delivery tells lies in history, as the current row was newer still.
    """
    con, table = turn.con, turn.table
    if not turn.count("work_taken_row") or not turn.count(f"(SELECT 1 FROM history.{table.name} LIMIT 1)"):
        return
    con.execute(
        statement(
            __file__,
            "work_rival_row",
            table=table.name,
            turn=str(turn.number),
            key=", ".join(map(quoted, table.identity)),
            same_key=turn.same_key("former", "present"),
            own_system=turn.own_system("delivery", "decided"),
        )
    )
    if turn.count("work_rival_row"):
        con.execute(statement(__file__, "work_superseded_row__outranked", revoked=_revoked(table, "work_rival_row")))
    con.execute("DROP TABLE work_rival_row")


def _revoked(table: Table, relation: str) -> str:
    """SELECT of the former versions in a relation that no delivery asserts any more (revoked_version.sql)."""
    return statement(
        __file__,
        "revoked_version",
        relation=relation,
        table_name=literal(table.name),
        overlap=overlap("later", "earlier"),
        takes=takes(table, "later", "earlier", "version"),
    )


def _supersede_overtaken(turn: Turn) -> None:
    """Rows whose key another delivery of the turn brings too."""
    system = () if turn.table.national_keys else ("decided.system",)
    turn.con.execute(
        statement(
            __file__,
            "work_superseded_row__overtaken",
            repeated=turn.repeated,
            turn=str(turn.number),
            key=", ".join((*(f"incoming.{quoted(k)}" for k in turn.table.identity), *system)),
        )
    )


def _leave(turn: Turn) -> bool:
    """Move to history what leaves. Returns whether keys are lost (work_lost_key)."""
    con, table = turn.con, turn.table
    if not turn.count("work_leaving_row"):
        return False
    key = ", ".join(f"present.{quoted(k)}" for k in table.identity)
    con.execute(statement(__file__, "work_lost_key", table=table.name, turn=str(turn.number), key=key))
    con.execute(
        f"INSERT INTO history.{table.name} BY NAME SELECT present.*, leaving.seq AS valid_to_seq "
        f"FROM showcase.{table.name} AS present JOIN work_leaving_row AS leaving ON present.rowid = leaving.current_row"
    )
    con.execute(f"DELETE FROM showcase.{table.name} WHERE rowid IN (SELECT current_row FROM work_leaving_row)")
    return turn.count("work_lost_key") > 0


def _restore(turn: Turn) -> str | None:
    """Have rows that another delivery in force still asserts of lost keys hold again. Returns the relation of them, None if there are none."""
    con, table = turn.con, turn.table
    con.execute(
        statement(
            __file__,
            "work_restored_row",
            table=table.name,
            key=", ".join(map(quoted, table.identity)),
            same_key=turn.same_key("version", "lost"),
            own_system=turn.own_system("delivery", "lost"),
            revoked=_revoked(table, "former"),
        )
    )
    if not turn.count("work_restored_row"):
        return None
    names = ", ".join(quoted(n) for n in ("kato", *table.business_columns, "delivery_id", "row_no", "sdu_load_in_dt"))
    relation = f"(SELECT {names}, since AS valid_from_seq FROM work_restored_row)"
    con.execute(f"INSERT INTO showcase.{table.name} BY NAME SELECT * FROM {relation}")
    return relation


def _written(turn: Turn, columns: str, restored: str | None) -> str:
    """SELECT of the rows that the turn gave the table, `grp` the delivery: what is sealed."""
    written = (
        f"SELECT incoming.delivery_id AS grp, {columns} FROM {turn.staged} AS incoming WHERE incoming.broken IS NULL"
    )
    if set(turn.seqs) != {d for (d,) in turn.con.execute("SELECT delivery_id FROM work_decided_delivery").fetchall()}:
        written += f" AND incoming.delivery_id IN ({', '.join(map(str, turn.seqs))})"
    if turn.count("work_resent_row"):
        written += (
            " AND (incoming.delivery_id, incoming.row_no) NOT IN (SELECT (delivery_id, row_no) FROM work_resent_row)"
        )
    if restored:
        written += (
            f" UNION ALL BY NAME SELECT decided.delivery_id AS grp, restored.* EXCLUDE (valid_from_seq) FROM {restored} AS restored "
            "JOIN work_decided_delivery AS decided ON decided.seq = restored.valid_from_seq"
        )
    return written
