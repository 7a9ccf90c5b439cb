"""Views that an analyst meets first: their SQL in sql/<view>.sql, made in a file and compared with those of a file.

They live in `main`, so that they need no schema name. What a view works out is our proposal wherever the order does not say it.
Does not belong here: tables (system_tables.py, contracts).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import duckdb

from kpi_definitions.kept import kept
from warehouse.messages.messages import LANGUAGES, sentence
from warehouse.sql import literal, quoted, statement
from warehouse.tables.file_format import make_file, storage_version
from warehouse.tables.obs_status import ObsStatus
from warehouse.tables.rules import FAILS, TOLERANCE, UNJUDGED
from warehouse.tables.view_columns import column_comment, described

# items of the order a system of the register is held against: (item, requirement en, ru, kk, systems concerned, met)
_COMPLIANCE = (
    ("12(2)", "A system that is not the executive body's own is registered on the architecture portal",
     "Система не собственная — решение размещено на архитектурном портале",
     "Жүйе меншікті емес — шешім архитектуралық порталда орналастырылған", "origin = 'PORTAL'", "portal_solution_id IS NOT NULL"),
    ("12(3)", "Integrated with the situational centre of the city", "Интегрирована с ситуационным центром города",
     "Қаланың ситуациялық орталығымен интеграцияланған", "true",
     "integrated_at < snapshot_date"),
    ("12(3)", "Integrated with the SDU", "Интегрирована с SDU",
     "SDU-мен интеграцияланған", "true", "sdu_integrated_at < snapshot_date"),
    ("13", "New solution without analogue: risk and cost were estimated against solutions on the portal",
     "Новое решение без аналогов: проведена оценка рисков и стоимости",
     "Баламасы жоқ жаңа шешім: тәуекелдер мен құны бағаланған", "origin = 'OWN' AND has_analogue = false",
     "risk_cost_estimated_at IS NOT NULL"),
    ("13", "New solution: business plan approved by the service integrator", "Новое решение: бизнес-план согласован сервисным интегратором",
     "Жаңа шешім: бизнес-жоспарды сервистік интегратор келіскен",
     "origin = 'OWN' AND has_analogue = false", "business_plan_approved_at IS NOT NULL"),
    ("13", "New solution: technical documentation approved by the service integrator",
     "Новое решение: техническая документация согласована сервисным интегратором",
     "Жаңа шешім: техникалық құжаттаманы сервистік интегратор келіскен", "origin = 'OWN' AND has_analogue = false",
     "documentation_approved_at IS NOT NULL"),
    ("13", "New solution: developed on the QazTech platform", "Новое решение: разработано на платформе QazTech",
     "Жаңа шешім: QazTech платформасында әзірленген",
     "origin = 'OWN' AND has_analogue = false", "on_qaztech"),
)  # fmt: skip
_RESTRICTED = "reason.restricted"  # why a restricted value is not shown
_TELLING = ("reason.no_share", "reason.leap_to_confirm")  # reasons for no value that tell a figure nevertheless
_COUNTRY = "views.country"
_REQUIREMENTS = ", ".join(
    f"struct_pack(item := {literal(item)}, requirement_en := {literal(en)}, requirement_ru := {literal(ru)}, requirement_kk := {literal(kk)}, "
    f"concerned := {concerned}, met := coalesce({met}, false))"
    for item, en, ru, kk, concerned, met in _COMPLIANCE
)

_CURRENT = "valid_to_seq IS NULL"


def year_values(held: str) -> str:
    """SELECT of one value of every KPI for every settlement and year, by the rows of kpi.value and kpi.rollup that are `held`. SQL."""
    return statement(__file__, "year_cells", held=held, suppressed=literal(ObsStatus.SUPPRESSED))


def _said(name: str, code: str) -> dict[str, str]:
    """A message as SQL literals: name_en, name_ru and name_kk."""
    return {f"{name}_{language}": literal(sentence(code, language)) for language in LANGUAGES}


def _view(text: str, public: bool) -> tuple[str, str]:
    """(description, SELECT) of the text of a view: its first comment describes it."""
    lines = text.splitlines()
    number = next(n for n, line in enumerate(lines) if not line.startswith("-- "))
    description = " ".join(line.removeprefix("-- ") for line in lines[:number])
    return description + ("; public" if public else ""), "\n".join(lines[number:])


def published(held: str) -> dict[str, tuple[str, str]]:
    """Views of figures, by the rows of kpi.value and kpi.rollup that are `held`: name → (description, SELECT)."""
    suppressed = literal(ObsStatus.SUPPRESSED)
    texts = {
        "kpi_values": statement(__file__, "kpi_values", suppressed=suppressed, held=held),
        "public_values": statement(
            __file__,
            "public_values",
            suppressed=suppressed,
            restricted=literal(_RESTRICTED),
            telling=", ".join(map(literal, _TELLING)),
            not_calculable=literal(ObsStatus.NOT_CALCULABLE),
            **_said("restricted", _RESTRICTED),
        ),
        "rollups": statement(__file__, "rollups", suppressed=suppressed, held=held, **_said("country", _COUNTRY)),
    }
    public = described()["public"]
    return {name: _view(text, name in public) for name, text in texts.items()}


@cache
def shipped_views() -> Mapping[str, tuple[str, str]]:
    """Name → (description, SELECT) of the views that do not depend on the tables there are, in the order they can be made in.

    Columns are written out in them: how DuckDB spells `* REPLACE` differs from one opening of a file to the next, and views are
    compared by their spelling.
    """
    suppressed, country = literal(ObsStatus.SUPPRESSED), _said("country", _COUNTRY)
    causes = {
        name: text
        for cause in ("definition", "delivery", "recomputation")
        for name, text in _said(cause, f"views.cause_{cause}").items()
    }
    texts = {
        "latest_values": statement(__file__, "latest_values"),
        "year_values": statement(__file__, "year_values", cells=year_values(_CURRENT)),
        "plan_beside_fact": statement(__file__, "plan_beside_fact"),
        "compliance": statement(__file__, "compliance", requirements=_REQUIREMENTS),
        "scorecard": statement(__file__, "scorecard"),
        "deliveries": statement(__file__, "deliveries", **country),
        "refusals": statement(__file__, "refusals"),
        "delivery_quality": statement(
            __file__, "delivery_quality", tolerance=f"{TOLERANCE:g}", unjudged=UNJUDGED, fails=FAILS
        ),
        "table_quality": statement(__file__, "table_quality"),
        "lineage_gaps": statement(__file__, "lineage_gaps"),
        "incidents": statement(__file__, "incidents", **country),
        "public_rollups": statement(__file__, "public_rollups"),
        "public_year_values": statement(__file__, "public_year_values"),
        "public_plan_beside_fact": statement(__file__, "public_plan_beside_fact"),
        "public_series": statement(__file__, "public_series"),
        "ranking": statement(__file__, "ranking"),
        "year_on_year": statement(__file__, "year_on_year"),
        "missing_values": statement(__file__, "missing_values", not_applicable=literal(ObsStatus.NOT_APPLICABLE)),
        "restatements": statement(__file__, "restatements", suppressed=suppressed, **country, **causes),
        "kpi_systems": statement(__file__, "kpi_systems"),
        "kpi_definitions": statement(__file__, "kpi_definitions"),
        "assessment_items": statement(__file__, "assessment_items"),
        "assessment_scores": statement(__file__, "assessment_scores"),
    }
    public = described()["public"]
    return {**published(_CURRENT), **{name: _view(text, name in public) for name, text in texts.items()}}


def all_views(tables: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Every view of a warehouse with these showcase tables, in the order they can be made in."""
    places = [f"{place}.{name}" for name in sorted(tables) for place in ("showcase", "history")]
    origins = " UNION ALL ".join(
        f"SELECT {literal(p.partition('.')[2])} AS table_name, kato, delivery_id FROM {p}" for p in places
    )
    described = "Of every row of showcase and history its table, settlement and delivery"
    return {"row_origins": (described, origins), **shipped_views()}


