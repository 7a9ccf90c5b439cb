"""A standalone cluster of Spark: a master and its workers, processes of the pip package, on loopback.

The installed pyspark is the Spark that runs, so driver and cluster are of one version.
"""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.clusters.processes import ClusterError, free_ports, running, start, stop, wait_until
from warehouse.engines.engine import EngineError
from warehouse.engines.spark_jvm import find_java, spark_environment, spark_home

HOST = "127.0.0.1"
_SECONDS = 180  # for a process to start: on a machine at work Java takes long
_HEAP = "256m"  # of master and workers; what computes are their executors, which have executor_memory
_JAVA = "-XX:+UseSerialGC -XX:ReservedCodeCacheSize=64m"


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs, or ran."""

    folder: Path
    port: int
    page: int  # port of the master's page
    cores: int  # of every worker
    memory: str  # that every worker may give to executors
    workers: int

    @property
    def master(self) -> str:
        return f"spark://{HOST}:{self.port}"

    def __str__(self) -> str:
        lines = (
            "# engine.yaml of a home that computes on it",
            "engine: spark",
            "spark:",
            f"  master: {self.master}",
            f"  executor_memory: {self.memory}",
            f"# {self.workers} workers of {self.cores} core(s); http://{HOST}:{self.page} shows what they do",
        )
        return "\n".join(lines)

    def start_master(self) -> None:
        folder = self._folder("master")
        options = ["--host", HOST, "--port", str(self.port), "--webui-port", str(self.page)]
        start(folder, _command("master.Master", options), _environment(folder))
        wait_until(lambda: self._asked() is not None, folder, f"Spark's master at {self.master}", _SECONDS)

    def start_worker(self, number: int) -> None:
        """Start a worker that does not run, and wait until the master knows one more."""
        folder, before = self._folder(f"worker-{number}"), self.alive()
        options = ["--host", HOST, "--webui-port", "0", "--cores", str(self.cores), "--memory", self.memory]
        start(
            folder,
            _command("worker.Worker", [*options, "--work-dir", str(folder / "work"), self.master]),
            _environment(folder),
        )
        wait_until(lambda: self.alive() > before, folder, f"Spark's {folder.name}", _SECONDS)

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop `master`, or `worker-0` and so on, with the executors that it started."""
        stop(self.folder / name, how)

    def pid(self, name: str) -> int | None:
        return running(self.folder / name)

    def alive(self) -> int:
        """Workers that the master counts on."""
        said = self._asked() or {}
        return sum(worker["state"] == "ALIVE" for worker in said.get("workers", ()))

    def _asked(self) -> dict[str, Any] | None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.page}/json/", timeout=5) as page:
                said: dict[str, Any] = json.load(page)
                return said
        except (urllib.error.URLError, ConnectionError, TimeoutError, ValueError):
            return None

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def unavailable() -> str:
    """Why there can be no cluster here; empty if there can."""
    try:
        spark_home()
        find_java()
    except EngineError as error:
        return str(error)
    return ""


def up(folder: Path, workers: int = 2, cores: int = 1, memory: str = "1g") -> Cluster:
    """Start a master and workers in a folder, or what does not run of those of before. Raises ClusterError."""
    if why := unavailable():
        raise ClusterError(why)
    folder = folder.resolve()
    known = _read(folder)
    if known is None:
        port, page = free_ports(2)
        known = Cluster(folder, port, page, cores, memory, workers)
        folder.mkdir(parents=True, exist_ok=True)
        said = {name: getattr(known, name) for name in ("port", "page", "cores", "memory", "workers")}
        (folder / "cluster.json").write_text(json.dumps(said), encoding="utf-8")
    try:
        if known.pid("master") is None:
            known.start_master()
        for number in range(known.workers):
            if known.pid(f"worker-{number}") is None:
                known.start_worker(number)
    except BaseException:
        down(folder)
        raise
    return known


def down(folder: Path) -> None:
    """Stop what runs of it; the folder stays. Raises ClusterError if there was none."""
    known = _read(folder.resolve())
    if known is None:
        raise ClusterError(f"{folder} holds no cluster of Spark")
    for number in range(known.workers):
        known.stop(f"worker-{number}")
    known.stop("master")


def _read(folder: Path) -> Cluster | None:
    try:
        return Cluster(folder, **json.loads((folder / "cluster.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _command(which: str, options: list[str]) -> list[str]:
    return [str(spark_home() / "bin" / "spark-class"), f"org.apache.spark.deploy.{which}", *options]


def _environment(folder: Path) -> dict[str, str]:
    return spark_environment(folder) | {
        "SPARK_DAEMON_MEMORY": _HEAP,
        "SPARK_DAEMON_JAVA_OPTS": _JAVA,
        "SPARK_LOCAL_IP": HOST,
    }
