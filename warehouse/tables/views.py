"""Views an analyst meets first. They live in `main`, so that they need no schema name.

Each is (description, SELECT). What a view works out is our proposal wherever the order does not say it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import duckdb

from warehouse.sql import literal, quoted
from warehouse.tables.file_format import make_file
from warehouse.tables.obs_status import ObsStatus
from warehouse.tables.rules import FAILS, TOLERANCE, UNJUDGED

# items of the order a system of the register is held against: (item, requirement en, ru, systems concerned, met)
_COMPLIANCE = (
    ("12(2)", "A system that is not the executive body's own is registered on the architecture portal",
     "Система не собственная — решение размещено на архитектурном портале", "origin = 'PORTAL'", "portal_solution_id IS NOT NULL"),
    ("12(3)", "Integrated with the situational centre of the city", "Интегрирована с ситуационным центром города", "true",
     "integrated_at < snapshot_date"),
    ("12(3)", "Integrated with the SDU", "Интегрирована с SDU", "true", "sdu_integrated_at < snapshot_date"),
    ("13", "New solution without analogue: risk and cost were estimated against solutions on the portal",
     "Новое решение без аналогов: проведена оценка рисков и стоимости", "origin = 'OWN' AND has_analogue = false",
     "risk_cost_estimated_at IS NOT NULL"),
    ("13", "New solution: business plan approved by the service integrator", "Новое решение: бизнес-план согласован сервисным интегратором",
     "origin = 'OWN' AND has_analogue = false", "business_plan_approved_at IS NOT NULL"),
    ("13", "New solution: technical documentation approved by the service integrator",
     "Новое решение: техническая документация согласована сервисным интегратором", "origin = 'OWN' AND has_analogue = false",
     "documentation_approved_at IS NOT NULL"),
    ("13", "New solution: developed on the QazTech platform", "Новое решение: разработано на платформе QazTech",
     "origin = 'OWN' AND has_analogue = false", "on_qaztech"),
)  # fmt: skip
_HELD_AGAINST = ",\n                ".join(
    f"{{item: {literal(item)}, requirement_en: {literal(en)}, requirement_ru: {literal(ru)}, concerned: {concerned}, met: coalesce({met}, false)}}"
    for item, en, ru, concerned, met in _COMPLIANCE
)
# where the small print of a cell may be shown: a suppressed value's parts would give it away
_SUPPRESSED = literal(ObsStatus.SUPPRESSED)
_OPEN = f"CASE WHEN v.obs_status <> {_SUPPRESSED} THEN v.{{0}} END AS {{0}}"

# columns of kpi_values; of a restricted KPI those with None are left out, of one with a value the others are said otherwise. Each is written
# out: how DuckDB spells `* REPLACE` differs from one opening of a file to the next, and views are compared by their spelling
_SHOWN: Mapping[str, str | None] = {
    "kpi_code": "", "kpi_name_en": "", "kpi_name_ru": "", "kato": "", "settlement_en": "", "settlement_ru": "", "item7_group": "", "period_id": "",
    "period_start": "", "value": None, "value_low": None, "value_high": None, "unit": "", "numerator": None, "denominator": None,
    "sample_size": None, "rejected_rows": None, "gap_rows": None, "state": ObsStatus.SUPPRESSED.state, "obs_status": ObsStatus.SUPPRESSED, "reason": "restricted publication",
    "coverage": "", "sphere": "", "initiative": "", "direction": "", "sensitivity": "", "definition_version": "", "definition_hash": "",
    "catalogue_id": "", "catalogue_status": "", "as_of_seq": "", "computed_at": "",
}  # fmt: skip
_PUBLIC = ", ".join(
    f"CASE WHEN sensitivity <> 'restricted' THEN {name} END AS {name}" if otherwise is None
    else f"CASE WHEN sensitivity = 'restricted' AND value IS NOT NULL THEN {literal(otherwise)} ELSE {name} END AS {name}" if otherwise
    else name
    for name, otherwise in _SHOWN.items()
)  # fmt: skip

# the year's value of every KPI in every settlement, by the values of which `held` is true
YEAR_VALUES = f"""
        SELECT kpi_code, kato, period_id AS year, value, value_low, value_high, obs_status, state, reason,
               CASE WHEN obs_status <> {_SUPPRESSED} THEN sample_size END AS sample_size, 1.0 AS period_coverage
        FROM kpi.value JOIN registry.period p ON p.id = period_id AND p.grain = 'A' WHERE {{held}}
        UNION ALL
        SELECT kpi_code, area, period_id, value, value_low, value_high, obs_status, state, reason,
               CASE WHEN obs_status <> {_SUPPRESSED} THEN sample_size END, counted / nullif(applicable, 0)
        FROM kpi.rollup WHERE area_kind = 'settlement' AND {{held}}"""

VIEWS: Mapping[str, tuple[str, str]] = {
    "kpi_values": ("Every current KPI value with names, all periods; parts of suppressed values are left out", f"""
        SELECT v.kpi_code, k.name_en AS kpi_name_en, k.name_ru AS kpi_name_ru, v.kato, s.name_en AS settlement_en, s.name_ru AS settlement_ru,
               s.item7_group, v.period_id, v.period_start, v.value, v.value_low, v.value_high, k.unit, {_OPEN.format("numerator")},
               {_OPEN.format("denominator")}, {_OPEN.format("sample_size")}, {_OPEN.format("rejected_rows")}, {_OPEN.format("gap_rows")},
               v.state, v.obs_status, v.reason, v.coverage, k.sphere, k.initiative, k.direction, k.sensitivity,
               v.definition_version, v.definition_hash, k.catalogue_id, k.catalogue_status, v.as_of_seq, v.computed_at
        FROM kpi.value v
        JOIN registry.kpi k ON k.code = v.kpi_code AND k.version = v.definition_version
        JOIN registry.settlement s USING (kato)
        WHERE v.valid_to_seq IS NULL"""),
    "public_values": ("KPI values as they may be made public: restricted ones are suppressed", f"""
        SELECT {_PUBLIC} FROM kpi_values"""),
    "latest_values": ("The newest value of every KPI in every settlement that has one", """
        SELECT * FROM kpi_values WHERE value IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY kpi_code, kato ORDER BY period_start DESC) = 1"""),
    "rollups": ("Current KPI values of regions, item 7 groups and the country, and of settlements over whole years", f"""
        SELECT v.kpi_code, k.name_en AS kpi_name_en, k.name_ru AS kpi_name_ru, v.area_kind, v.area,
               coalesce(s.name_en, r.name_en, v.area) AS area_en, coalesce(s.name_ru, r.name_ru, v.area) AS area_ru, v.period_id, v.period_start,
               v.value, v.value_low, v.value_high, k.unit, {_OPEN.format("numerator")}, {_OPEN.format("denominator")}, {_OPEN.format("sample_size")},
               {_OPEN.format("rejected_rows")}, {_OPEN.format("gap_rows")}, v.counted, v.applicable, v.state,
               v.obs_status, v.reason, k.sphere, k.initiative, k.sensitivity
        FROM kpi.rollup v JOIN registry.kpi k ON k.code = v.kpi_code AND k.version = v.definition_version
        LEFT JOIN registry.settlement s ON v.area_kind = 'settlement' AND s.kato = v.area
        LEFT JOIN registry.region r ON v.area_kind = 'region' AND r.kato = v.area
        WHERE v.valid_to_seq IS NULL"""),
    "year_values": ("One value of every KPI for every settlement and year: yearly KPIs as published, others over the year's periods",
        YEAR_VALUES.format(held="valid_to_seq IS NULL")),
    "plan_beside_fact": ("Targets of Strategy and Road map (item 11) beside the year's value; the plan is never part of a computed value", """
        WITH newest AS (
            SELECT * FROM showcase.fct_kpi_target
            QUALIFY row_number() OVER (PARTITION BY kato, kpi_code, target_year, document_kind
                                       ORDER BY agreed_at IS NOT NULL DESC, document_version DESC, approved_at DESC) = 1)
        SELECT t.kato, s.name_en AS settlement_en, s.name_ru AS settlement_ru, t.kpi_code, t.target_year::VARCHAR AS year, t.document_kind,
               t.document_id, t.document_version, t.approved_at, t.agreed_at, t.baseline_year, t.baseline_value, t.target_value AS plan, y.value AS fact,
               y.value_low AS fact_low, y.value_high AS fact_high,
               y.state, y.reason, round((y.value - t.baseline_value::DOUBLE) / nullif(t.target_value - t.baseline_value, 0)::DOUBLE, 6) AS progress,
               t.delivery_id
        FROM newest t JOIN registry.settlement s USING (kato)
        LEFT JOIN year_values y ON (y.kpi_code, y.kato, y.year) = (t.kpi_code, t.kato, t.target_year::VARCHAR)"""),
    "compliance": ("Items 12(2), 12(3) and 13 of the order by executive body, from the newest register of information systems", f"""
        WITH newest AS (
            SELECT * FROM showcase.dim_information_system QUALIFY snapshot_date = max(snapshot_date) OVER (PARTITION BY kato)),
        held AS (
            SELECT kato, mio_code, system_id, snapshot_date, unnest([
                {_HELD_AGAINST}], recursive := true)
            FROM newest WHERE commissioned_at < snapshot_date AND (retired_at IS NULL OR retired_at >= snapshot_date))
        SELECT h.kato, any_value(s.name_en) AS settlement_en, any_value(s.name_ru) AS settlement_ru, h.mio_code, h.item, h.requirement_en,
               h.requirement_ru, any_value(h.snapshot_date) AS as_of, count(*) AS systems, count(*) FILTER (WHERE met) AS compliant,
               round(100.0 * count(*) FILTER (WHERE met) / count(*), 1) AS percent,
               coalesce(string_agg(h.system_id, ', ' ORDER BY h.system_id) FILTER (WHERE NOT met), '') AS not_compliant
        FROM held h JOIN registry.settlement s USING (kato) WHERE concerned GROUP BY h.kato, h.mio_code, h.item, h.requirement_en, h.requirement_ru"""),
    "scorecard": ("Newest assessment of every year by settlement: level = coverage x achievement, place in the item 7 group (our proposal)", """
        SELECT a.year, a.catalogue_id, a.status, a.version, r.kato, s.name_en AS settlement_en, s.name_ru AS settlement_ru, r.item7_group,
               round(100 * c.coverage, 1) AS coverage_percent, round(c.achievement, 1) AS achievement, round(c.level, 1) AS level,
               round(c.level_low, 1) AS level_low, round(c.level_high, 1) AS level_high, r.state, r.rank, r.rank_best, r.rank_worst,
               r.rank_low, r.rank_high, a.assessment_id
        FROM (FROM kpi.assessment QUALIFY row_number() OVER (PARTITION BY year, catalogue_id ORDER BY version DESC) = 1) a
        JOIN kpi.assessment_rank r USING (assessment_id) JOIN registry.settlement s USING (kato)
        JOIN kpi.assessment_score c ON (c.assessment_id, c.kato, c.node_kind) = (a.assessment_id, r.kato, 'settlement')"""),
    "deliveries": ("Every delivery with its state and counts", """
        SELECT d.*, s.name_en AS settlement_en, s.name_ru AS settlement_ru FROM audit.delivery d LEFT JOIN registry.settlement s ON s.kato = d.scope"""),
    "refusals": ("Refused deliveries and why", """
        SELECT delivery_id, receipt_id, table_name, scope, settlement_en, period_id, file_name, reason FROM deliveries WHERE state = 'refused'"""),
    "delivery_quality": (f"Every decided delivery against the eight quality criteria of the law: pass, fail (a rule on the delivery failed, or more "
                         f"than {TOLERANCE:g} % of its rows broke a rule) or not judged", f"""
        SELECT d.delivery_id, d.table_name, d.system, d.scope, d.period_id, d.state AS delivery_state, c.criterion, c.name_ru AS criterion_ru,
               CASE WHEN count(f.rule) FILTER (WHERE NOT ({UNJUDGED})) = 0 THEN 'not judged' WHEN bool_or({FAILS}) THEN 'fail' ELSE 'pass' END AS result,
               coalesce(string_agg(f.rule || ': ' || f.observed, '; ' ORDER BY f.rule) FILTER (WHERE {FAILS}), '') AS failing
        FROM audit.delivery d CROSS JOIN registry.criterion c
        LEFT JOIN registry.rule r ON (r.table_name, r.criterion) = (d.table_name, c.criterion)
        LEFT JOIN audit.check_result f ON (f.delivery_id, f.rule) = (d.delivery_id, r.rule)
        WHERE d.state IN ('loaded', 'refused') GROUP BY ALL"""),
    "table_quality": ("By table and criterion: deliveries that pass, fail and were not judged", """
        SELECT table_name, criterion, criterion_ru, count(*) FILTER (WHERE result = 'pass') AS pass, count(*) FILTER (WHERE result = 'fail') AS fail,
               count(*) FILTER (WHERE result = 'not judged') AS not_judged FROM delivery_quality GROUP BY ALL"""),
    "lineage_gaps": ("Published values whose way back to archived bytes is broken: none, or something was tampered with", """
        WITH entered AS (
            SELECT d.delivery_id, d.sha256 FROM audit.delivery d
            JOIN audit.ledger r ON r.seq = d.registered_seq AND r.kind = 'received' AND r.subject = d.receipt_id AND TRY(r.detail->>'$.sha256') = d.sha256
            JOIN audit.ledger l ON l.seq = d.loaded_seq AND l.kind = 'loaded' AND l.subject = d.receipt_id
            WHERE d.state = 'loaded' AND regexp_full_match(d.sha256, '[0-9a-f]{64}')),
        strays AS (SELECT delivery_id FROM (SELECT DISTINCT delivery_id FROM row_origins) ANTI JOIN entered USING (delivery_id)),
        orphans AS (SELECT DISTINCT o.table_name, o.kato FROM row_origins o SEMI JOIN strays s ON o.delivery_id IS NOT DISTINCT FROM s.delivery_id),
        published AS (SELECT * FROM kpi.value WHERE valid_to_seq IS NULL AND value IS NOT NULL)
        SELECT v.kpi_code, v.kato, v.period_id, 'no definition of this fingerprint was entered in the ledger' AS gap FROM published v
        ANTI JOIN (SELECT k.* FROM registry.kpi k JOIN audit.ledger l ON l.seq = k.registered_seq AND l.kind = 'definition'
                   AND l.subject = k.code || '@' || k.version AND TRY(l.detail->>'$.hash') = k.definition_hash) k
            ON (k.code, k.version, k.definition_hash) = (v.kpi_code, v.definition_version, v.definition_hash)
        UNION ALL
        SELECT v.kpi_code, v.kato, v.period_id, 'its computation was not entered in the ledger' FROM published v
        ANTI JOIN audit.ledger l ON l.seq = v.valid_from_seq AND l.kind = 'computed' AND l.subject = v.kpi_code
        UNION ALL
        SELECT DISTINCT v.kpi_code, v.kato, v.period_id, 'rows of ' || o.table_name || ' come from no delivery that was entered as loaded' FROM published v
        JOIN registry.kpi_source s ON (s.code, s.version) = (v.kpi_code, v.definition_version)
        JOIN orphans o ON (o.table_name, o.kato) = (s.table_name, v.kato)
        UNION ALL
        SELECT v.kpi_code, v.kato, v.period_id, 'no delivery of its tables was loaded for the settlement' FROM published v WHERE NOT EXISTS (
            FROM registry.kpi_source s JOIN audit.delivery d ON d.table_name = s.table_name AND d.state = 'loaded'
            WHERE (s.code, s.version) = (v.kpi_code, v.definition_version)
                AND (d.scope = v.kato OR d.scope = 'KZ' OR d.scope = v.kato[:2]))"""),
    "incidents": ("Journal of data quality incidents", """
        SELECT i.*, CASE WHEN closed_seq IS NULL THEN 'open' ELSE 'closed' END AS status, s.name_en AS settlement_en, s.name_ru AS settlement_ru
        FROM audit.incident i LEFT JOIN registry.settlement s ON s.kato = i.scope"""),
}  # fmt: skip


def all_views(tables: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Every view of a warehouse with these showcase tables, in the order they can be made in."""
    places = [f"{place}.{name}" for name in sorted(tables) for place in ("showcase", "history")]
    origins = " UNION ALL ".join(
        f"SELECT {literal(p.partition('.')[2])} AS table_name, kato, delivery_id FROM {p}" for p in places
    )
    described = "Of every row of showcase and history its table, settlement and delivery"
    return {"row_origins": (described, origins), **VIEWS}


