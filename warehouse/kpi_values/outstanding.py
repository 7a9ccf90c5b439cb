"""What is still to be computed: read off the warehouse and the definitions in force, not off what waits in the inbox.

A run may load extracts and die before it computes; a definition or a whole list may be new; a month may have been delivered by a run
of other months. Whoever decides what to run asks here (`qala run`, the sensor, `qala status`, `qala diff`), so that all say the same.
Deliveries are asked for by ledger sequence, and otherwise only which tables have any for which days: rows are never looked at.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass

import duckdb

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import columns_of, fingerprint
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.kpi_values.due_cells import REGISTER
from warehouse.periods import month_id
from warehouse.store.fitting import refuse_due
from warehouse.store.sessions import looking
from warehouse.store.store import Store
from warehouse.store.succession import refuse_lost, released_here

_ALMATY = dt.timezone(dt.timedelta(hours=5))


@dataclass(frozen=True)
class Due:
    """What the next run has to do, whatever waits. All months have ended."""

    uncomputed: tuple[
        str, ...
    ] = ()  # months of decided deliveries, or of definitions, whose KPIs were not computed since
    settled: tuple[str, ...] = ()  # months of provisional values whose window for late data has closed
    unreleased: tuple[str, ...] = ()  # months that were computed and not published
    undecided: tuple[str, ...] = ()  # months of deliveries that were registered and not decided on
    tables: frozenset[str] = frozenset()  # of these
    codes: frozenset[str] | None = (
        frozenset()
    )  # KPIs of `uncomputed` and `settled`; None: all, as in the run that did not come to it
    tried: frozenset[str] = frozenset()  # SHA-256 of corrections that found their rows
    token: str = ""  # another one when there is something else to do

    @property
    def months(self) -> tuple[str, ...]:
        return tuple(sorted({*self.uncomputed, *self.settled, *self.unreleased, *self.undecided}))


def running_month() -> str:
    """The month that has not ended, by the national clock: it and later ones wait."""
    return month_id(dt.datetime.now(_ALMATY).date())


def due_home(home: Home, catalogue: Catalogues) -> Due:
    """`due` of a home's warehouse, opened for a moment.

    Raises BusyError while another process writes it, StoreError if it cannot be read, is gone, or is older than its release.
    """
    refuse_lost(home)
    if not home.warehouse.exists():
        return Due()
    with looking(home) as store:
        refuse_due(store.con, home.warehouse)
        try:
            return due(store, catalogue, released_here(home, store.con))
        except duckdb.Error as error:  # made by another version: who opens it for writing says so
            raise StoreError(f"{home.warehouse} cannot be read ({str(error).splitlines()[0]})") from error


def due(store: Store, catalogue: Catalogues, released: int | None = None) -> Due:
    """What is still to be computed in an open warehouse; `released`: the ledger sequence of the release (None: it is not asked)."""
    con = store.con
    first = f"DATE '{running_month()}-01'"
    today = f"DATE '{dt.datetime.now(_ALMATY).date()}'"
    known = con.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name || '.' || table_name IN ('kpi.computation', 'registry.period')"
    ).fetchone()
    if not known or known[0] < 2:
        return Due()
    _wanted(store, catalogue)
    found: dict[str, list[tuple[str, str, str]]] = {
        "since": _since(con, first),
        "absent": con.execute(_ABSENT.format(first=first)).fetchall(),
        "changed": con.execute(_CELLS.format(first=first, condition=_ANOTHER_VERSION)).fetchall(),
        "settled": con.execute(_CELLS.format(first=first, condition=_WINDOW_CLOSED.format(today=today))).fetchall(),
    }
    undecided = con.execute(
        f"SELECT DISTINCT m.id, d.table_name FROM audit.delivery d JOIN {_MONTHS} WHERE d.state = 'received' AND d.period_end <= {first} ORDER BY ALL"
    ).fetchall()
    unreleased = [] if released is None else _unreleased(con, released)
    # a KPI that was never computed is new and asked for alone, unless none ever was
    computed = {code for (code,) in con.execute("SELECT kpi_code FROM in_force WHERE last IS NOT NULL").fetchall()}
    late = any(row[1] in computed or not computed for row in (*found["since"], *found["absent"]))
    newest = con.execute("SELECT max(loaded_seq) FROM audit.delivery").fetchall()
    everything = (found, undecided, unreleased, newest, catalogue.digest)
    months = {what: tuple(sorted({row[0] for row in rows})) for what, rows in found.items()}
    return Due(
        uncomputed=tuple(sorted({*months["since"], *months["absent"], *months["changed"]})),
        settled=months["settled"],
        unreleased=tuple(m for m in unreleased if m < running_month()),
        undecided=tuple(sorted({month for month, _ in undecided})),
        tables=frozenset(table for _, table in undecided),
        codes=None if late else frozenset(row[1] for rows in found.values() for row in rows),
        tried=frozenset(sha256 for (sha256,) in con.execute("SELECT DISTINCT sha256 FROM audit.correction").fetchall()),
        token=hashlib.sha256(json.dumps(everything, sort_keys=True, default=str).encode()).hexdigest()[:16],
    )


_MONTHS = "registry.period m ON m.grain = 'M' AND m.period_start >= d.period_start AND m.period_end <= d.period_end"
# Each query gives (month to run, KPI, what makes it due). Which KPIs there are is in `in_force`, which tables they read in `reading`.
# Of deliveries decided on, and incidents closed, after a KPI over their table was last computed: their months. A KPI that never
# was is looked for below, by its periods
_SINCE = f"""
SELECT m.id, w.kpi_code, max(d.seq)::VARCHAR
FROM (SELECT table_name, period_start, period_end, max(seq) AS seq FROM (
          SELECT table_name, period_start, period_end, loaded_seq AS seq FROM audit.delivery
          WHERE loaded_seq > {{since}} AND state IN ('loaded', 'refused')
          UNION ALL SELECT d.table_name, d.period_start, d.period_end, i.closed_seq FROM audit.incident i JOIN audit.delivery d USING (delivery_id)
          WHERE i.closed_seq > {{since}}) GROUP BY ALL) d
