"""`qala check` and the editors' schemas: every contract and definition, against each other and against DuckDB itself.

All faults are told at once: what one document at fault would make others say (a table that cannot be read, a KPI over it) is left out.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import duckdb

from connectors import corrections
from connectors.corrections import Correction, read_corrections
from connectors.mapping.read_contracts import SHIPPED, load_sources
from connectors.simulator.recipe import RECIPES
from connectors.simulator.recipe_checks import recipe_faults
from connectors.sources import connections
from connectors.sources.connection_checks import connection_faults
from connectors.sources.connections import load_connections
from kpi_definitions import catalogue as catalogues
from kpi_definitions.catalogue import Catalogue, Catalogues
from kpi_definitions.compiler import compile_kpi
from kpi_definitions.documents import Document, DocumentError, Fault, Where, read
from kpi_definitions.expressions import ExpressionError
from kpi_definitions.golden import golden_faults
from kpi_definitions.model import AssessmentRules, CatalogueHead, Initiative, Kpi, Text
from kpi_definitions.strict import added
from pipelines.checkout import CHECKOUT, needed
from pipelines.notifications import settings as notifications
from warehouse.engines.settings import SCHEMA, EngineFile, read_engine_file
from warehouse.home.home import Home
from warehouse.kpi_values.sound import faults_of
from warehouse.tables import ddl
from warehouse.tables.contracts import SHOWCASE, Table, reference_faults, sound_tables
from warehouse.tables.home_tables import home_faults
from warehouse.tables.odcs import odcs_schema, schema_faults
from warehouse.tables.rules import Reference

# of the shipped list; of another, and of any in an installed wheel: golden/ in its own folder
GOLDEN = CHECKOUT / "tests" / "golden" if CHECKOUT else catalogues.SHIPPED / "qala-proposal" / "golden"
_CELLS = (
    "(SELECT '' AS kato, '' AS period_id, TIMESTAMP '2000-01-01' AS period_start, TIMESTAMP '2000-02-01' AS period_end, "
    "DATE '2000-02-01' AS period_end_population_date)"
)


def all_faults(
    home: Home, showcase: Path = SHOWCASE, shipped: Path = catalogues.SHIPPED
) -> tuple[list[Fault], dict[str, int]]:
    """Every fault found, and how many documents of each kind were read."""
    sources = [p for folder in (SHIPPED, home.contracts) for p in sorted(folder.rglob("*.odcs.yaml"))]
    own = [path for folder in (showcase, home.showcase) for path in sorted(folder.glob("*.odcs.yaml"))]
    contracts = [*own, *sources]
    faults = [fault for path in contracts for fault in _of_the_standard(path)]
    tables, unread = sound_tables(showcase, home.showcase)
    faults += [*unread, *home_faults(tables, home.showcase)]
    broken = {path.name.removesuffix(".odcs.yaml") for path in own} - set(tables)
    faults += reference_faults({n: replace(t, references=_sound(t, broken)) for n, t in tables.items()})
    for table in tables.values():
        faults += _label_faults(table)
    for load in (
        lambda: load_sources(tables, [SHIPPED, home.contracts]),
        lambda: read_corrections(home.corrections, tables),
        lambda: read_engine_file(home),
        lambda: notifications.read_notifications(home),
    ):
        try:
            load()
        except DocumentError as error:
            faults += (f for f in error.faults if not _of_a_broken_table(f, broken))
    faults += _source_faults(home, tables)
    lists, faulty = _lists(home, shipped)
    faults += faulty
    faults += _catalogue_faults(lists, tables, broken)
    golden = _golden(home, shipped)
    faults += _golden_faults(golden, lists, tables, broken)
    faults += _recipes(RECIPES, showcase) if showcase == SHOWCASE and not broken else []
    counts = {
        "contracts": len(contracts),
        "KPI definitions": sum(len(one.kpis) for one in lists),
        "golden files": len(golden),
        "corrections": len(list(home.corrections.glob("*.yaml"))),
    }
    if lost := sum(len(one.unread) for one in lists):
        counts["initiatives that could not be read"] = lost
    return sorted(set(faults)), counts


def _of_the_standard(path: Path) -> list[Fault]:
    """Where a contract breaks the standard, and what is not decided in it."""
    ours = path.is_relative_to(SHOWCASE) or path.is_relative_to(SHIPPED)
    return _kept(path, path.stat().st_mtime_ns) if ours else _standard_faults(path)


@cache
def _kept(path: Path, _: int) -> list[Fault]:
    """Of one that comes with qala: looked at once a process, unless it changes."""
    return _standard_faults(path)


def _standard_faults(path: Path) -> list[Fault]:
    try:
        document = read(path)
    except DocumentError as error:
        return error.faults
    return [*schema_faults(document), *document.undecided()]


def _sound(table: Table, broken: Collection[str]) -> tuple[Reference, ...]:
    return tuple(r for r in table.references if r.table not in broken)


def _of_a_broken_table(fault: Fault, broken: Collection[str]) -> bool:
    """Whether a fault says no more than that there is no such table, of one whose own contract is at fault."""
    return any(f"table {name!r}" in fault.message for name in broken)


def _lists(home: Home, shipped: Path) -> tuple[list[Catalogue], list[Fault]]:
    """What can be read of every list, each initiative in the first that has it, and every fault of the lists."""
    found: list[Catalogue] = []
    faults: list[Fault] = []
    taken: set[str] = set()
    for path in (p for folder in (shipped, home.catalogues) for p in sorted(folder.glob("*/catalogue.yaml"))):
        one, wrong = catalogues.sound_part(path.parent)
        faults += wrong
        if one is not None and not taken & set(one.documents):
            found.append(one)
            taken |= set(one.documents)
    try:
        catalogues.load_catalogues(home.catalogues, shipped=shipped)
    except DocumentError as error:
        faults += error.faults  # also what one list says against another
    return found, faults


def _catalogue_faults(
    lists: Sequence[Catalogue], tables: Mapping[str, Table], broken: Collection[str]
) -> Iterator[Fault]:
    """What definitions say of tables, and labels that are missing."""
    catalogue = Catalogues(tuple(lists))
    yield from (f for f in faults_of(catalogue, tables) if not _of_a_broken_table(f, broken))
    yield from _not_bound(catalogue, tables)
    for one in lists:
        yield from _labels_of_a_list(one)


def _labels_of_a_list(one: Catalogue) -> Iterator[Fault]:
    """Names in Kazakh and descriptions of KPIs that are missing, of a list whose own head has a Kazakh name: it is published with all labels.

    The one place that asks for them: the model lets a list do without.
    """
    if not one.head.name.kk:
        return
    head = one.texts[0]
    named: list[tuple[Document, Where, str, Text]] = [
        (head, ("spheres", n, "name"), f"sphere {s.code}", s.name) for n, s in enumerate(one.head.spheres)
    ]
    for initiative in one.initiatives:
        document = one.documents[initiative.code]
        named.append((document, ("name",), f"initiative {initiative.code}", initiative.name))
        for n, kpi in enumerate(initiative.kpis):
            named.append((document, ("kpis", n, "name"), f"{kpi.code} version {kpi.version}", kpi.name))
            if kpi.description is None:
                message = f"{kpi.code} version {kpi.version} has no description"
                yield document.fault(("kpis", n), message, "say in words what is counted: description: {en: …, ru: …}")
    for document, where, what, name in named:
        if not name.kk:
            remedy = (
                "write kk: …; until a native speaker has checked it, kk stands in unchecked_languages of catalogue.yaml"
            )
            yield document.fault(where, f"{what} has no Kazakh name, as list {one.head.id} has for the others", remedy)


def _golden(home: Home, shipped: Path) -> list[Path]:
    """Golden files: of the shipped list beside the tests, of another list in its own folder."""
    folders = [GOLDEN] if shipped == catalogues.SHIPPED else []
    folders += [p.parent / "golden" for f in (shipped, home.catalogues) for p in sorted(f.glob("*/catalogue.yaml"))]
    return [path for folder in dict.fromkeys(folders) for path in sorted(folder.glob("*.yaml"))]


def _golden_faults(
    paths: Sequence[Path], lists: Sequence[Catalogue], tables: Mapping[str, Table], broken: Collection[str]
) -> Iterator[Fault]:
    """Every fault of the golden files, and KPIs without one in a list that has golden files."""
    newest: dict[str, tuple[Kpi, Catalogue]] = {kpi.code: (kpi, one) for one in lists for kpi in one.kpis}
    unread = {code for one in lists for code in one.unread}
    columns = {name: {**table.business_columns} for name, table in tables.items()}
    for path in (p for p in paths if p.stem.partition("-")[0] not in unread):
        try:
            document = read(path)
        except DocumentError as error:
            yield from error.faults
            continue
        yield from document.undecided()
        found = golden_faults(document, {code: kpi for code, (kpi, _) in newest.items()}, columns)
        yield from (f for f in found if not _of_a_broken_table(f, broken))
    folders, known = {path.parent for path in paths}, {path.stem for path in paths}
    for code, (kpi, one) in newest.items():
        folder = GOLDEN if one.folder.parent == catalogues.SHIPPED else one.folder / "golden"
        if folder in folders and code not in known:
            message = f"{code} has no golden file, {folder.name}/{code}.yaml"
            remedy = "think out small cases and what comes of them; their form is told in kpi_definitions/golden.py"
            yield Catalogues((one,)).fault(kpi, ("code",), message, remedy)


def _recipes(folder: Path, showcase: Path) -> list[Fault]:
    """Faults of the simulator's recipes over the shipped tables: looked at once a process, unless one of them changes."""
    files = (p for f in (folder, showcase) for p in sorted(f.glob("*.yaml")))
    return list(_recipes_kept(folder, showcase, tuple((p, p.stat().st_mtime_ns) for p in files)))


