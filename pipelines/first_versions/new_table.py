"""`qala new table`: the first version of a showcase table's contract, its columns from a sample."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from connectors.inference.new_columns import Guess, guesses
from connectors.inference.sample import read_sample
from connectors.readers.headers import StructureError
from pipelines.first_versions.writing import FirstVersion, FirstVersionError, scalar, todo
from warehouse.home.home import Home
from warehouse.tables.contract_checks import NAME
from warehouse.tables.contracts import SHOWCASE, load_tables
from warehouse.tables.home_tables import tables_of

_LOGICAL = {
    "TIMESTAMP": "timestamp",
    "DATE": "date",
    "BOOLEAN": "boolean",
    "INTEGER": "integer",
    "BIGINT": "integer",
    "VARCHAR": "string",
}
_KEY = ("номер", "nomer", "number", "id", "код", "kod", "code")
_NO_SAMPLE = (
    Guess(
        "object_id",
        "",
        "VARCHAR",
        length=64,
        full=True,
        unique=True,
        doubts=("the key: what is one row, and what is its number called?",),
    ),
    Guess(
        "happened_at",
        "",
        "TIMESTAMP",
        full=True,
        doubts=("the date by which a row belongs to a period; then the other columns, one after the other",),
    ),
)


def in_checkout() -> bool:
    """Whether qala runs from a checkout, where its own tables can be added."""
    return (SHOWCASE.parent.parent / "pyproject.toml").exists()


def new_table(name: str, file: Path | None, sphere: str, home: Home | None) -> FirstVersion:
    """The contract of a table: of a home's own, or with None of qala itself, into the checkout. Raises FirstVersionError, DocumentError."""
    folder = home.showcase if home else SHOWCASE
    tables = tables_of(home) if home else load_tables()
    if name in tables:
        raise FirstVersionError(f"there is a table {name} already: {tables[name].document.path}")
    if not NAME.fullmatch(name) or not name.startswith(("fct_", "dim_", "map_")):
        raise FirstVersionError(
            f"{name!r} is no name of a table: small Latin letters, digits and underscores, fct_ for what happens, dim_ for a register"
        )
    columns: Sequence[Guess] = _NO_SAMPLE
    records = 0
    if file is not None:
        try:
            with tempfile.TemporaryDirectory() as scratch:
                sample = read_sample(file, Path(scratch))
        except StructureError as error:
            raise FirstVersionError(error) from None
        columns, records = guesses(sample), sample.records
    path = folder / f"{name}.odcs.yaml"
    text = "".join(_document(name, sphere, list(columns), records, modeline=home is None))
    return FirstVersion({path: text}, tuple(_steps(name, path, file, home)))


def _steps(name: str, path: Path, file: Path | None, home: Home | None) -> Iterator[tuple[str, str]]:
    given = f"--sample {shlex.quote(str(file))}" if file else "--sample FILE"
    place = f" --home {shlex.quote(str(home.root))}" if home and home != Home.default() else ""
    yield (
        str(path),
        "decide every TODO, and take the word out; "
        + ("what can be written: docs/add-a-table.md" if home else "the other contracts beside it are examples"),
    )
    yield f"qala check{place}", "lists what is left"
    if home is None:
        yield "qala docs", "writes the table into docs/reference"
    yield (
        f"qala new source SYSTEM --table {name} {given}{place}",
        "if a system's file has not the table's own column names",
    )
    yield (
        f"qala new kpi CODE --table {name}{place}",
        "a KPI over it" + ("; into a list of the home's own: qala catalogue new NAME" if home else ""),
    )


