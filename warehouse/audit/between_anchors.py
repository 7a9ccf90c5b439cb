"""What the warehouse entered between two anchored ledger heads: deliveries, values, incidents, definitions, releases, in counts.

Does not belong here: whether the entries are still as recorded (verify.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from warehouse.home.home import Home
from warehouse.messages.messages import DEFAULT, rendered
from warehouse.release.anchors import Anchor
from warehouse.store.sessions import reading
from warehouse.store.store import Store

# title → SELECT of (what, in words) over the ledger rows of a span; {span}, {decided}, …: the condition on the column of that name
_QUERIES = {
    "ledger rows": "SELECT kind, count(*) || ' rows, the last ' || max(seq) FROM audit.ledger WHERE {span} GROUP BY kind ORDER BY kind",
    "deliveries": "SELECT table_name || ' ' || state, count(*) || ' deliveries, ' || coalesce(sum(accepted_rows), 0) || ' rows accepted, ' || "
    "coalesce(sum(rejected_rows), 0) || ' rejected' FROM audit.delivery WHERE {decided} GROUP BY ALL ORDER BY 1",
    "taken back": "SELECT subject, coalesce(detail->>'$.reason', '') FROM audit.ledger WHERE {span} AND kind = 'withdrawn' ORDER BY seq",
    "values": "SELECT kpi_code, count(*) || ' written, of these ' || count_if(former) || ' in the place of others' "
    "FROM (SELECT *, EXISTS (FROM kpi.value f WHERE (f.kpi_code, f.kato, f.period_id, f.valid_to_seq) = "
    "(v.kpi_code, v.kato, v.period_id, v.valid_from_seq)) AS former FROM kpi.value v WHERE {begun}) GROUP BY ALL ORDER BY 1",
    "incidents": "SELECT criterion || ' opened', count(*)::VARCHAR FROM audit.incident WHERE {opened} GROUP BY ALL ORDER BY 1",
    "incidents closed": "SELECT 'incident ' || incident_id || ' by ' || coalesce(closed_by, '?'), coalesce(closing_reason, '') "
    "FROM audit.incident WHERE {closed} ORDER BY incident_id",
    "definitions": "SELECT kind || ' ' || subject, coalesce(detail->>'$.change_note', '') FROM audit.ledger WHERE {span} "
    "AND kind IN ('definition', 'definition-ended', 'catalogue') ORDER BY seq",
    "schema and views": "SELECT kind || ' at row ' || seq, coalesce(detail->>'$.sha256', '') FROM audit.ledger WHERE {span} "
    "AND kind IN ('schema', 'recovered', 'upgraded', 'rebuilt') ORDER BY seq",
    "assessments": "SELECT subject || ' ' || coalesce(detail->>'$.catalogue', ''), 'version ' || coalesce(detail->>'$.version', '?') "
    "FROM audit.ledger WHERE {span} AND kind = 'assessed' ORDER BY seq",
    "releases": "SELECT 'row ' || seq, coalesce(detail->>'$.calculated', '?') || ' values, by qala ' || coalesce(detail->>'$.qala', '?') "
    "FROM audit.ledger WHERE {span} AND kind = 'released' ORDER BY seq",
}


@dataclass(frozen=True)
class AnchorSpan:
    """What was entered after ledger row `first`, up to row `last`. `entries`: title → (what, in words)."""

    first: int
    last: int
    entries: dict[str, list[tuple[str, str]]]

    def data(self) -> dict[str, Any]:
        """The same as plain data: title → what → in words."""
        return {"after": self.first, "to": self.last, **{title: dict(rows) for title, rows in self.entries.items()}}


def spans_between_anchors(home: Home, anchors: Sequence[Anchor]) -> list[AnchorSpan]:
    """What happened between each anchor and the next, in the order of their sequences, as the release has it."""
    with reading(home, with_views=False) as store:
        return [span_between(store, a.seq, b.seq) for a, b in pairwise(sorted(anchors, key=lambda one: one.seq))]


def span_between(store: Store, first: int, last: int) -> AnchorSpan:
    """What was entered after ledger row `first`, up to `last`; titles without anything are left out."""
    columns = {
        "span": "seq",
        "decided": "loaded_seq",
        "begun": "valid_from_seq",
        "opened": "opened_seq",
        "closed": "closed_seq",
    }
    spans = {name: f"{column} > {int(first)} AND {column} <= {int(last)}" for name, column in columns.items()}
    entries = {}
    for title, sql in _QUERIES.items():
        rows = store.con.execute(sql.format(**spans)).fetchall()
        if rows:
            entries[title] = [(str(what), str(rendered(words, DEFAULT))) for what, words in rows]
    return AnchorSpan(first, last, entries)
