"""What must be equal for a forked process to do as the caller's own would: the code, the libraries, the interpreter, the account.

All that can be made equal after the fork is not here but in `Caller`: environment, folder, files 0 to 2, limits. Imported by every `qala run`,
so it imports little.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = ("pipelines", "connectors", "kpi_definitions", "warehouse")
# read while something is imported, or before Python begins: a process that has begun cannot follow them
_READ_EARLY = ("PYTHON", "LD_", "DAGSTER_", "GX_", "MALLOC_")
# of these, what is followed nevertheless, or changes nothing of a run
_FOLLOWED = {
    "PYTHONPATH",
    "PYTHONUNBUFFERED",
    "PYTHONIOENCODING",
    "PYTHONDONTWRITEBYTECODE",
    "DAGSTER_HOME",
    "DAGSTER_EVENT_BATCH_SIZE",
    "GX_ANALYTICS_ENABLED",
}


def code() -> dict[str, str]:
    """Where the code is, and what tells that a file of it or an installed library has changed."""
    import hashlib

    digest = hashlib.sha256(repr([*_own_files(), *_installed()]).encode())
    return {"root": str(ROOT), "files": digest.hexdigest()}


def _own_files() -> Iterator[tuple[str, int, int, int]]:
    """Of each file of the four packages, data as well: path, time of change, bytes, inode."""
    folders = [str(ROOT / name) for name in PACKAGES]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.is_dir():
                    if entry.name != "__pycache__":
                        folders.append(entry.path)
                else:
                    found = entry.stat()
                    yield entry.path, found.st_mtime_ns, found.st_size, found.st_ino


def _installed() -> Iterator[tuple[str, int]]:
    """Of each installed distribution its record, which an upgrade replaces."""
    for folder in sorted({str(Path(p).resolve()) for p in sys.path if p.endswith(("site-packages", "dist-packages"))}):
        if Path(folder).is_dir():
            with os.scandir(folder) as entries:
                yield from sorted((e.path, e.stat().st_mtime_ns) for e in entries if e.name.endswith(".dist-info"))


def interpreter() -> dict[str, Any]:
    """The interpreter, as it began."""
    return {
        "version": sys.version,
        "prefix": sys.prefix,
        "flags": [sys.flags.optimize, sys.flags.utf8_mode, sys.flags.dev_mode],
        "encoding": sys.getfilesystemencoding(),
        "environment": _early(os.environ),
    }


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    names = sorted(n for n in environment if n.startswith(_READ_EARLY) and n not in _FOLLOWED)
    return {name: environment[name] for name in names}


def account() -> list[Any]:
    """What this process may: its user's and groups' numbers."""
    return [list(os.getresuid()), list(os.getresgid()), sorted(os.getgroups())]


def signed_in(process: int) -> str:
    """Whom the kernel saw sign in of whom a process descends, which the ledger tells; empty where it does not say."""
    try:
        return Path(f"/proc/{process}/loginuid").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def of_this_process() -> dict[str, Any]:
    """All of it."""
    return {"code": code(), "interpreter": interpreter(), "account": account()}


def differing(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """What of two descriptions is not equal, by name."""
    return sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
