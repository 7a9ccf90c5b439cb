"""What Dagster shows of a load, month by month: counts, corrections, refusals, rejected rows.

Does not belong here: loading (showcase.py), what the checks say of it (table_checks.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from connectors.ingest import IngestReport
from pipelines.refusals import Sources, headers_of
from warehouse.audit.refusals import Refused, refused_deliveries, with_broken_rules
from warehouse.loading.broken_rules import Rejected, rejected_rows
from warehouse.messages.messages import said
from warehouse.periods import parse_period
from warehouse.sql import literal, statement
from warehouse.store.store import Store
from warehouse.tables.contracts import Table

SHOWN = 50  # entries of a table in the metadata of an event


def table_of(rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """A table of metadata; Dagster takes none without rows."""
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows])


def of_rejected(rows: Iterable[Rejected]) -> dg.TableMetadataValue:
    """The first rejected rows: nothing in them gives a person away, see connectors/personal_data/rejected_values.py."""
    return table_of(
        {"delivery": r.delivery_id, "file": r.file_name, "row": r.row_no, "rule": r.rule, "value": r.value or ""}
        for r in [*rows][:SHOWN]
    )


@dataclass(frozen=True)
class LoadedMonths:
    """What a load did, by the month in which a delivery closes."""

    report: IngestReport
    months: Mapping[int, str]  # delivery → month, of those decided on
    refused: Sequence[Refused]  # by this load; the first 50 with the rules that their rows broke
    others: Sequence[str]  # months that the run was not asked for: of what is read again, or says what changed
    rows: Mapping[str, int]  # month → rows that the table has now of its deliveries
    total: int  # rows of the table

    def metadata(self, month: str, rejected: Sequence[Rejected]) -> dict[str, Any]:
        """Of one month; `rejected`: its rejected rows, of which those are shown that this load rejected."""
        own = {one for one, of in self.months.items() if of == month}
        outcomes = [one for one in self.report.outcomes if one.delivery_id in own]
        states = [str(one.state) for one in outcomes]
        metadata: dict[str, Any] = {
            "dagster/row_count": self.rows.get(month, 0),
            "deliveries loaded": states.count("loaded"),
            "deliveries refused": states.count("refused"),
            "deliveries repeated": states.count("duplicate"),
            "rows accepted": sum(one.accepted for one in outcomes),
            "rows rejected": sum(one.rejected for one in outcomes),
        }
        if corrected := [one for one in self.report.corrected if one.delivery_id in own]:
            metadata["corrections"] = table_of(
                {
                    "correction": c.correction_id,
                    "delivery": c.delivery_id,
                    "row": c.row_no,
                    "column": c.column_name,
                    "was": str(c.was),
                    "becomes": str(c.becomes),
                    "outcome": c.outcome,
                }
                for c in corrected[:SHOWN]
            )
        if shown := [one for one in rejected if one.delivery_id in own]:
            metadata["rejected rows"] = of_rejected(shown)
        return metadata | _of_refused([one for one in self.refused if one.delivery_id in own])


def loaded_months(
    store: Store, table: Table, report: IngestReport, sources: Sources, months: Collection[str]
) -> LoadedMonths:
    """By month what a load did that was asked for `months`."""
    numbers = [one.delivery_id for one in report.outcomes]
    listed = ", ".join(map(str, numbers)) or "NULL"
    of = store.con.execute(
        f"SELECT delivery_id, closing_month FROM audit.delivery WHERE delivery_id IN ({listed})"
    ).fetchall()
    closing = dict(of)
    refused = [one.delivery_id for one in report.outcomes if one.state == "refused"]
    found = refused_deliveries(store, deliveries=refused) if refused else []
    told = [*with_broken_rules(store, found[:SHOWN], headers_of(sources)), *found[SHOWN:]]
    asked = ", ".join(map(literal, {*months, *closing.values()})) or "NULL"
    rows = dict(store.con.execute(statement(__file__, "rows_of_month", table_name=table.name, months=asked)).fetchall())
    total = store.con.execute(f"SELECT count(*) FROM showcase.{table.name}").fetchall()[0][0]
    return LoadedMonths(report, closing, told, sorted({*closing.values()} - {*months}), rows, total)


def rejected_by_month(
    store: Store, table: Table, sources: Sources, deliveries: Collection[int]
) -> dict[str, list[Rejected]]:
    """Month → the rows rejected of these deliveries, the first 50 of each rule."""
    if not deliveries:
        return {}
    chosen = f"delivery.delivery_id IN ({', '.join(map(str, deliveries))})"
    systems = store.con.execute(f"SELECT DISTINCT system FROM audit.delivery WHERE {chosen} ORDER BY 1").fetchall()
    found = defaultdict[str, list[Rejected]](list)
    for (system,) in systems:
        headers = headers_of(sources).get((system, table.name), {})
        of_system = f"{chosen} AND delivery.system = {literal(system)}"
        for one in rejected_rows(store.con, table, headers, chosen=of_system, most=SHOWN):
            found[one.month].append(one)
    return found


def standing_refusals(store: Store, table: Table) -> dict[str, list[Refused]]:
    """Month → deliveries that were refused and in whose place nothing was taken in since."""
    found = defaultdict[str, list[Refused]](list)
    for one in refused_deliveries(store, table=table.name):
        if one.stands:
            found[parse_period(one.period_id).closing_month].append(one)
    return found


def _of_refused(refused: Sequence[Refused]) -> dict[str, Any]:
    """Refused deliveries and what their rows broke, the first 50 of each."""
    metadata: dict[str, Any] = {}
    if refused:
        metadata["refusals"] = listed_refusals(refused)
    broken = [
        {"delivery": one.delivery_id, "rule": rule.rule, "value": value or "", "times": times, "first in row": first}
        for one in refused
        for rule in one.broken
        for value, times, first in rule.values
    ]
    if broken:  # a file refused for its header has none
        metadata["what was refused"] = table_of(broken[:SHOWN])
    return metadata


def listed_refusals(refused: Sequence[Refused]) -> dg.TableMetadataValue:
    """Refused deliveries, each with the reason."""
    return table_of(
        {
            "delivery": one.delivery_id,
            "file": one.file_name,
            "scope": one.scope,
            "period": one.period_id,
            "system": one.system,
            "why": said(one.reason),
        }
        for one in refused[:SHOWN]
    )
