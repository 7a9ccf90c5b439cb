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
    "registry.data_passport": (
        "Data passport of the showcase: the 17 fields of Decree No. 830, a row per column",
        (
            "id long! Number",
            "information_system_name text! Information system",
            "bd_name text! Database",
            "schema_name text! Schema",
            "table_name text! Table",
            "table_description text! What the table holds (Russian)",
            "table_type text! fact, or register (delivered as snapshots)",
            "column_id text! Table and column",
            "column_name text! Column",
            "column_type text! SQL type",
            "column_description text! What the column holds (Russian), with its unit",
            "reference_tbl_clmn text Table and column referred to",
            "flk text Format-logical control: the rules a row or a delivery must meet",
            "clmn_key_type text PK, FK or both; empty for others",
            "teg text! Tags: sphere, classification",
            "ismd bool! Master data: part of a register's key",
            "isgosservice bool! Belongs to a public service",
        ),
    ),
    "registry.case_passport": (
        "Case passport of every KPI version: what Decree No. 830 asks of an analytical case",
        (
            "code text! KPI",
            "version int! Version of the definition",
            "indicator_en text! Indicator (English)",
            "indicator_ru text! Indicator (Russian)",
            "indicator_kk text Indicator (Kazakh)",
            "description_en text What is counted (English)",
            "description_ru text What is counted (Russian)",
            "breakdown text! Settlements and periods it is given for",
            "source text! Showcase tables and the bodies that own them",
            "periodicity text! How often",
            "calculation text! Method of calculation",
            "unit text! Unit of measure",
            "assumptions text! Coverage, late data, sample, season, small cells",
            "standards text! Like indicators of U4SSC, ISO 37120, ISO 37122 and SDG",
            "status text! proposal or official",
            "sign_off text! Who approved the method",
            "in_force text! Dates of effect",
        ),
    ),
    "registry.kpi_standard": (
        "KPIs beside indicators of international standards",
        (
            "kpi_code text! KPI",
            "standard text! U4SSC, ISO 37120:2018, ISO 37122:2019 or SDG",
            "indicator text! Code of the indicator there",
            "indicator_name text Its name, where known",
            "fit text! exact, close, partial or none: how near the KPI is to it",
        ),
    ),
    "registry.catalogue": (
        "Lists of initiatives that stand side by side",
        (
            "id text! Name of the list",
            "version text! Its version",
            "name_en text! English name",
            "name_ru text! Russian name",
            "name_kk text Kazakh name",
            "status text! proposal or official",
            "legal_basis text! On what it rests",
            "valid_from date! Periods starting on or after it are computed by this list",
            "valid_to date Day before which the last such period starts; empty while in force",
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
            "basis text! basic: on the basic list; additional: added by the authorised body (item 9)",
            "catalogue_id text! Catalogue it stands in",
            "categories text! Item 7 groups it applies to",
        ),
    ),
    "registry.rule": (
        "Rules of the tables' contracts, with the law's words for them",
        (
            "table_name text! Showcase table",
            "rule text! Rule",
            "description text! What must hold",
            "dimension text! Quality dimension of the data contract standard",
            "criterion text! Quality criterion of the law",
            "incident_kind text! Kind of incident a failure is",
            "severity text! error refuses, warning reports",
        ),
    ),
    "registry.criterion": (
        "The eight quality criteria of the law; failing one makes the data unreliable",
        (
            "position int! Order",
            "criterion text! English name",
            "name_ru text! Russian name",
            "name_kk text! Kazakh name",
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
            "name_kk text Kazakh name",
            "unit text! Unit of measure",
            "direction text! higher or lower is better",
            "kind text! share, rate, ratio, mean or quantile",
            "grain text! Reporting period: M, Q or A",
            "valid_from date! First day of effect",
            "valid_to date Day before which it ends; empty while in force",
            "sensitivity text! open, personal (derived from personal data) or restricted (left out of public exports)",
            "definition text! The definition as JSON",
            "definition_hash text! Fingerprint of its meaning",
            "catalogue_id text! Catalogue it belongs to",
            "catalogue_version text! Version of the catalogue",
            "catalogue_status text! proposal or official",
            "registered_seq long! Ledger sequence of its registration",
        ),
    ),
    "registry.kpi_source": (
        "Warehouse columns that every version of every KPI reads",
        (
            "code text! KPI",
            "version int! Version of the definition",
            "table_name text! Showcase table",
            "column_name text! Column",
        ),
    ),
    "audit.ledger": (
        "Everything that happened, in order; append only, each row hashed with the one before it (qala verify)",
        (
            "seq long! Sequence number: the warehouse's own time",
            "recorded_at instant! Clock time",
            "kind text! What happened",
            "subject text! To what",
            "run_id text Dagster run",
            "detail text! Particulars as JSON",
            "prev_hash text! Hash of the row before it",
            "hash text! SHA-256 of this row and prev_hash, as canonical JSON",
        ),
    ),
    "audit.seal": (
        "SHA-256 of what each transaction wrote (warehouse/seal.py); the ledger row `seq` has the hash of its seals",
        (
            "seq long! Ledger sequence of the sealing",
            "what text! Kind of rows",
            "first_seq long! First ledger sequence of the rows",
            "last_seq long! Last ledger sequence of the rows",
            "rows long! Their number",
            "sha256 text! Their hash",
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
            "failing_rows long Rows that break it; empty for a rule on the delivery as a whole",
        ),
    ),
    "audit.correction": (
        "Cells that declared corrections put right, and guards that failed, by delivery",
        (
            "correction_id text! Correction, and its file in <home>/corrections",
            "sha256 text! SHA-256 of that file, which is in the archive",
            "delivery_id long! Delivery whose row was put right",
            "row_no long! Number of the record in its file",
            "table_name text! Showcase table",
            "kato text! Settlement",
            "key text! Key of the row as JSON",
            "column_name text! Column",
            "was text What the source says",
            "becomes text What was loaded",
            "outcome text! applied, guard failed (the source no longer says what was expected) or withdrawn",
            "what text! What is wrong",
            "why text! How it is known",
            "decided_by text! Who decided",
            "decided_on date! When",
            "source_status text! not told, reported, acknowledged, refused or mended",
            "source_reference text Letter or ticket to the source",
        ),
    ),
    "audit.incident": (
        "Journal of data quality incidents: opened by failing checks, closed by a later delivery or by hand with a reason",
        (
            "incident_id long! Number of the incident",
            "delivery_id long! Delivery that opened it",
            "table_name text! Showcase table",
            "system text! Source system",
            "scope text! KATO of a settlement or region, or KZ",
            "period_id text! Period of the delivery",
            "rule text! Rule that failed",
            "criterion text! Quality criterion of the law it belongs to",
            "kind text! Kind of incident by the law: coverage, completeness, accuracy, timeliness, uniqueness, consistency, integrity, other",
            "observed text What was found",
            "expected text What was asked for",
            "opened_seq long! Ledger sequence at which it was opened",
            "opened_at instant! Clock time",
            "closed_seq long Ledger sequence at which it was closed; empty while open",
            "closed_at instant Clock time",
            "closed_by text Delivery or person that closed it",
            "closing_reason text Why it is closed",
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
    "kpi.rollup": (
        "KPI values over larger territories and over years, made of the settlements' values: numerators and denominators are summed, "
        "quantiles recomputed from events; versions as in kpi.value",
        (
            "kpi_code text! KPI",
            "area_kind text! settlement (over a year), region, group (of item 7) or country",
            "area text! KATO of the settlement or region, name of the group, or KZ",
            "period_id text! Period",
            "period_start date! First day of the period",
            "value double Value, rounded to six decimals",
            "numerator exact Sum of numerators",
            "denominator exact Sum of denominators",
            "sample_size long Warehouse rows behind it",
            "counted long! Cells it is made of",
            "applicable long! Cells that apply: those counted and those without a value",
            "state text! Calculation state in words",
            "obs_status text! SDMX OBS_STATUS of that state",
            "reason text Why there is no value, or why it is marked",
            "definition_version int! Newest version of the definition among its cells",
            "as_of_seq long! The warehouse as of this ledger sequence was read",
            "valid_from_seq long! Ledger sequence from which this value holds",
            "valid_to_seq long Ledger sequence at which it was restated; empty while it holds",
        ),
    ),
    "kpi.assessment": (
        "Annual assessments (items 7 and 9): drafts follow the data, frozen ones are never edited",
        (
            "assessment_id long! Number of the assessment",
            "seq long! Ledger sequence at which it was made",
            "year int! Year assessed",
            "catalogue_id text! Catalogue",
            "catalogue_version text! Its version",
            "rules_version text! Version of the assessment rules",
            "rules text! The rules as JSON",
            "status text! draft or frozen",
            "version int! 0: draft; 1, 2, ...: frozen versions of the year",
            "reason text Why it was made again",
            "as_of_seq long! Values as of this ledger sequence were taken",
            "made_at instant! Clock time",
        ),
    ),
    "kpi.assessment_item": (
        "One KPI of one settlement in an assessment",
        (
            "assessment_id long! Assessment",
            "kato text! Settlement",
            "kpi_code text! KPI",
            "calculable bool! True if it has a value for the year",
            "value double Value for the year",
            "obs_status text State of the value",
            "weight double! Share of the settlement's whole weight",
            "score double 0 to 100 between floor and goal; empty without a value",
            "reason text Why it is not calculable",
        ),
    ),
    "kpi.assessment_score": (
        "Coverage, achievement and level (= coverage x achievement) of initiatives, spheres and settlements in an assessment",
        (
            "assessment_id long! Assessment",
            "kato text! Settlement",
            "node_kind text! initiative, sphere or settlement",
            "node text! Code of the initiative or sphere; the settlement's KATO",
            "coverage double! Weight of what could be calculated in what applies, 0 to 1",
            "achievement double Mean score of what could be calculated, 0 to 100; empty if nothing",
            "level double! 0 to 100",
        ),
    ),
    "kpi.assessment_rank": (
        "Places of settlements inside their item 7 group in an assessment",
        (
            "assessment_id long! Assessment",
            "kato text! Settlement",
            "item7_group text! Group it is ranked in",
            "state text! ranked, or insufficient coverage",
            "rank int Place in the group; empty if not ranked",
            "rank_best int Best place under changed weights and with any one KPI left out",
            "rank_worst int Worst place under the same",
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


def fixed_columns() -> dict[str, list[str]]:
    """Column names of the tables that no contract describes."""
    return {name: [text.split(" ", 1)[0] for text in columns] for name, (_, columns) in _FIXED.items()}


def fingerprint(contracts_and_views: Iterable[str]) -> str:
    """What a file's tables and views were made from: contracts, views, and the fixed tables of this module."""
    return hashlib.sha256("\n".join([*contracts_and_views, repr(_FIXED)]).encode()).hexdigest()
