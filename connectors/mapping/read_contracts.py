"""Reading source contracts: ODCS documents become SourceContract objects, or faults that name file, line and remedy.

Does not belong here: what a contract can do (source_contract.py), the rules on single settings (contract_checks.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from connectors.mapping.cell_grammar import MOMENTS, Cell, Numerals
from connectors.mapping.classification import carries_personal
from connectors.mapping.column_cells import cells_of_table, texts
from connectors.mapping.contract_checks import code_faults, column_faults, settings_faults, strptime
from connectors.mapping.source_contract import RESERVED_NAMES, SourceColumn, SourceContract
from connectors.mapping.transform import TransformError, transform
from kpi_definitions.documents import Document, DocumentError, Fault, read
from kpi_definitions.expressions import TRANSFORM, TRANSFORM_FUNCTIONS, ExpressionError, check, parse
from warehouse.tables.assertions import Cut, cut_of
from warehouse.tables.contracts import Table
from warehouse.tables.odcs import schema_faults
from warehouse.tables.rules import custom

SHIPPED = Path(__file__).parents[1] / "contracts"


def parse_source(document: Document, tables: Mapping[str, Table]) -> SourceContract:
    """Turn a document into a SourceContract. Raises DocumentError with file, line and remedy of each fault."""
    try:
        schemas = document.data["schema"]
        if len(schemas) != 1:
            raise DocumentError(
                [document.fault(("schema",), "a source contract describes one extract", "write one file for each")]
            )
        body, identity, version = schemas[0], document.data["id"], document.data["version"]
        properties, name = body["properties"], body["name"]
        settings = custom(document.data)
    except (KeyError, IndexError, TypeError):
        raise DocumentError(schema_faults(document) or [document.fault((), "not a data contract")]) from None
    faults: list[Fault] = []
    if name not in tables:
        raise DocumentError(
            [
                document.fault(
                    ("schema", 0, "name"),
                    f"there is no showcase table {name!r}",
                    f"there are {', '.join(sorted(tables))}",
                )
            ]
        )
    table = tables[name]
    faults += settings_faults(document, settings)
    of = cells_of_table(table)
    columns: list[SourceColumn] = []
    headers: list[str] = []
    for index, prop in enumerate(properties):
        where = ("schema", 0, "properties", index)
        if prop["name"] not in {*(c.name for c in table.columns), "kato"}:
            faults.append(
                document.fault(
                    (*where, "name"),
                    f"{name} has no column {prop['name']!r}",
                    f"it has {', '.join(c.name for c in table.columns)}, kato",
                )
            )
        logic, sources = prop.get("transformLogic"), prop.get("transformSourceObjects", [])
        header = None if logic is not None else prop.get("physicalName", prop["name"])
        named: list[Any] = [header] if logic is None else sources if isinstance(sources, list) else [sources]
        headers += named
        for one in named:
            if not isinstance(one, str) or not one or not one.isprintable() or RESERVED_NAMES.match(one):
                faults.append(
                    document.fault(
                        (*where, "physicalName" if logic is None else "transformSourceObjects"),
                        f"{prop['name']}: {one!r} cannot be a header",
                        "write the header as it stands in the file; = at its beginning and __row_no are ours",
                    )
                )
        if logic is not None:
            try:
                tree = parse(logic, ("transformLogic",))
                check(tree, [*map(str, named)], ("transformLogic",), TRANSFORM, TRANSFORM_FUNCTIONS)
                logic = tree.sql("duckdb")  # as it was understood, not as it was written
                transform(logic, tuple(map(str, named)))
            except ExpressionError as error:
                faults.append(document.fault((*where, *error.where), f"{prop['name']}: {error.message}", error.remedy))
            except TransformError as error:
                faults.append(
                    document.fault((*where, "transformLogic"), f"{prop['name']}: {error.message}", error.remedy)
                )
        extra = custom(prop)
        wrong = list(column_faults(document, where, prop["name"], extra))
        cell = of.get(prop["name"], Cell("VARCHAR"))
        options = prop.get("logicalTypeOptions") or {}
        if "format" in options:
            try:
                pattern, digits = strptime(options["format"])
                cell = replace(cell, pattern=pattern, digits=digits)
            except ValueError as error:
                wrong.append(
                    document.fault(
                        (*where, "logicalTypeOptions"),
                        f"{prop['name']}: {error}",
                        "use yyyy MM dd HH mm ss SSS and quoted letters",
                    )
                )
            if prop["name"] in of and of[prop["name"]].sql_type not in MOMENTS:
                wrong.append(
                    document.fault((*where, "logicalTypeOptions"), f"{prop['name']} is no date", "take the format out")
                )
        if wrong:
            faults += wrong
            continue
        codes = {str(k).strip(): str(v) for k, v in extra.get("codes", {}).items()}
        cell = replace(
            cell,
            true_values=texts(extra.get("trueValues")),
            false_values=texts(extra.get("falseValues")),
            placeholders=(*cell.placeholders, *texts(extra.get("placeholders"))),
            real=cell.real | frozenset(texts(extra.get("realValues"))),
        )
        if codes and prop["name"] in of:
            faults += code_faults(document, where, table, prop["name"], cell, codes)
        columns.append(
            SourceColumn(
                prop["name"],
                header,
                logic,
                codes,
                cell,
                tuple(map(str, named)) if logic is not None else (),
                extra.get("identifier", ""),
                extra.get("freeText", ""),
            )
        )
    given = {c.name for c in columns}
    cut = table.cut
    for found in cut_of(settings, table.cut, table.dated, document):
        if isinstance(found, Cut):
            cut = found
        else:
            faults.append(found)
    for column in table.columns:
        if (column.required or column.name in table.key) and column.name not in given:
            faults.append(
                document.fault(
                    ("schema", 0, "properties"),
                    f"{name}.{column.name} must be filled and is not mapped",
                    f"add a property named {column.name} with physicalName or transformLogic",
                )
            )
    if faults:
        raise DocumentError(faults)
    numerals = Numerals(
        settings.get("decimalSeparator", "."),
        settings.get("groupSeparator", ""),
        "decimalSeparator" in settings,
        "rounding" in settings,
    )
    try:
        contract = SourceContract(
            identity, version, settings["system"], name, tuple(columns), tuple(dict.fromkeys(headers)),
            settings.get("format", "csv"), settings.get("encoding", "utf-8"), settings.get("delimiter", ","), settings.get("quote", '"'),
            numerals.decimal, numerals.group, texts(settings.get("missingValues", [""])), settings.get("otherHeaders", "refuse"), cut, document,
            numerals, texts(settings.get("placeholders")), settings.get("archive", ""), texts(settings.get("personalHeaders")),
            settings.get("fileNames") == "kept")  # fmt: skip
        hash((contract.id, contract.version))
    except TypeError:
        raise DocumentError([document.fault(("id",), "id and version are texts", "write them in quotes")]) from None
    if contract.archive == "plain" and carries_personal(table, contract):
        message = "archive is plain, and the extract carries personal data"
        raise DocumentError([document.fault(("customProperties",), message, "write encrypted or refused, or take `archive` out")])  # fmt: skip
    return contract


def load_sources(tables: Mapping[str, Table], folders: Sequence[Path]) -> dict[tuple[str, str], SourceContract]:
    """Every source contract under the folders, by (system, table). Raises DocumentError with all faults found."""
    faults: list[Fault] = []
    found: dict[tuple[str, str], SourceContract] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.odcs.yaml")):
            try:
                contract = parse_source(read(path), tables)
            except DocumentError as error:
                faults += error.faults
                continue
            other = found.setdefault((contract.system, contract.table), contract)
            if other is not contract and contract.document and other.document:
                faults.append(
                    contract.document.fault(
                        ("id",),
                        f"system {contract.system} already has a contract for {contract.table}",
                        f"see {other.document.path}",
                    )
                )
    if faults:
        raise DocumentError(faults)
    return found
