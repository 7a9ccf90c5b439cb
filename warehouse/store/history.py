"""Rows and values as of a ledger sequence. Time is the ledger sequence, never the clock.

Does not belong here: moving rows to history (loading/replace.py), closing values (kpi_values/changed_values.py).
"""

from __future__ import annotations


def as_of(table: str, seq: int | None) -> str:
    """A relation with a showcase table's rows as they held at a ledger sequence; None: as they hold now."""
    if seq is None:
        return f"showcase.{table}"
    return (
        f"(SELECT * FROM showcase.{table} WHERE valid_from_seq <= {seq} UNION ALL BY NAME "
        f"SELECT * EXCLUDE (valid_to_seq) FROM history.{table} WHERE valid_from_seq <= {seq} AND valid_to_seq > {seq})"
    )


def held(seq: int | None) -> str:
    """Condition on rows of kpi.value: those that hold, or held at a ledger sequence."""
    if seq is None:
        return "valid_to_seq IS NULL"
    return f"valid_from_seq <= {seq} AND (valid_to_seq IS NULL OR valid_to_seq > {seq})"
