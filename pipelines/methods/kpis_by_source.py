"""Which KPIs a source contract feeds, and which it cannot, as it does not map what they read: known before a row arrives.

A KPI over a column that is not mapped is not calculable (warehouse/kpi_values/unmapped.py); that is no fault of the contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connectors.mapping.read_contracts import SHIPPED, load_sources
from connectors.mapping.source_contract import SourceContract
from kpi_definitions import catalogue as catalogues
from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import columns_of
from warehouse.home.home import Home
from warehouse.tables.contracts import Table
from warehouse.tables.home_tables import tables_of


def kpis_by_source(home: Home) -> Iterator[str]:
    """A line for each source contract. Raises DocumentError."""
    tables = tables_of(home)
    catalogue = catalogues.load_catalogues(home.catalogues)
    for (system, table), contract in sorted(load_sources(tables, [SHIPPED, home.contracts]).items()):
        lacking = lacking_by_kpi(contract, tables[table], catalogue)
        fully = [code for code, columns in lacking.items() if not columns]
        line = f"{system}, {table}: feeds {', '.join(fully) or 'no KPI'}"
        for code, columns in lacking.items():
            if columns:
                line += f"; cannot feed {code}: {', '.join(columns)} not mapped"
        yield line


def lacking_by_kpi(contract: SourceContract, table: Table, catalogue: Catalogues) -> Mapping[str, list[str]]:
    """KPI that reads the table → columns it reads of it and the contract does not map; none of them: it is fed fully."""
    missing, found = {*contract.unmapped(table)}, dict[str, set[str]]()
    for code in catalogue.codes:
        for name, column in columns_of(catalogue.latest(code)):
            if name == table.name:
                found.setdefault(code, set()).add(column)
    return {code: sorted(read & missing) for code, read in found.items()}
