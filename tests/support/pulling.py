"""A home with one source of the kind `fake`, pulled and loaded without Dagster, Great Expectations and a release."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from connectors import ingest
from connectors.archive.archive import Archive
from connectors.sources.connections import load_connections
from connectors.sources.pull import Known, Setting, Told, pull
from tests.support import runs
from tests.support.fake_source import VARIABLE, World
from tests.support.files import CRASH_COLUMNS, contract_text, crashes
from tests.support.homes import new_home
from tests.support.settlements import ALMATY, ASTANA
from warehouse.home.home import Home
from warehouse.loading.pulls import known_receipts, pulled_deliveries
from warehouse.store.sessions import writing
from warehouse.tables.contracts import load_tables

PLACES = (ASTANA, ALMATY)
TODAY = dt.date(2026, 4, 3)
SOURCE = f"""\
type: fake
connection:
  password: {{env: {VARIABLE}}}
extracts:
  - table: fct_crash
    settlements: ["{ASTANA}", "{ALMATY}"]
    first: 2026-01
"""
CHANGED = f"""\
  - table: fct_crash
    system: counter
    settlements: ["{ASTANA}"]
    first: 2026-01
    changed_by: changed_at
"""
_CONTRACT = contract_text(
    "counter",
    "fct_crash",
    "".join(
        f"      - {{name: {name}, physicalName: {name}{', logicalType: timestamp' if name == 'occurred_at' else ''}}}\n"
        for name in CRASH_COLUMNS
    ),
    settings={"delivery": "changes"},
)


def file_of(first: int, count: int, month: str = "2026-01", **changes: str) -> bytes:
    """A whole extract of a month."""
    return crashes(count, first, **({"occurred_at": f"{month}-05 10:00:00"} | changes)).encode()


@dataclass
class Place:
    """A home, and the world its source gives from."""

    home: Home
    world: World
    today: dt.date = TODAY
    released: Known = field(default_factory=Known)  # what the last load left to be known, as the release does

    @classmethod
    def make(cls, root: Path, world: World, text: str = SOURCE) -> Place:
        home = new_home(root)
        for folder in (home.sources, home.contracts / "counter"):
            folder.mkdir(parents=True)
        (home.sources / "office.yaml").write_text(text)
        (home.contracts / "counter" / "fct_crash.odcs.yaml").write_text(_CONTRACT)
        return cls(home, world)

    def pull(self, *, again: bool = False) -> list[Told]:
        tables = load_tables()
        setting = Setting(self.home, tables, ingest.load_source_contracts(self.home, tables), self.today, again)
        return pull(setting, load_connections(self.home)[0]["office"], self.released)

    def load(self) -> None:
        """Decide on everything that waits."""
        archive = Archive(self.home.archive)
        with runs.unjudged(), writing(self.home) as store:
            ingest.register_pending(store, archive)
            sources = ingest.load_source_contracts(self.home, store.tables)
            ingest.ingest_table(store, archive, store.tables["fct_crash"], sources)
            self.released = Known(pulled_deliveries(store), known_receipts(store))

    def rows(self) -> Counter[tuple[object, ...]]:
        """What the showcase says."""
        with writing(self.home) as store:
            sql = (
                "SELECT kato, system, crash_id, occurred_at, deaths_30d, injured "
                "FROM showcase.fct_crash JOIN audit.delivery USING (delivery_id)"
            )
            return Counter(store.con.execute(sql).fetchall())

    def states(self) -> list[tuple[str, str, str]]:
        """(settlement, period, state) of every delivery, in order."""
        with writing(self.home) as store:
            sql = "SELECT scope, period_id, state FROM audit.delivery ORDER BY delivery_id"
            return store.con.execute(sql).fetchall()
