"""`qala try`: a file tried by a contract before anything is delivered, and the KPIs that it would feed.

Does not belong here: reading and judging it (connectors/trial.py), how it is shown (cli/screens/trial.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from connectors.mapping.contract_checks import STANDARD
from connectors.mapping.read_contracts import SHIPPED, parse_source
from connectors.mapping.source_contract import SourceContract, standard
from connectors.receiving.deliver import DeclaredDelivery, DeliveryError, check_declaration, declared_scope
from connectors.trial import Trial, try_file
from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.documents import DocumentError, read
from kpi_definitions.nearest import no_file
from pipelines.methods.kpis_by_source import lacking_by_kpi
from warehouse.home.home import Home
from warehouse.tables.contracts import Table
from warehouse.tables.settlements import territory

_ANY_MONTH = "2026-01"


@dataclass(frozen=True)
class Asked:
    """What is to be tried. `contract`: a file, in place of the system's own; scope and period as a delivery would declare them, or empty."""

    file: Path
    table: str
    system: str = STANDARD
    contract: Path | None = None
    scope: str = ""
    period: str = ""
    rows: int | None = None


@dataclass(frozen=True)
class Tried:
    """What came of it. `lacking`: KPI → columns it reads and the contract does not map; None where a catalogue cannot be read."""

    trial: Trial
    table: Table
    lacking: Mapping[str, list[str]] | None


def tried(home: Home, asked: Asked, tables: Mapping[str, Table]) -> Tried:
    """Try a file; the home need not exist, and nothing of it is touched. Raises DeliveryError for what cannot be declared, DocumentError."""
    if asked.contract is not None and not asked.contract.is_file():
        raise DeliveryError(no_file(asked.contract))
    contract, where = _contract(home, asked, tables), declared_scope(asked.scope) if asked.scope else ""
    name = contract.table if contract else asked.table
    known = {} if contract is None else {(contract.system, name): replace(contract, document=None)}
    system = contract.system if contract else asked.system
    declared = DeclaredDelivery(asked.file, name, where or "KZ", asked.period or _ANY_MONTH, system)
    check_declaration(declared, tables, known)
    table = tables[name]
    contract = contract or standard(table)
    scope = territory(where) if where else ""
    own = [home.catalogues]
    trial = try_file(
        asked.file, table, contract, tables, scope=scope, period=asked.period, rows=asked.rows, catalogues=own
    )
    try:
        lacking = lacking_by_kpi(contract, table, load_catalogues(home.catalogues))
    except DocumentError:
        return Tried(trial, table, None)
    return Tried(trial, table, lacking)


def _contract(home: Home, asked: Asked, tables: Mapping[str, Table]) -> SourceContract | None:
    """The contract to be tried; None: the exchange format, or none is there. Only this one is read: others may be at fault. Raises DocumentError."""
    if asked.contract is not None:
        return parse_source(read(asked.contract), tables)
    if asked.system == STANDARD:
        return None
    for path in (p for folder in (home.contracts, SHIPPED) for p in sorted(folder.rglob("*.odcs.yaml"))):
        try:
            document = read(path)
        except DocumentError:
            if path.parent.name == asked.system and path.name == f"{asked.table}.odcs.yaml":
                raise
            continue
        if _system(document.data) == asked.system and _table(document.data) == asked.table:
            return parse_source(document, tables)
    return None


def _system(data: object) -> object:
    """The system of a document that may be anything."""
    listed = data.get("customProperties") if isinstance(data, dict) else None
    found = [p.get("value") for p in listed or () if isinstance(p, dict) and p.get("property") == "system"]
    return found[0] if found else None


def _table(data: object) -> object:
    schema = data.get("schema") if isinstance(data, dict) else None
    first = schema[0] if isinstance(schema, list) and schema else None
    return first.get("name") if isinstance(first, dict) else None
