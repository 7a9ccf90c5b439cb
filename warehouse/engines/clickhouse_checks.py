"""What must hold before ClickHouse is asked for a number: its version, settings that a number depends on, what its reader may do, its shards.

A reader may change no setting (readonly=1), so none is sent with a question: those that stand in the users' profiles are looked at.
Does not belong here: the questions themselves (clickhouse.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from warehouse.engines.clickhouse_answers import records
from warehouse.engines.clickhouse_connections import Connection, RefusedError
from warehouse.engines.clickhouse_tables import text_literal
from warehouse.engines.engine import EngineError

# (major, minor) on which every KPI was computed and compared to the last digit; another is compared where it runs (trial.py)
TRIED = ((18, 16), (26, 9))
FIRST = (18, 16)  # older ones lack decimals of 38 digits
FIRST_THAT_TELLS_TABLES = (23, 3)  # EXPLAIN QUERY TREE
# setting → values that leave an answer as it is; what a server does not know it does not do
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "additional_result_filter": ("",),
    "additional_table_filters": ("{}", ""),
    "aggregate_functions_null_for_empty": ("0", "false"),
    "apply_deleted_mask": ("1", "true"),
    "cast_keep_nullable": ("0", "false"),
    "count_distinct_implementation": ("uniqExact",),
    "decimal_check_overflow": ("1", "true"),
    "dialect": ("clickhouse",),
    "empty_result_for_aggregation_by_empty_set": ("0", "false"),
    "allow_experimental_parallel_reading_from_replicas": ("0",),
    "enable_parallel_replicas": ("0",),
    "extremes": ("0", "false"),
    "final": ("0", "false"),
    "format_csv_delimiter": (",",),
    "format_csv_null_representation": ("\\N",),
    "group_by_use_nulls": ("0", "false"),
    "join_use_nulls": ("0", "false"),
    "limit": ("0",),
    "offset": ("0",),
    "output_format_csv_crlf_end_of_line": ("0", "false"),
    "prefer_column_name_to_alias": ("0", "false"),
    "session_timezone": ("",),
    "skip_unavailable_shards": ("0", "false"),
    "totals_mode": ("after_having_exclusive",),
    "transform_null_in": ("0", "false"),
    "use_query_cache": ("0", "false"),
}
_OVERFLOW = "%overflow\\_mode%"  # each must be `throw`: the others leave rows out
_FIELD, _RECORD = "\x1f", "\x1e"
_DENIED = frozenset({164, 291, 497})  # readonly, no access to the database, not granted
_ABSENT = frozenset({46, 344})  # unknown table function, not built in
# what reads from elsewhere, asked in a way that would reach nothing
_ELSEWHERE: Mapping[str, str] = {
    "file": "file('qala', 'TSV', 'a String')",
    "url": "url('http://127.0.0.1:1/', 'TSV', 'a String')",
    "remote": "remote('127.0.0.1:1', 'system', 'one')",
    "s3": "s3('http://127.0.0.1:1/qala/qala', 'TSV', 'a String')",
    "hdfs": "hdfs('hdfs://127.0.0.1:1/qala', 'TSV', 'a String')",
    "mysql": "mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "postgresql": "postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "mongodb": "mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd', 'a String')",
    "sqlite": "sqlite('qala', 'a')",
    "odbc": "odbc('DSN=qala', 'a', 'b')",
    "jdbc": "jdbc('qala', 'a')",
    "executable": "executable('qala', 'TSV', 'a String')",
}
_READER = "CREATE USER … SETTINGS readonly = 1, and GRANT SELECT on the database alone; before version 20 users.xml: readonly 1, allow_databases"
_TREE_TABLE = re.compile(r"^\s*TABLE id: .*table_name: (\S+)", re.MULTILINE)
_TREE_FUNCTION = re.compile(r"^\s*TABLE_FUNCTION id: .*table_function_name: (\w+)", re.MULTILINE)


def versions_agree(connections: Mapping[str, Connection]) -> str:
    """Their version, whole: 24.8.4.13. Raises EngineError if it is too old to be tried, or if they are of several."""
    versions = {address: ".".join(map(str, one.version)) for address, one in connections.items()}
    for address, one in connections.items():
        if one.version[:2] < FIRST:
            first = ".".join(map(str, FIRST))
            raise EngineError(
                f"{address} is ClickHouse {versions[address]}, which lacks what qala needs: use {first} or newer"
            )
    if len(set(versions.values())) > 1:
        listed = ", ".join(f"{address} {version}" for address, version in versions.items())
        raise EngineError(f"the servers are of different versions: {listed}; bring them to one")
    return next(iter(versions.values()))


def was_tried(where: str, version: str, here: Collection[str]) -> None:
    """The version is one on which numbers were compared, by qala's tests or in this home (`here`). Raises EngineError."""
    if tuple(map(int, version.split(".")[:2])) in TRIED or version in here:
        return
    tried = " and ".join(".".join(map(str, one)) for one in TRIED)
    raise EngineError(
        f"{where} is ClickHouse {version}; numbers were compared on {tried}, and not on this one, as qala is now: "
        "have them compared here, which takes some minutes: qala engine try"
    )


