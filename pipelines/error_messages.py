"""Errors of the machine as a sentence with a remedy: disks, memory, permissions, files that are held or damaged.

Used once by the command line (cli/common.py) and once by Dagster's steps (`known_errors_as_failure`); an error in a worker process reaches its
caller unchanged. Does not belong here: errors of qala itself, which say what to do in their own message. An error without a sentence here is a
fault of the program.
"""

from __future__ import annotations

import errno
import functools
import getpass
import inspect
import os
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import duckdb
from filelock import Timeout

from kpi_definitions.nearest import no_file
from warehouse.errors import BusyError

F = TypeVar("F", bound=Callable[..., object])
_OURS = ("warehouse.", "connectors.", "kpi_definitions.", "pipelines.")
_WRAPPERS = ("dagster", "sqlalchemy")  # of what was raised in them, or handed to them
_AGAIN = "then do the same again: what was taken in is kept, nothing is half done"
_OF_SYSTEM = {
    errno.ENOSPC: f"there is no room left on the disk; make room, {_AGAIN}",
    errno.EDQUOT: f"the quota of the disk is used up; make room, {_AGAIN}",
    errno.EFBIG: f"no larger file may be written (ulimit -f, or the file system's limit); allow it, {_AGAIN}",
    errno.EACCES: "it is not permitted to {user}; give that user the right (owner and mode of file and folder), or act as the owner of the home",
    errno.EPERM: "it is not permitted to {user}; give that user the right (owner, mode, attributes), or act as the owner of the home",
    errno.EROFS: "the disk can only be read; mount it for writing, or name a home that can be written",
    errno.ENOENT: "there is no such file or folder; name another, or restore it from a backup",
    errno.EEXIST: "something lies there already under that name; move it away",
    errno.ENOTDIR: "a file lies where a folder belongs; move it away",
    errno.EISDIR: "a folder lies where a file belongs; move it away",
    errno.EMFILE: f"too many files are open; allow more (ulimit -n), {_AGAIN}",
    errno.ENFILE: f"too many files are open on this machine; close some, {_AGAIN}",
    errno.ENOMEM: f"there is no memory left; run fewer months at once, or make room, {_AGAIN}",
    errno.EIO: "the disk fails; look at it before anything else, and restore what is damaged from a backup",
    errno.EBUSY: "another program holds it; close it there",
    errno.ETXTBSY: "another program holds it; close it there",
    errno.ELOOP: "a link leads in a circle; put the file itself there",
    errno.ENAMETOOLONG: "the name is too long; give it a shorter one",
    errno.ESTALE: "the network drive lost it; mount it again",
}
_MEMORY = (
    "there is not enough memory ({said}); run fewer months at once, or allow more: QALA_MEMORY_LIMIT, QALA_COMPUTE_MEMORY_MIB; "
    "nothing is half done"
)
# by a part of what a database says, in small letters
_OF_DATABASE = {
    "no space left": _OF_SYSTEM[errno.ENOSPC],
    "disk is full": _OF_SYSTEM[errno.ENOSPC],
    "file too large": _OF_SYSTEM[errno.EFBIG],
    "permission denied": _OF_SYSTEM[errno.EACCES],
    "readonly database": _OF_SYSTEM[errno.EACCES],
    "read-only file system": _OF_SYSTEM[errno.EROFS],
    "set lock on file": "another program holds the file; close it there",
    "database is locked": "another process of Dagster holds the file; wait for it, or end it",
    "unable to open": "the file cannot be opened; look at its owner and mode, and at those of its folder",
}
_HELD = ("set lock on file", "database is locked")
RETRIES, WAIT = 3, 60  # seconds before the first; our proposal
BY, COMMAND_LINE = "qala/by", "command line"  # tag of a run that somebody looks on at
_NO_THREAD = "can't start new thread"  # for want of memory, says Python
_DAMAGED = "the file is damaged; restore it from a backup"
_FATAL = (
    "the database engine met a fatal error ({said}); its connection was dropped, and what was not committed is undone. Run again; if it comes "
    "again, restore the warehouse from a backup and report it"
)


