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

SCRATCH = "qala-"  # how names of such folders begin
_HELD = ".held"
# seconds: it may be made just now, and not be held yet; from the latter on it is nobody's in any case
_YOUNG, _OLD = 60, 86_400


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
def scratch(root: Path | None = None) -> Iterator[Path]:
    """A folder of this process in `root`, which nobody else may enter; gone afterwards. What killed ones left there goes first: extracts lie there
    in the clear. Without `root`, and where nothing can be written, as for who only looks, the system's temporary folder does.
    """
    system = Path(tempfile.gettempdir())
    for path in (p for place in (root, system) if place for p in place.glob(f"{SCRATCH}*")):
        with suppress(OSError):  # another process was sooner, or it is another user's
            if (
                path.is_dir()
                and not path.is_symlink()
                and path.stat().st_uid == os.getuid()
                and abandoned(path, path / _HELD)
            ):
                shutil.rmtree(path)
    with _folder(root) as folder, (Path(folder) / _HELD).open("wb") as marker:
        hold(marker.fileno())
        yield Path(folder)


def _folder(root: Path | None) -> tempfile.TemporaryDirectory[str]:
    if root is None:
        return tempfile.TemporaryDirectory(prefix=SCRATCH)
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)
        return tempfile.TemporaryDirectory(prefix=SCRATCH, dir=root)
    except OSError:
        return tempfile.TemporaryDirectory(prefix=SCRATCH)
