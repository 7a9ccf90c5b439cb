"""Locks under item 12(4) that DuckDB itself holds: what a statement reads, and what a connection can reach.

The lock before these is the compiler's list (kpi_definitions/expressions.py), the one after them a process of its own
(worker.py). Each must hold alone: nothing here trusts that a statement came from the compiler. Which locks there are, and what
each stops, does not belong here but in docs/adr/0015.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

MEMORY = "QALA_COMPUTE_MEMORY_MIB"
_LEAST_MIB = 64  # what DuckDB has, whatever the limit
# what a compiled scan may be made of, in the words of DuckDB's own parser
_RELATIONS = frozenset({"BASE_TABLE", "JOIN", "SUBQUERY", "EMPTY"})
_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE"})
_EXPRESSIONS = frozenset(
    {"BETWEEN", "CAST", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION", "OPERATOR", "STAR", "TYPE"}
)
_FUNCTIONS = frozenset({
    "+", "-", "*", "/", "abs", "trunc", "floor", "ceil", "greatest", "least", "date_diff", "date_trunc",
    "to_years", "to_quarters", "to_months", "to_weeks", "to_days", "to_hours",
    "to_minutes", "to_seconds", "to_milliseconds", "to_microseconds", "count", "count_if", "count_star", "sum", "avg", "max",
    "quantile_disc", "list", "list_sort", "array_extract",
})  # fmt: skip
# built-in types, as DuckDB's parser spells them: the compiler's (kpi_definitions/expressions.py) and what intervals are made of
_TYPES = frozenset({
    "VARCHAR", "TEXT", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "INT", "BIGINT", "HUGEINT", "INT128", "DECIMAL", "DOUBLE", "DATE", "TIME",
    "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "INTERVAL",
})  # fmt: skip
_JOINS = frozenset({"REGULAR", "CROSS"})


class ForbiddenQueryError(RuntimeError):
    """A statement is not what KPIs are computed by; the message names what it would do."""


def memory_mib() -> int:
    """MiB a computation may take: the environment's QALA_COMPUTE_MEMORY_MIB, else 80 % of the machine's."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return int(os.environ.get(MEMORY) or machine * 8 // 10)


def share_mib() -> int:
    """MiB that DuckDB is told it may take of `memory_mib`: four fifths; in a process held to a limit (worker.py) less.

    What Python and its libraries hold is not there: 400 MiB where deliveries were judged. And DuckDB takes more than it is told
    before it spills: sorting, 645 MiB when told 400, and 1,459 when told 1,000.
    """
    import resource  # not on Windows

    limit, status = resource.getrlimit(resource.RLIMIT_DATA)[0], Path("/proc/self/status")
    if limit == resource.RLIM_INFINITY or not status.exists():
        return memory_mib() * 8 // 10
    (held,) = (int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmData"))
    return max((((limit >> 10) - held >> 10) - 200) * 7 // 10, _LEAST_MIB)


def harden(
    con: duckdb.DuckDBPyConnection, *, read_only: bool, memory_mib: int | None = None, threads: int | None = None
) -> None:
    """Leave a connection its own database and nothing else, for good: no other file, no extension, no Python variable, no setting.

    One that writes keeps its own file and the log and the spill folder beside it; one that reads keeps what it has open.
    """
    limits = {"memory_limit": None if memory_mib is None else f"'{memory_mib}MiB'", "threads": threads}
    for name, value in limits.items():
        if value is not None:
            con.execute(f"SET {name} = {value}")
    if read_only:  # it could not spill any more: what does not fit into memory is to say so
        con.execute("SET temp_directory = ''")
    for name in ("autoinstall_known_extensions", "autoload_known_extensions", "python_enable_replacements"):
        con.execute(f"SET {name} = false")
    con.execute("SET enable_external_access = false")
    if read_only:
        # only now, and before the lock: else COPY could plant a write-ahead log beside the file, which the next to open it applies.
        # One that writes cannot do without: no commit would reach its file
        con.execute("SET disabled_filesystems = 'LocalFileSystem'")
    con.execute("SET lock_configuration = true")


def only_reads(con: duckdb.DuckDBPyConnection, sql: str, table: str, *temporary: str) -> str:
    """The statement, if DuckDB says that it is one SELECT over a showcase table, its history and these temporary relations.

    Asked are the parser (kind and number of statements, every relation, function and expression) and the binder (names of tables).
    Raises ForbiddenQueryError.
    """

    def refuse(what: str) -> ForbiddenQueryError:
        return ForbiddenQueryError(
            f"item 12(4): a KPI over {table} may read showcase.{table} and nothing else; this statement {what}: {sql[:500]}"
        )

    wanted, allowed = f"showcase.{table}", {f"showcase.{table}", f"history.{table}", *temporary}
    try:
        statements = con.extract_statements(sql)
        if len(statements) != 1:
            raise refuse(f"is {len(statements)} statements")
        if statements[0].type != duckdb.StatementType.SELECT:
            raise refuse(f"is {statements[0].type.name}")
        row = con.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
        tree = json.loads(row[0]) if row else {}
        if tree.get("error", True):
            raise refuse(f"cannot be looked into ({tree.get('error_message')})")
        found = dict.fromkeys(_said(tree))
        read = {name for kind, name in found if kind == "reads"}
        other = [f"{kind} {name}" for kind, name in found if kind != "reads" or name not in allowed]
        if other:
            raise refuse(", ".join(other))
        named = {name.partition(" AS ")[0] for name in con.get_table_names(sql, qualified=True)}
    except duckdb.Error as error:
        raise refuse(f"cannot be read ({str(error).splitlines()[0]})") from error
    if named - allowed:
        raise refuse(f"reads {', '.join(sorted(named - allowed))}")
    if wanted not in read & named:
        raise refuse("does not read it")
    return sql


def _said(tree: Any) -> Iterator[tuple[str, str]]:
    """(reads, relation) for every table named in DuckDB's syntax tree, and (what it does, name) for all that is on no list."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo += node
        if not isinstance(node, dict):
            continue
        todo += node.values()
        kind = str(node.get("type"))
        if "class" in node:
            if node["class"] not in _EXPRESSIONS or node.get("columns"):
                yield "has", f"an expression of kind {node['class']}"
            elif node["class"] == "FUNCTION" and (
                (name := _named(node)) not in _FUNCTIONS or any(one["name"] for one in node["arguments"])
            ):
                yield "calls", name
            elif node["class"] == "TYPE" and (
                (name := _named(node)).upper() not in _TYPES
                or any(child["class"] != "CONSTANT" for child in node["children"])
            ):
                yield "casts to", name
        elif "modifiers" in node:
            if kind not in _QUERIES:
                yield "has", f"a query of kind {kind}"
            elif node.get("sample"):
                yield "takes", "a sample"
        elif "sample" in node:
            if node["sample"]:
                yield "takes", "a sample"
            if kind not in _RELATIONS:
                function = node.get("function")
                yield "reads", function["function_name"] + "()" if function else f"a relation of kind {kind}"
            elif kind == "JOIN" and node["ref_type"] not in _JOINS:
                yield "has", f"a join of kind {node['ref_type']}"
            elif kind == "BASE_TABLE":
                yield "reads", _named(node)
                if node["at_clause"]:
                    yield "has", "an AT clause"


def _named(node: Any) -> str:
    """The whole name: of one with four parts the tree's older fields (catalog, schema, table) leave out the second."""
    return ".".join(node["qualified_name"]["path"])
