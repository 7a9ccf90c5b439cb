"""What `qala run` does when a resident process is there: it hands over, passes Ctrl-C on, and ends as the run ends.

Does not belong here: the other end of the line (server.py). Imports nothing heavy: a caller that is declined has lost milliseconds.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pipelines.resident import likeness
from pipelines.resident.socket_file import ACCEPTED, INTERRUPT, address, file_of, send_request
from warehouse.home.home import Home

BY_ITSELF = "QALA_RESIDENT"  # 0: every run in its own process, and `qala ui` starts none
_ANSWERS_WITHIN = 10.0  # seconds; forking takes milliseconds
KILLED = 128 + signal.SIGKILL  # as shells say it


def handed_over(home: Home, words: Sequence[str]) -> int | None:
    """Have the home's resident process run a command line. Returns its exit code; None: nothing was begun, the caller runs by itself."""
    if os.environ.get(BY_ITSELF) == "0" or not _sound(home) or not _plain_files():
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            line.settimeout(_ANSWERS_WITHIN)
            with address(home) as where:
                line.connect(where)
            with _interrupts_go_to(line):
                send_request(line, json.dumps(_request(words)).encode())
                if line.recv(1) != ACCEPTED:
                    return None
                line.settimeout(None)
                return _exit_code(line)
        except OSError:  # nobody listens any more, or not in time
            return None


def _exit_code(line: socket.socket) -> int:
    told = b""
    try:
        while part := line.recv(16):
            told += part
    except ConnectionError:
        told = b""
    return int(told) if told else KILLED


def _sound(home: Home) -> bool:
    """Whether there is a socket that this user made and nobody else can reach."""
    try:
        found = file_of(home).lstat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _plain_files() -> bool:
    """Whether what this process reads and prints is its files 0 to 2, and no object that somebody put in their place."""
    try:
        return [stream.fileno() for stream in (sys.stdin, sys.stdout, sys.stderr)] == [0, 1, 2]
    except (OSError, ValueError, AttributeError):
        return False


@contextmanager
def _interrupts_go_to(line: socket.socket) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the run, not this process, which waits for its end."""

    def pass_on(*_: object) -> None:
        line.send(INTERRUPT)

    former = {one: signal.signal(one, pass_on) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, what in former.items():
            signal.signal(one, what)


def _request(words: Sequence[str]) -> dict[str, Any]:
    sys.stdout.flush()
    sys.stderr.flush()
    mask = os.umask(0)
    os.umask(mask)
    limits = {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")}
    return {
        "words": list(words),
        "like": likeness.of_this_process(),
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109
        "umask": mask,
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "limits": limits,
        "streams": [[s.encoding, s.errors, s.line_buffering] for s in (sys.stdin, sys.stdout, sys.stderr)],
    }
