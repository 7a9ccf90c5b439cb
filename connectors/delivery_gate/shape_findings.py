"""Findings on what a contract's shape made of the records (adr/0043): how many are left out by it, and which; how many it rejects.

Of deliveries whose contract has no shape there is none. Does not belong here: leaving records out (row_gate/).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import duckdb

from connectors.row_gate.incoming import Incoming
from warehouse.loading.deliveries import Finding
from warehouse.messages.messages import Message, recorded
from warehouse.tables.rules import (
    KEY_INCOMPLETE,
    KEY_ORDER,
    LEFT_OUT_COMBINED,
    LEFT_OUT_DUPLICATE,
    LEFT_OUT_EMPTY,
    LEFT_OUT_WHERE,
    WHERE,
)

if TYPE_CHECKING:
    import pandas as pd

_REJECTING = {  # rule → words, dimension
    WHERE: ("rule.where", "conformity"),
    KEY_ORDER: ("rule.key_order", "uniqueness"),
    KEY_INCOMPLETE: ("rule.key_incomplete", "uniqueness"),
}
_LEAVING_OUT = {
    LEFT_OUT_WHERE: "rule.left_out_where",
    LEFT_OUT_EMPTY: "rule.left_out_empty",
    LEFT_OUT_DUPLICATE: "rule.left_out_duplicate",
    LEFT_OUT_COMBINED: "rule.left_out_combined",
}


def shape_findings(
    con: duckdb.DuckDBPyConnection, staged: Iterable[Incoming], profile: pd.DataFrame, broken: pd.DataFrame
) -> list[Finding]:
    """`profile` and `broken` as profile_deliveries gives them. A delivery of which nothing at all is taken fails."""
    shaped = {one.delivery_id for one in staged if one.contract.shape.leaves_out}
    if not shaped:
        return []
    taken = {int(row["delivery_id"]): int(row["accepted"] + row["rejected"]) for row in profile.to_dict("records")}
    return [*_left_out(con, taken), *_rejected(shaped, broken)]


def _left_out(con: duckdb.DuckDBPyConnection, taken: Mapping[int, int]) -> Iterator[Finding]:
    counts = con.execute(
        "SELECT delivery_id, rule, rows, keys, records FROM work_left_out_count ORDER BY ALL"
    ).fetchall()
    for number, rule, rows, keys, records in counts:
        words: Message = {"code": _LEAVING_OUT[rule]}
        nothing = rule == LEFT_OUT_WHERE and not taken[number]
        if keys is not None:
            found: Message = {"code": "finding.combined", "keys": keys, "records": keys + rows}
        elif nothing:
            found = {"code": "finding.nothing_taken", "rows": rows, "records": str(records[0])}
        else:
            shown = ", ".join(map(str, dict.fromkeys(records)))
            found = {"code": "finding.records_left_out", "rows": rows, "records": shown}
        severity = "error" if nothing else "warning"
        yield Finding(number, rule, severity, "conformity", not nothing, recorded(found), recorded(words), rows)


def _rejected(shaped: Iterable[int], broken: pd.DataFrame) -> Iterator[Finding]:
    for number, rule, rows, _ in broken.itertuples(index=False):
        if rule in _REJECTING and number in shaped:
            words, dimension = _REJECTING[rule]
            found = recorded({"code": "finding.rows_rejected", "rows": int(rows)})
            yield Finding(int(number), rule, "warning", dimension, False, found, recorded({"code": words}), int(rows))
