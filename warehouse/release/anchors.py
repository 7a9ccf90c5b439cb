"""Anchors: one line with the ledger's head (sequence and hash) and the release's SHA-256, to be printed, mailed, kept in another office.

A person who holds the files can rewrite all of them, ledger and manifest too, so that they fit each other again. An anchor that has left
the house they cannot rewrite: `qala verify --head` compares the ledger with it. What is found then does not belong here (audit/verify.py).
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.home.keys import Key
from warehouse.release import signing
from warehouse.store.succession import released_head

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FILE = "ANCHOR.txt"
_KIND = "text/vnd.qala.anchor"  # bound into the signature: one of an anchor is none of a manifest
_LINE = re.compile(
    r"qala-anchor (?P<at>\S+) head (?P<seq>\d{1,18}):(?P<head>[0-9a-f]{64}) release (?P<file>[0-9a-f]{64})"
    r"(?: key (?P<key>[0-9a-f]{64}) signature (?P<signature>[A-Za-z0-9+/=]+))?"
)
_BARE = re.compile(r"(?P<seq>\d{1,18}):(?P<head>[0-9a-f]{64})")


@dataclass(frozen=True)
class Anchor:
    """What was anchored. Of a bare SEQUENCE:HASH only the head is known."""

    seq: int
    head: str
    at: str = ""  # when it was released, UTC
    file: str = ""  # SHA-256 of the released DuckDB file
    key: str = ""  # id of the public key
    signature: str = ""

    @classmethod
    def of(cls, seq: int, head: str, at: dt.datetime, file: str, key: Key | None) -> Anchor:
        """The anchor of a release, signed if there is a key."""
        bare = cls(seq, head, f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}", file)
        if key is None:
            return bare
        by = signing.key_id(signing.private_key(key).public_key())
        return cls(seq, head, bare.at, file, by, signing.signature(key, _KIND, bare.line.encode()))

    @property
    def line(self) -> str:
        signed = f" key {self.key} signature {self.signature}" if self.signature else ""
        return f"qala-anchor {self.at} head {self.seq}:{self.head} release {self.file}{signed}"

    def signed_by(self, public: Ed25519PublicKey) -> bool:
        bare = Anchor(self.seq, self.head, self.at, self.file)
        return signing.signed_by(public, _KIND, bare.line.encode(), self.signature)


def of_release(home: Home) -> Anchor:
    """The anchor that lies with the release. Raises StoreError if there is none, or it is of another release."""
    path, (seq, digest) = home.release / FILE, released_head(home)
    if not seq:
        raise StoreError(f"nothing has been released in {home.root} yet; run: qala run")
    if not path.is_file():
        raise StoreError(f"{path} is gone, or was released before anchors were; run: qala run, or: qala verify")
    found = read(str(path))
    if [(one.seq, one.head) for one in found] != [(seq, digest)]:
        raise StoreError(f"{path} is not the anchor of the release beside it; see: qala verify")
    return found[0]


def read(given: str) -> list[Anchor]:
    """Anchors of SEQUENCE:HASH, of a line as `qala anchor` prints it, or of a file of such lines. Raises StoreError."""
    path, text = Path(given), given
    try:
        if not any(shape.fullmatch(" ".join(given.split())) for shape in (_LINE, _BARE)) and path.is_file():
            text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # too long for a name, or no text
        raise StoreError(f"{given[:200]!r} is no anchor, and no file of anchors ({error})") from None
    found = [_read(line, given) for line in text.splitlines() if line.strip()]
    if not found:
        raise StoreError(f"there is no anchor in {given[:200]!r}")
    return found


def _read(line: str, given: str) -> Anchor:
    # paper and mail break lines and add blanks: what stands between the words does not count
    words = " ".join(line.split())
    if match := _LINE.fullmatch(words) or _BARE.fullmatch(words):
        parts: dict[str, Any] = {name: value or "" for name, value in match.groupdict().items()}
        return Anchor(**parts | {"seq": int(parts["seq"])})
    raise StoreError(
        f"{given[:200]!r} is no ledger head, and no anchor: write SEQUENCE:HASH as qala verify printed it, or a line or a file that qala anchor wrote"
    )
