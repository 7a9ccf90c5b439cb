"""What was read and checked, kept for the next process: contracts, definitions, sentences, and what follows from them alone.

Reading and checking what comes with qala takes a second, most questions a tenth of one. `kept` gives what an earlier process made if
not a byte has changed of the files it was made from, of the code that makes it, or of the libraries that are installed; otherwise it is made,
and kept. It lies in the user's own cache folder, not in a home: homes are handed on, and to read a pickle is to run it. Belongs here: where
it is kept, and when it holds. Does not belong here: what is kept (whoever makes it), or anything that is read from a warehouse.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
SETTING = "QALA_CACHE"  # another folder than the user's cache; 0: nothing is kept
# what may make what is kept: files of these endings, of folders (to any depth) and of the package itself
MAKERS = ("kpi_definitions", "warehouse/messages", "warehouse/tables", "warehouse")
_ENDINGS = (".py", ".yaml", ".sql", ".csv", ".json")
_DEEP = frozenset(MAKERS[:-1])
_ROOT = Path(__file__).parents[1]
_DIGEST, _DAYS = hashlib.sha256().digest_size, 30


def kept(what: str, files: Iterable[Path], make: Callable[[], T]) -> T:
    """What `make` makes of these files, or what it made of them before. `what`: its name, and all that it depends on beside the files.

    Whatever may be wrong with the folder or with what lies in it, it is made. Errors of `make` are the caller's, and are not kept.
    """
    folder = _folder()
    if folder is None:
        return make()
    files = tuple(files)
    if (key := _key(what, files)) is None:
        return make()
    path = folder / f"{what.partition(' ')[0]}-{key}"
    with suppress(OSError, ValueError):  # not there, another's, or damaged: as if it had never been there
        found: T = pickle.loads(_content(path))  # noqa: S301  nobody but this user can have written it (`_folder`, `_content`)
        return found
    made = make()
    if _key(what, files) == key:  # else a file was changed meanwhile: of which state it was made nobody knows
        with suppress(OSError):
            _write(path, pickle.dumps(made, pickle.HIGHEST_PROTOCOL))
    return made


def _folder() -> Path | None:
    """Where things are kept: a folder that this user owns, and that nobody else can write to, exchange or move; None if there is none such."""
    return _sound_folder(os.environ.get(SETTING), os.environ.get("XDG_CACHE_HOME"))


@lru_cache(maxsize=2)
def _sound_folder(given: str | None, cached: str | None) -> Path | None:
    if given in ("", "0"):
        return None
    try:
        folder = Path(given) if given else (Path(cached) if cached else Path.home() / ".cache") / "qala"
        if not folder.is_absolute():
            return None
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        real = folder.resolve(strict=True)
        return real if real.stat().st_uid == os.geteuid() and all(map(_safe, (real, *real.parents))) else None
    except (OSError, RuntimeError):
        return None


def _safe(folder: Path) -> bool:
    """Whether what lies in a folder can be exchanged by nobody but this user and root."""
    found = folder.stat()
    others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
    return found.st_uid in (0, os.geteuid()) and not others_write


def _content(path: Path) -> bytes:
    """What was kept in a file. Raises OSError, ValueError if this user did not write it, or not all of it."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        found = os.fstat(file.fileno())
        if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ValueError(f"{path} is another's")
        content = file.read()
    if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        raise ValueError(f"{path} is damaged")
    return content[_DIGEST:]


def _write(path: Path, content: bytes) -> None:
    """Keep it, whole or not at all; what nobody has made for a month goes."""
    own = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
        own.replace(path)
    finally:
        own.unlink(missing_ok=True)
    long_ago = time.time() - _DAYS * 86400
    for old in path.parent.iterdir():
        if old.stat().st_mtime < long_ago:
            old.unlink()


def _key(what: str, files: Iterable[Path]) -> str | None:
    """SHA-256 of everything that what is kept follows from; None if a file cannot be read, or is a link."""
    digest = hashlib.sha256(f"{what}\n{made_by()}".encode())
    try:
        for path in sorted(files):
            if path.is_symlink():
                return None
            content = path.read_bytes()
            digest.update(f"\n{path} {len(content)}\n".encode("utf-8", "surrogateescape") + content)
    except OSError:
        return None
    return digest.hexdigest()


@cache
def made_by() -> str:
    """SHA-256 of the code that makes what is kept, with the data beside it, of Python's version and of which libraries are installed."""
    digest = hashlib.sha256(f"{sys.version} {sys.flags.optimize}".encode())
    for path in _code():
        content = path.read_bytes()
        digest.update(f"\n{path.relative_to(_ROOT)} {len(content)}\n".encode() + content)
    installed = list[str]()
    for folder in sys.path:
        with suppress(OSError):
            found = Path(folder or ".").iterdir()
            installed += (path.name for path in found if path.name.endswith((".dist-info", ".egg-info")))
    digest.update(f"\n{sorted(installed)}".encode())
    return digest.hexdigest()


def _code() -> Iterator[Path]:
    """Every file of the makers, in an order that is always the same."""
    for maker in MAKERS:
        folder = _ROOT / maker
        found = folder.rglob("*") if maker in _DEEP else folder.glob("*")
        yield from sorted(path for path in found if path.suffix in _ENDINGS)
