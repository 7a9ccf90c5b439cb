"""Spark as an engine: it keeps nothing, and reads the showcase's Parquet files where they lie, at one path for all its machines.

A load is taken by its name alone, and held when Spark has counted its file's rows; only a file that is as it was then is measured.
Does not belong here: how a session begins and fails (spark_session.py), the SQL of a scan (kpi_definitions/engine_scans.py).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from warehouse.engines.content import CONTENT, ROWS, content_sql
from warehouse.engines.engine import EngineError, Facts, Load
from warehouse.engines.showcase import keep_json
from warehouse.engines.spark_plans import only_reads
from warehouse.engines.spark_session import NUMBERS, Session

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from kpi_definitions.engine_scans import EngineScan

PATIENCE_SECONDS = 30.0  # that a cluster may be without any worker before a wait is given up
_ROWS_VIEW = "qala_rows"
_GLOB = str.maketrans({c: f"\\{c}" for c in "\\[]{}*?"})  # a path is a path, and no pattern
_TYPES = {
    "VARCHAR": "STRING",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "TIMESTAMPTZ": "TIMESTAMP",
    "INTEGER": "INT",
}  # others: alike


@dataclass(frozen=True)
class _Counted:
    """What Spark counted in a file, and by what one sees that it is the same file still."""

    rows: int
    content: int
    size: int  # bytes
    changed: int  # nanoseconds since 1970


@dataclass(frozen=True)
class _Taken:
    """A load that Spark was told of."""

    file: str
    columns: Mapping[str, str]
    counted: _Counted | None = None


class SparkEngine:
    """Spark on a standalone cluster (spark://host:port), or in a process of this machine (local[N])."""

    name = "spark"
    dialect = "spark"

    def __init__(
        self, master: str, files: Path, work: Path, *, executor_memory: str = "1g", cores: int | None = None
    ) -> None:
        """`files`: folder of the loads, as this machine and every worker see it; `work`: for what the engine itself writes."""
        self.master, self.files, self.work = master, files, work
        self.executor_memory, self.cores = executor_memory, cores
        self._open: Session | None = None

    def ready(self) -> Facts:
        """See that Java, master and workers are there, of one version, with our settings, and that workers see the files."""
        session = self._session()
        session.wait_for_workers()
        versions, processes = self._probe(session)
        if versions != {session.version}:
            raise EngineError(
                f"workers of {self.master} run Spark {', '.join(sorted(versions))}, this machine {session.version}; "
                "run one version everywhere"
            )
        settings = {name: session.setting(name) or "" for name in NUMBERS}
        return Facts(session.version, f"{self.master}, files in {self.files}", processes, settings)

    def held(self, table: str) -> Mapping[str, tuple[int, int]]:
        """Rows and content of every load taken whose file is there, counted by Spark from the file."""
        taken = {name: one for name, one in self._taken().get(table, {}).items() if Path(one.file).is_file()}
        before = {name: _state(Path(one.file)) for name, one in taken.items()}
        found = self._count(taken) if taken else {}
        kept = self._taken()
        for name, (rows, content) in found.items():
            same = _state(Path(taken[name].file)) == before[name]  # else it was replaced meanwhile: counted next time
            kept[table][name] = replace(taken[name], counted=_Counted(rows, content, *before[name]) if same else None)
        self._keep(kept)
        return found

    def take(self, load: Load, columns: Mapping[str, str]) -> None:
        """Note where the load lies; `held` counts it."""
        if not load.file.is_file():
            raise EngineError(f"{load.file} is not there; write it again: qala engine load")
        kept = self._taken()
        kept.setdefault(load.table, {})[load.name] = _Taken(str(load.file.absolute()), columns)
        self._keep(kept)

    def drop(self, table: str, loads: Sequence[str]) -> None:
        """Forget loads. Their files are the showcase's."""
        kept = self._taken()
        for name in loads:
            kept.get(table, {}).pop(name, None)
        self._keep(kept)

    def measure(self, scan: EngineScan, loads: Sequence[Load]) -> pa.Table:
        """Run a scan over the files of these loads. Raises EngineError also for a load whose file is not the one that was counted."""
        import pyarrow as pa

        if not loads:
            return pa.table({name: pa.array([], pa.string()) for name in scan.columns})
        taken = self._taken().get(scan.table, {})
        read = {load.name: _verified(load, taken.get(load.name)) for load in loads}
        session = self._session()
        try:
            rows = self._rows(session, tuple(read.values()))
            rows.createOrReplaceTempView(_ROWS_VIEW)
            frame = only_reads(session.spark, scan.sql.replace("{rows}", _ROWS_VIEW), _ROWS_VIEW)
            opened = {unquote(uri.removeprefix("file://")) for uri in frame.inputFiles()}
        except Exception as error:
            raise session.explained(error) from error
        if other := opened ^ {one.file for one in read.values()}:
            raise EngineError(
                f"item 12(4): Spark would read other files than the scan's loads: {', '.join(sorted(other))}"
            )
        return session.answer(frame)

    def close(self) -> None:
        if self._open is not None:
            self._open.end()
            self._open = None

    def _session(self) -> Session:
        """The session, begun anew if the last one was ended from outside."""
        if self._open is not None and not self._open.usable:
            self.close()
        if self._open is None:
            self._open = Session(self.master, self.work, self.executor_memory, self.cores, PATIENCE_SECONDS)
        return self._open

    def _probe(self, session: Session) -> tuple[set[str], int]:
        """Versions of Spark in the processes that compute, and how many read what was just written into the folder."""
        token, folder = secrets.token_hex(16), self.files / f"probe-{secrets.token_hex(4)}"
        # one more for each core: every process gets some
        names = [folder / f"{n}.txt" for n in range(2 * session.spark.sparkContext.defaultParallelism)]
        try:
            folder.mkdir(parents=True)
            for name in names:
                name.write_text(token, encoding="ascii")
            frame = session.spark.read.schema("said STRING").text([_address(str(name)) for name in names])
            answer = session.answer(
                frame.selectExpr(
                    "said",
                    "reflect('org.apache.spark.package', 'SPARK_VERSION') AS version",
                    "reflect('java.lang.ProcessHandle', 'current') AS process",
                )
            ).to_pylist()
        except OSError as error:
            raise EngineError(
                f"{self.files}: {error.strerror}; the folder must be writable for qala, and seen by every worker of Spark at this path: "
                "correct `folder` in engine.yaml"
            ) from error
        except EngineError as error:
            if str(folder) not in str(error):
                raise
            raise EngineError(
                f"a worker of {self.master} does not see {self.files}; mount the folder there at the same path, or correct `folder` in "
                f"engine.yaml"
            ) from error
        finally:
            for name in names:
                name.unlink(missing_ok=True)
            if folder.exists():
                folder.rmdir()
        if [one["said"] for one in answer] != [token] * len(names):
            raise EngineError(
                f"workers of {self.master} see another folder as {self.files} than this machine; mount the same one there"
            )
        return {one["version"] for one in answer}, len({one["process"] for one in answer})

    def _count(self, taken: Mapping[str, _Taken]) -> dict[str, tuple[int, int]]:
        """Load → rows and content, in one pass over all that have the same columns."""
        session, found = self._session(), {}
        names = {one.file: name for name, one in taken.items()}
        for alike in _by_columns(taken.values()):
            try:
                rows = self._rows(session, alike).selectExpr("*", "_metadata.file_path AS _file")
                rows.createOrReplaceTempView(_ROWS_VIEW)
                said = content_sql(alike[0].columns, self.dialect)
                frame = session.spark.sql(f"SELECT _file, {said} FROM {_ROWS_VIEW} GROUP BY _file")
            except Exception as error:
                raise session.explained(error) from error
            for one in session.answer(frame).to_pylist():
                found[names.pop(unquote(one["_file"].removeprefix("file://")))] = (int(one[ROWS]), int(one[CONTENT]))
        return found | dict.fromkeys(names.values(), (0, 0))  # a file without rows

    def _rows(self, session: Session, loads: Sequence[_Taken]) -> DataFrame:
        """The files as one relation; a column that an older file does not have is NULL there, as in the warehouse."""
        columns: dict[str, str] = {}
        for load in loads:
            for name, sql_type in load.columns.items():
                if columns.setdefault(name, sql_type) != sql_type:
                    raise EngineError(
                        f"{load.file}: column {name} is {sql_type}, and {columns[name]} in another file of the table; "
                        "write all again: qala engine load"
                    )
        schema = ", ".join(f"`{name}` {_TYPES.get(t.upper(), t)}" for name, t in columns.items())
        return session.spark.read.schema(schema).parquet(*(_address(load.file) for load in loads))

    def _taken(self) -> dict[str, dict[str, _Taken]]:
        """Table → load → what is known of it. What cannot be read was never taken."""
        try:
            data = json.loads((self.work / "taken.json").read_text(encoding="utf-8"))
            return {table: {name: _known(one) for name, one in loads.items()} for table, loads in data.items()}
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _keep(self, taken: Mapping[str, Mapping[str, _Taken]]) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        keep_json(
            self.work / "taken.json",
            {table: {name: asdict(one) for name, one in loads.items()} for table, loads in taken.items()},
        )


def _known(said: Mapping[str, Any]) -> _Taken:
    counted = said["counted"]
    return _Taken(said["file"], dict(said["columns"]), None if counted is None else _Counted(**counted))


def _verified(load: Load, taken: _Taken | None) -> _Taken:
    """What is known of a load, if Spark counted of its file what the warehouse wrote, and it is that file still."""
    remedy = "bring the engine in step: qala engine load"
    if taken is None or taken.counted is None:
        raise EngineError(f"Spark has not counted load {load.name} of {load.table} yet; {remedy}")
    counted = taken.counted
    if (counted.rows, counted.content) != (load.rows, load.content):
        raise EngineError(
            f"load {load.name} of {load.table} has {load.rows:,} rows (content {load.content}), and Spark counted {counted.rows:,} "
            f"({counted.content}) in {taken.file}; {remedy}"
        )
    if taken.file != str(load.file.absolute()):
        raise EngineError(
            f"load {load.name} of {load.table} lies in {load.file}, and Spark counted {taken.file}; {remedy}"
        )
    try:
        same = _state(load.file) == (counted.size, counted.changed)
    except OSError as error:
        raise EngineError(f"{load.file}: {error.strerror}; {remedy}") from error
    if not same:
        raise EngineError(f"{load.file} is not as it was when Spark counted it; {remedy}")
    return taken


def _state(file: Path) -> tuple[int, int]:
    said = file.stat()
    return said.st_size, said.st_mtime_ns


def _by_columns(loads: Sequence[_Taken] | Any) -> Iterator[list[_Taken]]:
    alike: dict[str, list[_Taken]] = {}
    for load in loads:
        alike.setdefault(json.dumps(load.columns), []).append(load)  # in their order: the content depends on it
    yield from alike.values()


def _address(file: str) -> str:
    """As Spark takes it: of this machine's files, whatever its default file system."""
    return f"file://{file}".translate(_GLOB)
