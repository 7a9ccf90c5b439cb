"""Reconciliation of a home with what its sources say, control by control: asked or given, archived, compared, entered in the ledger.

Used by the command and by Dagster. Does not belong here: comparing (warehouse/loading/control_totals.py), what a control file may say (control_file.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from connectors.archive.archive import Archive
from connectors.control.control_file import ControlError, keep, write
from connectors.control.of_source import Countable, lines
from connectors.mapping.source_contract import SourceContract
from connectors.sources.connections import Connected
from connectors.sources.secrets import Secrets
from connectors.sources.source import SourceError
from warehouse.home.home import Home
from warehouse.home.scratch import scratch
from warehouse.loading.control_totals import Control
from warehouse.periods import Period, add_months, parse_period
from warehouse.tables.contracts import Table


def last_quarter(today: dt.date) -> Period:
    """The quarter that ended last before a day."""
    end = add_months(today, -((today.month - 1) % 3))
    first = add_months(end, -3)
    return parse_period(f"{first.year}-Q{(first.month + 2) // 3}")


def control_of_file(home: Home, file: Path, system: str, period: Period) -> Control:
    """A control file that the owner of a source gave, archived. Raises ControlError, ArchiveError."""
    return keep(Archive(home.archive), file, system, period, f"file {file.name}")


def controls_of_sources(
    home: Home,
    connections: Mapping[str, Connected],
    period: Period,
    tables: Mapping[str, Table],
    contracts: Mapping[tuple[str, str], SourceContract],
    system: str | None = None,
) -> Iterator[tuple[str, Callable[[], Control]]]:
    """(name, what asks the source) for each system of each source; `system`: that one alone."""
    for name, connected in connections.items():
        for one in dict.fromkeys(extract.system for extract in connected.extracts):
            if system in (None, one):
                yield f"{name}, {one}", partial(control_of_source, home, connected, one, period, tables, contracts)


def control_of_source(
    home: Home,
    connected: Connected,
    system: str,
    period: Period,
    tables: Mapping[str, Table],
    contracts: Mapping[tuple[str, str], SourceContract],
) -> Control:
    """What a database counts of a system, archived as a control file. Raises ControlError, SourceError, ArchiveError."""
    secrets = Secrets(connected.name, home.root)
    source = connected.open(secrets)
    if not isinstance(source, Countable):
        raise ControlError(
            f"source {connected.name} is of type {connected.kind}, which cannot count; have its owner give a control file: "
            f"qala reconcile --control FILE --system {system}"
        )
    with scratch(home.scratch) as folder:
        file = folder / f"{connected.name}-{system}-{period.id}.csv"
        try:
            write(file, lines(connected, source, system, period, tables, contracts))
        except SourceError as error:
            raise SourceError(
                connected.name, error.setting, secrets.scrub(error.said), error.remedy, passing=error.passing
            ) from None
        return keep(Archive(home.archive), file, system, period, f"source {connected.name}")
