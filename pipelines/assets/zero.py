"""zero/<table>: the extracts that have arrived and wait for a decision. Bytes as received, nothing opened yet."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg

from connectors.ingest import register_pending
from connectors.mapping.source_contract import SourceContract
from pipelines.error_messages import known_errors_as_failure
from pipelines.resources import NO_SPHERE, POOL, Qala, months, report_progress, single_run
from warehouse.loading.deliveries import received
from warehouse.tables.contracts import Table


def zero_assets(
    tables: Iterable[Table],
    sources: Mapping[tuple[str, str], SourceContract],
    groups: Mapping[str, str],
    pulled: Mapping[str, list[dg.AssetKey]],
) -> dg.AssetsDefinition:
    """One asset for each table, all made by one step: registering receipts takes milliseconds. `pulled`: by table, the assets of its sources."""
    by_name = {table.name: table for table in tables}
    specs = [
        dg.AssetSpec(
            dg.AssetKey(["zero", t.name]),
            deps=pulled.get(t.name, []),
            description=f"Extracts for {t.name} as received: {t.description} "
            f"Systems with a contract: {', '.join(sorted(s for s, name in sources if name == t.name)) or 'none; standard exchange format'}.",
            group_name=groups.get(t.domain, NO_SPHERE),
            kinds={"file"},
            owners=[f"team:{t.domain}"],
            metadata={"owner": t.owner},
            tags={"sphere": t.domain},
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
                records = [
                    dg.TableRecord(
                        {
                            "delivery": d.delivery_id,
                            "file": d.file_name,
                            "system": d.system,
                            "scope": d.scope,
                            "period": d.period,
                            "bytes": d.bytes,
                            "sha256": d.sha256,
                        }
                    )
                    for d in waiting[:50]
                ]
                metadata: dict[str, Any] = {
                    "deliveries": len(waiting),
                    "bytes": sum(d.bytes for d in waiting),
                }
                if records:
                    metadata["first deliveries"] = dg.MetadataValue.table(records)
                yield dg.MaterializeResult(asset_key=key, metadata=metadata)

    return zero
