"""Showcase table contracts (ODCS v3.1): a contract's text becomes a `Table`.

A `Table` has columns with SQL types and row rules, and the rules that a delivery is judged by. Does not belong here: what may be written
in a contract (contract_checks.py), its rules beside the columns (contract_rules.py), contracts of sources
(connectors/mapping/source_contract.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from kpi_definitions.documents import Document, DocumentError, Fault, Where, read
from kpi_definitions.kept import kept
from warehouse.tables.assertions import Asserts, Cut, cut_of
from warehouse.tables.code_registries import codes_rule
from warehouse.tables.contract_checks import unwritable
from warehouse.tables.contract_rules import frequency, quality_rules, references, rule_faults, service_level
from warehouse.tables.odcs import reads_contracts, schema_faults
from warehouse.tables.rules import (
    Reference,
    Rule,
    agreed_rules,
    common_rules,
    custom,
    form_rule,
    implied_rules,
    qualities,
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
PERSONAL = "personal"  # classification of columns that hold a person's identifier: what stands in them is a pseudonym
_RESERVED = (
    "broken",
    "emptied",
    "raw",
    "file_index",
    "valid_to_seq",
    "seq",
)  # names that the first gate, former rows and seals need for themselves
_DATED = frozenset({"DATE", "TIMESTAMP"})  # SQL types of dates and times
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
    codes_of: str = ""  # the registry whose codes its values are; empty: of none

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
    description_kk: str
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
    frequency: str | None  # SDMX frequency at which it is agreed to come: M, Q, A
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
        return {c.name: c.required or c.name in self.key for c in self.columns if c.sql_type.upper() in _DATED}

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
            if not c.required and c.name not in self.key and c.sql_type.upper() not in _DATED
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


def sound_tables(*folders: Path) -> tuple[dict[str, Table], list[Fault]]:
    """The showcase contracts of folders that can be read, by table name, and every fault of the others; a name belongs to who has it first."""
    paths = [p for folder in folders for p in sorted(folder.glob("*.odcs.yaml"))]
    return kept("tables", paths, lambda: _sound(paths))


def _sound(paths: Iterable[Path]) -> tuple[dict[str, Table], list[Fault]]:
    faults: list[Fault] = []
    tables: dict[str, Table] = {}
    for path in paths:
        try:
            table = parse_table(read(path))
        except DocumentError as error:
            faults += error.faults
            continue
        first = tables.setdefault(table.name, table)
        if first is not table:
            where, remedy = (
                ("schema", 0, "name"),
                "give this one another name: what a table of qala's own is, no home changes",
            )
            if first.document.path.parent == path.parent:
                remedy = f"it stands in {first.document.path.name} too: take one of them out"
            faults.append(table.document.fault(where, f"there is a table {table.name} already", remedy))
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


@reads_contracts
def parse_table(document: Document) -> Table:
    """Turn one contract document into a Table. Raises DocumentError naming the line."""
    try:
        body = document.data["schema"][0]
        properties = body["properties"]
    except (KeyError, IndexError, TypeError):
        raise DocumentError(schema_faults(document) or [document.fault((), "no schema with properties")]) from None
    if faults := list(unwritable(document, body)):
        raise DocumentError(faults)
    columns = tuple(_columns(document, body, faults))
    key = _key(document, properties, faults)
    row_rules, delivery_rules = quality_rules(document, body, [c.name for c in columns], faults)
    refers = tuple(references(document, properties, faults))
    latency, agreed_from = service_level(document)
    settings = custom(document.data)
    snapshot = settings.get("delivery") == Asserts.SNAPSHOT
    usual = usual_of(document, SNAPSHOT_COLUMN[0] if snapshot else None, faults)
    identifiers = [c.name for c in columns if c.name in key and any(r.id == f"{c.name}.form" for r in c.rules)]
    coded = [codes_rule(c.name, c.codes_of) for c in columns if c.codes_of]
    common = (*common_rules(key, identifiers), *usual_rules(usual, snapshot), *agreed_rules(latency, refers), *coded)
    rules = [*(r for c in columns for r in c.rules), *row_rules, *common, *delivery_rules]
    faults += rule_faults(document, rules)
    cut = _cut(document, settings, columns, key, faults)
    if faults:
        raise DocumentError(faults)
    return Table(
        name=body["name"],
        title=body.get("businessName", body["name"]),
        title_ru=custom(body).get("titleRu", ""),
        title_kk=custom(body).get("titleKk", ""),
        description=body.get("description", ""),
        description_ru=custom(body).get("descriptionRu", ""),
        description_kk=custom(body).get("descriptionKk", ""),
        domain=document.data.get("domain", ""),
        owner=document.data.get("team", {}).get("name", ""),
        version=document.data["version"],
        cut=cut,
        national_keys=settings.get("keys") == "national",
        public_service=bool(settings.get("publicService", False)),
        columns=columns,
        key=key,
        row_rules=tuple(row_rules),
        delivery_rules=(*common, *delivery_rules),
        references=refers,
        frequency=frequency(document),
        latency_days=latency,
        agreed_from=agreed_from,
        usual=usual,
        document=document,
    )


def _columns(document: Document, body: Mapping[str, Any], faults: list[Fault]) -> Iterator[Column]:
    """The columns of a contract, each with the rules that follow from it alone."""
    for index, prop in enumerate(body["properties"]):
        where: Where = ("schema", 0, "properties", index)
        sql_type = prop.get("physicalType") or _TYPES.get(prop.get("logicalType", ""))
        if sql_type is None:
            message = f"column {prop.get('name')}: no SQL type for {prop.get('logicalType')!r}"
            remedy = "a number needs physicalType DECIMAL(p,s): sums must be exact"
            faults.append(document.fault(where, message, remedy))
            continue
        if sql_type.upper() in {"DOUBLE", "FLOAT", "REAL"}:
            message = f"column {prop['name']}: {sql_type} does not add up exactly"
            faults.append(document.fault((*where, "physicalType"), message, "use DECIMAL(p,s)"))
        if prop["name"] in {*SYSTEM_COLUMNS, SNAPSHOT_COLUMN[0], *_RESERVED}:
            message = f"column name {prop['name']} belongs to the loader"
            faults.append(document.fault((*where, "name"), message, "rename it"))
        own = custom(prop)
        yield Column(
            name=prop["name"],
            sql_type=sql_type,
            description=prop.get("description", ""),
            description_ru=own.get("descriptionRu", ""),
            required=bool(prop.get("required")),
            unit=own.get("unit"),
            classification=prop.get("classification", "open"),
            rules=tuple(implied_rules(prop, sql_type)),
            identifier=own.get("identifier", "other"),
            domain=own.get("pseudonymDomain", _domain(body["name"], prop)),
            free_text=own.get("freeText", False),
            codes_of=own.get("codesOf", ""),
        )


def _domain(table: str, prop: Mapping[str, Any]) -> str:
    """The domain of a column's pseudonyms: that of what it refers to, else its own."""
    referred = [str(relation.get("to", "")) for relation in prop.get("relationships") or []]
    return referred[0] if referred else f"{table}.{prop['name']}"


