"""What processes that were killed left behind, and whether somebody is still at it.

A temporary file or folder is held by a lock of the operating system for as long as its process lives: what nobody holds is nobody's.
What is in such files does not belong here.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: what is left there goes when it is old
    fcntl = None  # type: ignore[assignment]

SCRATCH = "qala-"  # names of folders in the system's temporary folder begin with it
_HELD = ".held"
_YOUNG, _OLD = (
    60,
    86_400,
)  # seconds: it may be made just now, and not be held yet; from here on it is nobody's in any case


def hold(descriptor: int) -> None:
    """Hold an open file until it is closed, or its process ends."""
    if fcntl is not None:
        with suppress(OSError):  # a file system that knows no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def abandoned(path: Path, marker: Path | None = None) -> bool:
    """Whether nobody is at it any more; `marker`: the file that tells, where it is a folder."""
    age = time.time() - path.lstat().st_mtime
    if age < _YOUNG or fcntl is None or not (marker or path).is_file():
        return age > _OLD
    with (marker or path).open("rb") as handle:
        try:
            fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return age > _OLD
    return True


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder of this process; what killed ones of this user left of theirs goes first, as extracts may lie there."""
    for path in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        with suppress(OSError):  # another process was sooner, or it is another user's
            if (
                path.is_dir()
                and not path.is_symlink()
                and path.stat().st_uid == os.getuid()
                and abandoned(path, path / _HELD)
            ):
                shutil.rmtree(path)
    with tempfile.TemporaryDirectory(prefix=SCRATCH) as folder, (Path(folder) / _HELD).open("wb") as marker:
        hold(marker.fileno())
        yield Path(folder)
