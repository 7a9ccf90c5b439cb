"""The sources of a home, ready to be pulled: connections checked, what the release knows of them, how each extract stands.

The commands and the Dagster assets both ask here. Does not belong here: pulling itself (connectors/sources/pull.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from connectors.ingest import load_source_contracts
from connectors.mapping.source_contract import SourceContract
from connectors.sources.connection_checks import connection_faults
from connectors.sources.connections import Connected, load_connections
from connectors.sources.notes import Note, key_of, read_notes
from connectors.sources.pull import Known, Setting, pulled_before
from connectors.sources.regulation import Standing, standing
from connectors.sources.settings import Extract, Rows
from kpi_definitions.documents import Fault
from warehouse.home.home import Home
from warehouse.loading.pulls import PulledDelivery, known_receipts, pulled_deliveries
from warehouse.store.sessions import reading
from warehouse.tables.contracts import Table
from warehouse.tables.home_tables import tables_of

_ALMATY = ZoneInfo("Asia/Almaty")


@dataclass(frozen=True)
class ExtractStanding:
    """One extract of one settlement: how it stands, what was delivered last, and what the last look came to."""

    source: str
    extract: Extract
    scope: str
    standing: Standing
    last: PulledDelivery | None
    note: Note | None
    rows: Rows  # that were to be expected

    @property
    def unexpected(self) -> str:
        """How many rows the last delivery had, if that is not what the regulation says: what a file holds shows when it is read."""
        found = self.last.rows if self.last else None
        if found is None or self.rows.expect(found):
            return ""
        return f"{found:,} rows, expected {self.rows}"


@dataclass(frozen=True)
class Sources:
    """All sources of a home and what is known of them."""

    connections: Mapping[str, Connected]  # without those at fault
    faults: tuple[Fault, ...]
    setting: Setting
    known: Known

    def standings(self) -> Iterator[ExtractStanding]:
        """How every extract stands, source by source."""
        before = pulled_before(self.setting.home, self.known)
        for name, connected in self.connections.items():
            notes = read_notes(self.setting.home, name)
            for extract in connected.extracts:
                for scope in extract.places:
                    own = [
                        one
                        for one in before
                        if (one.source, one.table, one.system, one.scope)
                        == (name, extract.table, extract.system, scope)
                    ]
                    note = notes.get(key_of(extract.table, extract.system, scope))
                    looked = note.looked if note else None
                    stands = standing(extract, connected.regulation(extract), own, looked, self.setting.today)
                    rows = connected.regulation(extract).rows
                    yield ExtractStanding(name, extract, scope, stands, own[-1] if own else None, note, rows)


def national_day() -> dt.date:
    """Today by the national clock."""
    return dt.datetime.now(_ALMATY).date()


def sources_of(home: Home, *, again: bool = False) -> Sources:
    """The sources of a home: a file at fault stops no other. Raises DocumentError for source contracts at fault, StoreError for the release."""
    tables = tables_of(home)
    contracts = load_source_contracts(home, tables)
    connections, faults = sound_connections(home, tables, contracts)
    return Sources(connections, tuple(faults), Setting(home, tables, contracts, national_day(), again), _known(home))


def sound_connections(
    home: Home, tables: Mapping[str, Table], contracts: Mapping[tuple[str, str], SourceContract]
) -> tuple[dict[str, Connected], list[Fault]]:
    """The sources whose files are in order and fit the home, and every fault of the others."""
    found, faults = load_connections(home)
    for name, connected in list(found.items()):
        if wrong := list(connection_faults(connected, tables, contracts)):
            faults += wrong
            del found[name]
    return found, faults


def _known(home: Home) -> Known:
    """What the release knows: asked there, and not in the warehouse, a pull never waits for a run."""
    if not home.released_file.exists():
        return Known()
    with reading(home, with_views=False) as store:
        return Known(pulled_deliveries(store), known_receipts(store))
