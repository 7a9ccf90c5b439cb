"""Which KPIs a source contract feeds, and which it cannot, as it does not map what they read: known before a row arrives.

A KPI over a column that is not mapped is not calculable (warehouse/kpi_values/unmapped.py); that is no fault of the contract.
"""

from __future__ import annotations

from collections.abc import Iterator

from connectors.mapping.read_contracts import SHIPPED, load_sources
from kpi_definitions import catalogue as catalogues
from kpi_definitions.compiler import columns_of
from warehouse.home.home import Home
from warehouse.tables.home_tables import tables_of


def kpis_by_source(home: Home) -> Iterator[str]:
    """A line for each source contract. Raises DocumentError."""
    tables = tables_of(home)
    codes: dict[str, dict[str, set[str]]] = {}  # table -> KPI -> columns of that table its newest version reads
    catalogue = catalogues.load_catalogues(home.catalogues)
    for code in catalogue.codes:
        for table, column in columns_of(catalogue.latest(code)):
            codes.setdefault(table, {}).setdefault(code, set()).add(column)
    for (system, table), contract in sorted(load_sources(tables, [SHIPPED, home.contracts]).items()):
        missing = set(contract.unmapped(tables[table]))
        lacking = {code: sorted(read & missing) for code, read in codes.get(table, {}).items()}
        fully = [code for code, columns in lacking.items() if not columns]
        line = f"{system}, {table}: feeds {', '.join(fully) or 'no KPI'}"
        for code, columns in lacking.items():
            if columns:
                line += f"; cannot feed {code}: {', '.join(columns)} not mapped"
        yield line
