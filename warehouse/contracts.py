"""Showcase table contracts (ODCS v3.1) and the reading of any ODCS document.

A contract's text becomes a `Table`: columns with SQL types and row rules, and the rules a whole delivery is judged by.
Source contracts (connectors/) are read with the same `read_odcs`.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from jsonschema import Draft201909Validator

from kpi_definitions.documents import Document, DocumentError, Fault, read

SHOWCASE = Path(__file__).parent / "showcase"
SYSTEM_COLUMNS: Mapping[str, tuple[str, str]] = {
    "kato": ("VARCHAR", "Settlement, nine digits of the KATO classifier"),
    "delivery_id": ("BIGINT", "The delivery that last asserted this row: audit.delivery"),
    "row_no": ("BIGINT", "Number of the record in the delivered file, from 1, header not counted"),
    "sdu_load_in_dt": ("TIMESTAMPTZ", "When the row was loaded"),
    "valid_from_seq": ("BIGINT", "Ledger sequence from which this version of the row is valid"),
}
SNAPSHOT_COLUMN = ("snapshot_date", "DATE", "First day after the period whose end state this row describes")
# what a delivery is judged on: columns of its profile (connectors/gate.py), and the expectations contracts may use
PROFILE = (
    "received",
    "accepted",
    "rejected",
    "rejected_percent",
    "duplicate_percent",
    "manifest_difference",
    "volume_ratio",
    "late_days",
)
EXPECTATIONS = (
    "expect_column_values_to_be_between",
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_in_set",
)
# columns of the profile named after a column of the table
PROFILE_OF = ("null_percent__", "age_days__", "unmatched_percent__")
# the eight quality criteria of the law (Decree No. 830 of 2026), and the incident kind a failing ODCS dimension opens
CRITERIA: Mapping[str, tuple[str, str]] = {  # Russian, Kazakh (the latter not checked by a native speaker)
    "accuracy": ("точность", "дәлдік"), "completeness": ("полнота", "толықтық"),
    "interrelation": ("взаимосвязанность", "өзара байланыстылық"), "comparability": ("сопоставимость", "салыстырмалылық"),
    "currency": ("актуальность", "өзектілік"), "uniqueness": ("уникальность", "бірегейлік"),
    "truthfulness": ("достоверность", "дұрыстық"), "timeliness": ("своевременность", "уақтылылық"),
}  # fmt: skip
INCIDENT_KINDS: Mapping[str, str] = {
    "coverage": "coverage", "completeness": "completeness", "accuracy": "accuracy", "timeliness": "timeliness",
    "uniqueness": "uniqueness", "conformity": "consistency", "consistency": "integrity",
}  # fmt: skip
_CRITERION_OF = {
    "null_percent": "completeness", "age_days": "currency", "unmatched_percent": "interrelation",
    "manifest_difference": "completeness", "duplicate_percent": "uniqueness", "late_days": "timeliness",
}  # fmt: skip
_RESERVED = ("broken", "raw", "file_index")  # names the first gate needs for itself
_TYPES = {"string": "VARCHAR", "integer": "INTEGER", "boolean": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMP"}


@dataclass(frozen=True)
class Rule:
    """Something that must hold: of every row (`predicate`), or of a delivery (`expectation` on its profile)."""

    id: str
    description: str
    dimension: str
    severity: str  # error: rejects the row, refuses the delivery; warning: is reported
    predicate: str | None = None  # SQL over the table's columns; only FALSE breaks it
    expectation: str | None = None  # Great Expectations type, e.g. expect_column_values_to_be_between
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    criterion: str = "truthfulness"  # of the law's eight

    @property
    def incident_kind(self) -> str:
        """Of the law's eight kinds of incident, the one a failure is; `other` where none fits."""
        return INCIDENT_KINDS.get(self.dimension, "other")

    @property
    def check_name(self) -> str:
        """The rule's name where only letters, digits and underscores are allowed."""
        return "".join(c if c.isalnum() else "_" for c in self.id)


@dataclass(frozen=True)
class Reference:
    """A column whose values stand in a column of another table, in rows of the same settlement."""

    column: str
    table: str
    target: str