def message_for(error: BaseException) -> str | None:
    """The message for an error, or for its cause; None if it is a fault of the program."""
    seen: BaseException | None = error
    while seen is not None:
        said = _of(seen)
        if said:
            return said
        module = type(seen).__module__
        within = getattr(seen, "orig", None) or seen.__cause__
        seen = within or (seen.__context__ if module.startswith(_WRAPPERS) else None)
    return None


def passes(error: BaseException) -> bool:
    """Whether an error, or its cause, is that another process holds what is needed, which it will let go."""
    seen: BaseException | None = error
    while seen is not None:
        held = isinstance(seen, OSError) and seen.errno in (errno.EBUSY, errno.ETXTBSY)
        said = str(seen).lower() if isinstance(seen, duckdb.Error | sqlite3.Error) else ""
        if held or isinstance(seen, BusyError | Timeout) or any(part in said for part in _HELD):
            return True
        seen = getattr(seen, "orig", None) or seen.__cause__
    return False


def _of(error: BaseException) -> str | None:
    line = next(iter(str(error).splitlines()), type(error).__name__)
    if type(error).__module__.startswith(_OURS) and isinstance(error, Exception):
        return str(error)
    if isinstance(error, Timeout):
        return f"another process has held {error.lock_file} for too long; wait for it to end, or stop it"
    if isinstance(error, OSError) and error.errno in _OF_SYSTEM and error.errno != errno.EPIPE:
        if error.errno == errno.ENOENT and isinstance(error.filename, str | os.PathLike) and error.filename2 is None:
            said = no_file(Path(error.filename))
            bare = said == f"there is no file {error.filename}"
            return f"{error.filename}: {_OF_SYSTEM[errno.ENOENT]}" if bare else said
        where = [str(name) for name in (error.filename, error.filename2) if name is not None]
        said = _OF_SYSTEM[error.errno].format(user=f"user {_user()}")
        return f"{' to '.join(where) or error.strerror or line}: {said}"
    if isinstance(error, MemoryError | duckdb.OutOfMemoryException) or _NO_THREAD in line:
        return _MEMORY.format(said=line)
    if isinstance(error, duckdb.Error | sqlite3.Error):
        return _of_database(error, line)
    return None


def _of_database(error: Exception, line: str) -> str | None:
    small = line.lower()
    for part, said in _OF_DATABASE.items():
        if part in small:
            return f"{line}: {said.format(user=f'user {_user()}')}"
    if isinstance(error, duckdb.FatalException | duckdb.InternalException) or "invalidated" in small:
        return _FATAL.format(said=line)
    if isinstance(error, duckdb.IOException | duckdb.SerializationException | sqlite3.DatabaseError):
        return f"{line}: {_DAMAGED}"
    return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # of no name
        return str(os.getuid())


def known_errors_as_failure(step: F) -> F:
    """Decorator of a Dagster step: a known error fails the step with its message, and the traceback goes to the run's log.

    The step's first argument is the context. Tried again, where nobody looks on, is what passes by itself: a lock or a file that another holds.
    Who runs it by the command line is told at once: it was waited for where it is taken (warehouse/store/).
    """
    from dagster import Failure, RetryRequested

    def failure(context: Any, error: Exception) -> Failure | RetryRequested | None:
        said = None if isinstance(error, Failure) else message_for(error)
        if said is None:
            return None
        if passes(error) and context.run.tags.get(BY) != COMMAND_LINE and context.retry_number < RETRIES:
            context.log.warning(said)
            return RetryRequested(max_retries=RETRIES, seconds_to_wait=WAIT * 2**context.retry_number)
        context.log.info("".join(traceback.format_exception(error)))
        return Failure(description=said, allow_retries=False)

    if inspect.isgeneratorfunction(step):

        @functools.wraps(step)
        def generator(context: object, *args: object, **named: object) -> Iterator[object]:
            try:
                yield from step(context, *args, **named)
            except Exception as error:
                if (plain := failure(context, error)) is None:
                    raise
                raise plain from None

        return generator  # type: ignore[return-value]

    @functools.wraps(step)
    def function(context: object, *args: object, **named: object) -> object:
        try:
            return step(context, *args, **named)
        except Exception as error:
            if (plain := failure(context, error)) is None:
                raise
            raise plain from None

    return function  # type: ignore[return-value]
