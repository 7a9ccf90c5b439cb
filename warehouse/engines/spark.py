"""Spark as an engine: it keeps nothing, and reads the showcase's Parquet files where they lie, at one path for all its machines.

A load is taken by its name alone, and held when Spark has counted its file's rows; only a file that is as it was then is measured.
Does not belong here: how a session begins and fails (spark_session.py), the SQL of a scan (kpi_definitions/engine_scans.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from warehouse.engines.content import CONTENT, ROWS, content_sql
from warehouse.engines.engine import EngineError, Facts, Load
from warehouse.engines.spark_plans import only_reads
from warehouse.engines.spark_session import NUMBERS, Session
from warehouse.engines.spark_taken import Counted, Taken, TakenTable, state

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from kpi_definitions.engine_scans import EngineScan

PATIENCE_SECONDS = 60.0  # that a cluster may be without any worker before a wait is given up
_VIEW, _FILE = "qala_rows", "qala_file"
_GLOB = str.maketrans({c: f"\\{c}" for c in "\\[]{}*?"})  # a path is a path, and no pattern
_TYPES = {
    "VARCHAR": "STRING",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "TIMESTAMPTZ": "TIMESTAMP",
    "INTEGER": "INT",
}  # others: alike


class SparkEngine:
    """Spark on a standalone cluster (spark://host:port), or in a process of this machine (local[N])."""

    name = "spark"
    dialect = "spark"

    def __init__(
        self,
        master: str,
        files: Path,
        work: Path,
        *,
        executor_memory: str = "1g",
        cores: int | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`files`: folder of the loads, as this machine and every worker see it; `work`: for what the engine itself writes."""
        self.master, self.files, self.work = master, files, work
        self.executor_memory, self.cores = executor_memory, cores
        self.patience = patience
        self._open: Session | None = None

    def ready(self) -> Facts:
        """See that Java, master and workers are there, of one version, with our settings, and that workers see the files."""
        if self._open is not None and not self._open.known_to_cluster():
            self.close()  # a master that was started again knows nothing of it
        session = self._session()
        session.see_settings()
        session.wait_for_workers()
        versions, processes = self._probe(session)
        if versions != {session.version}:
            raise EngineError(
                f"workers of {self.master} run Spark {', '.join(sorted(versions))}, this machine {session.version}; "
                "run one version everywhere"
            )
        settings = {name: session.setting(name) or "" for name in NUMBERS}
        return Facts(session.version, f"{self.master}, files in {self.files}", processes, settings)

    def rows(self, table: str) -> Mapping[str, int]:
        """Loads that were counted and whose files are as they were then: what else was taken must be taken again. Spark is not asked."""
        known = TakenTable.read(self._kept, table)
        return {name: one.counted.rows for name, one in known.loads.items() if one.counted and one.unchanged}

    def recounted(self, table: str, loads: Sequence[str], columns: Mapping[str, str]) -> Mapping[str, tuple[int, int]]:
        """Rows and content of the loads taken whose files are there, in one pass over them."""
        known = TakenTable.read(self._kept, table)
        before = {name: found for name in loads if name in known.loads and (found := state(known.loads[name].file))}
        if not before:
            return {}
        counted = self._count({known.loads[name].file: name for name in before}, columns)
        for name, (rows, content) in counted.items():
            file = known.loads[name].file
            same = state(file) == before[name]  # else it was replaced meanwhile, and who knows which was counted
            known.loads[name] = Taken(file, Counted(rows, content, *before[name]) if same else None)
        known.keep()
        return counted

    def take(self, load: Load, columns: Mapping[str, str]) -> None:
        """Note where the load lies: `recounted` reads it."""
        if not load.file.is_file():
            raise EngineError(f"{load.file} is not there; write it again: qala engine load")
        known = TakenTable.read(self._kept, load.table)
        if list(known.columns.items()) != list(columns.items()):
            known.columns, known.loads = columns, {}
        known.loads[load.name] = Taken(str(load.file.absolute()))
        known.keep()

    def drop(self, table: str, loads: Sequence[str]) -> None:
        """Forget loads. Their files are the showcase's."""
        known = TakenTable.read(self._kept, table)
        for name in loads:
            known.loads.pop(name, None)
        known.keep()

    def measure(self, scan: EngineScan, loads: Sequence[Load]) -> pa.Table:
        """Run a scan over the files of these loads. Raises EngineError also for a load whose file is not the one that was counted."""
        import pyarrow as pa

        if not loads:
            return pa.table({name: pa.array([], pa.string()) for name in scan.columns})
        known = TakenTable.read(self._kept, scan.table)
        files = [known.verified(load) for load in loads]
        session = self._session()
        try:
            self._relation(session, files, known.columns).createOrReplaceTempView(_VIEW)
            frame = only_reads(session.spark, scan.sql.replace("{rows}", _VIEW), _VIEW)
            opened = sorted(_path(uri) for uri in frame.inputFiles())
        except Exception as error:
            raise session.explained(error) from error
        if opened != sorted(files):
            other = ", ".join(sorted({*opened} ^ {*files})) or "one of them twice"
            raise EngineError(f"item 12(4): Spark would read other files than those of the scan's loads: {other}")
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
            self._open = Session(self.master, self.work, self.executor_memory, self.cores, self.patience)
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

    def _count(self, files: Mapping[str, str], columns: Mapping[str, str]) -> dict[str, tuple[int, int]]:
        """Of files (path → load): load → rows and content."""
        session = self._session()
        said = content_sql(columns, self.dialect)
        try:
            rows = self._relation(session, files, columns).selectExpr("*", f"_metadata.file_path AS {_FILE}")
            rows.createOrReplaceTempView(_VIEW)
            frame = session.spark.sql(f"SELECT {_FILE}, {said} FROM {_VIEW} GROUP BY {_FILE}")
        except Exception as error:
            raise session.explained(error) from error
        found = {
            files[_path(one[_FILE])]: (int(one[ROWS]), int(one[CONTENT])) for one in session.answer(frame).to_pylist()
        }
        return dict.fromkeys(files.values(), (0, 0)) | found  # of a file without rows nothing is found

    def _relation(self, session: Session, files: Iterable[str], columns: Mapping[str, str]) -> DataFrame:
        """The files as one relation."""
        schema = ", ".join(f"`{name}` {_TYPES.get(t.upper(), t)}" for name, t in columns.items())
        return session.spark.read.schema(schema).parquet(*map(_address, files))

    @property
    def _kept(self) -> Path:
        return self.work / "taken"


def _address(file: str) -> str:
    """As Spark takes it: a file of the machine, whatever Spark's default file system, and no pattern."""
    return f"file://{file}".translate(_GLOB)


def _path(uri: str) -> str:
    """As Spark gives it back."""
    return unquote(uri.removeprefix("file:")).replace("///", "/", 1)
