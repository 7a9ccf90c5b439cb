"""Contracts of the release's tables as tools outside can test them: Open Data Contract Standard, with the columns, the key and the place of the file.

The contracts in `warehouse/showcase` and `<home>/showcase` say what is agreed about a table: its key is that of the source system, its rules are
those of rows and of deliveries. Here each becomes a contract of the table as it lies in the release, in which every rule is one of its rows. Does
not belong here: what a rule is (tables/rules.py), publishing figures (publications.py).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from warehouse.errors import StoreError
from warehouse.home.folders import written_whole
from warehouse.home.home import Home
from warehouse.sql import quoted
from warehouse.store.sessions import reading
from warehouse.tables.contracts import SNAPSHOT_COLUMN, SYSTEM_COLUMNS, Column, Table
from warehouse.tables.rules import Rule, qualities

FOLDER = "released-contracts"  # in the home
RELEASE = "QALA_RELEASE"  # the environment variable that names the file; else it is looked for from the home's folder
_ENDING = ".odcs.yaml"
_TIMEZONED = "TIMESTAMP WITH TIME ZONE"
# SQL type of a column of the loader → its logical type, and the type as DuckDB says it
_LOADED: Mapping[str, tuple[str, str]] = {
    "VARCHAR": ("string", "VARCHAR"),
    "BIGINT": ("integer", "BIGINT"),
    "DATE": ("date", "DATE"),
    "TIMESTAMPTZ": ("timestamp", _TIMEZONED),
}


def write_contracts(home: Home, folder: Path) -> list[str]:
    """Write a contract for every table of the release. Returns the tables' names. Raises StoreError if the folder holds something else."""
    if folder.exists() and (not folder.is_dir() or any(not p.name.endswith(_ENDING) for p in folder.iterdir())):
        raise StoreError(
            f"{folder} holds something else than contracts; name another folder with --to, or move it away"
        )
    with reading(home) as store:
        sql = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'showcase' ORDER BY table_name"
        tables = [store.tables[name] for (name,) in store.con.execute(sql).fetchall()]
    with written_whole(folder) as fresh:
        for table in tables:
            text = yaml.safe_dump(released_contract(table), allow_unicode=True, sort_keys=False, width=160)
            (fresh / f"{table.name}{_ENDING}").write_text(text, encoding="utf-8")
    return [table.name for table in tables]


def released_contract(table: Table) -> dict[str, Any]:
    """The contract of a table as it lies in the release, as data to be written."""
    agreed = copy.deepcopy(table.document.data)
    body = agreed.pop("schema")[0]
    head = agreed | {"id": f"{agreed['id']}.release", "servers": [_server()]}
    written = {p["name"]: p for p in body["properties"]}
    properties = [
        _loaded("kato", key=table.national_keys),
        *(_property(table, column, written[column.name]) for column in table.columns),
    ]
    if table.snapshot:
        name, sql_type, said = SNAPSHOT_COLUMN
        properties.append(_loader_column(name, sql_type, said, key=table.national_keys))
    properties += [_loaded(name) for name in SYSTEM_COLUMNS if name != "kato"]
    for position, name in enumerate(table.identity if table.national_keys else (), 1):
        next(p for p in properties if p["name"] == name)["primaryKeyPosition"] = position
    rules = [*_rules(table, body)] + ([] if table.national_keys else [_identity(table)])
    return {**head, "schema": [body | {"physicalName": table.name, "properties": properties, "quality": rules}]}


def _server() -> dict[str, Any]:
    return {
        "server": "release",
        "type": "duckdb",
        "description": f"The released file, by the environment variable {RELEASE}, else as it lies in a home",
        "database": f"${{{RELEASE}:-release/qala.duckdb}}",
        "schema": "showcase",
    }


def _loaded(name: str, *, key: bool = False) -> dict[str, Any]:
    return _loader_column(name, *SYSTEM_COLUMNS[name], key=key)


def _loader_column(name: str, sql_type: str, said: str, *, key: bool) -> dict[str, Any]:
    logical, physical = _LOADED[sql_type]
    column = {"name": name, "logicalType": logical, "physicalType": physical, "required": True, "description": said}
    return column | ({"primaryKey": True} if key else {})


