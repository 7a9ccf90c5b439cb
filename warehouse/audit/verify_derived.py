"""Points 6 and 7 of verify.py: the schema of a file against an empty warehouse made by the code, exports against the tables by the code's views,
sentences against the catalogue of messages.

Views, comments and types follow from the code and are not sealed. So the code makes an empty warehouse, and DuckDB's catalogues of both are
compared, each object in DuckDB's spelling. Does not belong here: rows (store/recorded.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from warehouse.home.copies import file_sha256
from warehouse.release.exports import EXPORTS, export
from warehouse.sql import literal
from warehouse.store.differences import Difference, Kind, first_of_each
from warehouse.store.sentences import differing_sentences
from warehouse.store.store import Store
from warehouse.tables.contracts import Table, load_tables
from warehouse.tables.file_format import make_file, storage_version
from warehouse.tables.file_objects import CATALOGUES, Catalogue, catalogue, name_of
from warehouse.tables.views import all_views, make, make_own

_RELATIONS = ("table", "view")


@cache
def _shipped(version: str) -> Catalogue:
    return _derived(load_tables(), version)


def _derived(tables: Mapping[str, Table], version: str) -> Catalogue:
    from warehouse.tables import ddl as schema

    meta = schema.metadata(tables.values())
    with tempfile.TemporaryDirectory(prefix="qala-verify-") as folder:
        path = f"{folder}/derived.duckdb"
        make_file(Path(path), version)
        with duckdb.connect(path) as con:
            con.execute("BEGIN TRANSACTION")
            con.execute("; ".join((*schema.ddl(meta), *schema.descriptions(meta))))
            make(con, all_views(tables))
            con.execute("COMMIT")
        with duckdb.connect(
            path, read_only=True
        ) as con:  # DuckDB spells a view otherwise once it has been written and read
            return catalogue(con)


def schema_differences(store: Store) -> list[Difference]:
    """The open file's schema against the code's. A file made by another version is said to be that, and nothing more."""
    return first_of_each(_schema_differences(store))


def _schema_differences(store: Store) -> Iterator[Difference]:
    found, version = catalogue(store.con), storage_version(store.con)
    wanted = _shipped(version) if store.tables == load_tables() else _derived(store.tables, version)
    for kind in ("schema", "sequence", "type", "index", "trigger"):
        for name in sorted(set(found[kind]) - set(wanted[kind])):
            yield Difference("schema", f"{kind} {'.'.join(name)}: qala makes none of that name", Kind.OBJECT_PLANTED)
        for name in sorted(set(wanted[kind]) - set(found[kind])):
            yield Difference("schema", f"{kind} {'.'.join(name)} is missing", Kind.OBJECT_MISSING)
    yield from _relations(found, wanted)
    yield from _columns(store, found, wanted)
    for name in sorted(set(found["constraint"]) ^ set(wanted["constraint"])):
        schema, table, text, columns = name
        if all((schema, table) in one["table"] for one in (found, wanted)):
            what = "a constraint that qala does not set" if name in found["constraint"] else "not the constraint"
            yield Difference("schema", f"{schema}.{table} has {what}: {text} ({columns})", Kind.CONSTRAINT_CHANGED)
    for kind in ("schema", "table", "view", "column"):
        for name in sorted(set(found[kind]) & set(wanted[kind])):
            if found[kind][name][0] != wanted[kind][name][0]:
                yield Difference("schema", f"the comment on {kind} {'.'.join(name)} is another", Kind.COMMENT_CHANGED)


def _relations(found: Catalogue, wanted: Catalogue) -> Iterator[Difference]:
    for kind, other in (_RELATIONS, _RELATIONS[::-1]):
        for name in sorted({*found[kind], *wanted[kind]}):
            said = ".".join(name).removeprefix("main.")
            if name not in wanted[kind] and name not in wanted[other]:
                yield Difference("schema", f"{kind} {said}: qala makes none of that name", Kind.OBJECT_PLANTED)
            elif name in wanted[kind] and name in found[other]:
                yield Difference("schema", f"{said} is a {other}, and should be a {kind}", Kind.OBJECT_REPLACED)
            elif name in wanted[kind] and name not in found[kind]:
                yield Difference("schema", f"{kind} {said} is missing", Kind.OBJECT_MISSING)
    for name in sorted(set(found["view"]) & set(wanted["view"])):
        if found["view"][name][1] != wanted["view"][name][1]:
            yield Difference("schema", f"view {name[-1]} is another than the one qala makes", Kind.VIEW_CHANGED)


def planted_functions(con: duckdb.DuckDBPyConnection) -> list[Difference]:
    """Functions planted in an open file. They answer in place of DuckDB's own, so that no other answer of the file can be trusted."""
    names = sorted(name_of(row[0]) for row in con.execute(CATALOGUES["function"]).fetchall())
    return [Difference("schema", f"function {'.'.join(name)}: qala makes none", Kind.OBJECT_PLANTED) for name in names]