def make(con: duckdb.DuckDBPyConnection, views: Mapping[str, tuple[str, str]]) -> None:
    """Make the views of a warehouse, with their descriptions, in place of whatever views have their names."""
    for name, (description, body) in views.items():
        con.execute(f"CREATE OR REPLACE VIEW main.{name} AS {body}")
        con.execute(f"COMMENT ON VIEW main.{name} IS {literal(description)}")


def make_own(con: duckdb.DuckDBPyConnection, views: Mapping[str, tuple[str, str]]) -> None:
    """Make the views for this connection alone: they go before those of its file, which may be read-only, whatever the file says."""
    for name, (_, body) in views.items():
        con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {body}")


# of DuckDB's own catalogue, named in full: a file may hold a macro of that name, which would go before it. Nor is any function called here,
# for the same reason
_FUNCTIONS = "SELECT function_name FROM system.main.duckdb_functions() WHERE NOT internal ORDER BY 1"
_VIEWS = "SELECT schema_name, view_name, sql FROM system.main.duckdb_views() WHERE NOT internal AND NOT temporary ORDER BY 1, 2"
# a trigger would write what no statement of ours says
_TRIGGERS = "SELECT trigger_name, schema_name, table_name FROM system.main.duckdb_triggers() WHERE NOT temporary ORDER BY ALL"
_TABLES = "SELECT schema_name, table_name, sql FROM system.main.duckdb_tables() WHERE NOT internal AND NOT temporary ORDER BY 1, 2"

