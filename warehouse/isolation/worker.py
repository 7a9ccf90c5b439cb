"""A process of its own, with limits of time and memory: what takes too much of either ends there, and the caller goes on.

A worker is started with the first call and kept for the next, as a start costs most of a second; a process that has imported everything may
fork its own before it does anything else. Functions are named, not sent: "module:name" of one at module level. Which functions these are does
not belong here.
"""

from __future__ import annotations

import atexit
import importlib
import multiprocessing
import os
import pickle
import queue
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any

import duckdb

from warehouse.errors import StoreError
from warehouse.isolation.sandbox import MEMORY, memory_mib

SECONDS, DEFAULT_SECONDS = "QALA_COMPUTE_SECONDS", 3600.0
# a fork begins with all that its parent holds, half a GiB, which counts: with a limit of less it starts afresh
_FORK_FROM_MIB = 4096
_one_at_a_time = threading.Lock()
_worker: _Worker | None = None


class LimitError(StoreError):
    """A call took more time or memory than it may; the message names the limit and how to raise it."""


class _Worker:
    """A process that waits for calls, and the pipe to it; started from nothing."""

    def __init__(self) -> None:
        self.pipe, theirs = Pipe()
        self.parent = os.getpid()
        # -P: it imports what this process would, and nothing that happens to lie in the current folder
        command = [sys.executable, "-P", "-m", "warehouse.isolation.worker", str(theirs.fileno())]
        path = os.pathsep.join(p or str(os.getcwd()) for p in sys.path)  # noqa: PTH109
        self.process = subprocess.Popen(  # noqa: S603
            command,
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a library prints is for people, not for whoever reads our output
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is ours to handle
        )
        theirs.close()

    @property
    def usable(self) -> bool:
        return self.parent == os.getpid() and self.process.poll() is None

    def stop(self) -> int:
        """Kill it, whatever it does: a transaction that was not committed is rolled back at the next opening. Returns its exit code."""
        self.process.kill()
        self.pipe.close()
        return self.process.wait()


class _ForkedWorker(_Worker):
    """The same, that has imported already what its parent has. `files`: open ones that are the parent's alone."""

    def __init__(self, files: Sequence[int]) -> None:
        self.pipe, theirs = Pipe()
        self.parent = os.getpid()
        context = multiprocessing.get_context("fork")
        self.fork = context.Process(target=_serve_forked, args=(theirs, (self.pipe.fileno(), *files)))
        self.fork.start()
        theirs.close()

    @property
    def usable(self) -> bool:
        return self.parent == os.getpid() and self.fork.is_alive()

    def stop(self) -> int:
        self.fork.kill()
        self.pipe.close()
        self.fork.join()
        return self.fork.exitcode or 0


def fork(*files: int) -> None:
    """Have a worker that is a fork of this process; `files`: numbers of open ones that it must not keep.

    For a process that runs one thread, and has neither a connection nor a lock. A worker that is ended for its limits is followed by a started one.
    """
    global _worker
    if _worker is None and memory_mib() >= _FORK_FROM_MIB:
        _worker = _ForkedWorker(files)


def call(function: str, *args: Any, seconds: float | None = None, memory: int | None = None) -> Any:
    """`function` ("module:name") of `args` in the worker; both ways everything is pickled.

    Limits: `seconds` (else QALA_COMPUTE_SECONDS, else an hour) and `memory` in MiB (else QALA_COMPUTE_MEMORY_MIB, else 80 % of the
    machine's). Raises what the function raised, with the worker's traceback as a note; LimitError.
    """
    global _worker
    seconds = float(os.environ.get(SECONDS) or DEFAULT_SECONDS) if seconds is None else seconds
    memory = memory_mib() if memory is None else memory
    with _one_at_a_time:
        if _worker is None or not _worker.usable:
            _worker = _Worker()
        worker = _worker
        try:
            worker.pipe.send((function, args, memory))
            if not worker.pipe.poll(seconds):
                raise LimitError(
                    f"{function} did not end within {seconds:g} s and was stopped; the warehouse is as it was before. "
                    f"Compute fewer months at once, or allow more: {SECONDS}"
                )
            answer: tuple[bool, Any] = worker.pipe.recv()
        except (EOFError, ConnectionError) as error:
            _worker = None
            code = worker.stop()
            raise LimitError(
                f"{function}: its process ended without an answer ({f'signal {-code}' if code < 0 else f'exit code {code}'}): killed from "
                f"outside, or for want of memory. It may take {memory:,} MiB; the setting is {MEMORY}"
            ) from error
        except BaseException:
            _worker = None
            worker.stop()
            raise
        succeeded, result = answer
        if isinstance(result, MemoryError | duckdb.OutOfMemoryException):
            _worker = None  # who knows what else it could not get
            worker.stop()
            raise LimitError(
                f"{function} needs more than the {memory:,} MiB it may take; the warehouse is as it was before. "
                f"Compute fewer months at once, or allow more: {MEMORY}"
            ) from result
    if succeeded:
        return result
    raise result


def warm(function: str, *args: Any) -> None:
    """Start the worker and have it call `function` of `args` meanwhile. What goes wrong shows at the next call."""

    def begin() -> None:
        with suppress(Exception):
            call(function, *args)

    threading.Thread(target=begin, daemon=True).start()


def close() -> None:
    """End the worker, if there is one. At exit this happens by itself."""
    global _worker
    worker, _worker = _worker, None
    if worker is not None and worker.parent == os.getpid():
        worker.stop()


atexit.register(close)


def _serve(pipe: Connection) -> None:
    """Answer calls until the other end is closed; then end at once, in the middle of whatever is going on."""
    import resource

    waiting = queue.SimpleQueue[bytes]()

    def listen() -> None:
        try:
            while True:
                waiting.put(pipe.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    while True:
        function, args, memory = pickle.loads(waiting.get())  # noqa: S301  from the process that started this one
        # of data: addresses alone cost nothing, and Arrow's and DuckDB's allocators reserve many
        resource.setrlimit(resource.RLIMIT_DATA, (memory << 20, most))
        os.environ[MEMORY] = str(memory)
        module, _, name = function.partition(":")
        try:
            answer = pickle.dumps((True, getattr(importlib.import_module(module), name)(*args)))
        except BaseException as error:
            answer = pickle.dumps((False, _portable(error)))
        pipe.send_bytes(answer)


def _serve_forked(pipe: Connection, files: Sequence[int]) -> None:
    """As a started worker is: a session of its own, nothing to read, and nothing open that is its parent's."""
    os.setsid()
    for file in files:
        os.close(file)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    _serve(pipe)


def _portable(error: BaseException) -> BaseException:
    """The error with its traceback as a note; one that does not survive pickling, as text."""
    note = "in the computing process:\n" + "".join(traceback.format_exception(error))
    try:
        same = pickle.loads(pickle.dumps(error))  # noqa: S301
        known = type(same) is type(error) and str(same) == str(error)
    except Exception:
        known = False
    sent = error if known else RuntimeError(f"{type(error).__name__}: {error}")
    sent.add_note(note)
    return sent


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
