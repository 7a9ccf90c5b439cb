"""What the released warehouse holds as a whole, in counts: newest period, deliveries and values by state, the release itself.

Does not belong here: how one number came about (explain.py), what the next run has to do (pipelines/pending_work.py).
"""

from __future__ import annotations

from typing import Any

from warehouse.audit.refusals import refused_deliveries
from warehouse.store.store import Store


def release_status(store: Store) -> dict[str, Any]:
    """Newest period with values, deliveries and values by state, refusals that stand, rows received, accepted and rejected, the release."""

    def row(sql: str) -> tuple[Any, ...]:
        return store.con.execute(sql).fetchone() or ()

    def counts(sql: str) -> dict[str, int]:
        return dict(store.con.execute(sql + " GROUP BY 1 ORDER BY 1").fetchall())

    current = "FROM kpi.value WHERE valid_to_seq IS NULL"
    # of those that end together the shortest is named
    latest, settlements = row(
        "SELECT arg_max(period_id, (period.period_end, period.period_start)), count(DISTINCT kato) FROM kpi.value "
        "JOIN registry.period AS period USING (period_id) WHERE valid_to_seq IS NULL AND value IS NOT NULL"
    )
    rows = row(
        "SELECT sum(received_rows)::BIGINT, sum(accepted_rows)::BIGINT, sum(rejected_rows)::BIGINT FROM audit.delivery"
    )
    released = row("SELECT seq, recorded_at FROM audit.ledger WHERE kind = 'released' ORDER BY seq DESC LIMIT 1")
    return {
        "latest_period": latest,
        "deliveries": counts("SELECT state, count(*) FROM audit.delivery"),
        "refusals_standing": sum(one.stands for one in refused_deliveries(store)),
        "values": counts(f"SELECT state, count(*) {current}"),
        "rows": {name: n or 0 for name, n in zip(("received", "accepted", "rejected"), rows, strict=True)},
        "settlements_with_values": settlements,
        "release": dict(zip(("seq", "at"), released, strict=True)) if released else None,
    }
