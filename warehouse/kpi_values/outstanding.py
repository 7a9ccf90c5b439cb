"""What is still to be computed: read off the warehouse and the definitions in force, not off what waits in the inbox.

A run may load extracts and die before it computes; a definition or a whole list may be new; a month may have been delivered by a run
of other months. Whoever decides what to run asks here (`qala run`, the sensor, `qala status`, `qala diff`), so that all say the same.
Deliveries are asked for by ledger sequence, and otherwise only which tables have any for which days: rows are never looked at.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from kpi_definitions.listed import Listed, listed_of
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.kpi_values.known_tables import REGISTER, TARGETS
from warehouse.periods import month_id
from warehouse.sql import literal, statement
from warehouse.store.fitting import refuse_due
from warehouse.store.sessions import looking
from warehouse.store.store import Store
from warehouse.store.succession import MANIFEST, refuse_lost, released_here
from warehouse.tables.working_tables import create

if TYPE_CHECKING:
    from kpi_definitions.catalogue import Catalogues

_ALMATY = dt.timezone(dt.timedelta(hours=5))


@dataclass(frozen=True)
class Due:
    """What the next run has to do, whatever waits. All months have ended."""

    # months of decided deliveries, or of definitions, whose KPIs were not computed since
    uncomputed: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()  # months of provisional values whose window for late data has closed
    unreleased: tuple[str, ...] = ()  # months that were computed and not published
    undecided: tuple[str, ...] = ()  # months of deliveries that were registered and not decided on
    tables: frozenset[str] = frozenset()  # of these
    # KPIs of `uncomputed` and `settled`; None: all, as in the run that did not come to it
    codes: frozenset[str] | None = frozenset()
    # KPIs without some value in the months asked about; None: not known, so any
    lacking: frozenset[str] | None = None
    tried: frozenset[str] = frozenset()  # SHA-256 of corrections that found their rows
    token: str = ""  # another one when there is something else to do

    @property
    def months(self) -> tuple[str, ...]:
        return tuple(sorted({*self.uncomputed, *self.settled, *self.unreleased, *self.undecided}))


def running_month() -> str:
    """The month that has not ended, by the national clock: it and later ones wait."""
    return month_id(dt.datetime.now(_ALMATY).date())


def touched(listed: Listed, tables: Collection[str]) -> frozenset[str] | None:
    """KPIs whose values deliveries of these tables may change; None: all."""
    if {REGISTER, TARGETS} & {*tables}:
        return None
    return frozenset(kpi.code for kpi in listed.kpis if {*kpi.tables} & {*tables})


def due_home(home: Home, catalogue: Catalogues | Listed, months: Collection[str] = ()) -> Due:
    """`due` of a home's warehouse, opened for a moment; `months`: those that will be run in any case.

    Raises BusyError while another process writes it, StoreError if it cannot be read, is gone, or is older than its release.
    """
    refuse_lost(home)
    if not home.warehouse.exists():
        return Due()
    with looking(home) as store:
        refuse_due(store.con, home.warehouse)
        try:
            released = released_here(home, store.con)
            return due(store, catalogue, released, outdated=_outdated(home, store), months=months)
        except duckdb.Error as error:  # made by another version: who opens it for writing says so
            raise StoreError(f"{home.warehouse} cannot be read ({str(error).splitlines()[0]})") from error


def due(
    store: Store,
    catalogue: Catalogues | Listed,
    released: int | None = None,
    *,
    outdated: bool = False,
    months: Collection[str] = (),
) -> Due:
    """What is still to be computed in an open warehouse; `released`: the ledger sequence of the release (None: it is not asked).

    `months`: those that will be run in any case.

    `outdated`: its tables and views are those of other code, so that it is made again, with what definitions are called now.
    """
    con = store.con
    first = f"DATE '{running_month()}-01'"
    today = f"DATE '{dt.datetime.now(_ALMATY).date()}'"
    known = con.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name || '.' || table_name IN ('kpi.computation', 'registry.period')"
    ).fetchone()
    if not known or known[0] < 2:
        return Due()
    versions = catalogue if isinstance(catalogue, Listed) else listed_of(catalogue)
    _list_in_force(store, versions)
    found: dict[str, list[tuple[str, str, str]]] = {
        "since": _since(con, first),
        "absent": con.execute(
            statement(__file__, "due_absent", first=first, computed=statement(__file__, "computed_period"))
        ).fetchall(),
        "changed": _again(con, first, _ANOTHER_VERSION),
        "settled": _again(con, first, _WINDOW_CLOSED.format(today=today)),
    }
    undecided = con.execute(statement(__file__, "undecided_months", first=first)).fetchall()
    unreleased = [] if released is None else _unreleased(con, released, outdated)
    # a KPI that was never computed is new and asked for alone, unless none ever was
    computed = {
        code
        for (code,) in con.execute("SELECT kpi_code FROM work_kpi_in_force WHERE computed_seq IS NOT NULL").fetchall()
    }
    late = any(row[1] in computed or not computed for row in (*found["since"], *found["absent"]))
    newest = con.execute("SELECT max(loaded_seq) FROM audit.delivery").fetchall()
    everything = (found, undecided, unreleased, newest, versions.digest)
    of = {what: tuple(sorted({row[0] for row in rows})) for what, rows in found.items()}
    return Due(
        uncomputed=tuple(sorted({*of["since"], *of["absent"], *of["changed"]})),
        settled=of["settled"],
        unreleased=tuple(m for m in unreleased if m < running_month()),
        undecided=tuple(sorted({month for month, _ in undecided})),
        tables=frozenset(table for _, table in undecided),
        lacking=_lacking(con, months),
        codes=None if late or outdated else frozenset(row[1] for rows in found.values() for row in rows),
        tried=frozenset(sha256 for (sha256,) in con.execute("SELECT DISTINCT sha256 FROM audit.correction").fetchall()),
        token=hashlib.sha256(json.dumps(everything, sort_keys=True, default=str).encode()).hexdigest()[:16],
    )


# conditions on values in force by which their periods are computed again
_ANOTHER_VERSION = "former.definition_hash <> kpi.definition_hash"
_WINDOW_CLOSED = "former.definition_hash = kpi.definition_hash AND former.obs_status = 'P' AND period.period_end + kpi.late_days <= {today}"


def _list_in_force(store: Store, known: Listed) -> None:
    """Fill `work_kpi_in_force`: every KPI version with its days of effect and last computation; and `work_table_read`: its tables,
    and the register that tells of systems."""
    con = store.con
    create(con, "work_kpi_in_force", "work_table_read")
    computed = dict(con.execute("SELECT kpi_code, max(as_of_seq) FROM kpi.computation GROUP BY 1").fetchall())
    columns = ["kpi_code", "version", "grain", "starts", "ends", "late_days", "definition_hash", "computed_seq"]
    in_force = [
        (k.code, k.version, k.grain, k.starts, k.ends, k.late_days, k.fingerprint, computed.get(k.code))
        for k in known.kpis
    ]
    store.insert("work_kpi_in_force", columns, in_force)
    own = {(k.code, k.version, table) for k in known.kpis for table in k.tables}
    by_register = {(k.code, k.version, REGISTER) for k in known.kpis} - own
    reads = sorted([*((*read, True) for read in own), *((*read, False) for read in by_register)])
    store.insert("work_table_read", ["kpi_code", "version", "table_name", "own"], reads)


def _lacking(con: duckdb.DuckDBPyConnection, months: Collection[str]) -> frozenset[str] | None:
    """KPIs without some value in a period that closes in the months; None if there are no such periods yet."""
    listed = ", ".join(map(literal, sorted(months))) or "NULL"
    known = con.execute(f"SELECT count(DISTINCT closing_month) FROM registry.period WHERE closing_month IN ({listed})")
    if known.fetchall() != [(len({*months}),)]:
        return None
    rows = con.execute(
        statement(__file__, "kpis_without_values", months=listed, computed=statement(__file__, "computed_period"))
    ).fetchall()
    return frozenset(code for (code,) in rows)


def _again(con: duckdb.DuckDBPyConnection, first: str, condition: str) -> list[tuple[str, str, str]]:
    return con.execute(statement(__file__, "due_again", first=first, condition=condition)).fetchall()


def _since(con: duckdb.DuckDBPyConnection, first: str) -> list[tuple[str, str, str]]:
    row = con.execute("SELECT min(computed_seq) FROM work_kpi_in_force").fetchone()
    if row is None or row[0] is None:  # nothing was ever computed
        return []
    return con.execute(statement(__file__, "due_since", since=str(row[0]), first=first)).fetchall()


def _outdated(home: Home, store: Store) -> bool:
    """Whether the release that is there was made with other tables, views or registries than the code has."""
    try:
        return bool(json.loads((home.release / MANIFEST).read_text(encoding="utf-8"))["schema"] != store.fingerprint)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _unreleased(con: duckdb.DuckDBPyConnection, released: int, outdated: bool) -> list[str]:
    """Months of computations, and years of assessments, that no release holds; the newest month with values if the release is outdated."""
    rows = con.execute(
        "SELECT kind, subject, detail FROM audit.ledger WHERE seq > ? AND kind IN ('computed', 'assessed')", [released]
    ).fetchall()
    computed = {
        month for kind, _, detail in rows if kind == "computed" for month in json.loads(detail).get("months", ())
    }
    found = computed or {f"{subject}-12" for kind, subject, _ in rows if kind == "assessed"}
    if outdated and not found:
        newest = con.execute(
            "SELECT max(closing_month) FROM kpi.value JOIN registry.period USING (period_id)"
        ).fetchall()
        found = {month for (month,) in newest if month}
    return sorted(found)
