"""From a value to its files: of every settlement with data one data file that pages load on demand, and one page for readers without a script.

Both say the same and are the same in all languages: parts, bounds, deliveries, and the lines that make the value again. Does not belong here:
which deliveries a value names (audit/cell_deliveries.py), what may be shown (figures.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from warehouse.audit.cell_deliveries import find_cell_deliveries
from warehouse.report.figures import is_hidden
from warehouse.report.release_data import ReleaseData
from warehouse.sql import literal, statement
from warehouse.tables.obs_status import ObsStatus

# of a value, in the order they have in a data file, before its deliveries
CELL = (
    "value",
    "value_low",
    "value_high",
    "numerator",
    "denominator",
    "sample_size",
    "rejected_rows",
    "gap_rows",
    "coverage",
    "obs_status",
    "definition_version",
)
# of a delivery
DELIVERY = (
    "table_name",
    "file_name",
    "sha256",
    "period_id",
    "system",
    "state",
    "received_rows",
    "accepted_rows",
    "rejected_rows",
    "passed",
    "judged",
    "failed",
)


@dataclass(frozen=True)
class Trail:
    """What the values of one settlement come from. `values`: KPI → values by period, each with `named`: (delivery, rows in it)."""

    kato: str
    values: Mapping[str, list[dict[str, Any]]]
    deliveries: Mapping[int, Mapping[str, Any]]

    def script(self, release: ReleaseData) -> str:
        """The data file: a classic script, so that it loads from a folder as from a server."""
        said = {
            "kato": self.kato,
            "release": release.seq,
            "head": release.head,
            "cell": CELL,
            "delivery": DELIVERY,
            "values": {
                code: {
                    cell["period_id"]: [
                        *(plain(cell[name]) for name in CELL),
                        *(part for pair in cell["named"] for part in pair),
                    ]
                    for cell in cells
                }
                for code, cells in self.values.items()
            },
            "deliveries": {number: [one[name] for name in DELIVERY] for number, one in self.deliveries.items()},
        }
        return f"qala.take({json.dumps(said, ensure_ascii=False, separators=(',', ':'))});\n"


def trails(release: ReleaseData) -> Iterator[Trail]:
    """The trail of every settlement with data."""
    find_cell_deliveries(release.store)
    suppressed = literal(ObsStatus.SUPPRESSED)
    deliveries = {
        row["delivery_id"]: row for row in release.rows(statement(__file__, "trail_deliveries", suppressed=suppressed))
    }
    named: dict[tuple[str, str, str], list[tuple[int, int | None]]] = {
        (row["kato"], row["kpi_code"], row["period_id"]): list(zip(row["delivery_ids"], row["rows_used"], strict=True))
        for row in release.rows(statement(__file__, "trail_cells", suppressed=suppressed))
    }
    for kato, by_kpi in release.figures.values.items():
        values = {
            code: [
                {**cell, "hidden": is_hidden(cell), "named": named.get((kato, code, cell["period_id"]), [])}
                for cell in by_kpi[code]
            ]
            for code in release.kpis
            if code in by_kpi
        }
        used = sorted({number for cells in values.values() for cell in cells for number, _ in cell["named"]})
        yield Trail(kato, values, {number: deliveries[number] for number in used})


def plain(value: Any) -> Any:
    """A number as JSON has it: exact parts without the noughts that their type adds."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
