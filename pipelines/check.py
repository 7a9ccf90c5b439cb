"""`qala check` and the editors' schemas: every contract and definition, against each other and against DuckDB itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

from connectors.source_contract import SHIPPED, load_sources
from kpi_definitions import catalogue as catalogues
from kpi_definitions.compiler import compile_kpi
from kpi_definitions.documents import DocumentError, Fault, read
from kpi_definitions.expressions import SCALAR, ExpressionError, check, parse
from kpi_definitions.model import CatalogueHead, Initiative
from warehouse import schema
from warehouse.contracts import SHOWCASE, Table, load_tables, odcs_schema, schema_faults
from warehouse.store import Home

_CELLS = (
    "(SELECT '' AS kato, '' AS period_id, TIMESTAMP '2000-01-01' AS period_start, TIMESTAMP '2000-02-01' AS period_end, "
    "DATE '2000-02-01' AS period_end_population_date)"
)


def all_faults(home: Home) -> tuple[list[Fault], dict[str, int]]:
    """Every fault found, and how many documents were looked at."""
    faults: list[Fault] = []
    folders = [SHIPPED, home.contracts]
    paths = [*sorted(SHOWCASE.glob("*.odcs.yaml")), *(p for f in folders for p in sorted(f.rglob("*.odcs.yaml")))]
    for path in paths:
        try:
            faults += schema_faults(read(path))
        except DocumentError as error:
            faults += error.faults
    counts = {"contracts": len(paths), "KPI definitions": 0}
    try:
        tables = load_tables()
    except DocumentError as error:
        return sorted({*faults, *error.faults}), counts
    for table in tables.values():
        faults += _rule_faults(table)
    try:
        load_sources(tables, folders)
    except DocumentError as error:
        faults += error.faults
    try:
        catalogue = catalogues.load()
    except DocumentError as error:
        return sorted({*faults, *error.faults}), counts
    counts["KPI definitions"] = len(catalogue.kpis)
    faults += _definition_faults(catalogue, tables)
    faults += catalogues.changed_without_version(catalogue)
    return sorted(set(faults)), counts


def _rule_faults(table: Table) -> Iterator[Fault]:
    """Row rules written as SQL must keep to the list and to the table's columns."""
    for index, quality in enumerate(table.document.data["schema"][0].get("quality", [])):
        if quality.get("engine") == "qala":
            try:
                check(parse(quality["implementation"], ()), list(table.business_columns), (), SCALAR)
            except ExpressionError as error:
                where = ("schema", 0, "quality", index, "implementation")
                yield table.document.fault(where, f"{table.name}.{quality['id']}: {error.message}", error.remedy)


def _definition_faults(catalogue: catalogues.Catalogue, tables: Mapping[str, Table]) -> Iterator[Fault]:
    """Compile every KPI and let DuckDB bind it to empty tables: types are checked by who will run it."""
    con = duckdb.connect()
    for statement in schema.ddl(schema.metadata(tables.values())):
        con.execute(statement)
    columns = {name: table.business_columns for name, table in tables.items()}
    for kpi in catalogue.kpis:
        try:
            compiled = compile_kpi(kpi, columns)
        except ExpressionError as error:
            yield catalogue.fault(kpi, error.where, f"{kpi.code}: {error.message}", error.remedy)
            continue
        for scan in compiled.scans:
            try:
                con.execute(scan.sql(f"showcase.{scan.table}", _CELLS))
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
    folder = catalogues.HOME / "schema"
    folder.mkdir(exist_ok=True)
    wanted = {
        folder / "initiative.schema.json": Initiative.model_json_schema(),
        folder / "catalogue.schema.json": CatalogueHead.model_json_schema(),
        SHOWCASE / "odcs.schema.json": odcs_schema(),
    }
    for path, content in wanted.items():
        path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return list(wanted)
