"""What a warehouse says, whatever way it came to say it: by table the number and the hash of its current rows, values and assessments.

Two warehouses of one content may differ in sequences, clock times, run ids and delivery numbers, and so in every byte: one was killed in the
middle and ran again, one was made anew from the archive, one came from a backup. Columns without any value count for nothing, so a column that
a later version adds changes no content. Read off the file as it is, not off the contracts: a file of another version can be asked too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import duckdb

from warehouse.sql import quoted
from warehouse.store.digests import digests
from warehouse.tables.contracts import SYSTEM_COLUMNS

# columns that tell how and when a row came to be there, not what it says
_HOW = frozenset({*SYSTEM_COLUMNS, "valid_to_seq"} - {"kato"})
_VALUE_HOW = ("as_of_seq", "computed_at", "run_id", "valid_from_seq", "valid_to_seq", "catalogue_version")
_ASSESSED = ("year", "catalogue_id", "rules_version", "status", "version", "reason")


@dataclass(frozen=True)
class Part:
    """The content of one table."""

    rows: int
    sha256: str


@dataclass(frozen=True)
class Content:
    """`current`: showcase tables, values, roll-ups and assessments as they hold; `former`: versions of rows that no longer do."""

    current: Mapping[str, Part]
    former: Mapping[str, Part]

    @property
    def sha256(self) -> str:
        """Of everything that holds."""
        return _over(self.current)

    @property
    def history_sha256(self) -> str:
        """Of the versions of rows that no longer hold: equal too, if the same deliveries came in the same batches."""
        return _over(self.former)

    def differing(self, other: Content) -> dict[str, tuple[int, int]]:
        """Tables whose content differs, with the rows here and there; current and former ones."""
        mine, theirs = {**self.current, **self.former}, {**other.current, **other.former}
        none = Part(0, "")
        found = {name: (mine.get(name, none), theirs.get(name, none)) for name in sorted({*mine, *theirs})}
        return {name: (a.rows, b.rows) for name, (a, b) in found.items() if a != b}


def content(con: duckdb.DuckDBPyConnection) -> Content:
    """The content of an open warehouse or release of any version. Tables without rows are left out."""
    columns: dict[str, list[str]] = {}
    for table, column in con.execute(
        "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() WHERE NOT internal ORDER BY 1, 2"
    ).fetchall():
        columns.setdefault(table, []).append(column)
    current, former = dict[str, Part](), dict[str, Part]()
    for name, sql in _relations(columns):
        names = ", ".join(quoted(d[0]) for d in con.execute(f"SELECT * FROM ({sql}) LIMIT 0").description or ())
        found = digests(con, f"SELECT 0 AS grp, * FROM ({sql}) ORDER BY {names}")
        for _, rows, sha256 in found:
            (former if name.startswith("history.") else current)[name] = Part(rows, sha256)
    return Content(current, former)


def _relations(columns: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    """(name, SELECT of what it says) of every table that has content; columns in the order of their names."""
    for table, names in columns.items():
        if table.startswith(("showcase.", "history.")):
            own = ", ".join(f"t.{quoted(c)}" for c in names if c not in _HOW)
            # whose row it is belongs to what it says: two systems may have the same key
            yield table, f"SELECT d.system, {own} FROM {table} t JOIN audit.delivery d USING (delivery_id)"
    # a reason says the same whether it is recorded as a message or, by a former version, as its sentence
    reason = "t.reason"
    if "registry.message" in columns:
        reason = "coalesce((SELECT any_value(m.text_en) FROM registry.message m WHERE m.message = t.reason), t.reason)"

    def own_columns(table: str, how: Iterable[str]) -> str:
        return ", ".join(
            f"{reason} AS why" if c == "reason" else f"t.{quoted(c)}" for c in columns[table] if c not in how
        )

    for table in ("kpi.value", "kpi.rollup"):
        if table in columns:
            yield table, f"SELECT {own_columns(table, _VALUE_HOW)} FROM {table} t WHERE valid_to_seq IS NULL"
    if "kpi.assessment" in columns:
        made = ", ".join(f"a.{c}" for c in _ASSESSED)
        yield "kpi.assessment", f"SELECT {made} FROM kpi.assessment a"
        for part in ("assessment_item", "assessment_score", "assessment_rank"):
            own = own_columns(f"kpi.{part}", ("assessment_id",))
            yield f"kpi.{part}", f"SELECT {made}, {own} FROM kpi.{part} t JOIN kpi.assessment a USING (assessment_id)"


def _over(parts: Mapping[str, Part]) -> str:
    text = json.dumps(sorted((name, one.rows, one.sha256) for name, one in parts.items()), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
