"""Showcase table contracts (ODCS v3.1) and the reading of any ODCS document.

A contract's text becomes a `Table`: columns with SQL types and row rules, and the rules a whole delivery is judged by
(`rules.py`). Source contracts are read by connectors/mapping/source_contract.py.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from kpi_definitions.documents import Document, DocumentError, Fault, Where, read
from kpi_definitions.expressions import SCALAR, ExpressionError, check, check_pattern, parse
from warehouse.tables.assertions import Asserts, Cut, cut_of
from warehouse.tables.odcs import schema_faults
from warehouse.tables.rules import (
    CRITERIA,
    Reference,
    Rule,
    agreed_rules,
    common_rules,
    custom,
    form_rule,
    implied_rules,
    qualities,
    rule_of,
)
from warehouse.tables.usual import Usual, usual_of, usual_rules

SHOWCASE = Path(__file__).parents[1] / "showcase"
SYSTEM_COLUMNS: Mapping[str, tuple[str, str]] = {
    "kato": ("VARCHAR", "Settlement, nine digits of the KATO classifier"),
    "delivery_id": ("BIGINT", "The delivery that last asserted this row: audit.delivery"),
    "row_no": ("BIGINT", "Number of the record in the delivered file, from 1, header not counted"),
    "sdu_load_in_dt": ("TIMESTAMPTZ", "When the row was loaded"),
    "valid_from_seq": ("BIGINT", "Ledger sequence from which this version of the row is valid"),
}
SNAPSHOT_COLUMN = ("snapshot_date", "DATE", "First day after the period whose end state this row describes")
SEVERITIES = ("error", "warning")
PERSONAL = "personal"  # classification of columns that hold a person's identifier: what stands in them is a pseudonym
# kinds of identifiers, by which each is brought to one form; none: numbers of things, never of persons
IDENTIFIERS = ("iin", "phone", "email", "other", "none")
_RESERVED = ("broken", "emptied", "raw", "file_index")  # names the first gate needs for itself
# what is written into SQL as it stands
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
SQL_TYPE = re.compile(
    r"VARCHAR|BOOLEAN|DATE|TIMESTAMP|(TINY|SMALL|BIG|HUGE)INT|INTEGER|DECIMAL\([0-9]{1,2}, ?[0-9]{1,2}\)|DOUBLE|FLOAT|REAL"
)
_TYPES = {"string": "VARCHAR", "integer": "INTEGER", "boolean": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMP"}


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
    identifier: str = "other"  # of a personal column or an identifier: its kind
    domain: str = ""  # of pseudonyms: those of one domain can be joined
    free_text: bool = False  # what people write: not taken unless the source's contract has it scrubbed

    @property
    def personal(self) -> bool:
        return self.classification == PERSONAL


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
    cut: Cut  # how its extracts are cut, unless a source contract says it otherwise
    national_keys: bool  # a key means the same thing whichever system it comes from
    public_service: bool  # belongs to a public service: a field of the data passport
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    row_rules: tuple[Rule, ...]
    delivery_rules: tuple[Rule, ...]
    references: tuple[Reference, ...]
    latency_days: int | None  # agreed days from a period's end to its delivery
    agreed_from: dt.date | None  # periods that ended before it had no deadline
    usual: Usual  # what its deliveries are held against beside their own rows
    document: Document = field(compare=False, repr=False)

    @property
    def snapshot(self) -> bool:
        """Delivered as the whole register at the end of each period."""
        return self.cut.kind is Asserts.SNAPSHOT

    @cached_property
    def dated(self) -> dict[str, bool]:
        """Date and time columns of the contract, and whether each must be filled."""
        return {
            c.name: c.required or c.name in self.key
            for c in self.columns
            if c.sql_type.upper() in {"DATE", "TIMESTAMP"}
        }

    @cached_property
    def business_columns(self) -> dict[str, str]:
        """Name and SQL type of every column the table has beside the loader's own, in order."""
        columns = {c.name: c.sql_type for c in self.columns}
        return columns | {SNAPSHOT_COLUMN[0]: SNAPSHOT_COLUMN[1]} if self.snapshot else columns

    @cached_property
    def codes(self) -> dict[str, tuple[str, ...]]:
        """Columns with a code list, and its codes: what a definition may compare them with."""
        listed = ((column, quality) for _, quality, column in qualities(self.document.data["schema"][0]) if column)
        return {
            c: tuple(map(str, q["arguments"]["validValues"]))
            for c, q in listed
            if "validValues" in q.get("arguments", {})
        }

    @cached_property
    def identity(self) -> tuple[str, ...]:
        """The columns by which a row is recognised when it comes again."""
        return ("kato", *self.key, *((SNAPSHOT_COLUMN[0],) if self.snapshot else ()))

    @cached_property
    def identifiers(self) -> tuple[str, ...]:
        """Text columns of the key, of references and referred to: compared in a normal form, see warehouse/tables/identifiers.py."""
        return tuple(c.name for c in self.columns if any(r.id == f"{c.name}.form" for r in c.rules))

    @cached_property
    def optional(self) -> frozenset[str]:
        """Columns whose broken cell does not cost the row: neither required nor of the key, and no date or time.

        A date decides which period a row belongs to, or where it stands in its course: with a hole there it is another row.
        """
        return frozenset(
            c.name
            for c in self.columns
            if not c.required and c.name not in self.key and c.sql_type.upper() not in {"DATE", "TIMESTAMP"}
        )

    @cached_property
    def all_rules(self) -> tuple[Rule, ...]:
        """Row rules of the columns, row rules of the table, delivery rules: in the order they are applied."""
        return (*(r for c in self.columns for r in c.rules), *self.row_rules, *self.delivery_rules)


