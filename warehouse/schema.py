"""The warehouse's tables as SQLAlchemy metadata, described column by column.

Schemas: `registry` (settlements, periods, catalogue), `showcase` (current rows of every contract's table), `history`
(versions of rows that no longer hold), `audit` (ledger, deliveries, rejected rows, checks), `kpi` (values).
No primary keys on bulk tables: in DuckDB an index makes a base load 2.4 times slower and the file 2.5 times larger;
uniqueness is a rule of the gate instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from duckdb_engine import Dialect
from sqlalchemy.schema import CreateTable, SetColumnComment, SetTableComment

from warehouse.contracts import SNAPSHOT_COLUMN, SYSTEM_COLUMNS, Table

SCHEMAS: Mapping[str, str] = {
    "registry": "Settlements, periods and the KPI catalogue",
    "showcase": "Current rows, cleaned, as delivered by the systems of local executive bodies",
    "history": "Versions of showcase rows that no longer hold, with the ledger sequences between which they did",
    "audit": "Ledger, deliveries, rejected rows and check results",
    "kpi": "KPI values with everything needed to explain them",
}
_TYPES: Mapping[str, sa.types.TypeEngine[Any]] = {
    "text": sa.Text(), "int": sa.Integer(), "long": sa.BigInteger(), "bool": sa.Boolean(), "date": sa.Date(),
    "timestamp": sa.DateTime(), "instant": sa.DateTime(timezone=True), "exact": sa.Numeric(38, 6), "double": sa.Double(),
}  # fmt: skip

# schema.table: (description, "column type description" per column; a type with ! is NOT NULL)
_FIXED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "registry.setting": (
        "Facts about this warehouse file",
        ("name text! Name of the setting", "value text! Its value"),
    ),
    "registry.region": (
        "Regions of the first KATO level",
        (
            "kato text! KATO code, nine digits",
            "name_en text! English name",
            "name_ru text! Russian name",
            "name_kk text! Kazakh name",
        ),
    ),
    "registry.settlement": (
        "Settlements of item 7 of the order",
        (
            "kato text! KATO code, nine digits",
            "kato2 text! First two digits: region",
            "kato4 text! First four digits: district or city",
            "kato6 text! First six digits: sub-district",
            "item7_group text! republican, regional or district",
            "region_kato text! KATO code of the region",
            "name_en text! English name",
            "name_ru text! Russian name",
            "name_kk text! Kazakh name",
        ),
    ),
    "registry.period": (
        "Reporting periods",
        (
            "id text! 2026-01, 2026-Q1 or 2026",
            "grain text! SDMX frequency: M, Q or A",
            "period_start date! First day",
            "period_end date! First day after",
            "closing_month text! Its last month",
        ),
    ),
    "registry.sphere": (
        "The eight spheres of item 5",
        (
            "code text! Code",
            "number int! Number in item 5",
            "name_en text! English name",
            "name_ru text! Russian name",
            "name_kk text Kazakh name",
        ),
    ),
    "registry.initiative": (
        "Initiatives of the catalogue",
        (
            "code text! Code",
            "sphere text! Sphere code",
            "name_en text! English name",
            "name_ru text! Russian name",
            "name_kk text Kazakh name",
            "named_in_order bool! True if the order itself names it; all others are proposals",
            "categories text! Item 7 groups it applies to",
        ),
    ),
    "registry.kpi": (
        "Versions of KPI definitions ever used in this warehouse",
        (
            "code text! KPI code",
            "version int! Version of the definition",
            "initiative text! Initiative code",
            "sphere text! Sphere code",
            "name_en text! English name",
            "name_ru text! Russian name",
            "unit text! Unit of measure",
            "direction text! higher or lower is better",
            "kind text! share, rate, ratio, mean or quantile",
            "grain text! Reporting period: M, Q or A",
            "valid_from date! First day of effect",
            "valid_to date Day before which it ends; empty while in force",
            "floor double! Value scored 0 (illustrative)",
            "goal double! Value scored 100 (illustrative)",
            "definition text! The definition as JSON",
            "definition_hash text! Fingerprint of its meaning",
            "catalogue_id text! Catalogue it belongs to",
            "catalogue_version text! Version of the catalogue",
            "catalogue_status text! proposal or official",
            "registered_seq long! Ledger sequence of its registration",
        ),
    ),
    "audit.ledger": (
        "Everything that happened, in order; append only",
        (
            "seq long! Sequence number: the warehouse's own time",
            "recorded_at instant! Clock time",
            "kind text! What happened",
            "subject text! To what",
            "run_id text Dagster run",
            "detail text! Particulars as JSON",
        ),
    ),
    "audit.delivery": (
        "One extract of one table for one period and territory",
        (
            "delivery_id long! Number of the delivery",
            "receipt_id text! Number given when the bytes arrived",
            "table_name text! Showcase table",
            "system text! Source system",
            "scope text! KATO of a settlement or region, or KZ",
            "period_id text! Period as declared",
            "period_start date! First day of the period",
            "period_end date! First day after the period",
            "closing_month text! Last month of the period: the Dagster partition",
            "file_name text! Name of the file as delivered",
            "sha256 text! SHA-256 of the bytes as delivered",
            "bytes long! Size of the file",
            "declared_rows long Rows according to the manifest",
            "received_at instant! When the bytes arrived",
            "registered_seq long! Ledger sequence of its registration",
            "state text! received, loaded, refused or duplicate",
            "reason text Why it was refused or is a duplicate",
            "contract_id text Contract by which it was read",
            "contract_version text Version of that contract",
            "received_rows long Rows in the file",
            "accepted_rows long Rows loaded or already known unchanged",
            "rejected_rows long Rows not loaded: accepted + rejected = received",
            "loaded_seq long Ledger sequence of the load or refusal",
            "loaded_at instant Clock time of the load or refusal",
        ),
    ),
    "audit.rejected_row": (
        "Rows that broke a rule, as text",
        (
            "delivery_id long! Delivery",
            "row_no long! Record number in the file, from 1",
            "rule text! First rule the row broke",
            "raw text! The record as delivered: JSON of header and text, or the line itself if it could not be split",
        ),
    ),
    "audit.check_result": (
        "What each rule found in each delivery",
        (
            "delivery_id long! Delivery",
            "table_name text! Showcase table",
            "rule text! Rule of the table's contract",
            "severity text! error or warning",
            "dimension text! Quality dimension",
            "passed bool! True if the rule holds",
            "observed text What was found",
            "expected text What was asked for",
        ),
    ),
    "kpi.value": (
        "KPI values; the row with an empty valid_to_seq is the current one, others are what was published before",
        (
            "kpi_code text! KPI",
            "kato text! Settlement",
            "period_id text! Period",
            "period_start date! First day of the period",
            "value double Value, rounded to six decimals; empty unless the state has one",
            "numerator exact Numerator",
            "denominator exact Denominator",
            "sample_size long Warehouse rows behind it",
            "state text! Calculation state in words",
            "obs_status text! SDMX OBS_STATUS of that state",
            "reason text Why there is no value, or why it is marked",
            "coverage double Share of the period's months that were delivered",
            "definition_version int! Version of the definition used",
            "definition_hash text! Its fingerprint",
            "catalogue_version text! Catalogue used",
            "as_of_seq long! The warehouse as of this ledger sequence was read",
            "computed_at instant! Clock time",
            "run_id text Dagster run",
            "valid_from_seq long! Ledger sequence from which this value holds",
            "valid_to_seq long Ledger sequence at which it was restated; empty while it holds",
        ),
    ),
    "kpi.computation": (
        "Which KPI was computed up to which ledger sequence",
        (
            "kpi_code text! KPI",
            "as_of_seq long! The warehouse as of this sequence was read",
            "seq long! Ledger sequence of the computation",
        ),
    ),
}


def metadata(tables: Iterable[Table]) -> sa.MetaData:
    """SQLAlchemy metadata of the whole warehouse: the fixed tables, and two for every contract."""
    meta = sa.MetaData()
    for name, (description, columns) in _FIXED.items():
        schema, _, table = name.partition(".")
        sa.Table(table, meta, *(_fixed_column(c) for c in columns), schema=schema, comment=description)
    for contract in tables:
        sa.Table(contract.name, meta, *_showcase_columns(contract), schema="showcase", comment=contract.description)
        sa.Table(contract.name, meta, *_showcase_columns(contract),
                 sa.Column("valid_to_seq", sa.BigInteger(), comment="Ledger sequence at which this version ceased to hold"),
                 schema="history", comment=f"Former versions: {contract.description}")  # fmt: skip
    return meta


def _fixed_column(text: str) -> sa.Column[Any]:
    name, kind, description = text.split(" ", 2)
    return sa.Column(
        name, _TYPES[kind.rstrip("!")], nullable=not kind.endswith("!"), comment=description, autoincrement=False
    )


def _showcase_columns(contract: Table) -> Iterator[sa.Column[Any]]:
    """kato, the contract's columns, the loader's columns. Types are given as the contract writes them."""
    name, description = "kato", SYSTEM_COLUMNS["kato"][1]
    yield sa.Column(name, _Raw("VARCHAR"), nullable=False, comment=description)
    for column in contract.columns:
        note = f" [{column.unit}]" if column.unit else ""
        yield sa.Column(
            column.name, _Raw(column.sql_type), nullable=not column.required, comment=column.description + note
        )
    if contract.snapshot:
        yield sa.Column(SNAPSHOT_COLUMN[0], _Raw(SNAPSHOT_COLUMN[1]), nullable=False, comment=SNAPSHOT_COLUMN[2])
    for name, (sql_type, description) in SYSTEM_COLUMNS.items():
        if name != "kato":
            yield sa.Column(name, _Raw(sql_type), nullable=False, comment=description)


class _Raw(sa.types.UserDefinedType[object]):
    """A type as its SQL text: contracts name DuckDB types."""

    cache_ok = True

    def __init__(self, sql: str):
        self.sql = sql

    def get_col_spec(self, **_: object) -> str:
        return self.sql


def ddl(meta: sa.MetaData) -> list[str]:
    """Statements that create what is missing and describe everything."""
    dialect = Dialect()
    statements = [f"CREATE SCHEMA IF NOT EXISTS {schema}" for schema in SCHEMAS]
    for table in meta.sorted_tables:
        statements.append(str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)))
        statements.append(str(SetTableComment(table).compile(dialect=dialect)))
        statements += [str(SetColumnComment(column).compile(dialect=dialect)) for column in table.columns]
    return statements


def fingerprint(statements: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(statements).encode()).hexdigest()


# Views an analyst meets first. They live in `main`, so that they need no schema name.
VIEWS: Mapping[str, tuple[str, str]] = {
    "kpi_values": ("Every current KPI value with names, all periods", """
        SELECT v.kpi_code, k.name_en AS kpi_name_en, k.name_ru AS kpi_name_ru, v.kato, s.name_en AS settlement_en, s.name_ru AS settlement_ru,
               s.item7_group, v.period_id, v.period_start, v.value, k.unit, v.numerator, v.denominator, v.sample_size, v.state, v.obs_status, v.reason,
               v.coverage, k.sphere, k.initiative, k.direction, v.definition_version, v.definition_hash, k.catalogue_status, v.as_of_seq, v.computed_at
        FROM kpi.value v
        JOIN registry.kpi k ON k.code = v.kpi_code AND k.version = v.definition_version
        JOIN registry.settlement s USING (kato)
        WHERE v.valid_to_seq IS NULL"""),
    "latest_values": ("The newest value of every KPI in every settlement that has one", """
        SELECT * FROM kpi_values WHERE value IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY kpi_code, kato ORDER BY period_start DESC) = 1"""),
    "kpi_scores": ("Latest values scored between illustrative floor and goal, 0 to 100 (our proposal: the order's formula is not public)", """
        SELECT l.*, 100 * greatest(0, least(1, (l.value - k.floor) / (k.goal - k.floor))) AS score
        FROM latest_values l JOIN registry.kpi k ON k.code = l.kpi_code AND k.version = l.definition_version"""),
    "scorecard": ("By settlement: KPIs that apply, that could be calculated, and the level = coverage x achievement (our proposal)", """
        WITH newest AS (
            SELECT * FROM kpi_values WHERE state <> 'not applicable' OR reason LIKE 'no rows%'
            QUALIFY row_number() OVER (PARTITION BY kpi_code, kato ORDER BY value IS NOT NULL DESC, period_start DESC) = 1)
        SELECT n.kato, any_value(n.settlement_en) AS settlement_en, any_value(n.settlement_ru) AS settlement_ru,
               any_value(n.item7_group) AS item7_group, count(*) AS kpis_applicable, count(n.value) AS kpis_calculated,
               round(100.0 * count(n.value) / count(*), 1) AS coverage_percent, round(avg(s.score), 1) AS achievement,
               round(coalesce(sum(s.score), 0) / count(*), 1) AS level, max(n.period_id) FILTER (WHERE n.value IS NOT NULL) AS latest_period
        FROM newest n LEFT JOIN kpi_scores s USING (kpi_code, kato)
        GROUP BY n.kato"""),
    "deliveries": ("Every delivery with its state and counts", """
        SELECT d.*, s.name_en AS settlement_en, s.name_ru AS settlement_ru FROM audit.delivery d LEFT JOIN registry.settlement s ON s.kato = d.scope"""),
    "refusals": ("Refused deliveries and why", """
        SELECT delivery_id, receipt_id, table_name, scope, settlement_en, period_id, file_name, reason FROM deliveries WHERE state = 'refused'"""),
}  # fmt: skip
