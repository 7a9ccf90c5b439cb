"""Processes that stay when whoever started them ends: started, waited for, stopped by their ids. Nothing here knows what they are."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

STOP_SECONDS = 20


class ClusterError(RuntimeError):
    """A cluster cannot be started; the message says why and what to do."""


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    taken = [socket.socket() for _ in range(count)]
    try:
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]
    finally:
        for one in taken:
            one.close()


def start(folder: Path, command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Start a process in a session of its own; its id is kept in `folder`/pid, what it says in `folder`/said.txt."""
    with (folder / "said.txt").open("ab") as said:
        process = subprocess.Popen(  # noqa: S603
            list(command),
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    # with the moment it was started: the id may be another's by the time it is stopped
    (folder / "pid").write_text(f"{process.pid} {_started(process.pid)}", encoding="ascii")
    return process.pid


def running(folder: Path) -> int | None:
    """Id of the process that was started for a folder, if it is still that one."""
    try:
        pid, started = (folder / "pid").read_text(encoding="ascii").split()
    except (FileNotFoundError, ValueError):
        return None
    return int(pid) if started and _started(int(pid)) == started else None


def stop(folder: Path, how: signal.Signals = signal.SIGTERM) -> None:
    """End the process of a folder and wait for it; killed if it does not end by itself."""
    deadline = time.monotonic() + STOP_SECONDS
    asked = False
    while (pid := running(folder)) is not None:
        late = time.monotonic() > deadline
        try:
            if not asked or late:
                os.kill(pid, signal.SIGKILL if late else how)
            asked = True
            _reap(pid)
        except ProcessLookupError:
            break
        time.sleep(0.02)
    (folder / "pid").unlink(missing_ok=True)


def wait_until(answers: Callable[[], bool], folder: Path, what: str, seconds: float = 60) -> None:
    """Until it answers. Raises ClusterError with the end of what the process said if it ended, or did not in time."""
    deadline = time.monotonic() + seconds
    while not answers():
        ended = running(folder) is None
        if ended or time.monotonic() > deadline:
            said = (folder / "said.txt").read_text(encoding="utf-8", errors="replace")[-2000:]
            raise ClusterError(f"{what} {'ended' if ended else f'did not answer within {seconds:.0f} s'}: {said}")
        time.sleep(0.1)


def _started(pid: int) -> str:
    """Moment a process began, in the kernel's ticks; empty if there is none, or only what is left of one that ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    except (FileNotFoundError, ProcessLookupError):
        return ""
    # killed, its first thread ends before the others, which still have its files open and locked
    return "" if fields[0] == "Z" and threads == 1 else fields[19]


def _reap(pid: int) -> None:
    """Take a child that has ended off the list; of another's child nothing is known."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
