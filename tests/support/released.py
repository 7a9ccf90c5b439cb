"""A small released home for those who try to falsify it: deliveries, a rejected row, a correction, an override, a frozen assessment.

What it holds does not depend on who asks: two releases, signed, of two KPIs over one table.
"""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

from connectors.archive.archive import Archive
from connectors.ingest import ingest_table, register_pending
from connectors.receiving.deliver import DeclaredDelivery, deliver
from kpi_definitions.catalogue import load_catalogues
from tests.support.homes import new_home
from tests.support.rows import LATER, only
from warehouse.home import keys
from warehouse.home.copies import file_sha256
from warehouse.home.home import Home
from warehouse.kpi_values.assessment import assess
from warehouse.kpi_values.compute import compute
from warehouse.loading.incidents import close_incident
from warehouse.release.release import Release, publish
from warehouse.store.sessions import writing
from warehouse.store.succession import MANIFEST

ROWS = """\
appeal_id,registered_at,due_at,first_answer_at,closed_at,status,category,channel,is_emergency
A1,2026-01-05T08:00:00,2026-01-10T12:00:00,,2026-01-09T12:00:00,CLOSED,,,false
A2,2026-01-05T08:00:00,2026-01-10T12:00:00,,2026-01-12T12:00:00,CLOSED,,,false
A3,2026-01-05T08:00:00,not a day,,,OPEN,,,false
"""
SETTLEMENT, MONTH = "710000000", "2026-01"


def build(home: Home, *, signed: bool = False) -> tuple[Release, Release]:
    """Make the home; returns its two releases, the second after a correction."""
    new_home(home.root)
    if signed:
        keys.make(home, "signing")
    archive, catalogue = Archive(home.archive), only(load_catalogues(), "MGT02-1", "MGT02-2")
    file = home.root / "appeals.csv"
    file.write_text(
        ROWS
        + "".join(
            f"B{n},2026-01-05T08:00:00,2026-01-20T12:00:00,,2026-01-09T12:00:00,CLOSED,,,false\n" for n in range(40)
        )
    )
    with writing(home) as store:
        deliver(archive, DeclaredDelivery(file, "fct_appeal", SETTLEMENT, MONTH), store.tables, {})
        register_pending(store, archive)
        report = ingest_table(store, archive, store.tables["fct_appeal"], {})
        assert (report.accepted, report.rejected) == (42, 1)
        compute(store, catalogue, [MONTH], today=LATER)
        close_incident(store, 1, "an analyst", "the sender knows and says so")
    first = publish(home, archive.missing)
    with writing(home) as store:
        file.write_text(file.read_text().replace("B1,2026-01-05T08:00:00", "B1,2026-01-04T08:00:00"))  # a correction
        deliver(archive, DeclaredDelivery(file, "fct_appeal", SETTLEMENT, MONTH), store.tables, {})
        register_pending(store, archive)
        ingest_table(store, archive, store.tables["fct_appeal"], {})
        compute(store, catalogue, [MONTH], today=LATER)
        assess(store, catalogue.lists[0], 2026)
        assess(store, catalogue.lists[0], 2026)  # a draft that replaces a draft
        assess(store, catalogue.lists[0], 2026, freeze=True)
    return first, publish(home, archive.missing)


def edit(home: Home, *statements: str, cover: bool = True) -> None:
    """Change the released file as somebody would who knows the manifest and mends its hash too."""
    home.released_file.chmod(0o644)
    with duckdb.connect(str(home.released_file)) as con:
        for statement in statements:
            con.execute(statement)
    if cover:
        renew(home)


def renew(home: Home, **said: object) -> None:
    """Make the manifest name the files as they are now, and say what is given."""
    path = home.release / MANIFEST
    manifest = json.loads(path.read_text()) | said
    manifest["sha256"] = {name: file_sha256(home.release / name) for name in manifest["sha256"]}
    overwrite(path, json.dumps(manifest))


def overwrite(path: Path, content: str | bytes) -> None:
    """Write a file that nobody may write any more."""
    if path.exists():
        path.chmod(0o644)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