_FSST = " USING COMPRESSION FSST"


def foreign(con: duckdb.DuckDBPyConnection) -> list[str]:
    """What of an open file would be read or written in place of something else: its own functions, triggers, views in a schema of tables."""
    found = [f"function {name}" for (name,) in con.execute(_FUNCTIONS).fetchall()]
    found += [f"trigger {name} on {schema}.{table}" for name, schema, table in con.execute(_TRIGGERS).fetchall()]
    views = con.execute(_VIEWS).fetchall()
    return found + [f"view {schema}.{name}" for schema, name, _ in views if schema != "main"]


def falsified(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Views of an open file that are not ours, are others than ours, or are missing; a fraction of a second.

    DuckDB spells a view otherwise once it has been written and read, so ours are written to a file beside tables like those, and read.
    """
    there = {name: sql for _, name, sql in con.execute(_VIEWS).fetchall()}
    # DuckDB 1.5 was told to pack keys by FSST, which 2 refuses to be told
    everything = [(*one, sql.replace(_FSST, "")) for *one, sql in con.execute(_TABLES).fetchall()]
    tables = [one for one in everything if one[0] != "main"]  # where views have their names
    wanted = all_views({name for schema, name, _ in tables if schema == "showcase"})
    schemas = "; ".join(
        f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}" for schema in dict.fromkeys(t[0] for t in tables)
    )
    try:
        spelled = [
            {name: sql for _, name, sql in one}
            for one in _written(f"{schemas}; {''.join(sql for _, _, sql in tables)}", wanted)
        ]
    except duckdb.Error as error:
        return [f"tables that the views do not fit ({str(error).splitlines()[0]})"]
    stand = {name for schema, name, _ in everything if schema == "main"}
    found = []
    for name in sorted({*there, *wanted}):
        if name not in wanted:
            found.append(f"view {name}")
        elif name not in there:
            found.append(f"table {name} in place of a view" if name in stand else f"no view {name}")
        elif all(there[name] != one[name] for one in spelled):
            found.append(f"another view {name} than ours")
    return found


def _written(tables: str, views: Mapping[str, tuple[str, str]]) -> Iterator[list[tuple[str, str, str]]]:
    """The views as they are spelled when they have just been made, and when they have been written and read."""
    with tempfile.TemporaryDirectory(prefix="qala-views-") as folder:
        path = f"{folder}/views.duckdb"
        make_file(Path(path))
        with duckdb.connect(path) as con:
            con.execute(f"BEGIN TRANSACTION; {tables}")
            make(con, views)
            con.execute("COMMIT")
            yield con.execute(_VIEWS).fetchall()
        with duckdb.connect(path, read_only=True) as con:
            yield con.execute(_VIEWS).fetchall()