def settings_of(connection: Connection, whose: str) -> dict[str, str]:
    """Settings that a number depends on, as a user has them. Raises EngineError for the first that would change one."""
    return _sound(connection, "system.settings", "''", whose)


def shards_agree(connection: Connection, cluster: str, shards: Sequence[str]) -> None:
    """The cluster is known, has as many shards as the settings name, and each has settings that change no number."""
    known = f"SELECT shard_num FROM system.clusters WHERE cluster = {text_literal(cluster)} GROUP BY shard_num"
    count = len(records(connection.ask(known)))
    if count != len(shards):
        found = f"has {count} shards there, and {len(shards)} in engine.yaml" if count else "is not known there"
        raise EngineError(
            f"{connection.where}: cluster {cluster} {found}; make remote_servers of every server and engine.yaml agree"
        )
    elsewhere = f"cluster({text_literal(cluster)}, 'system', 'settings')"
    _sound(connection, elsewhere, "hostName()", f"cluster {cluster}, whose servers ask one another,")


def may_only_read(reader: Connection, database: str) -> None:
    """The reader can write nothing, read nothing from elsewhere, change no setting, and see no other database: each is tried."""
    readonly = records(reader.ask("SELECT value FROM system.settings WHERE name = 'readonly'"))
    if readonly != [("1",)]:
        raise EngineError(
            f"{reader.where}: the reader's profile has readonly={readonly[0][0]}; it must be 1: {_READER}"
        )
    others = sorted(
        name
        for (name,) in records(reader.ask("SELECT name FROM system.databases"))
        if name.lower() not in (database.lower(), "system", "information_schema")
    )
    if others:
        raise EngineError(f"{reader.where}: the reader sees other databases: {', '.join(others)}; {_READER}")
    probe = f"{database}.qala_probe"
    _denied(reader, reader.tell, f"CREATE TABLE {probe} (a Int8) ENGINE = Memory", "may create tables")
    _denied(reader, reader.tell, "SET max_threads = 1", "may change settings")
    for function, call in _ELSEWHERE.items():
        _denied(reader, reader.ask, f"SELECT count(*) FROM {call}", f"may read by {function}()")


def reads_only(reader: Connection, sql: str, tables: Collection[str]) -> None:
    """A statement reads these tables and nothing else, as the engine itself understands it. Older servers do not say: readonly=1 is the lock."""
    if reader.version < FIRST_THAT_TELLS_TABLES:
        return
    tree = "\n".join(line for (line,) in records(reader.ask(f"EXPLAIN QUERY TREE {sql}")))
    read = {*_TREE_TABLE.findall(tree), *(f"{name}()" for name in _TREE_FUNCTION.findall(tree))}
    if read != set(tables):
        raise EngineError(
            f"{reader.where} would read {', '.join(sorted(read)) or 'nothing'} for a scan of {', '.join(sorted(tables))}; it was not run"
        )


def name_the_silent(shards: Sequence[str], again: Callable[[str], Connection], error: EngineError) -> None:
    """If shards do not answer, raise an EngineError that names them."""
    silent = []
    for address in shards if len(shards) > 1 else ():
        try:
            again(address).close()
        except RefusedError:
            continue
        except EngineError:
            silent.append(address)
    if silent:
        raise EngineError(f"shard {', '.join(silent)} does not answer: start it, and try again ({error})") from error


def _sound(connection: Connection, relation: str, host: str, whose: str) -> dict[str, str]:
    # in one row and one column: some of these settings would leave out rows of this very answer
    value = (
        "if(name IN ('limit', 'offset') AND changed, 'something', value)"  # which a question takes off while it runs
    )
    said = f"arrayStringConcat(array(name, {value}, {host}), '{_FIELD}')"
    sql = f"SELECT arrayStringConcat(groupArray({said}), '{_RECORD}') AS found FROM {relation} WHERE {_NUMBERS}"
    answer = records(connection.ask(sql))
    if not answer:
        raise EngineError(
            f"{connection.where}: the {whose} is given no rows; take limit and offset out of the user's profile"
        )
    found = {}
    for record in answer[0][0].split(_RECORD):
        name, value, at = record.split(_FIELD)
        allowed = SETTINGS.get(name, ("throw",))
        if value not in allowed:
            raise EngineError(
                f"{connection.where}: the {whose} has {name}={value or 'nothing'}{f' at {at}' if at else ''}, which can change a number; "
                f"set it to {allowed[0] or 'nothing'} in the user's profile"
            )
        found[name] = value
    return found


def _denied(reader: Connection, ask: Callable[[str], object], sql: str, may: str) -> None:
    try:
        ask(sql)
    except RefusedError as error:
        if error.code in _DENIED | _ABSENT:
            return
    raise EngineError(f"{reader.where}: the reader {may}; {_READER}")


_NUMBERS = f"name IN ({', '.join(map(text_literal, SETTINGS))}) OR name LIKE {text_literal(_OVERFLOW)}"
