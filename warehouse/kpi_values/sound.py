"""Whether definitions may be computed with: what `qala check` finds wrong with them, asked again by whoever computes.

While a definition is at fault nothing is computed, by others neither: an assessment over a list with a hole in it would be wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.documents import Fault
from kpi_definitions.kept import kept
from kpi_definitions.strict import definition_faults
from warehouse.errors import StoreError
from warehouse.tables.contracts import Table

_SHOWN = 5


def faults_of(catalogue: Catalogues, tables: Mapping[str, Table]) -> list[Fault]:
    """Every fault of a definition, or of what is recorded of it, and of tables what is undecided or their sphere, by file and line."""
    columns = {name: table.business_columns for name, table in tables.items()}
    found = definition_faults(catalogue, columns, {name: table.codes for name, table in tables.items()})
    spheres = {sphere.code for one in catalogue.lists for sphere in one.head.spheres}
    for table in tables.values():
        found += table.document.undecided()
        if spheres and table.domain not in spheres:
            remedy = f"there are {', '.join(sorted(spheres))}"
            found.append(table.document.fault(("domain",), f"{table.name}: no sphere {table.domain!r}", remedy))
    return found


def refuse_faulty(catalogue: Catalogues, tables: Mapping[str, Table]) -> None:
    """Raises StoreError naming the definitions at fault, if there are any. That there are none is kept."""
    files = [path for one in catalogue.lists for path in one.folder.rglob("*") if path.is_file()]
    read = [
        (name, sorted(t.business_columns.items()), sorted(t.codes.items()), t.domain)
        for name, t in sorted(tables.items())
    ]
    made = hashlib.sha256(Path(__file__).read_bytes() + repr(read).encode())
    # tables come to the documents they were read from: what is undecided in these is asked each time
    sound = kept(f"sound {made.hexdigest()}", files, lambda: not faults_of(catalogue, tables))
    found = [fault for table in tables.values() for fault in table.document.undecided()]
    if not sound:
        found = faults_of(catalogue, tables)
    if found:
        more = f"\nand {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise StoreError(
            "definitions are at fault (qala check), so nothing is computed until they are mended:\n"
            + "\n".join(map(str, found[:_SHOWN]))
            + more
        )
