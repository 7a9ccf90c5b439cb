"""Several files of one delivery as one content: a zip without compression, whose first member lists what is in it.

The same files in the same order, with the same `about`, give the same bytes: a bundle sent again is the same content. Its members are
bytes as received. Does not belong here: what the members mean and how they are read (readers/), who bundles what (receiving/, sources/).
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

LISTING = "qala-bundle.json"
_FORM = 1  # of the listing
_BLOCK = 1 << 20
_HEAD = b"PK\x03\x04"
_NAME_AT = 30  # where in a zip the first member's name begins
_MOMENT = (1980, 1, 1, 0, 0, 0)  # of every member: when a file was written is nothing of its content
_LISTING_BYTES = 64 << 20


@dataclass(frozen=True)
class Member:
    """One file of a bundle: its name as given, its name in the zip, and what it was when it was bundled."""

    name: str
    member: str
    bytes: int
    sha256: str


class BundleError(ValueError):
    """A file changed while it was bundled, or what calls itself a bundle is none. The message says which."""


def bundle(files: Sequence[tuple[str, Path]], target: Path, about: Mapping[str, Any]) -> Path:
    """Write a bundle of files, (name, path) in the order in which they are read. Returns `target`.

    `about`: what there is to say of all of them, as JSON (which source, which question); nothing that differs from one try to
    the next, such as the time of day, or the same files would be another content. Raises BundleError, OSError; then `target` is gone.
    """
    try:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as into:
            listed = [_member(number, name, path) for number, (name, path) in enumerate(files, 1)]
            listing = {"bundle": _FORM, "about": dict(about), "files": [asdict(one) for one in listed]}
            content = json.dumps(listing, ensure_ascii=False, indent=1, sort_keys=True)
            into.writestr(_entry(LISTING), content.encode("utf-8", "backslashreplace"))
            for one, (_, path) in zip(listed, files, strict=True):
                _copy(into, one, path)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def _member(number: int, name: str, path: Path) -> Member:
    with path.open("rb") as handle:
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        size = handle.tell()
    # numbered: names need not differ, and their order is told by what a person sees who unpacks it
    letters = PurePosixPath(name).name.encode("utf-8", "backslashreplace").decode()
    return Member(name, f"{number:05}-{letters}", size, sha256)


def _copy(into: zipfile.ZipFile, one: Member, path: Path) -> None:
    entry, digest = _entry(one.member), hashlib.sha256()
    entry.file_size = one.bytes  # of more than 2 GiB another form of entry is needed, which is known now alone
    with path.open("rb") as source, into.open(entry, "w") as sink:
        while block := source.read(_BLOCK):
            digest.update(block)
            sink.write(block)
    if digest.hexdigest() != one.sha256:
        raise BundleError(f"{one.name} changed while it was read; wait until it is written, and deliver again")


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _MOMENT)
    entry.create_system = 3  # else it would say on what kind of machine it was made
    entry.external_attr = 0o440 << 16
    return entry


def is_bundle(start: bytes) -> bool:
    """Whether content that begins with these bytes (64 will do) is a bundle."""
    return start.startswith(_HEAD) and start[_NAME_AT:].startswith(LISTING.encode())


@contextmanager
def opened(path: Path) -> Iterator[tuple[list[Member], zipfile.ZipFile]]:
    """A bundle's files in order, and the zip that has them under `member`. Raises BundleError, and what zipfile does."""
    with zipfile.ZipFile(path) as packed:
        listing = packed.getinfo(LISTING)
        if listing.file_size > _LISTING_BYTES or listing.compress_type != zipfile.ZIP_STORED:
            raise BundleError(f"its {LISTING} is none")
        try:
            said = json.loads(packed.read(listing))
            files = [Member(**one) for one in said["files"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BundleError(f"its {LISTING} is none ({type(error).__name__})") from None
        held = [i.filename for i in packed.infolist() if i.filename != LISTING]
        if said["bundle"] != _FORM or held != [one.member for one in files]:
            raise BundleError(f"its {LISTING} lists other files than it has")
        yield files, packed