def _property(table: Table, column: Column, agreed: Mapping[str, Any]) -> dict[str, Any]:
    """A column of the contract: without what only a delivery is judged by, and what only its own system's key means."""
    kept = {
        k: v for k, v in agreed.items() if k not in ("primaryKey", "primaryKeyPosition", "relationships", "quality")
    }
    options = {} if column.personal else dict(kept.pop("logicalTypeOptions", {}))  # what stands there is a pseudonym
    if "pattern" in options:  # of the whole cell, as the gate reads it
        options["pattern"] = f"^(?:{options['pattern']})$"
    kept |= {"physicalType": column.sql_type.upper()}
    if options:
        kept["logicalTypeOptions"] = options
    if column.name in table.key:
        kept |= {"required": True} | ({"primaryKey": True} if table.national_keys else {})
    rules = [*(_of_a_row(q) or _of_deliveries(q) for q in agreed.get("quality") or [])]
    return kept | ({"quality": rules} if rules else {})


def _rules(table: Table, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The table's own rules: those of rows as SQL, those of deliveries in words, references as a share."""
    known = {rule.id: rule for rule in table.all_rules}
    personal = {c.name for c in table.columns if c.personal}
    for _, quality, column in qualities(body):
        if column is not None:
            continue
        rule = known.get(quality.get("id", ""))
        if (
            quality.get("engine") == "qala"
            and rule
            and rule.predicate
            and not any(n in rule.predicate for n in personal)
        ):
            yield _counted(rule, f"SELECT count(*) FROM {quoted(table.name)} WHERE NOT ({rule.predicate})") | {
                "mustBe": 0
            }
        else:
            yield _of_deliveries(quality)
    for one in table.references:
        rule = known[f"{one.column}.reference"]
        column, target = quoted(one.column), quoted(one.target)
        among = f"SELECT 1 FROM {quoted(one.table)} o WHERE o.kato = t.kato AND o.{target} = t.{column}"
        share = f"coalesce(100.0 * count_if(NOT EXISTS ({among})) / nullif(count(*), 0), 0)"
        query = f"SELECT {share} FROM {quoted(table.name)} t WHERE t.{column} IS NOT NULL"
        yield _counted(rule, query) | {"mustBeLessOrEqualTo": rule.kwargs["max_value"]}


def _counted(rule: Rule, query: str) -> dict[str, Any]:
    words = {"description": rule.description("en"), "dimension": rule.dimension, "severity": rule.severity}
    return {"id": rule.id.replace(".", "_"), "type": "sql", **words, "query": query}


def _identity(table: Table) -> dict[str, Any]:
    """What tells rows apart, of which the system is not in the table itself: adr/0020."""
    columns = ", ".join(quoted(name) for name in table.identity)
    again = f"SELECT 1 FROM {quoted(table.name)} JOIN audit.delivery USING (delivery_id) GROUP BY system, {columns} HAVING count(*) > 1"
    said = f"No two rows have the same system (audit.delivery.system), {', '.join(table.identity)}"
    return {
        "id": "identity",
        "type": "sql",
        "description": said,
        "dimension": "uniqueness",
        "severity": "error",
        "query": f"SELECT count(*) FROM ({again})",
        "mustBe": 0,
    }


def _of_a_row(quality: Mapping[str, Any]) -> dict[str, Any] | None:
    """A rule of a column that every accepted cell keeps; None if it is one of a delivery's share."""
    return dict(quality) if quality.get("metric") == "invalidValues" and quality.get("mustBe") == 0 else None


def _of_deliveries(quality: Mapping[str, Any]) -> dict[str, Any]:
    """A rule that a delivery is judged by, which its table need not keep: in words. Those for people stay as they are."""
    if quality.get("type") == "text":
        return dict(quality)
    kept = {k: quality[k] for k in ("id", "dimension", "severity", "customProperties") if k in quality}
    return kept | {
        "type": "text",
        "description": f"Of each delivery: {quality.get('description', quality.get('id', ''))}",
    }