def load_tables(folder: Path | None = None) -> dict[str, Table]:
    """Every showcase contract of a folder, by table name; None: of those that come with qala, read once a process.

    Raises DocumentError with all faults found.
    """
    return dict(_shipped()) if folder is None else _read_tables(folder)


@cache
def _shipped() -> dict[str, Table]:
    return _read_tables(SHOWCASE)


def _read_tables(folder: Path) -> dict[str, Table]:
    tables, faults = sound_tables(folder)
    if faults:
        raise DocumentError(faults)
    return tables


def sound_tables(folder: Path) -> tuple[dict[str, Table], list[Fault]]:
    """The showcase contracts of a folder that can be read, by table name, and every fault of the others."""
    faults: list[Fault] = []
    tables: dict[str, Table] = {}
    for path in sorted(folder.glob("*.odcs.yaml")):
        try:
            table = parse_table(read(path))
        except DocumentError as error:
            faults += error.faults
            continue
        tables[table.name] = table
    referred = {(one.table, one.target) for table in tables.values() for one in table.references}
    return {name: _with_form(table, referred) for name, table in tables.items()}, faults


def _with_form(table: Table, referred: Collection[tuple[str, str]]) -> Table:
    """The table, its text columns that others refer to known as identifiers too."""
    columns = tuple(
        replace(c, rules=(*c.rules, form_rule(c.name)))
        if (table.name, c.name) in referred and c.sql_type.upper() == "VARCHAR" and c.name not in table.identifiers
        else c
        for c in table.columns
    )
    return table if columns == table.columns else replace(table, columns=columns)


