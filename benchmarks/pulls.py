"""`python -m benchmarks.pulls`: an extract of 1 GB pulled from a server on this machine, beside the server's own tool.

`fetch` is the source alone: bytes on disk, known to be whole. `pull` is `qala pull` up to the receipt: fetched, hashed, looked at, packed into the
archive. Each contender is a process of its own and they take turns; the median counts. Results: results/pulls.json. A further kind of server is
a function in CASES. Does not belong here: what is done with a delivery afterwards (__main__.py).
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from connectors.sources.connections import read_connection
from connectors.sources.pull import Known, Outcome, Setting, pull
from connectors.sources.secrets import Secrets
from connectors.sources.source import Asked
from tools.servers import postgresql, sftp
from warehouse.home.home import Home
from warehouse.periods import parse_period
from warehouse.tables.contracts import load_tables

RESULTS = Path(__file__).parent / "results"
SETTLEMENT, MONTH = "710000000", "2026-01"
_SOURCE = "office"


@dataclass(frozen=True)
class Case:
    """A server that holds the extract. `alone`: its own tool, which writes it into a file; `connection`, `extract`: of a source's file."""

    alone: Sequence[str]
    copy: Path  # what the tool writes
    connection: Mapping[str, object]
    extract: Mapping[str, object]
    bytes: int


@contextmanager
def _sftp(folder: Path, megabytes: int) -> Iterator[Case]:
    server = sftp.up(folder)
    try:
        file = server.files / "crashes.csv"
        _csv(file, megabytes)
        copy = folder / "copy"
        own = ("-q", "-P", str(server.port), "-i", str(folder / "client_key"), "-o", "IdentitiesOnly=yes")
        known = ("-o", f"UserKnownHostsFile={server.known_hosts}")
        yield Case(
            ["sftp", *own, *known, f"{server.user}@{sftp.HOST}:{file}", str(copy)],
            copy,
            {
                "host": sftp.HOST,
                "port": server.port,
                "user": server.user,
                "known_hosts": str(server.known_hosts),
                "private_key": {"file": str(folder / "client_key")},
                "folder": str(server.files),
                "settled_seconds": 0,
            },
            {"path": "crashes.csv"},
            file.stat().st_size,
        )
    finally:
        sftp.down(folder)


@contextmanager
def _postgresql(folder: Path, megabytes: int) -> Iterator[Case]:
    server = postgresql.up(folder)
    try:
        rows = megabytes * 1_000_000 // 46
        server.psql(f"""
CREATE TABLE crashes AS SELECT 'C' || to_char(n, 'FM00000000') AS crash_id,
    timestamp '2026-01-01' + (n % 28) * interval '1 day' + (n % 86400) * interval '1 second' AS occurred_at,
    'Есиль' AS district_id, CAST(n % 50 = 0 AS int) AS deaths_30d, CAST(n % 3 AS numeric) AS injured
FROM generate_series(1, {rows}) AS n;
ANALYZE crashes""")
        copy, query = folder / "copy", "SELECT * FROM crashes"
        os.environ["PGPASSWORD"] = server.reader_password
        own = (
            "-X",
            "-q",
            "-h",
            "127.0.0.1",
            "-p",
            str(server.port),
            "-U",
            postgresql.READER,
            "-d",
            postgresql.DATABASE,
        )
        alone = ["psql", *own, "-c", f"\\copy ({query}) TO '{copy}' WITH (FORMAT csv, HEADER)"]
        subprocess.run(alone, check=True)  # and the server's pages are warm
        yield Case(
            alone,
            copy,
            {
                "host": "127.0.0.1",
                "port": server.port,
                "database": postgresql.DATABASE,
                "user": postgresql.READER,
                "password": {"env": "PGPASSWORD"},
                "tls": "off",
            },
            {"query": query},
            copy.stat().st_size,
        )
    finally:
        postgresql.remove(folder)