def _columns(store: Store, found: Catalogue, wanted: Catalogue) -> Iterator[Difference]:
    whole = [n for n in wanted["table"] if n in found["table"]] + [n for n in wanted["view"] if n in found["view"]]
    ours, theirs = _by_relation(wanted), _by_relation(found)
    # a contract that gained a column had it put at the end; each time the file was fitted is in the ledger
    fitted = store.con.execute("SELECT seq FROM audit.ledger WHERE kind = 'schema'").fetchall()
    for relation in sorted(whole):
        mine, there, place = ours[relation], theirs.get(relation, {}), ".".join(relation).removeprefix("main.")
        for name in sorted(set(mine) | set(there)):
            if name not in mine:
                yield Difference("schema", f"{place} has a column {name} that qala does not make", Kind.COLUMN_CHANGED)
            elif name not in there:
                yield Difference("schema", f"{place} has no column {name}", Kind.COLUMN_CHANGED)
            else:
                for what, now, then in zip(
                    ("type", "NULL allowed", "default"), there[name][1:4], mine[name][1:4], strict=True
                ):
                    if now != then:
                        said = f"{place}.{name}: {what} is {now}, and should be {then}"
                        yield Difference("schema", said, Kind.COLUMN_CHANGED)
        if set(mine) == set(there) and len(fitted) < 2 and any(mine[n][4] != there[n][4] for n in mine):
            yield Difference("schema", f"{place} has its columns in another order", Kind.COLUMN_CHANGED)


def _by_relation(one: Catalogue) -> dict[tuple[str, ...], dict[str, tuple[Any, ...]]]:
    found: dict[tuple[str, ...], dict[str, tuple[Any, ...]]] = {}
    for (schema, relation, column), facts in one["column"].items():
        found.setdefault((schema, relation), {})[column] = facts
    return found


def export_differences(store: Store) -> list[Difference]:
    """The release's exports against what its tables give by the code's views: byte for byte, else in content."""
    found = []
    con = store.con.cursor()
    try:
        make_own(con, all_views(store.tables))
        with tempfile.TemporaryDirectory(prefix="qala-verify-") as folder:
            for name in EXPORTS:
                released, again = store.home.release / name, Path(folder) / name
                if not released.exists():
                    continue  # named with the files
                export(con, name, again)
                if file_sha256(released) != file_sha256(again) and (said := _otherwise(con, released, again)):
                    found.append(Difference("release", f"{name}: {said}", Kind.EXPORT_NOT_DERIVED))
    finally:
        con.close()
    return found


def sentence_differences(store: Store) -> list[Difference]:
    """registry.message against the messages that tables record, in the words of the code's catalogue."""
    found = (Difference("registries", said, Kind.SENTENCE) for said in differing_sentences(store.con))
    return first_of_each(found)


def _otherwise(con: duckdb.DuckDBPyConnection, released: Path, again: Path) -> str:
    """How two exports differ."""
    reader = (
        "read_csv({}, header = true, all_varchar = true, nullstr = '')"
        if again.suffix == ".csv"
        else "read_parquet({})"
    )
    theirs, ours = (reader.format(literal(str(path))) for path in (released, again))
    try:
        columns = [[d[:2] for d in con.execute(f"FROM {one} LIMIT 0").description or ()] for one in (theirs, ours)]
        if columns[0] != columns[1]:
            return "it has other columns than the tables give"
        rows = [
            con.execute(f"SELECT count(*) FROM (FROM {a} EXCEPT ALL FROM {b})").fetchall()[0][0]
            for a, b in ((theirs, ours), (ours, theirs))
        ]
    except duckdb.Error as error:
        return f"it cannot be read ({str(error).splitlines()[0]})"
    if any(rows):
        return f"{rows[0]} of its rows do not follow from the tables, and {rows[1]} that do are not in it"
    # the order is given, and one version of DuckDB writes one text; Parquet has room for other bytes
    return "its rows are those of the tables, in another order or written otherwise" if again.suffix == ".csv" else ""
