"""A session of Spark: what numbers depend on is set when it begins and seen to hold, and nothing in it waits for ever.

Does not belong here: which files are read and what is asked of them (spark.py); the Java process (spark_jvm.py).
"""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse.engines.engine import EngineError
from warehouse.engines.spark_jvm import Jvm, start_jvm

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

# what a number depends on, or which rows are read: set by us, whatever the cluster or the environment say, and compared afterwards
NUMBERS: Mapping[str, str] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # what leaves its type's range is an error, never NULL and never wrapped
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",  # "name" is a column, not a text
    "spark.sql.ansi.enforceReservedKeywords": "false",
    "spark.sql.parser.escapedStringLiterals": "false",  # a backslash in a text begins an escape, which the compiler writes
    "spark.sql.legacy.consecutiveStringLiterals.enabled": "false",  # '' in a text is one quote
    "spark.sql.caseSensitive": "true",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",  # no digit is cut off to make room for others
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",  # days are days of the one calendar, before 1582 too
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.parquet.binaryAsString": "false",
    "spark.sql.parquet.fieldId.read.enabled": "false",
    "spark.sql.parquet.mergeSchema": "false",
    "spark.sql.parquet.aggregatePushdown": "false",  # rows are counted, not what a file says of itself
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.runSQLOnFiles": "false",
    "spark.sql.extensions": "",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.hadoop.parquet.page.verify-checksum.enabled": "true",
}
_OTHERS: Mapping[str, str] = {
    "spark.app.name": "qala",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.eventLog.enabled": "false",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",  # files are listed here, not by a job
    "spark.sql.shuffle.partitions": "8",  # answers are small
    "spark.network.timeout": "60s",  # a worker that hangs is given up
    "spark.executor.heartbeatInterval": "10s",
    "spark.task.maxFailures": "4",
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:ReservedCodeCacheSize=128m -Duser.timezone=UTC",
    "spark.executor.extraJavaOptions": "-XX:+UseSerialGC -XX:ReservedCodeCacheSize=128m -Duser.timezone=UTC",
}
TRIED = "4.3"  # with which numbers were compared
_DRIVER_MEMORY = "512m"  # plans and answers: some thousand cells
_LEAST_MIB = 512  # of heap
_REACH_SECONDS = 5.0
_LOCAL = re.compile(r"local(\[(\d+|\*)\])?")
_OUT_OF_MEMORY = 52  # with what Java ends under Spark


