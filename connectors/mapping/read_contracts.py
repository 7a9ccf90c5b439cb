"""Reading source contracts: ODCS documents become SourceContract objects, or faults that name file, line and remedy.

Does not belong here: what a contract can do (source_contract.py), the rules on single settings (contract_checks.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from connectors.mapping.cell_grammar import MOMENTS, Cell, Numerals
from connectors.mapping.classification import carries_personal
from connectors.mapping.column_cells import cells_of_table, texts
from connectors.mapping.contract_checks import code_faults, column_faults, settings_faults, strptime
from connectors.mapping.layout import layout_of
from connectors.mapping.read_shape import read_shape
from connectors.mapping.source_contract import RESERVED_NAMES, SourceColumn, SourceContract
from connectors.mapping.transform import CONSTANTS, TransformError, transform
from connectors.mapping.word_checks import constants_of, word_faults
from kpi_definitions.documents import Document, DocumentError, Fault, Where, read
from kpi_definitions.expressions import TRANSFORM, TRANSFORM_FUNCTIONS, ExpressionError, check, parse
from kpi_definitions.nearest import meant
from warehouse.tables.assertions import Cut, cut_of
from warehouse.tables.contracts import Table
from warehouse.tables.odcs import reads_contracts, schema_faults
from warehouse.tables.rules import custom

SHIPPED = Path(__file__).parents[1] / "contracts"


@reads_contracts
def parse_source(document: Document, tables: Mapping[str, Table]) -> SourceContract:
    """Turn a document into a SourceContract. Raises DocumentError with file, line and remedy of each fault."""
    head = _head(document, tables)
    table, settings = head.table, head.settings
    faults = list(settings_faults(document, settings))
    cells = cells_of_table(table)
    properties = [
        _read_property(document, ("schema", 0, "properties", index), prop, table, cells)
        for index, prop in enumerate(head.properties)
    ]
    faults += [fault for one in properties for fault in one.faults]
    columns = tuple(one.column for one in properties if one.column)
    cut, cut_faults = _cut(document, settings, table)
    layout, layout_faults = layout_of(document, settings)
    shape, shape_faults = read_shape(document, settings, table, {c.name: c.header for c in columns})
    faults += [*cut_faults, *layout_faults, *shape_faults]
    faults += _unmapped_faults(document, table, {prop["name"] for prop in head.properties})
    if faults:
        raise DocumentError(faults)
    headers = dict.fromkeys([*(header for one in properties for header in one.headers), *shape.headers])
    needed = tuple(h for h in headers if h not in shape.made)
    contract = replace(_contract(document, head, columns, needed, cut), layout=layout, shape=shape)
    try:
        hash((contract.id, contract.version))
    except TypeError:
        raise DocumentError([document.fault(("id",), "id and version are texts", "write them in quotes")]) from None
    if contract.archive == "plain" and carries_personal(table, contract):
        message = "archive is plain, and the extract carries personal data"
        remedy = "write encrypted or refused, or take `archive` out"
        raise DocumentError([document.fault(("customProperties",), message, remedy)])
    return contract


@dataclass(frozen=True)
class _Head:
    """What a source contract says before its columns."""

    id: Any
    version: Any
    table: Table
    properties: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any]


def _head(document: Document, tables: Mapping[str, Table]) -> _Head:
    """Raises DocumentError if it is no contract of one extract for a table there is."""
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
    if name not in tables:
        message, remedy = (
            f"there is no showcase table {name!r}",
            meant(str(name), tables, "see docs/reference/data-dictionary.md"),
        )
        raise DocumentError([document.fault(("schema", 0, "name"), message, remedy)])
    return _Head(identity, version, tables[name], properties, settings)


@dataclass(frozen=True)
class _Property:
    """A property as it was read: the headers that the file must have for it, its column if it is sound, its faults."""

    headers: list[Any]
    column: SourceColumn | None
    faults: list[Fault]


def _read_property(
    document: Document, where: Where, prop: Mapping[str, Any], table: Table, cells: Mapping[str, Cell]
) -> _Property:
    name, logic, own = prop["name"], prop.get("transformLogic"), custom(prop)
    sources = prop.get("transformSourceObjects", [])
    header = None if logic is not None else prop.get("physicalName", name)
    headers: list[Any] = [header] if logic is None else sources if isinstance(sources, list) else [sources]
    faults = [*_name_faults(document, where, name, table), *_header_faults(document, where, prop, headers)]
    named = tuple(map(str, headers)) if logic is not None else ()
    if logic is not None:
        logic, wrong = _understood(document, where, name, logic, named)
        faults += wrong
    sound = logic if logic is not None and not faults else None
    cell, wrong = _cell(document, where, prop, cells)
    wrong += word_faults(document, where, prop, cell, sound, named)
    if wrong:
        return _Property(headers, None, [*faults, *wrong])
    codes = {str(k).strip(): str(v) for k, v in own.get("codes", {}).items()}
    if codes and name in cells:
        faults += code_faults(document, where, table, name, cell, codes)
    if sound and name in cells and not codes:
        faults += code_faults(document, where, table, name, cell, constants_of(sound), "text")
    column = SourceColumn(name, header, logic, codes, cell, named, own.get("identifier", ""), own.get("freeText", ""))
    return _Property(headers, column, faults)


def _name_faults(document: Document, where: Where, name: str, table: Table) -> Iterator[Fault]:
    known = [*(c.name for c in table.columns), "kato"]
    if name not in known:
        message = f"{table.name} has no column {name!r}"
        yield document.fault((*where, "name"), message, f"it has {', '.join(known)}")


def _header_faults(
    document: Document, where: Where, prop: Mapping[str, Any], headers: Sequence[Any]
) -> Iterator[Fault]:
    place = "transformSourceObjects" if prop.get("transformLogic") is not None else "physicalName"
    for header in headers:
        if not isinstance(header, str) or not header or not header.isprintable() or RESERVED_NAMES.match(header):
            yield document.fault(
                (*where, place),
                f"{prop['name']}: {header!r} cannot be a header",
                "write the header as it stands in the file; = at its beginning and __row_no are ours",
            )


def _understood(
    document: Document, where: Where, name: str, logic: Any, headers: tuple[str, ...]
) -> tuple[Any, list[Fault]]:
    """A `transformLogic` as it was understood, not as it was written; and what is wrong with it."""
    try:
        tree = parse(logic, ("transformLogic",))
        check(tree, [*headers, *CONSTANTS], ("transformLogic",), TRANSFORM, TRANSFORM_FUNCTIONS)
        logic = tree.sql("duckdb")
        transform(logic, headers)
    except ExpressionError as error:
        return logic, [document.fault((*where, *error.where), f"{name}: {error.message}", error.remedy)]
    except TransformError as error:
        return logic, [document.fault((*where, "transformLogic"), f"{name}: {error.message}", error.remedy)]
    return logic, []


def _cell(
    document: Document, where: Where, prop: Mapping[str, Any], cells: Mapping[str, Cell]
) -> tuple[Cell, list[Fault]]:
    """What the column's cells may hold: by the table's contract, and by what this contract adds."""
    name, own, options = prop["name"], custom(prop), prop.get("logicalTypeOptions") or {}
    wrong = list(column_faults(document, where, name, own))
    cell = cells.get(name, Cell("VARCHAR"))
    if "format" in options:
        place = (*where, "logicalTypeOptions")
        try:
            pattern, digits = strptime(options["format"])
            cell = replace(cell, pattern=pattern, digits=digits)
        except ValueError as error:
            wrong.append(document.fault(place, f"{name}: {error}", "use yyyy MM dd HH mm ss SSS and quoted letters"))
        if name in cells and cells[name].sql_type not in MOMENTS:
            wrong.append(document.fault(place, f"{name} is no date", "take the format out"))
    if wrong:
        return cell, wrong
    return replace(
        cell,
        true_values=texts(own.get("trueValues")),
        false_values=texts(own.get("falseValues")),
        placeholders=(*cell.placeholders, *texts(own.get("placeholders"))),
        real=cell.real | frozenset(texts(own.get("realValues"))),
    ), []


def _cut(document: Document, settings: Mapping[str, Any], table: Table) -> tuple[Cut, list[Fault]]:
    """What an extract covers (adr/0020): as the contract says, else as the table's does."""
    cut, faults = table.cut, list[Fault]()
    for found in cut_of(settings, table.cut, table.dated, document):
        if isinstance(found, Cut):
            cut = found
        else:
            faults.append(found)
    return cut, faults


