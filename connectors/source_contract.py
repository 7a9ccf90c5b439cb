"""Source contracts: how one system's file becomes rows of one showcase table.

An ODCS document whose single schema object is named after the showcase table. Each property is a column of that table:
`physicalName` is the header in the file, or `transformLogic` makes it from the headers in `transformSourceObjects`.
A file in the standard exchange format (UTF-8 CSV or Parquet with the table's own column names) needs none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kpi_definitions.documents import Document, DocumentError, Fault, read
from kpi_definitions.expressions import TRANSFORM, TRANSFORM_FUNCTIONS, ExpressionError, check, parse
from warehouse.assertions import Cut, cut_of
from warehouse.contracts import Table, schema_faults
from warehouse.rules import custom
from warehouse.sql import literal, quoted

SHIPPED = Path(__file__).parent / "contracts"
STANDARD = "standard"  # system code of the exchange format
_OWN = re.compile(r"=|__row_no$")  # how names begin that the first gate needs for itself (connectors/gate.py)
_NOTHING = re.compile(r"NULL|(TRY_)?CAST\(NULL AS [^()]+(\([0-9, ]+\))?\)", re.IGNORECASE)
_SYSTEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PROPERTIES = {
    "system",
    "format",
    "encoding",
    "delimiter",
    "quote",
    "decimalSeparator",
    "groupSeparator",
    "missingValues",
    "otherHeaders",
    "delivery",
    "cutBy",
    "earlierRows",
}
_JDK = (("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("hh", "%I"), ("mm", "%M"), ("ss", "%S"), ("SSSSSS", "%f"), ("SSS", "%g"),
        ("a", "%p"), ("d", "%-d"), ("M", "%-m"), ("H", "%-H"), ("yy", "%y"))  # fmt: skip


@dataclass(frozen=True)
class SourceColumn:
    """How one column of the table is read from the file."""

    name: str
    header: str | None
    logic: str | None
    format: str | None  # strptime
    codes: Mapping[str, str]
    true_values: tuple[str, ...]
    false_values: tuple[str, ...]


@dataclass(frozen=True)
class SourceContract:
    """One extract of one system, ready for SQL."""

    id: str
    version: str
    system: str
    table: str
    columns: tuple[SourceColumn, ...]
    headers: tuple[str, ...]  # the file must have these
    format: str = "csv"
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    decimal: str = "."
    group: str = ""
    missing: tuple[str, ...] = ("",)
    other_headers: str = "refuse"
    cut: Cut = field(default_factory=Cut)
    document: Document | None = field(default=None, compare=False, repr=False)

    @cached_property
    def by_name(self) -> dict[str, SourceColumn]:
        return {c.name: c for c in self.columns}

    def unmapped(self, table: Table) -> tuple[str, ...]:
        """Columns of the table that the contract does not fill: they are not mapped, or by a logic that is no more than NULL."""
        given = {c.name for c in self.columns if not _NOTHING.fullmatch(c.logic or "")}
        return tuple(c.name for c in table.columns if c.name not in given)

    def typed(self, name: str, sql_type: str) -> tuple[str, str]:
        """SQL for a column of the table over the file's text columns: (text or raw expression, typed expression)."""
        column = self.by_name.get(name)
        if column is None:
            return "NULL", f"CAST(NULL AS {sql_type})"
        raw = column.logic or quoted(column.header or name)
        if column.codes:
            raw = (
                f"CASE {raw} "
                + " ".join(f"WHEN {literal(k)} THEN {literal(v)}" for k, v in column.codes.items())
                + f" ELSE {raw} END"
            )
        return raw, self._cast(column, raw, sql_type.upper())

    def _cast(self, column: SourceColumn, raw: str, sql_type: str) -> str:
        if column.format:
            return _plausible(f"try_strptime({raw}, {literal(column.format)})", sql_type)
        if column.true_values or column.false_values:
            whens = [
                f"WHEN lower(trim({raw})) IN ({', '.join(literal(v.lower()) for v in values)}) THEN {value}"
                for value, values in (("TRUE", column.true_values), ("FALSE", column.false_values))
                if values
            ]
            return f"CASE {' '.join(whens)} END"
        if column.logic:
            return f"TRY_CAST({raw} AS {sql_type})"
        if sql_type == "VARCHAR":
            # blanks of any kind around a text are cut off; few texts have any, and to look is half the cost of cutting
            plain = f"{raw} >= '!' AND NOT ends_with({raw}, ' ') AND strlen({raw}) = length({raw})"
            return f"CASE WHEN {plain} THEN {raw} ELSE nullif(trim({raw}), '') END"
        if sql_type in {"TIMESTAMP", "DATE"}:
            # with an offset: that instant, in civil time of the session's zone; without: as written.
            # A date goes the same way, as DuckDB's own cast to DATE ignores whatever follows the day.
            # 2026-01-05 10:00:00, nineteen letters, has no offset: no need to look for one
            text = f"trim({raw})" if sql_type == "DATE" else raw
            offset = ":[0-9.]+(Z|z| [Uu][Tt][Cc]|[+-][0-9]{2}(:?[0-9]{2})?) *$"
            return _plausible(
                f"CASE WHEN length({text}) <> 19 AND regexp_matches({text}, '{offset}') "
                f"THEN CAST(TRY_CAST({text} AS TIMESTAMPTZ) AS TIMESTAMP) ELSE TRY_CAST({text} AS TIMESTAMP) END",
                sql_type,
            )
        number = self._number(raw)
        if sql_type in {"INTEGER", "BIGINT", "SMALLINT", "TINYINT", "HUGEINT"}:
            # a cast would round 1.7 and 15e-1 to 2 and read 0x10 as 16: 5.0 is an integer, these are errors.
            # Plain digits, which are nearly all, are told by comparing; the regular expression is for the rest
            plain = f"TRY_CAST({number} AS {sql_type})"
            return (
                f"CASE WHEN CAST({plain} AS VARCHAR) = {number} THEN {plain} "
                f"WHEN regexp_full_match({number}, ' *[+-]?[0-9]+([.]0*)? *') THEN TRY_CAST(split_part({number}, '.', 1) AS {sql_type}) END"
            )
        return f"TRY_CAST({number} AS {sql_type})"

    def _number(self, raw: str) -> str:
        for text in dict.fromkeys(self.group + ("\u00a0\u202f" if " " in self.group else "")):  # blanks of any width
            raw = f"replace({raw}, {literal(text)}, '')"
        return f"replace({raw}, {literal(self.decimal)}, '.')" if self.decimal != "." else raw


