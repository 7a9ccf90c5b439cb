"""Who may read a home: its owner and its group. Files 0640, folders 0750, whatever the umask of who starts qala.

Two ways, for neither alone is enough: the process' umask is set where qala begins to write, and what lies there already loses the rights that
others have. Rights are only taken away, never given: a home that is closed further stays so. Folders inside others' reach need no look, as
nobody comes through a closed one.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from warehouse.home.home import Home

UMASK = 0o027
_CLOSED = 0o027  # taken from folders
_FILE = 0o137  # taken from files
_OTHERS = 0o007  # taken from the inbox: its group may write, that is how senders drop
_HELD = ("archive", "contracts", "showcase", "catalogues", "corrections", "release", "reused", "engine", "dagster")
_INBOX = ("inbox", "inbox/done", "inbox/refused", "inbox/taking")


def private() -> None:
    """From now on what this process and those it starts write is closed to others."""
    os.umask(UMASK)


def close(home: Home) -> None:
    """The same, and take from others what they may do with a home, and from its group writing; a few known places, not file by file."""
    private()
    _take(home.root, _CLOSED)
    for name in _HELD:
        _take(home.root / name, _CLOSED)
    for name in _INBOX:
        _take(home.root / name, _OTHERS)
    for file in (home.warehouse, home.warehouse.with_name(f"{home.warehouse.name}.wal"), home.root / ".writer.lock"):
        _take(file, _FILE)


def _take(path: Path, rights: int) -> None:
    with suppress(OSError):  # it is not there, or another's: then it is theirs to close
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode & rights and not path.is_symlink():
            path.chmod(mode & ~rights)