@dataclass(frozen=True)
class Column:
    name: str
    sql_type: str
    description: str
    description_ru: str
    required: bool
    unit: str | None
    classification: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Table:
    """A showcase table: what its contract says, ready for SQL."""

    name: str
    title: str
    title_ru: str
    title_kk: str
    description: str
    description_ru: str
    domain: str
    owner: str
    version: str
    snapshot: bool
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    row_rules: tuple[Rule, ...]
    delivery_rules: tuple[Rule, ...]
    references: tuple[Reference, ...]
    latency_days: int | None  # agreed days from a period's end to its delivery
    agreed_from: dt.date | None  # periods that ended before it had no deadline
    document: Document = field(compare=False, repr=False)

    @cached_property
    def business_columns(self) -> dict[str, str]:
        """Name and SQL type of every column the table has beside the loader's own, in order."""
        columns = {c.name: c.sql_type for c in self.columns}
        return columns | {SNAPSHOT_COLUMN[0]: SNAPSHOT_COLUMN[1]} if self.snapshot else columns

    @cached_property
    def identity(self) -> tuple[str, ...]:
        """The columns by which a row is recognised when it comes again."""
        return ("kato", *self.key, *((SNAPSHOT_COLUMN[0],) if self.snapshot else ()))

    @cached_property
    def all_rules(self) -> tuple[Rule, ...]:
        """Row rules of the columns, row rules of the table, delivery rules: in the order they are applied."""
        return (*(r for c in self.columns for r in c.rules), *self.row_rules, *self.delivery_rules)