def make(con: duckdb.DuckDBPyConnection, views: Mapping[str, tuple[str, str]]) -> None:
    """Make the views of a warehouse, with what they and their columns hold, in place of whatever views have their names."""
    _create(con, views)
    columns = [one for one in con.execute(_VIEW_COLUMNS).fetchall() if one[0] in views]
    said = [
        f"COMMENT ON COLUMN main.{view}.{quoted(column)} IS {literal(column_comment(view, column))}"
        for view, column in columns
    ]
    said += [f"COMMENT ON VIEW main.{name} IS {literal(description)}" for name, (description, _) in views.items()]
    con.execute("; ".join(said))


def _create(con: duckdb.DuckDBPyConnection, views: Mapping[str, tuple[str, str]]) -> None:
    for name, (_, body) in views.items():
        con.execute(f"CREATE OR REPLACE VIEW main.{name} AS {body}")


def make_own(con: duckdb.DuckDBPyConnection, views: Mapping[str, tuple[str, str]]) -> None:
    """Make the views for this connection alone: they go before those of its file, which may be read-only, whatever the file says."""
    for name, (_, body) in views.items():
        con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {body}")


def hide(con: duckdb.DuckDBPyConnection) -> None:
    """Have every view of the file's schema `main` fail for this connection when it is read: `make_own` for who reads none."""
    told = "SELECT error('this view was not made: open the release with its views') AS not_made"
    names = [name for _, name in con.execute(_VIEW_NAMES).fetchall()]
    con.execute("; ".join(f"CREATE OR REPLACE TEMP VIEW {name} AS {told}" for name in map(quoted, names)))