def _unmapped_faults(document: Document, table: Table, given: Collection[str]) -> Iterator[Fault]:
    for column in table.columns:
        if (column.required or column.name in table.key) and column.name not in given:
            yield document.fault(
                ("schema", 0, "properties"),
                f"{table.name}.{column.name} must be filled and is not mapped",
                f"add a property named {column.name} with physicalName or transformLogic",
            )


def _contract(
    document: Document, head: _Head, columns: tuple[SourceColumn, ...], headers: tuple[str, ...], cut: Cut
) -> SourceContract:
    """The contract of settings and columns without fault."""
    settings = head.settings
    numerals = Numerals(
        settings.get("decimalSeparator", "."),
        settings.get("groupSeparator", ""),
        "decimalSeparator" in settings,
        "rounding" in settings,
    )
    return SourceContract(
        id=head.id,
        version=head.version,
        system=settings["system"],
        table=head.table.name,
        columns=columns,
        headers=headers,
        format=settings.get("format", ""),
        encoding=settings.get("encoding", "utf-8"),
        delimiter=settings.get("delimiter", ","),
        quote=settings.get("quote", '"'),
        decimal=numerals.decimal,
        group=numerals.group,
        missing=texts(settings.get("missingValues", [""])),
        other_headers=settings.get("otherHeaders", "refuse"),
        cut=cut,
        document=document,
        numerals=numerals,
        placeholders=texts(settings.get("placeholders")),
        archive=settings.get("archive", ""),
        personal_headers=texts(settings.get("personalHeaders")),
        names_kept=settings.get("fileNames") == "kept",
    )


def load_sources(tables: Mapping[str, Table], folders: Sequence[Path]) -> dict[tuple[str, str], SourceContract]:
    """Every source contract under the folders, by (system, table); read once a process, unless a file or a table changes.

    Raises DocumentError with all faults found.
    """
    files = ((path, path.lstat()) for folder in folders for path in sorted(folder.rglob("*.odcs.yaml")))
    stamps = tuple((path, found.st_mtime_ns, found.st_size) for path, found in files)
    contracts, faults = _read_sources(_Files(stamps, dict(tables)))
    if faults:
        raise DocumentError(faults)
    return dict(contracts)


@dataclass(frozen=True)
class _Files:
    """Source contracts as they lie there, each with time and size, and the tables they are read for."""

    stamps: tuple[tuple[Path, int, int], ...]
    tables: Mapping[str, Table] = field(hash=False)


@lru_cache(maxsize=4)
def _read_sources(files: _Files) -> tuple[Mapping[tuple[str, str], SourceContract], Sequence[Fault]]:
    """As `load_sources`, and what is wrong with the others: to check their codes alone takes a tenth of a second."""
    faults: list[Fault] = []
    found: dict[tuple[str, str], SourceContract] = {}
    for path, *_ in files.stamps:
        try:
            contract = parse_source(read(path), files.tables)
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
    return found, faults
