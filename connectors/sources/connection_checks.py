"""Whether a source's file fits the rest of the home: tables, source contracts, settlements, extracts that are named once.

Does not belong here: what the file says by itself (connections.py), whether the source answers (`Source.check`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connectors.mapping.contract_checks import STANDARD
from connectors.mapping.source_contract import SourceContract
from connectors.sources.connections import Connected
from kpi_definitions.documents import Fault
from kpi_definitions.nearest import meant
from warehouse.tables.assertions import Asserts
from warehouse.tables.contracts import Table
from warehouse.tables.settlements import UnknownPlaceError, scope_of, settlements


def connection_faults(
    connected: Connected, tables: Mapping[str, Table], contracts: Mapping[tuple[str, str], SourceContract]
) -> Iterator[Fault]:
    """Every fault of a source's extracts, with its line."""
    document, seen = connected.document, set[tuple[str, str, str]]()
    places = {*settlements(), *(kato[:2] for kato in settlements()), "KZ"}
    for number, extract in enumerate(connected.extracts):
        where, name = ("extracts", number), f"extract {number + 1}"
        if extract.table not in tables:
            yield document.fault(
                (*where, "table"),
                f"{name}: there is no table {extract.table!r}",
                meant(extract.table, tables, "see docs/reference/data-dictionary.md"),
            )
            continue
        contract = contracts.get((extract.system, extract.table))
        if contract is None and extract.system != STANDARD:
            yield document.fault(
                (*where, "system"),
                f"{name}: no contract of system {extract.system} feeds {extract.table}",
                f"write one: qala new source; {meant(extract.system, [s for s, t in contracts if t == extract.table])}",
            )
            continue
        cut = contract.cut if contract else tables[extract.table].cut
        if extract.changed_by is not None and cut.kind is not Asserts.CHANGES:
            yield document.fault(
                (*where, "changed_by"),
                f"{name}: only what changed is asked for, and by its contract a delivery is {cut.kind}: it would take away all that did not change",
                "have the source contract say delivery: changes, or leave changed_by out",
            )
        for scope in extract.places:
            if scope not in places:
                yield document.fault(
                    (*where, "settlements"),
                    f"{name}: {scope!r} is no settlement, region or KZ",
                    f"write the digits in quotes; {_place_meant(scope)}",
                )
            if (slice_ := (extract.table, extract.system, scope)) in seen:
                yield document.fault(
                    where, f"{name}: {extract.table} of {scope} is named by another extract too", "name it once"
                )
            seen.add(slice_)


def _place_meant(text: str) -> str:
    try:
        return f"that is {scope_of(text)}"
    except UnknownPlaceError as error:
        return str(error)