def _key(document: Document, properties: Iterable[Mapping[str, Any]], faults: list[Fault]) -> tuple[str, ...]:
    """The columns of the primary key in their order."""
    marked = sorted((p for p in properties if p.get("primaryKey")), key=lambda p: p.get("primaryKeyPosition", 0))
    if not marked:
        where = ("schema", 0, "properties")
        faults.append(document.fault(where, "no primary key", "mark its columns with primaryKey: true"))
    return tuple(p["name"] for p in marked)


def _cut(
    document: Document,
    settings: Mapping[str, Any],
    columns: Iterable[Column],
    key: Collection[str],
    faults: list[Fault],
) -> Cut:
    """How the table's extracts are cut, as its contract says (`settings`: its own properties)."""
    dated = {c.name: c.required or c.name in key for c in columns if c.sql_type.upper() in _DATED}
    cut = default = Cut(Asserts.SNAPSHOT) if settings.get("delivery") == Asserts.SNAPSHOT else Cut()
    for found in cut_of(settings, default, dated, document):
        if isinstance(found, Cut):
            cut = found
        else:
            faults.append(found)
    if settings.get("keys", "system") not in ("system", "national"):
        message = f"keys {settings['keys']!r} is not known"
        faults.append(document.fault(("customProperties",), message, "write national, or leave it out"))
    return cut


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
