"""The resident process: `python -m pipelines.resident.server HOME MODULE:FUNCTION`. It imports, listens, and forks; it never runs anything itself.

Nothing may be open or running at a fork: no thread of Python, no connection of DuckDB, no lock. What the code, contracts and definitions say is
read by the forked process, which finds in memory only what has not changed since. Does not belong here: what the forked process does (forked.py).
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipelines.resident import forked, likeness
from pipelines.resident.socket_file import DECLINED, address, file_of
from warehouse.errors import StoreError
from warehouse.home.home import Home

_LOOKS_EVERY = 1.0  # seconds between looks at whether there is still somebody to be resident for
_CODE_EVERY = 30  # of these looks, between two at the code
_TASKS = Path("/proc/self/task")
_HARMLESS = "jemalloc_bg_thd"  # of Arrow's allocator, which stops it for a fork
_WAITING = 16  # callers in the queue
# what is imported by no module of a run, but in the middle of one
_IMPORTED_LATE = (
    "connectors.reread",
    "warehouse.audit.names",
    "warehouse.audit.status",
    "warehouse.release.release",
    "warehouse.store.schema",
    "dagster._core.execution.execute_in_process",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.workspace.context",
    "dagster._core.execution.plan.active",
    "dagster._core.instance.runs.run_domain",
    "dagster._daemon.controller",
    "fsspec.implementations.local",
    "lz4.frame",
    "pandas",
    "pyarrow.pandas_compat",
    "rich._emoji_codes",
    "rich.panel",
    "rich.progress",
    "rich.status",
    "rich.table",
    "typer",
    "upath",
)


def get_ready(home: Home) -> None:
    """Import what runs need, and read what they read of a home. Raises StoreError if that left a thread, which no fork survives."""
    from connectors.delivery_gate import delivery_gate
    from pipelines import run

    delivery_gate.get_ready()
    with suppress(Exception):  # whoever runs is told what is at fault in the home
        run.get_ready(home)
    for name in _IMPORTED_LATE:
        with suppress(
            ImportError
        ):  # it has another name in this version of its library: then it is imported when it is wanted
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what all forks share stays shared
    if running := _running():
        raise StoreError(f"not resident: {', '.join(running)} would be lost in every fork; qala run works without")


def _running() -> list[str]:
    """Threads beside this one, by name."""
    here = threading.get_native_id()
    names = [t.name for t in threading.enumerate() if t is not threading.current_thread()]
    if _TASKS.exists():
        found = {int(t.name): (t / "comm").read_text().strip() for t in _TASKS.iterdir()}
        names += [name for number, name in found.items() if number != here and name != _HARMLESS]
    return names


def serve(home: Home, execute: Callable[[Sequence[str]], int], parent: int | None) -> None:
    """Fork for every caller until stopped, until `parent` (a process that must be this one's parent) has gone, or until the code has changed.

    Raises StoreError if somebody else serves the home, or no socket can be made there.
    """
    like = likeness.of_this_process()
    _refuse_other(home)
    get_ready(home)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a fork ended: it tells its caller itself
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    door, ours = _opened(home)
    looks = 0
    try:
        while (parent is None or os.getppid() == parent) and _inode(home) == ours:
            asked, _, _ = select.select([door], [], [], _LOOKS_EVERY)
            looks += 1
            if (asked or looks % _CODE_EVERY == 0) and likeness.code() != like["code"]:
                sys.stderr.write("qala, or a library of it, has changed: this process ends; start it again\n")
                if asked:
                    _decline(door)
                return
            if asked:
                _fork(door, like, execute)
    except KeyboardInterrupt:
        return
    finally:
        if _inode(home) == ours:
            file_of(home).unlink(missing_ok=True)


def _opened(home: Home) -> tuple[socket.socket, int | None]:
    """The listening socket, which none but this user reaches, and its file's inode."""
    _refuse_other(home)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        file_of(home).unlink(missing_ok=True)  # left by one that was killed
        with address(home) as where:
            mask = os.umask(0o177)
            try:
                door.bind(where)
            finally:
                os.umask(mask)
    except OSError as error:
        raise StoreError(f"no socket can be made in {home.root} ({error}); qala run works without") from error
    door.listen(_WAITING)
    return door, _inode(home)


def _refuse_other(home: Home) -> None:
    try:
        with address(home) as where, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.connect(where)
    except OSError:
        return
    raise StoreError(f"another process is resident for {home.root} already; stop that one first")


def _inode(home: Home) -> int | None:
    try:
        return file_of(home).lstat().st_ino
    except OSError:
        return None


def _decline(door: socket.socket) -> None:
    with suppress(OSError):
        line, _ = door.accept()
        with line:
            line.send(DECLINED)


def _fork(door: socket.socket, like: dict[str, Any], execute: Callable[[Sequence[str]], int]) -> None:
    """Accept one caller, and leave it to a fork."""
    line, _ = door.accept()
    with line:
        sys.stdout.flush()
        sys.stderr.flush()
        if os.fork() == 0:
            try:
                door.close()
                forked.answer(line, like, execute)
            finally:
                os._exit(1)


def main() -> None:
    """Serve the home that the command line names; a third word is the process to end with."""
    folder, function, *parent = sys.argv[1:]
    module, _, name = function.partition(":")

    def execute(words: Sequence[str]) -> int:  # imported in the fork: it reads the environment while it is imported
        return int(getattr(importlib.import_module(module), name)(words))

    try:
        serve(Home(Path(folder)), execute, int(parent[0]) if parent else None)
    except StoreError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:  # while it was importing
        return


if __name__ == "__main__":
    main()