@cache
def _recipes_kept(folder: Path, showcase: Path, _: tuple[tuple[Path, int], ...]) -> tuple[Fault, ...]:
    return tuple(recipe_faults(sound_tables(showcase)[0], folder))


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


def _not_bound(catalogue: Catalogues, tables: Mapping[str, Table]) -> Iterator[Fault]:
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


def _source_faults(home: Home, tables: Mapping[str, Table]) -> list[Fault]:
    """What is wrong with the files of sources; nothing is connected."""
    try:
        contracts = load_sources(tables, [SHIPPED, home.contracts])
    except DocumentError:  # told already, and what is left would only say that contracts are missing
        return load_connections(home)[1]
    found, faults = load_connections(home)
    return faults + [fault for one in found.values() for fault in connection_faults(one, tables, contracts)]


def write_schemas() -> list[Path]:
    """JSON Schemas generated from the models, and the bundled one of ODCS, where the files' modelines expect them."""
    needed("qala schemas writes the schemas of the packages")
    folder = catalogues.SCHEMA
    folder.mkdir(exist_ok=True)
    wanted = {
        folder / "initiative.schema.json": Initiative.model_json_schema(),
        folder / "catalogue.schema.json": CatalogueHead.model_json_schema(),
        folder / "assessment.schema.json": AssessmentRules.model_json_schema(),
        Path(corrections.__file__).with_name("correction.schema.json"): Correction.model_json_schema(),
        SCHEMA: EngineFile.model_json_schema(),
        connections.SCHEMA: connections.schema(),
        notifications.SCHEMA: notifications.Settings.model_json_schema(),
        SHOWCASE / "odcs.schema.json": odcs_schema(),
    }
    for path, content in wanted.items():
        path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return list(wanted)