class Session:
    """A running session. Raises EngineError, at its beginning too; what it raises then has the remedy."""

    def __init__(self, master: str, folder: Path, executor_memory: str, cores: int | None, patience: float) -> None:
        """`folder` gets configuration and log; `patience`: seconds without any worker before a wait is given up."""
        self.master, self.patience, self._memory = master, patience, executor_memory
        self.local = _LOCAL.fullmatch(master) is not None
        settings = self._settings(folder, cores)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", FutureWarning
            )  # of pandas, which is not used; pyspark would import this later
            import pyspark.testing.utils  # noqa: F401
            from pyspark import SparkContext, __version__
        if not __version__.startswith(f"{TRIED}."):
            raise EngineError(
                f"this is Spark {__version__}; numbers were compared on {TRIED}, and on no other: pip install 'pyspark=={TRIED}.*'"
            )
        # SQL at fault is told by whoever raises, and nowhere else
        logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)
        if SparkContext._active_spark_context is not None:
            raise EngineError("another session of Spark is open in this process; close it before")
        self._jvm: Jvm = start_jvm(settings, folder)
        try:
            self.version = str(self._jvm.gateway.jvm.org.apache.spark.package.SPARK_VERSION())
            if self.version != __version__:
                raise EngineError(
                    f"Java runs Spark {self.version}, pyspark is {__version__}; install pyspark anew: its jars are not its own"
                )
            self.spark = self._begin(settings)
            self.see_settings()
            self.wait_for_workers()
        except BaseException:
            self.end()
            raise

    def _settings(self, folder: Path, cores: int | None) -> dict[str, str]:
        """All that Spark is told. Refused here, before anything starts: too little memory, a master that does not answer."""
        if int(self._memory[:-1]) * {"m": 1, "g": 1024}[self._memory[-1].lower()] < _LEAST_MIB:
            raise EngineError(
                f"executor_memory {self._memory}: Spark does not start with less than {_LEAST_MIB}m; raise it in engine.yaml"
            )
        here = "127.0.0.1" if self.local else _reach(self.master)
        settings = {
            **NUMBERS,
            **_OTHERS,
            "spark.master": self.master,
            "spark.driver.host": here,
            "spark.driver.bindAddress": here,
            "spark.driver.memory": self._memory if self.local else _DRIVER_MEMORY,
            "spark.executor.memory": self._memory,
            "spark.sql.warehouse.dir": str(folder / "none"),
        }
        return settings if cores is None else settings | {"spark.cores.max": str(cores)}

    def _begin(self, settings: Mapping[str, str]) -> SparkSession:
        from py4j.protocol import Py4JError
        from pyspark import SparkConf, SparkContext
        from pyspark.sql import SparkSession

        conf = SparkConf()
        for name, value in settings.items():
            conf.set(name, value)
        try:
            return SparkSession(SparkContext(conf=conf, gateway=self._jvm.gateway))
        except Py4JError as error:
            if self.local:
                raise EngineError(f"Spark does not start: {_first_line(error)}; see {self._jvm.log}") from error
            raise EngineError(
                f"{self.master} answers, but takes no application in: it is no master of Spark, or one of another version than "
                f"{self.version}. Run the same version there as here, or correct `master` in engine.yaml; see {self._jvm.log}"
            ) from error

    def see_settings(self) -> None:
        """Every setting that numbers depend on is as it was asked for."""
        found = {name: self.setting(name) for name in NUMBERS}
        if wrong := [f"{name} is {found[name]!r}, not {v!r}" for name, v in NUMBERS.items() if found[name] != v]:
            raise EngineError(
                f"Spark has not the settings it was given: {'; '.join(wrong)}; take out what sets them otherwise"
            )

    def setting(self, name: str) -> str | None:
        """What a setting is now; None if it is not set."""
        if name.startswith("spark.hadoop."):
            return str(self.spark.sparkContext._jsc.hadoopConfiguration().get(name.removeprefix("spark.hadoop.")))
        return self.spark.conf.get(name, None)

    def known_to_cluster(self) -> bool:
        """Whether the master answers and some worker is still ours."""
        if not self.usable:
            return False
        with suppress(EngineError):
            return self.local or (bool(_reach(self.master)) and self.workers() > 0)
        return False

    @property
    def usable(self) -> bool:
        """It still runs. Asks nobody."""
        with suppress(Exception):
            return self._jvm.alive and not self.spark.sparkContext._jsc.sc().isStopped()
        return False

    def workers(self) -> int:
        """How many processes compute now; in local mode Spark's own."""
        known = len(self.spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos())
        return known if self.local else known - 1  # the first is whoever asks

    def wait_for_workers(self) -> None:
        """Until there are some, and no more come for a second."""
        end = time.monotonic() + self.patience
        seen, since = 0, time.monotonic()
        while not self.local and not (seen and time.monotonic() - since > 1):
            now = self.workers()
            if now != seen:
                seen, since = now, time.monotonic()
            if not seen and time.monotonic() > end:
                raise EngineError(self._nobody())
            time.sleep(0.1)

    def answer(self, frame: DataFrame) -> pa.Table:
        """Compute it. Ends also if all workers are gone: then it is given up after `patience` seconds."""
        return self._waited(frame.toArrow)

    def _waited(self, work: Callable[[], pa.Table]) -> pa.Table:
        context, group = self.spark.sparkContext, f"qala {time.monotonic_ns()}"
        outcome: list[Any] = []

        def compute() -> None:
            try:
                context.setJobGroup(group, "qala", interruptOnCancel=True)
                outcome.append(work())
            except BaseException as error:
                outcome.append(error)

        thread = threading.Thread(target=compute, daemon=True)
        thread.start()
        alone_since: float | None = None
        try:
            while thread.is_alive():
                thread.join(0.1)
                if not self._jvm.alive:
                    thread.join(5)
                    break
                now = time.monotonic()
                alone_since = None if self.workers() else alone_since or now
                if alone_since is not None and now - alone_since > self.patience:
                    raise EngineError(self._nobody())
        except BaseException:
            with suppress(Exception):
                context.cancelJobGroup(group)
            thread.join(5)
            raise
        result = outcome[0] if outcome else EOFError()
        if isinstance(result, BaseException):
            raise self.explained(result) from result
        return result

    def explained(self, error: BaseException) -> BaseException:
        """What went wrong in Spark as an EngineError that says what to do; what is none of Spark's comes back as it is."""
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        if not isinstance(error, Py4JError | PySparkException | ConnectionError | EOFError):
            return error
        text = str(error)
        memory = f"more memory than the {self._memory} it has: raise executor_memory in engine.yaml, or compute fewer months at once"
        if not self._jvm.alive:
            code = self._jvm.process.poll()
            why = f"it needs {memory}" if code == _OUT_OF_MEMORY else "the next try starts it anew"
            return EngineError(f"Spark's Java process ended (exit code {code}); {why}; see {self._jvm.log}")
        if not self.usable or "SparkContext was shut down" in text:
            return EngineError(
                f"{self.master} ended the session in the middle; the next try begins a new one, when master and workers are back; "
                f"see {self._jvm.log}"
            )
        if re.search(rf"OutOfMemoryError|code {_OUT_OF_MEMORY}\b|Not enough memory", text):
            return EngineError(f"a worker needs {memory}")
        if "ExecutorLostFailure" in text:
            return EngineError(
                "workers were lost in the middle, one after the other; see that they run and have the memory they were promised "
                f"(executor_memory: {self._memory}), and try again; {_first_line(error)}"
            )
        if file := re.search(r"(?:reading file|does not exist:|File) (file:\S+|/\S+)", text):
            missing = re.search(r"NOT_EXIST|NOT_FOUND|FileNotFound|does not exist", text) is not None
            state = (
                "is not there, or not for every worker"
                if missing
                else "cannot be read: it is damaged, or not what it was"
            )
            return EngineError(
                f"{file[1].rstrip('.')} {state}. Workers must see the folder at the same path (`folder` in engine.yaml); take the file "
                f"away, and `qala engine load` writes it again; {_first_line(error)}"
            )
        return EngineError(f"Spark: {_first_line(error)}")

    def _nobody(self) -> str:
        return (
            f"{self.master} has no worker for us within {self.patience:g} s: none runs, or none has a free core and {self._memory} of free "
            "memory; start workers, end other applications, or lower executor_memory in engine.yaml"
        )

    def end(self) -> None:
        """Stop it and its Java process."""
        from pyspark import SparkContext
        from pyspark.sql import SparkSession

        if hasattr(self, "spark") and self._jvm.alive:
            with suppress(Exception):
                self.spark.stop()
        self._jvm.end()
        # pyspark keeps what it talks to for the life of the process; what is left of ours would be in the way of the next
        SparkContext._active_spark_context = SparkContext._gateway = SparkContext._jvm = None
        SparkSession._instantiatedSession = None


def _reach(master: str) -> str:
    """This machine's address as seen from the first master that answers at all."""
    said = []
    for place in master.removeprefix("spark://").split(","):
        host, _, port = place.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS) as found:
                return str(found.getsockname()[0])
        except (OSError, ValueError, OverflowError) as error:
            said.append(f"{place}: {error}")
    raise EngineError(
        f"no master of Spark answers at {master} ({'; '.join(said)}); start it, or correct `master` in engine.yaml"
    )


def _first_line(error: BaseException) -> str:
    """The cause that Spark names last, without the way to it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.strip().startswith("at ")]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes[-1] if causes else " ".join(lines[:2]))[:400]
