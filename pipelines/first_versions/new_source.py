"""`qala new source`: the first version of a source contract, from a sample of the system's file."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from connectors.inference.inference import Inferred, Mapped, infer
from connectors.inference.sample import Sample, read_sample
from connectors.mapping.contract_checks import settings_faults
from connectors.mapping.layout import Layout
from connectors.mapping.read_contracts import SHIPPED, load_sources
from connectors.readers.headers import StructureError
from connectors.readers.kinds import Kind
from kpi_definitions.documents import Document, DocumentError
from kpi_definitions.nearest import meant
from pipelines.first_versions.writing import FirstVersion, FirstVersionError, comment, scalar, todo
from warehouse.home.home import Home
from warehouse.tables.contracts import Table
from warehouse.tables.home_tables import tables_of

_SETTINGS = {
    "sheet": "sheet",
    "header_row": "headerRow",
    "header_lines": "headerLines",
    "skip_after_header": "skipAfterHeader",
    "footer": "footer",
}
_LOGICAL = {
    "TIMESTAMP": "timestamp",
    "DATE": "date",
    "BOOLEAN": "boolean",
    "VARCHAR": "string",
    "INTEGER": "integer",
    "BIGINT": "integer",
}


def new_source(home: Home, system: str, table_name: str, file: Path) -> FirstVersion:
    """The contract of a system for a table. Raises FirstVersionError, DocumentError."""
    tables = tables_of(home)
    table = tables.get(table_name)
    if table is None:
        raise FirstVersionError(
            f"there is no table {table_name!r} (a new one: qala new table); {meant(table_name, tables, 'see docs/reference/data-dictionary.md')}"
        )
    path = home.contracts / system / f"{table_name}.odcs.yaml"
    wrong = list(settings_faults(Document(path, {}, {}), {"system": system}))
    if wrong:
        raise FirstVersionError(f"{wrong[0].message}; {wrong[0].remedy}")
    try:
        known = load_sources(tables, [SHIPPED, home.contracts])
        twin = known.get((system, table_name))
        if twin is not None and twin.document:
            raise FirstVersionError(f"system {system} has a contract for {table_name} already: {twin.document.path}")
        with tempfile.TemporaryDirectory() as scratch:
            sample = read_sample(file, Path(scratch))
    except StructureError as error:
        raise FirstVersionError(error) from None
    except DocumentError as error:
        raise FirstVersionError(
            f"mend first what is wrong with the contracts there are (qala check):\n{error}"
        ) from None
    found = infer(table, sample, known)
    if not found.columns:
        raise FirstVersionError(
            f"none of the {len(sample.header)} headers of {sample.name} is like a column of {table_name}: is its first line the header? "
            "is it another table's? To begin from nothing, copy an example: examples/*/*.odcs.yaml"
        )
    text = "".join(_document(system, table, sample, found))
    return FirstVersion({path: text}, _steps(home, system, table_name, file, path))


def _steps(home: Home, system: str, table: str, file: Path, path: Path) -> tuple[tuple[str, str], ...]:
    place = "" if home == Home.default() else f" --home {shlex.quote(str(home.root))}"
    return (
        (str(path), "decide every TODO, and take the word out; what can be written: docs/connect-a-system.md"),
        (
            f"qala try {shlex.quote(str(file))} --table {table} --system {system}{place}",
            "again after each change: the first rows as they would load, what would be rejected and by which values, the KPIs it feeds",
        ),
        (f"qala check{place}", "lists what is left to be decided, here and everywhere"),
        (
            f"qala deliver {shlex.quote(str(file))} --table {table} --system {system} --settlement KATO --period 2026-01{place}",
            "the nine digits of the settlement and the days the file is for",
        ),
        (f"qala run{place}", "takes it in; qala status and qala incidents say what came of it"),
    )


def _document(system: str, table: Table, sample: Sample, found: Inferred) -> Iterator[str]:
    yield f"# {table.name}, as {system} delivers it. First version, from a sample of {sample.records:,} records (qala new source).\n"
    yield "# What is not marked was tried on the sample; the marks are yours to decide: until then nothing is taken in by this contract.\n"
    yield "apiVersion: v3.1.0\nkind: DataContract\n"
    yield f"id: {scalar(f'{system}.{table.name}')}\nname: {scalar(f'{system}_{table.name}')}\nversion: 1.0.0\nstatus: draft\n"
    yield "customProperties:\n"
    yield from _settings(system, sample, found)
    yield f"schema:\n  - name: {table.name}  # the showcase table\n    properties:\n"
    for column in found.columns:
        yield from _column(table, column)
    for name in found.missing:
        yield from _missing(table, name, [*found.others, *found.personal])
    if found.unfilled:
        listed = ", ".join(found.unfilled)
        yield comment(
            f"Stay empty, as no header was found for them (KPIs that read them are not calculable: qala check says which): {listed}",
            6,
        )


def _settings(system: str, sample: Sample, found: Inferred) -> Iterator[str]:
    def line(name: str, value: object, said: str = "") -> str:
        return f"  - {{property: {name}, value: {scalar(value)}}}" + (f"  # {said}" if said else "") + "\n"

    yield todo(found.doubts, 2)
    yield line("system", system, "the name to deliver under")
    for name, default in vars(Layout()).items():
        if (value := getattr(sample.layout, name)) != default:
            yield line(_SETTINGS[name], list(value) if isinstance(value, tuple) else value)
    if sample.kind == Kind.CSV:
        both = (
            "reads the Russian letters of windows-1251 as well, and has the Kazakh ones"
            if sample.encoding == "kz1048"
            else ""
        )
        yield line("encoding", sample.encoding, both)
        yield line("delimiter", sample.delimiter)
    if found.numerals.declared:
        yield line("decimalSeparator", found.numerals.decimal)
    if found.numerals.group:
        yield line("groupSeparator", found.numerals.group, "of any width" if found.numerals.group == " " else "")
    unsure = [header for header, seen in found.personal.items() if not seen]
    if unsure:
        yield todo(
            [
                f"{', '.join(unsure)}: data of persons? if not, take them out of personalHeaders; with them the extract is archived encrypted"
            ],
            2,
        )
    if found.personal:
        yield line("personalHeaders", [*found.personal], "not taken")
    if found.others:
        yield line("otherHeaders", "ignore", "refuse, if a new column should stop the delivery")
        yield comment(f"not taken: {', '.join(found.others)}", 4)


def _column(table: Table, one: Mapped) -> Iterator[str]:
    yield todo(one.doubts, 6)
    yield f"      - name: {one.column}\n"
    if one.header != one.column:
        yield f"        physicalName: {scalar(one.header)}\n"
    yield _logical_type(table, one.column)
    if one.pattern:
        yield f"        logicalTypeOptions: {{format: {scalar(one.pattern)}}}\n"
    own = [
        (n, list(words)) for n, words in (("trueValues", one.true_values), ("falseValues", one.false_values)) if words
    ]
    if own or one.codes:
        yield "        customProperties:\n"
    for name, words in own:
        yield f"          - {{property: {name}, value: {scalar(words)}}}\n"
    if one.codes:
        yield "          - property: codes\n            value:\n"
        listed = ", ".join(table.codes[one.column])
        for word, code in one.codes.items():
            yield f"              {scalar(word)}: {scalar(code or f'TODO which of {listed}?')}\n"


def _logical_type(table: Table, name: str) -> str:
    """Always written: without it a column is none of ODCS 3.2, whose schema then wants a map (adr/0044)."""
    sql_type = {c.name: c.sql_type.upper() for c in table.columns}.get(name, "VARCHAR")
    return f"        logicalType: {_LOGICAL.get(sql_type, 'number')}\n"


def _missing(table: Table, name: str, left: Sequence[str]) -> Iterator[str]:
    """A column that must be filled and for which there is no header."""
    column = next(c for c in table.columns if c.name == name)
    said = f"{column.description_ru or column.description}"
    yield todo(
        [
            f"{name} must be filled ({said}): write its header, or transformLogic to make it; left are {', '.join(left) or 'no headers'}"
        ],
        6,
    )
    yield f"      - name: {name}\n        physicalName: TODO\n{_logical_type(table, name)}"
