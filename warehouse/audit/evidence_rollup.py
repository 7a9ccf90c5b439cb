"""What an evidence pack of a roll-up holds: the cells it is summed from, and SQL that sums them again.

A pack has no rows of a cell (the cell's own pack has them), except for quantiles, which cannot be summed. Does not belong here: how a
pack is written as a whole (evidence.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import Compiled, columns_of, compile_kpi
from kpi_definitions.model import Kind, Kpi
from warehouse.audit.evidence_value import USAGE, not_published, pack_statement, recorded_row
from warehouse.audit.explain import explain
from warehouse.audit.rows import SOURCE_RECORD
from warehouse.sql import literal, statement
from warehouse.store.history import as_of, held
from warehouse.store.store import Store
from warehouse.tables.obs_status import WITH_PARTS, in_sql
from warehouse.tables.value_formula import VALUE, top


@dataclass(frozen=True)
class Rollup:
    """A roll-up, with what it was computed by."""

    answer: Mapping[str, Any]  # as `explain` gives it, with `members`
    compiled: Compiled
    seq: int  # the ledger sequence at which rows were read

    @property
    def label(self) -> str:
        return f"{self.answer['kpi']['code']}-{self.answer['area']['code']}-{self.answer['period']['id']}"


def find_rollup(
    store: Store, catalogue: Catalogues, code: str, area: str, period: str, seq: int | None = None
) -> Rollup | None:
    """The roll-up asked for, or None if that is a cell. Raises UnknownError if there is no such number."""
    answer = explain(store, catalogue, code, area, period, seq)
    if "members" not in answer:
        return None
    version = answer["definition"]["version"]
    text = store.con.execute(
        "SELECT definition FROM registry.kpi WHERE (kpi_code, definition_version) = (?, ?)",
        [answer["kpi"]["code"], version],
    ).fetchall()[0][0]
    return Rollup(answer, compile_kpi(Kpi.model_validate_json(text), store.columns()), answer["computed"]["as_of_seq"])


def rollup_files(store: Store, rollup: Rollup) -> dict[str, str]:
    """File of the pack → the query it holds. Leaves `work_evidence_cell`, which the query of a quantile's rows reads."""
    members = [f"({literal(m['kato'])}, {literal(m['period_id'])})" for m in rollup.answer["members"]]
    cells = statement(
        __file__,
        "pack_file_cells",
        code=literal(rollup.compiled.kpi.code),
        with_parts=in_sql(WITH_PARTS),
        held=held(rollup.answer["as_published_at"]),
        cells=" OR ".join(f"(cell.kato, cell.period_id) = {member}" for member in members) or "FALSE",
    )
    files = {"cells.parquet": cells}
    if rollup.compiled.kpi.kind is Kind.QUANTILE:
        table, rows = _quantile_rows(store, rollup, cells)
        files[f"rows/{table}.parquet"] = rows
    return files


def _quantile_rows(store: Store, rollup: Rollup, cells: str) -> tuple[str, str]:
    """(showcase table, query on the store) of all events behind a quantile."""
    scan = rollup.compiled.numerator.scan
    table = store.tables[scan.table]
    reads = [c for t, c in columns_of(rollup.compiled.kpi) if t == scan.table and c not in table.identity]
    store.con.execute(
        "CREATE OR REPLACE TEMP TABLE work_evidence_cell AS "
        f"SELECT *, period_end AS period_end_population_date FROM ({cells}) WHERE counts"
    )
    columns = (*SOURCE_RECORD, *table.identity, *reads)
    rows = scan.rows(as_of(scan.table, rollup.seq), "work_evidence_cell", columns, {}, any_window=True)
    return scan.table, f"SELECT DISTINCT * FROM ({rows}) ORDER BY {', '.join(SOURCE_RECORD)}"


def rollup_script(rollup: Rollup, ledger: Iterable[str]) -> Iterator[str]:
    """Statements of recompute.sql; the last one gives one row. `ledger`: the statements that check the ledger's chain."""
    answer, kpi = rollup.answer, rollup.compiled.kpi
    label = f"{kpi.code} of {answer['area']['name_en']} for {answer['period']['id']}"
    yield f"-- {label}, summed again from the cells beside this file."
    yield USAGE
    yield "SET TimeZone = 'UTC';"
    yield "\n-- 1. The ledger: each row is hashed with the one before it."
    yield from ledger
    yield "\n-- 2. The cells, and what is summed of them."
    yield "CREATE OR REPLACE TEMP TABLE cell AS FROM read_parquet('cells.parquet');"
    yield pack_statement("summed__rollup", kpi_scale=str(kpi.scale), kpi_kind=literal(kpi.kind))
    n, summable = "CAST(top AS DOUBLE)", kpi.kind is not Kind.QUANTILE
    if not summable:
        yield from _events(rollup)
        n = f"(SELECT {top(rollup.compiled, lambda output: output.column)} FROM event)"
    yield recorded_row(
        value=("DOUBLE", answer["value"]),
        numerator=("DECIMAL(38,6)", answer["numerator"] if summable else None),
        denominator=("DECIMAL(38,6)", answer["denominator"] if summable else None),
        sample=("BIGINT", answer["sample_size"] or 0),
        counted=("BIGINT", answer["counted"]),
    )
    shown = VALUE
    if answer["value"] is None:
        yield not_published(answer)
        shown = "NULL"
    yield pack_statement(
        "computed__rollup",
        value_sql=shown,
        numerator_sql="top" if summable else "NULL",
        denominator_sql="bottom" if summable else "NULL",
        top_sql=n,
    )
    yield pack_statement("comparison__rollup")


def _events(rollup: Rollup) -> Iterator[str]:
    """The table `event`, one row: the quantile of the events of all cells."""
    scan = rollup.compiled.numerator.scan
    yield "\n-- A quantile is that of all events of the cells, not of their quantiles."
    yield "CREATE SCHEMA IF NOT EXISTS showcase;"
    yield f"CREATE OR REPLACE VIEW showcase.{scan.table} AS FROM read_parquet('rows/{scan.table}.parquet');"
    yield "CREATE OR REPLACE TEMP TABLE counted AS SELECT 1 AS target, *, period_end AS period_end_population_date FROM cell WHERE counts;"
    sql = scan.sql(f"showcase.{scan.table}", "counted", any_window=True, by="c.target")
    yield f"CREATE OR REPLACE TEMP TABLE event AS\n{sql};"