def parse_table(document: Document) -> Table:
    """Turn one contract document into a Table. Raises DocumentError naming the line."""
    try:
        schemas = document.data["schema"]
        body = schemas[0]
        properties = body["properties"]
    except (KeyError, IndexError, TypeError):
        raise DocumentError(schema_faults(document) or [document.fault((), "no schema with properties")]) from None
    faults = list(_unwritable(document, body))
    if faults:
        raise DocumentError(faults)
    columns = []
    for index, prop in enumerate(properties):
        where: Where = ("schema", 0, "properties", index)
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
                rules=tuple(implied_rules(prop, sql_type)),
                identifier=custom(prop).get("identifier", "other"),
                domain=custom(prop).get("pseudonymDomain", _domain(body["name"], prop)),
                free_text=custom(prop).get("freeText", False),
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
    for where, quality, name in qualities(body):
        if quality.get("type") == "text":  # for people
            continue
        rule = rule_of(quality, name) if "id" in quality else None
        if rule is None:
            faults.append(
                document.fault(
                    where,
                    f"quality rule {quality.get('id', 'without id')!r} is of a kind nothing here judges",
                    "give it an id and metric nullValues, invalidValues or rowCount, or engine qala or greatExpectations, or type text",
                )
            )
        elif quality.get("engine") == "qala":
            try:
                tree = parse(quality["implementation"], ("implementation",))
                check(tree, [c.name for c in columns], ("implementation",), SCALAR)
            except ExpressionError as error:
                faults.append(
                    document.fault((*where, *error.where), f"{body['name']}.{rule.id}: {error.message}", error.remedy)
                )
            else:  # as it was understood, not as it was written
                row_rules.append(replace(rule, predicate=tree.sql("duckdb")))
        else:
            (row_rules if rule.predicate else delivery_rules).append(rule)
    references = tuple(_references(document, properties, faults))
    latency, agreed_from = _service_level(document)
    settings = custom(document.data)
    snapshot = settings.get("delivery") == Asserts.SNAPSHOT
    usual = usual_of(document, SNAPSHOT_COLUMN[0] if snapshot else None, faults)
    named = [c.name for c in columns if c.name in key and any(r.id == f"{c.name}.form" for r in c.rules)]
    common = (*common_rules(key, named), *usual_rules(usual, snapshot), *agreed_rules(latency, references))
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
    registers = Cut(Asserts.SNAPSHOT) if snapshot else Cut()
    dated = {c.name: c.required or c.name in key for c in columns if c.sql_type.upper() in {"DATE", "TIMESTAMP"}}
    cut = registers
    for found in cut_of(settings, registers, dated, document):
        if isinstance(found, Cut):
            cut = found
        else:
            faults.append(found)
    if settings.get("keys", "system") not in ("system", "national"):
        faults.append(
            document.fault(
                ("customProperties",), f"keys {settings['keys']!r} is not known", "write national, or leave it out"
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
        cut=cut,
        national_keys=settings.get("keys") == "national",
        public_service=bool(settings.get("publicService", False)),
        columns=tuple(columns),
        key=key,
        row_rules=tuple(row_rules),
        delivery_rules=(*common, *delivery_rules),
        references=references,
        latency_days=latency,
        agreed_from=agreed_from,
        usual=usual,
        document=document,
    )


def _domain(table: str, prop: Mapping[str, Any]) -> str:
    """The domain of a column's pseudonyms: that of what it refers to, else its own."""
    referred = [str(relation.get("to", "")) for relation in prop.get("relationships") or []]
    return referred[0] if referred else f"{table}.{prop['name']}"


def _unwritable(document: Document, body: Mapping[str, Any]) -> Iterator[Fault]:
    """What a contract says that goes into SQL as it stands, and may not: names, types, numbers, patterns, columns of the profile."""

    def named(value: object, where: Where) -> Iterator[Fault]:
        if not (isinstance(value, str) and NAME.fullmatch(value)):
            yield document.fault(
                where, f"{value!r} cannot be a name in SQL", "use small Latin letters, digits and underscores"
            )

    yield from named(body.get("name"), ("schema", 0, "name"))
    names = {str(p.get("name")) for p in body["properties"]}
    for index, prop in enumerate(body["properties"]):
        where: Where = ("schema", 0, "properties", index)
        yield from named(prop.get("name"), (*where, "name"))
        written = prop.get("physicalType", "VARCHAR")
        if not (isinstance(written, str) and SQL_TYPE.fullmatch(written.upper())):
            yield document.fault(
                (*where, "physicalType"), f"{written!r} is no SQL type of ours",
                "use VARCHAR, BOOLEAN, INTEGER, BIGINT, DECIMAL(p,s), DATE or TIMESTAMP")  # fmt: skip
        options = prop.get("logicalTypeOptions", {})
        for option in sorted({"minLength", "maxLength"} & set(options)):
            if type(options[option]) is not int:
                yield document.fault((*where, "logicalTypeOptions", option), f"{option} {options[option]!r} is no whole number", "write a number")  # fmt: skip
        if "pattern" in options:
            try:
                check_pattern(options["pattern"], ("logicalTypeOptions", "pattern"))
            except ExpressionError as error:
                yield document.fault((*where, *error.where), f"{prop['name']}: {error.message}", error.remedy)
        for number, relation in enumerate(prop.get("relationships") or []):
            for part in str(relation.get("to", "")).split("."):
                yield from named(part, (*where, "relationships", number, "to"))
        own = custom(prop)
        if own.get("identifier", "other") not in IDENTIFIERS:
            message = f"{prop['name']}: identifier {own['identifier']!r} is of no known kind"
            yield document.fault((*where, "customProperties"), message, f"write {', '.join(IDENTIFIERS)}")
        if not isinstance(own.get("pseudonymDomain", ""), str) or not isinstance(own.get("freeText", False), bool):
            message = f"{prop['name']}: pseudonymDomain is a word, freeText true or false"
            yield document.fault(
                (*where, "customProperties"), message, "write pseudonymDomain: residents, freeText: true"
            )
        for words in ("placeholders", "realValues"):
            given = own.get(words, [])
            if not isinstance(given, list) or not all(isinstance(w, str | int | float | dt.date) for w in given):
                message = f"{prop['name']}: {words} {given!r} is no list of words"
                yield document.fault((*where, "customProperties"), message, f"write {words}: ['1900-01-01', н/д]")
    for where, quality, _ in qualities(body):
        if quality.get("severity", "error") not in SEVERITIES:
            message = f"{quality.get('id', 'rule')}: no severity {quality['severity']!r}"
            yield document.fault((*where, "severity"), message, f"write {' or '.join(SEVERITIES)}")
        implementation = quality.get("implementation")
        if quality.get("engine") == "greatExpectations" and isinstance(implementation, Mapping):
            what, _, column = str(implementation.get("kwargs", {}).get("column", "")).partition("__")
            if column and column not in names:
                message = f"{what} of {column!r}: there is no such column"
                yield document.fault((*where, "implementation"), message, f"there are {', '.join(sorted(names))}")
    for index, agreed in enumerate(document.data.get("slaProperties", [])):
        if agreed.get("property") == "latency" and type(agreed.get("value")) is not int:
            message = f"latency {agreed.get('value')!r} is no whole number"
            yield document.fault(("slaProperties", index, "value"), message, "write a number of days")


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