CASES: Mapping[str, Callable[[Path, int], AbstractContextManager[Case]]] = {"sftp": _sftp, "postgresql": _postgresql}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pulls", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "HOME"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        _CHILDREN[asked.child[0]](Home(Path(asked.child[1])))
        return
    work = Path(".bench/pulls").resolve()
    shutil.rmtree(work, ignore_errors=True)
    found = {}
    for kind in asked.only.split(","):
        with CASES[kind](work / kind, asked.megabytes) as case:
            found[kind] = _compared(kind, case, work / "homes", asked.rounds)
    shutil.rmtree(work)
    said = {"cpu_count": os.cpu_count(), "python": platform.python_version(), "pulls": found}
    (RESULTS / "pulls.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(said, indent=1) + "\n")


def _compared(kind: str, case: Case, homes: Path, rounds: int) -> Mapping[str, object]:
    """Wall and processor seconds and the peak of memory of each contender, medians, and how they stand to the tool alone."""
    measured: dict[str, list[tuple[float, float, float]]] = {"alone": [], "fetch": [], "pull": []}
    for number in range(rounds):
        case.copy.unlink(missing_ok=True)
        measured["alone"].append(_measured(case.alone))
        if case.copy.stat().st_size != case.bytes:
            raise RuntimeError(f"{case.alone[0]} wrote another file than there is")
        for what in _CHILDREN:
            home = homes / f"{what}-{number}"
            (home / "sources").mkdir(parents=True)
            extract = {"table": "fct_crash", "settlements": [SETTLEMENT], "first": MONTH, **case.extract}
            text = yaml.safe_dump({"type": kind, "connection": dict(case.connection), "extracts": [extract]})
            (home / "sources" / f"{_SOURCE}.yaml").write_text(text, encoding="utf-8")
            measured[what].append(_measured([sys.executable, "-m", __spec__.name, "--child", what, str(home)]))
            shutil.rmtree(home)
    middle = {what: [statistics.median(one) for one in zip(*runs, strict=True)] for what, runs in measured.items()}
    return {"bytes": case.bytes, "rounds": rounds} | {
        what: {
            "wall_s": round(wall, 2),
            "cpu_s": round(cpu, 2),
            "peak_mib": round(peak),
            "to_alone": round(wall / middle["alone"][0], 2),
        }
        for what, (wall, cpu, peak) in middle.items()
    }


def _measured(command: Sequence[str]) -> tuple[float, float, float]:
    """(wall seconds, processor seconds, peak of resident memory in MiB) of a process."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peak = max(peak, _resident(process.pid))
        time.sleep(0.02)
    wall = time.perf_counter() - begun
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return wall, usage.ru_utime + usage.ru_stime, peak / 1024


def _resident(pid: int) -> int:
    """The most memory a process has held, in KiB; what the kernel adds up at its end begins with that of whoever started it."""
    held = Path(f"/proc/{pid}/status").read_text(encoding="ascii").partition("VmHWM:")[2]
    return int(held.split()[0]) if held else 0


def _fetch(home: Home) -> None:
    connected = read_connection(home.root / "sources" / f"{_SOURCE}.yaml")
    extract = connected.extracts[0]
    target = home.root / "fetched"
    target.mkdir()
    source = connected.open(Secrets(_SOURCE, home.root))
    fetched = source.fetch(Asked(extract, connected.regulation(extract), SETTLEMENT, parse_period(MONTH)), target)
    if fetched is None:
        raise RuntimeError("nothing was fetched")


def _pull(home: Home) -> None:
    connected = read_connection(home.root / "sources" / f"{_SOURCE}.yaml")
    for told in pull(Setting(home, load_tables(), {}, dt.date(2026, 2, 3)), connected, Known()):
        if told.outcome is not Outcome.DELIVERED:
            raise RuntimeError(told.said)


_CHILDREN: Mapping[str, Callable[[Home], None]] = {"fetch": _fetch, "pull": _pull}


def _csv(file: Path, megabytes: int) -> None:
    """Rows of a table's own columns, so many that they take so much place; every key is another."""
    block = "".join(
        f"C00{n:06},2026-01-{n % 28 + 1:02} {n % 24:02}:{n * 7 % 60:02}:{n * 11 % 60:02},Есиль,{n % 50 == 0:d},{n % 3}\n"
        for n in range(1_000_000)
    ).encode()
    with file.open("wb") as target:
        target.write(b"crash_id,occurred_at,district_id,deaths_30d,injured\n")
        for number in range(-(-megabytes * 1_000_000 // len(block))):
            target.write(block.replace(b"C00", b"C%02d" % number))


if __name__ == "__main__":
    main()