def odcs_schema() -> dict[str, Any]:
    """The JSON Schema of ODCS as bundled with `open-data-contract-standard` (importing the package is slow)."""
    spec = importlib.util.find_spec("open_data_contract_standard")
    assert spec is not None
    assert spec.submodule_search_locations
    text = (Path(spec.submodule_search_locations[0]) / "schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator() -> Draft201909Validator:
    return Draft201909Validator(odcs_schema())


def schema_faults(document: Document) -> list[Fault]:
    """Where a document breaks ODCS itself. Some 20 ms a document: `qala check` and the tests pay it, a run does not."""
    faults = []
    for error in _validator().iter_errors(document.data):
        deepest = max(_leaves(error), key=lambda e: len(e.absolute_path))
        where = tuple(deepest.absolute_path)
        faults.append(
            document.fault(
                where,
                f"{'.'.join(map(str, where)) or 'document'}: {deepest.message[:200]}",
                "see the Open Data Contract Standard v3.1",
            )
        )
    return faults


def _leaves(error: Any) -> Iterator[Any]:
    if error.context:
        for child in error.context:
            yield from _leaves(child)
    else:
        yield error


def custom(holder: Mapping[str, Any]) -> dict[str, Any]:
    """`customProperties` of any ODCS element as a mapping."""
    return {p["property"]: p["value"] for p in holder.get("customProperties", [])}


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """A Python value as an SQL literal."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def load_tables(folder: Path = SHOWCASE) -> dict[str, Table]:
    """Every showcase contract of a folder, by table name. Raises DocumentError with all faults found."""
    faults: list[Fault] = []
    tables: dict[str, Table] = {}
    for path in sorted(folder.glob("*.odcs.yaml")):
        try:
            table = parse_table(read(path))
        except DocumentError as error:
            faults += error.faults
            continue
        tables[table.name] = table
    if faults:
        raise DocumentError(faults)
    return tables


def parse_table(document: Document) -> Table:
    """Turn one contract document into a Table. Raises DocumentError naming the line."""
    try:
        schemas = document.data["schema"]
        body = schemas[0]
        properties = body["properties"]
    except (KeyError, IndexError, TypeError):
        raise DocumentError(schema_faults(document) or [document.fault((), "no schema with properties")]) from None
    faults: list[Fault] = []
    columns = []
    for index, prop in enumerate(properties):
        where: tuple[str | int, ...] = ("schema", 0, "properties", index)
        sql_type = prop.get("physicalType") or _TYPES.get(prop.get("logicalType", ""))
        if sql_type is None:
            faults.append(
                document.fault(
                    where,
                    f"column {prop.get('name')}: no SQL type for {prop.get('logicalType')!r}",
                    "a number needs physicalType DECIMAL(p,s): sums must be exact",
                )
            )
            continue
        if sql_type.upper() in {"DOUBLE", "FLOAT", "REAL"}:
            faults.append(
                document.fault(
                    (*where, "physicalType"),
                    f"column {prop['name']}: {sql_type} does not add up exactly",
                    "use DECIMAL(p,s)",
                )
            )
        if prop["name"] in {*SYSTEM_COLUMNS, SNAPSHOT_COLUMN[0], *_RESERVED}:
            faults.append(
                document.fault((*where, "name"), f"column name {prop['name']} belongs to the loader", "rename it")
            )
        columns.append(
            Column(
                name=prop["name"],
                sql_type=sql_type,
                description=prop.get("description", ""),
                description_ru=custom(prop).get("descriptionRu", ""),
                required=bool(prop.get("required")),
                unit=custom(prop).get("unit"),
                classification=prop.get("classification", "open"),
                rules=tuple(_implied_rules(prop, sql_type)),
            )
        )
    key = tuple(
        p["name"]
        for p in sorted((p for p in properties if p.get("primaryKey")), key=lambda p: p.get("primaryKeyPosition", 0))
    )
    if not key:
        faults.append(
            document.fault(("schema", 0, "properties"), "no primary key", "mark its columns with primaryKey: true")
        )
    row_rules: list[Rule] = []
    delivery_rules: list[Rule] = []
    for where, quality, name in _qualities(body):
        if quality.get("type") == "text":  # for people
            continue
        rule = _rule(quality, name) if "id" in quality else None
        if rule is None:
            faults.append(
                document.fault(
                    where,
                    f"quality rule {quality.get('id', 'without id')!r} is of a kind nothing here judges",
                    "give it an id and metric nullValues, invalidValues or rowCount, or engine qala or greatExpectations, or type text",
                )
            )
        else:
            (row_rules if rule.predicate else delivery_rules).append(rule)
    references = tuple(_references(document, properties, faults))
    latency, agreed_from = _service_level(document)
    common = (*_common_rules(key), *_agreed_rules(latency, references))
    rules = [*(r for c in columns for r in c.rules), *row_rules, *common, *delivery_rules]
    for rule in rules:
        if rule.criterion not in CRITERIA:
            faults.append(
                document.fault(
                    ("schema", 0, "quality"),
                    f"rule {rule.id}: no criterion {rule.criterion!r}",
                    f"there are {', '.join(CRITERIA)}",
                )
            )
    twice = {name for name, count in Counter(r.check_name for r in rules).items() if count > 1}
    if twice:
        faults.append(
            document.fault(
                ("schema", 0), f"rule {', '.join(sorted(twice))} is given twice", "give each rule an id of its own"
            )
        )
    if faults:
        raise DocumentError(faults)
    return Table(
        name=body["name"],
        title=body.get("businessName", body["name"]),
        title_ru=custom(body).get("titleRu", ""),
        title_kk=custom(body).get("titleKk", ""),
        description=body.get("description", ""),
        description_ru=custom(body).get("descriptionRu", ""),
        domain=document.data.get("domain", ""),
        owner=document.data.get("team", {}).get("name", ""),
        version=document.data["version"],
        snapshot=custom(document.data).get("delivery", "period") == "snapshot",
        columns=tuple(columns),
        key=key,
        row_rules=tuple(row_rules),
        delivery_rules=(*common, *delivery_rules),
        references=references,
        latency_days=latency,
        agreed_from=agreed_from,
        document=document,
    )


def _implied_rules(prop: Mapping[str, Any], sql_type: str) -> Iterator[Rule]:
    """What type, obligation, range, length and pattern of a column demand of each row."""
    name, col = prop["name"], quoted(prop["name"])
    options = prop.get("logicalTypeOptions", {})
    if sql_type.upper() != "VARCHAR":  # any text is text
        yield Rule(
            f"{name}.type",
            f"{name} can be read as {sql_type}",
            "conformity",
            "error",
            predicate="",
            criterion="accuracy",
        )
    if prop.get("required") or prop.get("primaryKey"):
        yield Rule(
            f"{name}.required", f"{name} is not empty", "completeness", "error",
            predicate=f"{col} IS NOT NULL", criterion="completeness",
        )  # fmt: skip
    bounds = [(">=", "minimum"), (">", "exclusiveMinimum"), ("<=", "maximum"), ("<", "exclusiveMaximum")]
    parts = [f"{col} {sign} {literal(options[option])}" for sign, option in bounds if option in options]
    if parts:
        words = " and ".join(f"{sign} {options[option]}" for sign, option in bounds if option in options)
        yield Rule(f"{name}.range", f"{name} {words}", "accuracy", "error", predicate=" AND ".join(parts))
    lengths = [
        f"length({col}) {sign} {options[o]}" for sign, o in ((">=", "minLength"), ("<=", "maxLength")) if o in options
    ]
    if lengths:
        yield Rule(
            f"{name}.length",
            f"{name} has an allowed length",
            "conformity",
            "error",
            predicate=" AND ".join(lengths),
            criterion="accuracy",
        )
    if "pattern" in options:
        yield Rule(
            f"{name}.pattern",
            f"{name} matches {options['pattern']}",
            "conformity",
            "error",
            predicate=f"regexp_full_match({col}, {literal(options['pattern'])})",
            criterion="accuracy",
        )


def _qualities(body: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any], str | None]]:
    """Every quality entry with its place and the column it stands at, if any."""
    for index, prop in enumerate(body["properties"]):
        for number, quality in enumerate(prop.get("quality") or []):
            yield ("schema", 0, "properties", index, "quality", number), quality, prop["name"]
    for number, quality in enumerate(body.get("quality") or []):
        yield ("schema", 0, "quality", number), quality, None


def _rule(quality: Mapping[str, Any], column: str | None) -> Rule | None:
    """What a quality entry demands of a row or of a delivery; None if it is of a kind nothing here judges."""
    how: dict[str, Any]
    metric, engine = quality.get("metric"), quality.get("engine")
    between = "expect_column_values_to_be_between"
    if (
        column
        and metric == "invalidValues"
        and quality.get("mustBe") == 0
        and "validValues" in quality.get("arguments", {})
    ):
        values = ", ".join(literal(v) for v in quality["arguments"]["validValues"])
        how = {"predicate": f"{quoted(column)} IN ({values})", "criterion": "comparability"}
    elif column and metric == "nullValues" and quality.get("unit") == "percent" and "mustBeLessOrEqualTo" in quality:
        kwargs = {"column": f"null_percent__{column}", "max_value": quality["mustBeLessOrEqualTo"]}
        how = {"expectation": between, "kwargs": kwargs, "criterion": "completeness"}
    elif metric == "rowCount" and "mustBeGreaterThan" in quality:
        kwargs = {"column": "received", "min_value": quality["mustBeGreaterThan"], "strict_min": True}
        how = {"expectation": between, "kwargs": kwargs, "criterion": "completeness"}
    elif engine == "greatExpectations" and _judgeable(quality["implementation"]):
        implementation = quality["implementation"]
        subject = implementation["kwargs"]["column"].partition("__")[0]
        how = {
            "expectation": implementation["type"], "kwargs": implementation["kwargs"],
            "criterion": _CRITERION_OF.get(subject, "truthfulness"),
        }  # fmt: skip
    elif engine == "qala":
        how = {"predicate": quality["implementation"], "criterion": "interrelation"}
    else:
        return None
    if "criterion" in custom(quality):
        how["criterion"] = custom(quality)["criterion"]
    description, dimension = quality.get("description", quality["id"]), quality.get("dimension", "accuracy")
    return Rule(quality["id"], description, dimension, quality.get("severity", "error"), **how)


def _judgeable(implementation: Mapping[str, Any]) -> bool:
    """Whether an expectation is one of those the second gate runs, over a column of the profile it runs on."""
    column = implementation.get("kwargs", {}).get("column", "")
    return implementation.get("type") in EXPECTATIONS and (column in PROFILE or column.startswith(PROFILE_OF))


def _common_rules(key: Iterable[str]) -> tuple[Rule, ...]:
    """What every delivery of every table must meet, whatever its contract says."""
    between = "expect_column_values_to_be_between"
    return (
        Rule(
            "key.unique",
            f"{', '.join(key)} is given once; of repeated ones the last row counts, the others are rejected",
            "uniqueness",
            "error",
            predicate="",
            criterion="uniqueness",
        ),
        Rule(
            "scope",
            "The row's settlement lies in the territory the delivery is for",
            "conformity",
            "error",
            predicate="",
            criterion="accuracy",
        ),
        Rule(
            "structure",
            "Headers, encoding and format are those of the contract",
            "conformity",
            "error",
            criterion="comparability",
        ),
        Rule(
            "manifest-rows",
            "The file has the number of rows its manifest declares",
            "coverage",
            "error",
            expectation=between,
            kwargs={"column": "manifest_difference", "min_value": 0, "max_value": 0},
            criterion="completeness",
        ),
        Rule(
            "repeated-keys",
            "At most 1 % of the rows repeat a key",
            "uniqueness",
            "warning",
            expectation=between,
            kwargs={"column": "duplicate_percent", "max_value": 1},
            criterion="uniqueness",
        ),
    )


def _agreed_rules(latency_days: int | None, references: Iterable[Reference]) -> Iterator[Rule]:
    """What the service levels and the references of a contract ask of a delivery."""
    between = "expect_column_values_to_be_between"
    if latency_days is not None:
        yield Rule(
            "on-time",
            f"Delivered within {latency_days} days of the period's end",
            "timeliness",
            "warning",
            expectation=between,
            kwargs={"column": "late_days", "max_value": 0},
            criterion="timeliness",
        )
    for one in references:
        yield Rule(
            f"{one.column}.reference",
            f"At most 1 % of the values of {one.column} are missing from {one.table}.{one.target}",
            "consistency",
            "warning",
            expectation=between,
            kwargs={"column": f"unmatched_percent__{one.column}", "max_value": 1},
            criterion="interrelation",
        )


def _references(
    document: Document, properties: Iterable[Mapping[str, Any]], faults: list[Fault]
) -> Iterator[Reference]:
    for index, prop in enumerate(properties):
        for number, relation in enumerate(prop.get("relationships") or []):
            table, _, target = str(relation.get("to", "")).partition(".")
            if not target:
                where = ("schema", 0, "properties", index, "relationships", number)
                faults.append(document.fault(where, f"reference to {relation.get('to')!r}", "write to: table.column"))
                continue
            yield Reference(prop["name"], table, target)


def reference_faults(tables: Mapping[str, Table]) -> Iterator[Fault]:
    """References must lead to columns that exist, and never in a circle: what is referred to is loaded first."""
    for table in tables.values():
        for one in table.references:
            index = [c.name for c in table.columns].index(one.column)
            where = ("schema", 0, "properties", index, "relationships")
            target = tables.get(one.table)
            if target is None or one.target not in {c.name for c in target.columns}:
                yield table.document.fault(
                    where,
                    f"{table.name}.{one.column} refers to {one.table}.{one.target}, which does not exist",
                    "name a column of a showcase table, or take the reference out",
                )
            elif table.name in _leads_to(tables, one.table):
                yield table.document.fault(
                    where,
                    f"{table.name}.{one.column} closes a circle of references through {one.table}",
                    "take out one of its references: a table is loaded after those it refers to",
                )


def _leads_to(tables: Mapping[str, Table], start: str) -> set[str]:
    """A table and every table its references lead to."""
    found, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        if name not in found and name in tables:
            found.add(name)
            waiting += [r.table for r in tables[name].references]
    return found


def _service_level(document: Document) -> tuple[int | None, dt.date | None]:
    """Days agreed from the end of a period to its delivery, and from which day that is agreed."""
    agreed = {a["property"]: a.get("value") for a in document.data.get("slaProperties", [])}
    since = agreed.get("generalAvailability")
    return agreed.get("latency"), since if since is None or isinstance(since, dt.date) else dt.date.fromisoformat(since)