def _plausible(moment: str, sql_type: str) -> str:
    """Years have four digits: 'infinity', 5 BC, and 05.01.26 read as the year 26 are no dates."""
    return f"CAST(CASE WHEN {moment} BETWEEN TIMESTAMP '1000-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999' THEN {moment} END AS {sql_type})"


def standard(table: Table) -> SourceContract:
    """The exchange format: the table's own column names; `kato` is needed only where one file covers several settlements."""
    columns = tuple(SourceColumn(c.name, c.name, None, None, {}, (), ()) for c in table.columns)
    return SourceContract(
        f"standard.{table.name}",
        table.version,
        STANDARD,
        table.name,
        (*columns, SourceColumn("kato", "kato", None, None, {}, (), ())),
        tuple(c.name for c in table.columns),
        cut=table.cut,
    )


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
    for key in sorted(set(settings) - _PROPERTIES):
        faults.append(
            document.fault(
                ("customProperties",), f"unknown property {key!r}", f"known are {', '.join(sorted(_PROPERTIES))}"
            )
        )
    if "system" not in settings:
        faults.append(
            document.fault(("customProperties",), "no `system`", "add {property: system, value: <code of the system>}")
        )
    faults += _unusable(document, settings)
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
            if not isinstance(one, str) or not one or not one.isprintable() or _OWN.match(one):
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
            except ExpressionError as error:
                faults.append(document.fault((*where, *error.where), f"{prop['name']}: {error.message}", error.remedy))
        extra = custom(prop)
        try:
            pattern = _strptime(prop.get("logicalTypeOptions", {}).get("format"))
        except ValueError as error:
            faults.append(
                document.fault(
                    (*where, "logicalTypeOptions"), str(error), "use yyyy MM dd HH mm ss SSS and quoted letters"
                )
            )
            continue
        columns.append(
            SourceColumn(
                prop["name"],
                header,
                logic,
                pattern,
                {str(k): str(v) for k, v in extra.get("codes", {}).items()},
                tuple(map(str, extra.get("trueValues", ()))),
                tuple(map(str, extra.get("falseValues", ()))),
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
    return SourceContract(
        identity, version, settings["system"], name, tuple(columns), tuple(dict.fromkeys(headers)),
        settings.get("format", "csv"), settings.get("encoding", "utf-8"), settings.get("delimiter", ","), settings.get("quote", '"'),
        settings.get("decimalSeparator", "."), settings.get("groupSeparator", ""), tuple(settings.get("missingValues", [""])),
        settings.get("otherHeaders", "refuse"), cut, document)  # fmt: skip


def _unusable(document: Document, settings: Mapping[str, Any]) -> list[Fault]:
    """Settings no file could be read by."""
    faults = []
    try:
        "".encode(
            settings.get("encoding", "utf-8")
        )  # a codec that makes no text, like zip or rot13, is a LookupError here
    except (LookupError, TypeError, ValueError):
        faults.append((f"encoding {settings['encoding']!r} is not known", "use utf-8, utf-16, cp1251 or kz1048"))
    if not isinstance(settings.get("delimiter", ","), str) or len(settings.get("delimiter", ",")) != 1:
        faults.append(
            (f"delimiter {settings['delimiter']!r} is not one character", 'write it in quotes, a tab as "\\t"')
        )
    if not isinstance(settings.get("quote", ""), str) or len(settings.get("quote", "")) > 1:
        faults.append(
            (f"quote {settings['quote']!r} is not one character", "write one, or '' if nothing is ever quoted")
        )
    if not _SYSTEM.fullmatch(str(settings.get("system", STANDARD))):
        faults.append((f"system {settings['system']!r} cannot be a code", "use Latin letters, digits, dot, dash"))
    return [document.fault(("customProperties",), what, remedy) for what, remedy in faults]


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


def _strptime(pattern: str | None) -> str | None:
    """A JDK date pattern, as ODCS has it, in strptime's letters."""
    if pattern is None:
        return None
    letters = dict(_JDK)
    result = ""
    for token in re.findall(r"'[^']*'|[A-Za-z]+|[^A-Za-z']+", pattern):
        if token.startswith("'"):
            result += token[1:-1].replace("%", "%%")
        elif token[0].isalpha():
            for run in re.findall(r"((.)\2*)", token):
                if run[0] not in letters:
                    raise ValueError(f"date pattern {pattern!r}: {run[0]!r} is not understood")
                result += letters[run[0]]
        else:
            result += token
    return result