# of DuckDB's own catalogue, named in full: a file may hold a macro of that name, which would go before it. Nor is any function called here,
# for the same reason
_FUNCTIONS = "SELECT function_name FROM system.main.duckdb_functions() WHERE NOT internal ORDER BY 1"
_VIEW_NAMES = (
    "SELECT schema_name, view_name FROM system.main.duckdb_views() WHERE NOT internal AND NOT temporary ORDER BY 1, 2"
)
_VIEWS = "SELECT schema_name, view_name, sql FROM system.main.duckdb_views() WHERE NOT internal AND NOT temporary ORDER BY 1, 2"
# a trigger would write what no statement of ours says
_TRIGGERS = (
    "SELECT trigger_name, schema_name, table_name FROM system.main.duckdb_triggers() WHERE NOT temporary ORDER BY ALL"
)
_VIEW_COLUMNS = "SELECT table_name, column_name FROM system.main.duckdb_columns() WHERE NOT internal AND schema_name = 'main' ORDER BY ALL"
_TABLES = "SELECT schema_name, table_name, sql FROM system.main.duckdb_tables() WHERE NOT internal AND NOT temporary ORDER BY 1, 2"

_FSST = " USING COMPRESSION FSST"


def foreign(con: duckdb.DuckDBPyConnection) -> list[str]:
    """What of an open file would be read or written in place of something else: its own functions, triggers, views in a schema of tables."""
    found = [f"function {name}" for (name,) in con.execute(_FUNCTIONS).fetchall()]
    found += [f"trigger {name} on {schema}.{table}" for name, schema, table in con.execute(_TRIGGERS).fetchall()]
    return found + [f"view {schema}.{name}" for schema, name in con.execute(_VIEW_NAMES).fetchall() if schema != "main"]


def falsified(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Views of an open file that are not ours, are others than ours, or are missing; a fraction of a second.

    DuckDB spells a view otherwise once it has been written and read, so ours are written to a file beside tables like those, and read.
    """
    there = _spelled(con)
    # DuckDB 1.5 was told to pack keys by FSST, which 2 refuses to be told
    everything = [(*one, sql.replace(_FSST, "")) for *one, sql in con.execute(_TABLES).fetchall()]
    tables = [one for one in everything if one[0] != "main"]  # where views have their names
    wanted = all_views({name for schema, name, _ in tables if schema == "showcase"})
    version = storage_version(con)
    there_are = hashlib.sha256(json.dumps([tables, wanted, version]).encode()).hexdigest()
    try:
        spelled = kept(f"views {there_are}", (), lambda: list(_written(tables, wanted, version)))
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


def spelled(con: duckdb.DuckDBPyConnection) -> str:
    """SHA-256 over all that `falsified` compares: while it stays the same, so does what that finds."""
    there, tables = con.execute(_VIEWS).fetchall(), con.execute(_TABLES).fetchall()
    wanted = all_views({name for schema, name, _ in tables if schema == "showcase"})
    said = [there, tables, wanted, storage_version(con), duckdb.__version__]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _written(
    tables: Iterable[tuple[str, str, str]], views: Mapping[str, tuple[str, str]], version: str
) -> Iterator[dict[str, str]]:
    """Name → SQL of the views as they are spelled when they have just been made, and when they have been written and read; beside tables, each
    with its schema and SQL.
    """
    schemas = dict.fromkeys(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)};" for schema, *_ in tables)
    with tempfile.TemporaryDirectory(prefix="qala-views-") as folder:
        path = f"{folder}/views.duckdb"
        make_file(Path(path), version)
        with duckdb.connect(path) as con:
            con.execute(f"BEGIN TRANSACTION; {' '.join(schemas)} {''.join(sql for *_, sql in tables)}")
            _create(con, views)
            con.execute("COMMIT")
            yield _spelled(con)
        with duckdb.connect(path, read_only=True) as con:
            yield _spelled(con)


def _spelled(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return {name: sql for _, name, sql in con.execute(_VIEWS).fetchall()}
