"""Servers of ClickHouse that share one Distributed table: two processes of the system's `clickhouse-server` (Debian: apt install clickhouse-server).

The configuration is what qala asks of a cluster: a user that loads, a user that only reads, both of one database, and a cluster `qala`.
"""

from __future__ import annotations

import json
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tools.clusters.processes import ClusterError, free_ports, running, start, stop, wait_until

CLUSTER = "qala"
DATABASE = "qala"
LOADER, READER, BETWEEN = "qala", "qala_reader", "qala_shard"  # the last is who one server asks another as
SERVER = Path(__file__).parent / "clickhouse_files"  # templates of its files
_BINARIES = ("clickhouse-server", "/usr/sbin/clickhouse-server")


@dataclass(frozen=True)
class Servers:
    """A cluster that runs."""

    folder: Path
    shards: tuple[str, ...]  # addresses
    password: str
    reader_password: str

    def __str__(self) -> str:
        shards = ", ".join(self.shards)
        lines = (
            "# engine.yaml of a home that computes on it",
            "engine: clickhouse",
            "clickhouse:",
            f"  address: {self.shards[0]}",
            f"  database: {DATABASE}",
            f"  user: {LOADER}",
            f"  reader: {READER}",
            f"  cluster: {CLUSTER}",
            f"  shards: [{shards}]",
            "# and in the environment",
            f"# QALA_CLICKHOUSE_PASSWORD={self.password} QALA_CLICKHOUSE_READER_PASSWORD={self.reader_password}",
        )
        return "\n".join(lines)

    def start(self, shard: int) -> None:
        """Start a server, unless it runs, and wait until it answers."""
        folder = self.folder / f"shard-{shard}"
        if running(folder) is None:
            start(folder, [*_server(), f"--config-file={folder / 'config.xml'}"])
        wait_until(lambda: _answers(self.shards[shard]), folder, f"ClickHouse at {self.shards[shard]}")

    def stop(self, shard: int, how: signal.Signals = signal.SIGTERM) -> None:
        stop(self.folder / f"shard-{shard}", how)

    def resident(self, shard: int) -> int:
        """Memory a server holds, in bytes."""
        pid = running(self.folder / f"shard-{shard}")
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii").split("VmRSS:")[1]
        return int(status.split()[0]) * 1024


def unavailable() -> str:
    """Why there can be no servers here; empty if there can."""
    try:
        _server()
    except ClusterError as error:
        return str(error)
    return ""


def up(folder: Path, shards: int = 2, reader_profile: str = "<readonly>1</readonly>") -> Servers:
    """Start servers in a folder, or those of before again; every one answers and has the database. `reader_profile`: XML of a profile."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / "cluster.json"
    if not known.exists():
        known.write_text(json.dumps(free_ports(3 * shards)), encoding="ascii")
    ports = json.loads(known.read_text(encoding="ascii"))
    triples = [tuple(ports[n : n + 3]) for n in range(0, len(ports), 3)]
    servers = Servers(folder, tuple(f"http://127.0.0.1:{http}" for http, _, _ in triples), "load-me", "read-me")
    try:
        for shard in range(len(triples)):
            _configure(servers, shard, triples, reader_profile)
            servers.start(shard)
            _say(servers.shards[shard], servers.password, f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    except BaseException:
        down(folder)
        raise
    return servers


def down(folder: Path) -> None:
    """Stop the servers of a folder; what they hold stays."""
    for shard in sorted(folder.glob("shard-*")):
        stop(shard)


def _configure(servers: Servers, shard: int, ports: Sequence[tuple[int, int, int]], reader_profile: str) -> None:
    folder = servers.folder / f"shard-{shard}"
    for part in ("data", "tmp"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    http, tcp, between = ports[shard]
    replica = (
        "<shard><replica><host>127.0.0.1</host><port>{}</port><user>{}</user><password>{}</password></replica></shard>"
    )
    parts = {
        "folder": folder,
        "http": http,
        "tcp": tcp,
        "between": between,
        "cluster": CLUSTER,
        "shards": "".join(replica.format(port, BETWEEN, servers.reader_password) for _, port, _ in ports),
        "database": DATABASE,
        "loader": LOADER,
        "reader": READER,
        "shard_user": BETWEEN,
        "password": servers.password,
        "reader_password": servers.reader_password,
        "reader_profile": reader_profile,
    }
    for name in ("config.xml", "users.xml"):
        text = Template((SERVER / name).read_text(encoding="utf-8")).substitute(parts)
        (folder / name).write_text(text, encoding="utf-8")


def _server() -> list[str]:
    """The server's command, without configuration."""
    found = next((path for name in _BINARIES if (path := shutil.which(name))), None)
    if found:
        return [found]
    if whole := shutil.which("clickhouse"):
        return [whole, "server"]
    raise ClusterError("there is no clickhouse-server on this machine: apt-get install clickhouse-server")


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/ping", timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _say(address: str, password: str, sql: str) -> None:
    headers = {"X-ClickHouse-User": LOADER, "X-ClickHouse-Key": password}
    request = urllib.request.Request(f"{address}/", data=sql.encode(), headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            answer.read()
    except urllib.error.HTTPError as error:
        raise ClusterError(f"{address}: {error.read().decode(errors='replace')[:300]}") from error