JOIN {_MONTHS} JOIN reading r ON r.table_name = d.table_name
JOIN in_force w ON w.kpi_code = r.kpi_code AND w.version = r.version AND m.period_start < w.ends AND m.period_end > w.starts
WHERE d.seq > w.last AND m.period_end <= {{first}} GROUP BY ALL ORDER BY ALL"""
# periods whose closing month has a delivery that a KPI reads, and for which it has not a cell of every settlement
_ABSENT = f"""
WITH covered AS (
    SELECT DISTINCT d.table_name, m.id AS month
    FROM (SELECT DISTINCT table_name, period_start, period_end FROM audit.delivery WHERE state IN ('loaded', 'refused')) d JOIN {_MONTHS}),
there AS (
    SELECT kpi_code, period_id FROM kpi.value WHERE valid_to_seq IS NULL
    GROUP BY ALL HAVING count(*) >= (SELECT count(*) FROM registry.settlement)),
asked AS (
    SELECT DISTINCT p.closing_month, w.kpi_code, p.id FROM in_force w
    JOIN registry.period p ON p.grain = w.grain AND p.period_start >= w.starts AND p.period_start < w.ends AND p.period_end <= {{first}}
    JOIN reading r USING (kpi_code, version) JOIN covered c ON c.table_name = r.table_name AND c.month = p.closing_month
    WHERE r.own)
SELECT * FROM asked a ANTI JOIN there t ON (t.kpi_code, t.period_id) = (a.kpi_code, a.id) ORDER BY ALL"""
# periods of cells that hold, of KPIs once computed, by a condition on them
_CELLS = """
SELECT DISTINCT p.closing_month, v.kpi_code, p.id || ' ' || w.hash FROM kpi.value v JOIN in_force w USING (kpi_code)
JOIN registry.period p ON p.id = v.period_id AND p.grain = w.grain AND p.period_start >= w.starts AND p.period_start < w.ends
WHERE v.valid_to_seq IS NULL AND p.period_end <= {first} AND w.last IS NOT NULL AND {condition} ORDER BY ALL"""
_ANOTHER_VERSION = "v.definition_hash <> w.hash"
_WINDOW_CLOSED = "v.definition_hash = w.hash AND v.obs_status = 'P' AND p.period_end + w.late_days <= {today}"


def _wanted(store: Store, catalogue: Catalogues) -> None:
    """`in_force`: every KPI version with its days of effect and last computation; `reading`: its tables, and the register that tells of systems."""
    con = store.con
    con.execute(
        "CREATE OR REPLACE TEMP TABLE in_force (kpi_code VARCHAR, version INTEGER, grain VARCHAR, starts DATE, ends DATE, late_days INTEGER, "
        "hash VARCHAR, last BIGINT); CREATE OR REPLACE TEMP TABLE reading (kpi_code VARCHAR, version INTEGER, table_name VARCHAR, own BOOLEAN)"
    )
    last = dict(con.execute("SELECT kpi_code, max(as_of_seq) FROM kpi.computation GROUP BY 1").fetchall())
    store.insert("in_force", ["kpi_code", "version", "grain", "starts", "ends", "late_days", "hash", "last"], [
        (k.code, k.version, str(k.period), *catalogue.effect(k), k.late_data_days, fingerprint(k), last.get(k.code)) for k in catalogue.kpis])  # fmt: skip
    reads = {(k.code, k.version, table, True) for k in catalogue.kpis for table, _ in columns_of(k)}
    reads |= {
        (k.code, k.version, REGISTER, False) for k in catalogue.kpis if (k.code, k.version, REGISTER, True) not in reads
    }
    store.insert("reading", ["kpi_code", "version", "table_name", "own"], sorted(reads))


def _since(con: duckdb.DuckDBPyConnection, first: str) -> list[tuple[str, str, str]]:
    row = con.execute("SELECT min(last) FROM in_force").fetchone()
    if row is None or row[0] is None:  # nothing was ever computed
        return []
    return con.execute(_SINCE.format(since=row[0], first=first)).fetchall()


def _unreleased(con: duckdb.DuckDBPyConnection, released: int) -> list[str]:
    """Months of computations, and years of assessments, that no release holds."""
    rows = con.execute(
        "SELECT kind, subject, detail FROM audit.ledger WHERE seq > ? AND kind IN ('computed', 'assessed')", [released]
    ).fetchall()
    computed = {
        month for kind, _, detail in rows if kind == "computed" for month in json.loads(detail).get("months", ())
    }
    return sorted(computed or {f"{subject}-12" for kind, subject, _ in rows if kind == "assessed"})
