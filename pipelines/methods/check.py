"""`qala check` and the editors' schemas: every contract and definition, against each other and against DuckDB itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import duckdb

from connectors import corrections
from connectors.corrections import Correction, read_corrections
from connectors.mapping.read_contracts import SHIPPED, load_sources
from kpi_definitions import catalogue as catalogues
from kpi_definitions.compiler import compile_kpi
from kpi_definitions.documents import DocumentError, Fault, read
from kpi_definitions.expressions import ExpressionError
from kpi_definitions.model import AssessmentRules, CatalogueHead, Initiative
from kpi_definitions.strict import added
from warehouse.home.home import Home
from warehouse.kpi_values.sound import faults_of
from warehouse.tables import ddl
from warehouse.tables.contracts import SHOWCASE, Table, load_tables, odcs_schema, reference_faults, schema_faults

_CELLS = (
    "(SELECT '' AS kato, '' AS period_id, TIMESTAMP '2000-01-01' AS period_start, TIMESTAMP '2000-02-01' AS period_end, "
    "DATE '2000-02-01' AS period_end_population_date)"
)


def all_faults(
    home: Home, showcase: Path = SHOWCASE, shipped: Path = catalogues.SHIPPED
) -> tuple[list[Fault], dict[str, int]]:
    """Every fault found, and how many documents were looked at."""
    faults: list[Fault] = []
    folders = [SHIPPED, home.contracts]
    paths = [*sorted(showcase.glob("*.odcs.yaml")), *(p for f in folders for p in sorted(f.rglob("*.odcs.yaml")))]
    for path in paths:
        ours = path.is_relative_to(SHOWCASE) or path.is_relative_to(SHIPPED)
        faults += _shipped_faults(path) if ours else _standard_faults(path)
    counts = {"contracts": len(paths), "KPI definitions": 0}
    try:
        tables = load_tables(showcase)
    except DocumentError as error:
        return sorted({*faults, *error.faults}), counts
    faults += reference_faults(tables)
    for table in tables.values():
        faults += _label_faults(table)
    try:
        load_sources(tables, folders)
    except DocumentError as error:
        faults += error.faults
    try:
        counts["corrections"] = len(read_corrections(home.corrections, tables))
    except DocumentError as error:
        faults += error.faults
    try:
        catalogue = catalogues.load_catalogues(home.catalogues, shipped=shipped)
    except DocumentError as error:
        return sorted({*faults, *error.faults}), counts
    counts["KPI definitions"] = len(catalogue.kpis)
    spheres = {sphere.code for one in catalogue.lists for sphere in one.head.spheres}
    for table in tables.values():
        if table.domain not in spheres:
            faults.append(
                table.document.fault(
                    ("domain",), f"{table.name}: no sphere {table.domain!r}", f"there are {', '.join(sorted(spheres))}"
                )
            )
    faults += faults_of(catalogue, tables)
    faults += _not_bound(catalogue, tables)
    return sorted(set(faults)), counts


def _standard_faults(path: Path) -> list[Fault]:
    """Where a contract breaks the standard."""
    try:
        return schema_faults(read(path))
    except DocumentError as error:
        return error.faults


@cache
def _shipped_faults(path: Path) -> list[Fault]:
    """Of one that comes with qala: looked at once a process."""
    return _standard_faults(path)


def _label_faults(table: Table) -> Iterator[Fault]:
    """People read tables and columns in Russian as well as in English; whoever publishes them needs Kazakh titles."""
    missing = [
        n
        for n, text in (
            ("titleRu", table.title_ru),
            ("titleKk", table.title_kk),
            ("descriptionRu", table.description_ru),
        )
        if not text
    ]
    if missing:
        yield table.document.fault(
            ("schema", 0, "customProperties"),
            f"{table.name} has no {', '.join(missing)}",
            "add them as customProperties",
        )
    for index, column in enumerate(table.columns):
        if not column.description or not column.description_ru:
            lacking = "description" if not column.description else "descriptionRu"
            yield table.document.fault(
                ("schema", 0, "properties", index),
                f"{table.name}.{column.name} has no {lacking}",
                "describe the column in English and Russian",
            )


def _not_bound(catalogue: catalogues.Catalogues, tables: Mapping[str, Table]) -> Iterator[Fault]:
    """Let DuckDB bind every KPI that compiles to empty tables: types are checked by who will run it, and what is added up is exact."""
    con = duckdb.connect()
    con.execute("; ".join(ddl.ddl(ddl.metadata(tables.values()))))
    columns = {name: table.business_columns for name, table in tables.items()}
    for kpi in catalogue.kpis:
        try:
            compiled = compile_kpi(kpi, columns)
        except ExpressionError:
            continue  # told by faults_of
        try:
            for scan in compiled.scans:
                con.execute(scan.sql(f"showcase.{scan.table}", _CELLS))
            for where, table, what in added(kpi):
                kind = str(con.execute(f"SELECT {what} FROM showcase.{table} LIMIT 0").description[0][1])
                if kind in ("DOUBLE", "FLOAT"):
                    yield catalogue.fault(
                        kpi,
                        where,
                        f"{kpi.code}: chance.sum: {what} is {kind}: its sum depends on the order of the rows",
                        "add whole numbers or decimals",
                    )
        except duckdb.Error as error:
            message = str(error).splitlines()[0]
            yield catalogue.fault(
                kpi,
                ("numerator",),
                f"{kpi.code}: DuckDB refuses it: {message}",
                "compare the types of the columns used",
            )
    con.close()


def write_schemas() -> list[Path]:
    """JSON Schemas generated from the models, and the bundled one of ODCS, where the files' modelines expect them."""
    folder = catalogues.SCHEMA
    folder.mkdir(exist_ok=True)
    wanted = {
        folder / "initiative.schema.json": Initiative.model_json_schema(),
        folder / "catalogue.schema.json": CatalogueHead.model_json_schema(),
        folder / "assessment.schema.json": AssessmentRules.model_json_schema(),
        Path(corrections.__file__).with_name("correction.schema.json"): Correction.model_json_schema(),
        SHOWCASE / "odcs.schema.json": odcs_schema(),
    }
    for path, content in wanted.items():
        path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return list(wanted)
