"""Checksum files, as systems leave them beside their extracts: `HEX  name` lines, `SHA256 (name) = HEX`, or the digits alone.

Does not belong here: where such a file is and how it is fetched (the kinds' modules).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from connectors.sources.source import SourceError

LARGEST = 16 << 20  # bytes of a checksum file
_BY_DIGITS = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}
_LINES = (
    re.compile(r"(?P<hex>[0-9A-Fa-f]{32,128})(?:[ \t]+[ *]?(?P<name>.+))?"),
    re.compile(
        r"SHA-?\d+ ?\((?P<name>.+)\) ?= ?(?P<hex>[0-9A-Fa-f]{32,128})|MD5 ?\((?P<name2>.+)\) ?= ?(?P<hex2>[0-9A-Fa-f]{32})"
    ),
)


def name_of(said: str, file: str) -> str:
    """The name of the checksum file of a file: `said` of the regulation is a suffix, or a name."""
    return f"{file}{said}" if said.startswith(".") else said


def compared(source: str, files: Mapping[str, Path], sums: Mapping[str, bytes]) -> str | None:
    """Hold files against the checksum files fetched with them, both by file name; the SHA-256 of an only file, if that is what was said.

    `sums`: for each file the bytes of the checksum file that is to name it. Raises SourceError for what differs, is not named, or is none.
    """
    digest = ""
    for name, path in files.items():
        digest = _said(source, sums[name], name)
        with path.open("rb") as handle:
            found = hashlib.file_digest(handle, _BY_DIGITS[len(digest)]).hexdigest()
        if found != digest:
            raise SourceError(
                source,
                "regulation.checksum",
                f"{name} has checksum {found}, its checksum file says {digest}: it was cut, changed, or is being written",
                "it is asked for again by the next pull; if that says the same, have the system write both anew",
                passing=True,
            )
    return digest if len(files) == 1 and len(digest) == 64 else None


def _said(source: str, content: bytes, name: str) -> str:
    text = content[: LARGEST + 1].decode("utf-8-sig", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("#", ";"))]
    named: dict[str, str] = {}
    for line in lines:
        found = next((match for pattern in _LINES if (match := pattern.fullmatch(line))), None)
        if found is None:
            continue
        parts = found.groupdict()
        digest = (parts["hex"] or parts.get("hex2") or "").lower()
        if len(digest) not in _BY_DIGITS:
            continue
        whose = (parts.get("name") or parts.get("name2") or "").strip()
        key = whose.replace("\\", "/").rpartition("/")[2]
        if named.setdefault(key, digest) != digest:
            named[key] = ""
    last = name.rpartition("/")[2]
    digest = named.get(last) or (named.get("", "") if len(lines) == 1 else "")
    if not digest:
        raise SourceError(
            source,
            "regulation.checksum",
            f"the checksum file does not say one checksum of {last}",
            "a line of it is the digits, two blanks and the name, as sha256sum writes it; or the digits alone",
        )
    return digest