def _document(name: str, sphere: str, columns: list[Guess], records: int, *, modeline: bool) -> Iterator[str]:
    snapshot = name.startswith("dim_")
    key = _key(columns)
    date = None if snapshot else next((c for c in columns if c.sql_type in ("TIMESTAMP", "DATE") and c.full), None)
    if modeline:  # the schema lies beside the contracts that come with qala
        yield "# yaml-language-server: $schema=odcs.schema.json\n"
    yield (
        f"# First version, from a sample of {records:,} records (qala new table).\n"
        if records
        else "# First version (qala new table).\n"
    )
    yield "apiVersion: v3.1.0\nkind: DataContract\n"
    yield f"id: qala.showcase.{name}\nname: {name}\nversion: 1.0.0\nstatus: proposed\n"
    yield f"domain: {sphere or 'TODO'}  # code of its sphere\n"
    yield "description:\n  limitations: 'TODO: what is not in it, and why'\n"
    yield "team:\n  name: 'TODO: which body owns the data'\n"
    yield "customProperties:\n"
    if snapshot:
        yield "  - {property: delivery, value: snapshot}  # a delivery is the whole register as it stood at the end of the period\n"
    else:
        yield "  - {property: delivery, value: complete}  # a delivery has all rows of its days: docs/adr/0020\n"
        if date:
            yield todo([f"is {date.name} the date by which an extract is cut?"], 2)
            yield f"  - {{property: cutBy, value: {date.name}}}\n"
            yield "  - {property: earlierRows, value: changed}  # rows of earlier days come again when they changed; rejected, if they do not\n"
    yield "slaProperties:\n"
    yield todo(["how often it is delivered (m, q, y), and how many days after the period's end"], 2)
    yield f"  - {{property: frequency, value: 1, unit: {'q' if snapshot else 'm'}}}\n  - {{property: latency, value: 10, unit: d}}\n"
    yield f"schema:\n  - name: {name}\n    businessName: 'TODO: its title'\n    logicalType: object\n    physicalType: table\n"
    yield "    description: 'TODO: what one row is'\n    customProperties:\n"
    for label, what in (("titleRu", "название"), ("titleKk", "атауы"), ("descriptionRu", "что такое одна строка")):
        yield f"      - {{property: {label}, value: 'TODO: {what}'}}\n"
    yield "    properties:\n"
    for column in columns:
        yield from _column(column, key, date)
    yield _RULES


def _key(columns: Sequence[Guess]) -> Guess:
    """The column that tells rows apart: one that is full and unique, rather one that is called a number."""
    fit = [
        c for c in columns if c.full and c.unique and not c.personal and c.sql_type in ("VARCHAR", "INTEGER", "BIGINT")
    ]
    called = [c for c in fit if any(word in f"{c.header} {c.name}".casefold() for word in _KEY)]
    return next(iter([*called, *fit, *columns]))


def _column(one: Guess, key: Guess, date: Guess | None) -> Iterator[str]:
    doubts = [*one.doubts]
    if one is key and one.header:
        doubts.append(
            "the key: does it tell the rows of a settlement apart? more columns can be keys too"
            if one.full and one.unique
            else "the key: no column tells rows apart"
        )
    yield todo(doubts, 6)
    yield f"      - name: {one.name}\n        logicalType: {_LOGICAL.get(one.sql_type, 'number')}\n"
    if one.sql_type.startswith("DECIMAL") or one.sql_type == "BIGINT":
        yield f"        physicalType: {one.sql_type}\n"
    if one.length:
        yield f"        logicalTypeOptions: {{maxLength: {one.length}}}\n"
    if one is key or one is date:
        yield "        required: true\n"
    if one is key:
        yield "        primaryKey: true\n        primaryKeyPosition: 1\n"
    yield f"        classification: {'personal' if one.personal else 'open'}\n"
    yield f"        description: {scalar('TODO: in English, ' + one.header if one.header else 'TODO')}\n        customProperties:\n"
    yield f"          - {{property: descriptionRu, value: {scalar(one.header or 'TODO')}}}\n"
    if one.free_text:
        yield "          - {property: freeText, value: true}\n"


_RULES = """\
    quality:
      - id: rejected-share
        type: custom
        engine: greatExpectations
        severity: error
        dimension: accuracy
        description: At most a tenth of the rows break a row rule
        customProperties:
          - {property: descriptionRu, value: Правила на строки нарушает не более десятой части строк}
          - {property: descriptionKk, value: Жол ережелерін бұзатын жолдар оннан бірінен аспайды}
        implementation:
          type: expect_column_values_to_be_between
          kwargs: {column: rejected_percent, max_value: 10}
      - id: has-rows
        metric: rowCount
        mustBeGreaterThan: 0
        severity: error
        dimension: coverage
        description: The delivery is not empty
        customProperties:
          - {property: descriptionRu, value: Поставка не пуста}
          - {property: descriptionKk, value: Жеткізілім бос емес}
"""
