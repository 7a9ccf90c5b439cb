"""What the newest release and its ledger say, in numbers. Asked once for each release; collecting.py keeps the answer."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator

from pipelines.metrics.described import Sample, bounded
from pipelines.source_pulls import national_day
from warehouse.audit.overdue import gaps
from warehouse.audit.refusals import refused_deliveries
from warehouse.home.home import Home
from warehouse.kpi_values.outstanding import due
from warehouse.sql import literal, statement
from warehouse.store.sessions import reading
from warehouse.store.store import Store
from warehouse.store.succession import MANIFEST
from warehouse.tables.rules import LEFT_OUT

_ROWS = {
    "bytes": "qala_delivered_bytes_total",
    "received": "qala_delivered_rows_total",
    "accepted": "qala_accepted_rows_total",
    "rejected": "qala_rejected_rows_total",
}


def identity(home: Home) -> tuple[object, ...]:
    """Another one when there is another release, other definitions, or another day, by which a month may have become due."""
    files = (home.released_file, home.release / MANIFEST)
    stats = [
        (found.st_ino, found.st_mtime_ns, found.st_size) for file in files if file.exists() and (found := file.stat())
    ]
    defined = [(str(p), p.stat().st_mtime_ns) for p in sorted(home.catalogues.rglob("*.yaml"))]
    return (*stats, *defined, dt.datetime.now(dt.UTC).date())


def measured(home: Home) -> Iterator[Sample]:
    """Raises StoreError if the release cannot be read, DocumentError if definitions are at fault."""
    yield "qala_release_present", (), float(home.released_file.exists())
    if not home.released_file.exists():
        return
    with reading(home, threads=1) as store:
        yield from _ledger(store)
        yield from _deliveries(store)
        yield from _incidents(store)
        yield from _values(store)


def _ledger(store: Store) -> Iterator[Sample]:
    for kind, count in store.con.execute("SELECT kind, count(*) FROM audit.ledger GROUP BY 1 ORDER BY 1").fetchall():
        yield "qala_ledger_entries_total", (kind,), count
    released = "SELECT seq, recorded_at FROM audit.ledger WHERE kind = 'released' ORDER BY seq DESC LIMIT 1"
    for seq, moment in store.con.execute(released).fetchall():
        yield "qala_release_sequence", (), seq
        yield "qala_release_timestamp_seconds", (), moment.timestamp()


def _deliveries(store: Store) -> Iterator[Sample]:
    rows = store.select(statement(__file__, "deliveries"))
    left_out = store.select(statement(__file__, "left_out", left_out=literal(LEFT_OUT)))
    labels = [Counter[str](), Counter[str]()]
    for row in rows:
        for counted, column in zip(labels, ("table_name", "system"), strict=True):
            counted[row[column]] += row["deliveries"]
    tables, systems = (bounded(counted.items()) for counted in labels)
    found = Counter[tuple[str, tuple[str, ...]]]()
    for row in rows:
        pair = tables[row["table_name"]], systems[row["system"]]
        if row["state"] == "received":
            found["qala_deliveries_undecided", pair] += row["deliveries"]
        else:
            found["qala_deliveries_total", (*pair, row["state"])] += row["deliveries"]
        for column, name in _ROWS.items():
            found[name, pair] += row[column]
    for row in left_out:
        found["qala_left_out_rows_total", (tables[row["table_name"]], systems[row["system"]])] += row["records"]
    yield from ((name, values, count) for (name, values), count in found.items())
    standing = Counter(tables[one.table_name] for one in refused_deliveries(store) if one.stands)
    missing = {gap.feed for gap in gaps(store, national_day(), dt.date.min)}
    overdue = Counter(tables[table] for table, *_ in missing)
    for table in sorted({*tables.values()}):
        yield "qala_refusals_standing", (table,), standing[table]
        yield "qala_feeds_overdue", (table,), overdue[table]


def _incidents(store: Store) -> Iterator[Sample]:
    opened = Counter[str]()
    for row in store.select(statement(__file__, "incidents")):
        opened[row["criterion"]] += row["opened"]
        yield "qala_incidents_open", (row["severity"], row["criterion"]), row["open"]
    yield from (("qala_incidents_opened_total", (criterion,), count) for criterion, count in opened.items())


def _values(store: Store) -> Iterator[Sample]:
    from kpi_definitions.catalogue import load_catalogues

    cells = "SELECT state, obs_status, count(*) FROM kpi.value WHERE valid_to_seq IS NULL GROUP BY ALL ORDER BY ALL"
    for state, code, count in store.con.execute(cells).fetchall():
        yield "qala_kpi_cells", (state, code), count
    newest = (
        "SELECT grain, epoch(max(period_end)) FROM kpi.value JOIN registry.period USING (period_id) "
        "WHERE valid_to_seq IS NULL AND value IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    for grain, end in store.con.execute(newest).fetchall():
        yield "qala_kpi_newest_period_end_timestamp_seconds", (grain,), end
    yield "qala_months_uncomputed", (), len(due(store, load_catalogues(store.home.catalogues)).uncomputed)
