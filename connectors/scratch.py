"""Where extracts lie in clear text while they are read: in the home, in a folder nobody else may enter, swept when its process is gone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_PREFIX, _LOCK = "reading-", ".lock"


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """A folder of its own in `root`, gone afterwards; what processes that were killed left there goes first.

    Where nothing can be written, as for who only looks, the system's temporary folder does.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)
        sweep(root)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    except OSError:
        with tempfile.TemporaryDirectory(prefix=f"qala-{_PREFIX}") as elsewhere:
            yield Path(elsewhere)
        return
    lock = FileLock(folder.with_suffix(_LOCK), timeout=0)
    lock.acquire()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def sweep(root: Path) -> None:
    """Remove the folders of processes that are gone: nobody holds their locks."""
    for folder in root.glob(f"{_PREFIX}*"):
        if not folder.is_dir():
            continue
        lock = FileLock(folder.with_suffix(_LOCK), timeout=0)
        with suppress(Timeout, OSError):
            with lock:
                shutil.rmtree(folder, ignore_errors=True)
            Path(lock.lock_file).unlink(missing_ok=True)
