"""What a forked process does: it makes itself as the caller is, has a second fork ready to judge and compute, and runs the caller's command line.

Does not belong here: listening and forking (server.py), what cannot be made equal (likeness.py).
"""

from __future__ import annotations

import atexit
import json
import locale
import logging
import os
import resource
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pipelines.resident import likeness
from pipelines.resident.socket_file import ACCEPTED, DECLINED, INTERRUPT, receive_request
from warehouse import moments
from warehouse.isolation import worker

_ASKS_WITHIN = 5.0  # seconds in which a caller must have said what it wants
_CREDENTIALS = struct.Struct("3i")
_FLUSH_FAILED = 120  # exit code of Python itself


def answer(line: socket.socket, like: Mapping[str, Any], execute: Callable[[Sequence[str]], int]) -> None:
    """Answer one caller in this process, which then ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    atexit._clear()  # what is to be done at the resident process' end is not for a fork to do
    line.settimeout(_ASKS_WITHIN)
    try:
        text, files = receive_request(line)
        request = json.loads(text)
        if why := _unlike(line, like, request):
            line.sendall(DECLINED + why.encode())
            return
        _become(request, files)
        worker.fork(line.fileno())
        line.sendall(ACCEPTED)
    except (OSError, ValueError):  # the caller is gone, was none, or cannot be followed: it runs by itself
        return
    line.settimeout(None)
    threading.Thread(target=_listen, args=(line,), daemon=True).start()
    code = _run(execute, request["words"])
    with suppress(OSError):
        line.sendall(str(code).encode())
    os._exit(code)


def _unlike(line: socket.socket, like: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    """In what the caller differs so that it must run by itself; the user is asked of the kernel."""
    if hasattr(socket, "SO_PEERCRED"):
        process, user, _ = _credentials(line)
        if user != os.geteuid() or likeness.signed_in(process) != likeness.signed_in(os.getpid()):
            return "another user"
    return ", ".join(likeness.differing(like, request["like"]))


def _credentials(line: socket.socket) -> tuple[int, int, int]:
    """Of the caller: process, user, group."""
    found = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, group = _CREDENTIALS.unpack(found)
    return process, user, group


def _become(request: Mapping[str, Any], files: Sequence[int]) -> None:
    """Take over the caller's environment, folder, files, limits. Raises OSError, ValueError if it may have what this process cannot."""
    os.setsid()  # what a terminal sends goes to the caller, which passes it on
    for own, theirs in enumerate(files):
        os.dup2(theirs, own)
        os.close(theirs)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    with suppress(locale.Error):
        locale.setlocale(locale.LC_CTYPE, "")
    os.chdir(request["folder"])
    os.umask(request["umask"])
    for name, (soft, hard) in request["limits"].items():
        which = getattr(resource, name)
        _, most = resource.getrlimit(which)
        resource.setrlimit(which, (soft, hard if most == resource.RLIM_INFINITY else _lesser(hard, most)))
    os.setpriority(os.PRIO_PROCESS, 0, request["niceness"])
    streams = [
        open(number, mode, encoding=encoding, errors=errors, closefd=False, buffering=1 if by_line else -1)  # noqa: SIM115
        for number, mode, (encoding, errors, by_line) in zip((0, 1, 2), "rww", request["streams"], strict=True)
    ]
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc,assignment]
    moments.look = moments.armed()


def _lesser(limit: int, other: int) -> int:
    return other if limit == resource.RLIM_INFINITY else min(limit, other)


def _listen(line: socket.socket) -> None:
    """Interrupt this process when the caller says so, or has gone."""
    with suppress(OSError):
        while line.recv(1) == INTERRUPT:
            os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)


def _run(execute: Callable[[Sequence[str]], int], words: Sequence[str]) -> int:
    """Its exit code, when all is said and written."""
    try:
        code = execute(words)
    except BaseException:
        traceback.print_exc()
        code = 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker.close()
    logging.shutdown()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return _FLUSH_FAILED
    return code
