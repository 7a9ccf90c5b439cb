"""zero/<table>: the extracts that have arrived and wait for a decision. Bytes as received, nothing opened yet."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from connectors.ingest import register_pending
from connectors.mapping.source_contract import SourceContract
from pipelines.assets.documents import of_document
from pipelines.assets.table_metadata import SHOWN, table_of
from pipelines.error_messages import known_errors_as_failure
from pipelines.resources import NO_SPHERE, POOL, Qala, report_progress, single_run
from warehouse.loading.deliveries import Delivery, received
from warehouse.tables.contracts import Table


def zero_assets(
    tables: Iterable[Table],
    sources: Mapping[tuple[str, str], SourceContract],
    groups: Mapping[str, str],
    pulled: Mapping[str, list[dg.AssetKey]],
    months: dg.PartitionsDefinition,
) -> dg.AssetsDefinition:
    """One asset for each table, all made by one step: registering receipts takes milliseconds. `pulled`: by table, the assets of its sources."""
    by_name = {table.name: table for table in tables}
    specs = [
        dg.AssetSpec(
            dg.AssetKey(["zero", t.name]),
            deps=pulled.get(t.name, []),
            # the first line is what the graph has room for
            description=f"Files as received: {t.title} / {t.title_ru}\n\nExtracts for {t.name}, nothing opened yet. {t.description} "
            f"Systems with a contract: {', '.join(sorted(s for s, name in sources if name == t.name)) or 'none; standard exchange format'}.",
            group_name=groups.get(t.domain, NO_SPHERE),
            kinds={"file", "as_received"},
            owners=[f"team:{t.domain}"],
            metadata={"owner": t.owner, **of_document("contract", t.document.path, t.version)},
            tags={"sphere": t.domain, "level": "zero"},
        )
        for t in by_name.values()
    ]

    @dg.multi_asset(
        specs=specs, name="zero_level", partitions_def=months, backfill_policy=single_run, can_subset=True, pool=POOL
    )
    @known_errors_as_failure
    def zero(context: dg.AssetExecutionContext, qala: Qala) -> Iterator[dg.MaterializeResult[None]]:
        with qala.writing(context.run_id) as store:
            new = register_pending(store, qala.archive, lambda text: report_progress(context, text))
            report_progress(context, f"{new} new deliveries registered")
            for key in sorted(context.selected_asset_keys):
                waiting = received(store, key.path[-1], context.partition_keys)
                for month in context.partition_keys:
                    context.add_asset_metadata(_of_month(waiting, month), key, month)
                yield dg.MaterializeResult(asset_key=key)

    return zero


def _of_month(waiting: Sequence[Delivery], month: str) -> dict[str, Any]:
    """How many deliveries that close in a month wait for their decision, how large they are, and the first of them."""
    own = [one for one in waiting if one.closing_month == month]
    metadata: dict[str, Any] = {"deliveries": len(own), "bytes": sum(d.bytes for d in own)}
    if own:
        metadata["first deliveries"] = table_of(
            {
                "delivery": d.delivery_id,
                "file": d.file_name,
                "system": d.system,
                "scope": d.scope,
                "period": d.period,
                "bytes": d.bytes,
                "sha256": d.sha256,
            }
            for d in own[:SHOWN]
        )
    return metadata
