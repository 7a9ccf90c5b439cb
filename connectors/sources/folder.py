"""A folder of another system, as far as this machine sees it: extracts lie there under names that tell their period.

Links are not followed, in the names of files and of folders alike, and a file that is still being written is not taken. Does not belong
here: the home's own inbox, into which drops are moved (receiving/inbox.py).
"""

from __future__ import annotations

import fnmatch
import os
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from connectors.sources import checksums, settings
from connectors.sources.secrets import Secrets
from connectors.sources.settings import PeriodTemplate, Strict, refused
from connectors.sources.source import Asked, Fetched, SourceError

_BLOCK = 1 << 20
_WILD = frozenset("*?[")


def _whole(path: Path) -> Path:
    if not path.is_absolute():
        raise refused("is not the whole path", "write it from the root on: /srv/exchange/ikomek")
    return path


def inside(text: str) -> str:
    """A path of an extract, with placeholders and patterns: it stays below the folder it is looked up in."""
    if text.startswith("/") or "\\" in text or any(part in ("", ".", "..") for part in text.split("/")):
        raise refused("must be a path below the folder, without . and ..", "write it as {year}/{month}/appeals_*.csv")
    return text


InnerPath = Annotated[PeriodTemplate, AfterValidator(inside)]


class Settings(Strict):
    """A folder on this machine, or mounted here."""

    folder: Annotated[Path, AfterValidator(_whole)] = Field(description="The whole path of the folder")
    settled_seconds: int = Field(
        default=60, ge=0, le=86_400, strict=True, description="A file that changed since is still being written"
    )


class Extract(settings.Extract):
    """Files of a period, by their names."""

    path: InnerPath = Field(
        description="Below the folder, with placeholders and patterns: {year}-{month}/appeals_*.csv"
    )
    ready: InnerPath | None = Field(default=None, description="A file whose presence says that the others are whole")

    @field_validator("changed_by", mode="after")
    @classmethod
    def _whole_files(cls, name: str | None) -> str | None:
        if name is not None:
            raise refused("files are taken whole, by their names", "leave changed_by out")
        return name


def open_source(name: str, settings: Settings, secrets: Secrets) -> FolderSource:  # noqa: ARG001  it has none
    return FolderSource(name, settings)


class FolderSource:
    """See connectors/sources/source.py."""

    def __init__(self, name: str, settings: Settings):
        self.name, self.settings = name, settings

    def fetch(self, asked: Asked, folder: Path) -> Fetched | None:
        extract = asked.extract
        assert isinstance(extract, Extract)
        root = self._root()
        try:
            if extract.ready is not None and not list(self._found(root, asked.fill(extract.ready))):
                return None
            names = sorted(self._found(root, asked.fill(extract.path)))
            said = asked.regulation.checksum and asked.fill(asked.regulation.checksum)
            of = {name: checksums.name_of(said, name.rpartition("/")[2]) for name in names} if said else {}
            sums = {str(PurePosixPath(name).with_name(beside)) for name, beside in of.items()}
            names = [name for name in names if name not in sums]
            if not names:
                return None
            copied = {name: self._copied(root, name, folder) for name in names}
            digest = None
            if said:
                digest = checksums.compared(
                    self.name,
                    copied,
                    {name: self._read(root, str(PurePosixPath(name).with_name(of[name]))) for name in names},
                )
            return Fetched(tuple(copied.values()), sha256=digest)
        finally:
            os.close(root)

    def check(self) -> Sequence[str]:
        os.close(self._root())
        return (f"{self.settings.folder} can be read",)

    def _root(self) -> int:
        try:
            return os.open(self.settings.folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise SourceError(
                self.name,
                "connection.folder",
                f"{self.settings.folder} cannot be read ({error.strerror})",
                "is it mounted, and may whoever runs qala read it?",
                passing=isinstance(error, FileNotFoundError),
            ) from None

    def _found(self, root: int, pattern: str) -> Iterator[str]:
        """Names below the folder that a pattern fits, of folders and files that are no links."""
        yield from self._below(root, "", pattern.split("/"))

    def _below(self, here: int, before: str, steps: Sequence[str]) -> Iterator[str]:
        step, *rest = steps
        names = os.listdir(here) if _WILD & {*step} else [step]
        for name in names:
            hidden = name.startswith(".") and not step.startswith(".")
            if hidden or not (name == step or fnmatch.fnmatchcase(name, step)):
                continue
            try:
                kind = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
            except FileNotFoundError:
                continue
            if stat.S_ISLNK(kind):
                raise self._link(f"{before}{name}")
            if not rest:
                if stat.S_ISREG(kind):
                    yield f"{before}{name}"
            elif stat.S_ISDIR(kind):
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
                try:
                    yield from self._below(inner, f"{before}{name}/", rest)
                finally:
                    os.close(inner)

    def _link(self, name: str) -> SourceError:
        return SourceError(
            self.name, "extracts.path", f"{name} is a link: links are not followed", "have the file itself put there"
        )

    def _open(self, root: int, name: str) -> int:
        """A file below the folder, opened without following a link in any step of its name."""
        here = os.dup(root)
        *folders, last = name.split("/")
        try:
            for step in folders:
                inner = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
                os.close(here)
                here = inner
            return os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            raise SourceError(
                self.name,
                "extracts.path",
                f"{name} cannot be read ({error.strerror})",
                "may whoever runs qala read it? if it is not there yet, the next pull takes it",
                passing=missing,
            ) from None
        finally:
            os.close(here)

    def _copied(self, root: int, name: str, folder: Path) -> Path:
        """A file of which nobody is writing, copied."""
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(self._open(root, name), "rb") as source:
            before = os.fstat(source.fileno())
            if before.st_nlink > 1 or not stat.S_ISREG(before.st_mode):
                raise self._link(name)
            if time.time() - before.st_mtime < self.settings.settled_seconds:
                raise self._written(name)
            with target.open("xb") as copy:
                while block := source.read(_BLOCK):
                    copy.write(block)
            after = os.fstat(source.fileno())
            if (after.st_size, after.st_mtime_ns) != (
                before.st_size,
                before.st_mtime_ns,
            ) or target.stat().st_size != after.st_size:
                raise self._written(name)
        return target

    def _written(self, name: str) -> SourceError:
        return SourceError(
            self.name,
            "extracts.path",
            f"{name} is still being written",
            f"it is taken when it has not changed for {self.settings.settled_seconds} seconds (connection.settled_seconds)",
            passing=True,
        )

    def _read(self, root: int, name: str) -> bytes:
        with os.fdopen(self._open(root, name), "rb") as source:
            return source.read(checksums.LARGEST)
