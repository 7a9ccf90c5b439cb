"""Key rotation of the archive: what is encrypted with another key, or should be encrypted and is not yet, gets the key in force.

File by file, each replaced whole when its new copy is on the disk; so a run that was stopped goes on where it was, and deliveries and
runs go on meanwhile. What cannot be read stays as it is and is reported. Does not belong here: keys themselves (warehouse/home/keys.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from connectors.archive import receipts
from connectors.archive.archive import Archive, ArchiveError
from connectors.mapping.source_contract import SourceContract
from connectors.receiving.deliver import encrypts
from warehouse.home.keys import Key, MissingKeyError
from warehouse.tables.contracts import Table


@dataclass
class Rotated:
    """What was done. `left`: key ids that files still need, with how many; `failed`: files that could not be read, with the reason."""

    encrypted: int = 0  # with the key in force, now
    before: int = 0  # and before that
    left: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)


def rotate(
    archive: Archive,
    key: Key,
    tables: Mapping[str, Table],
    sources: Mapping[tuple[str, str], SourceContract],
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Rotated:
    """Encrypt anew all that is encrypted with another key than `key`, and encrypt what the contracts as they are now want encrypted."""
    found, wanted = Rotated(), _wanted(archive, tables, sources)
    contents = archive.contents()
    todo = [(s, held) for s, held in contents if held != key.id and (held is not None or s in wanted)]
    found.before = sum(held == key.id for _, held in contents)
    for number, (sha256, held) in enumerate(todo, 1):
        try:
            archive.encrypt(sha256, key)
            found.encrypted += 1
        except (ArchiveError, MissingKeyError) as error:
            found.failed.append(str(error))
            if held:
                found.left[held] += 1
        progress(number, len(todo))
    return found


def encryption_status(
    archive: Archive, tables: Mapping[str, Table], sources: Mapping[tuple[str, str], SourceContract]
) -> tuple[Counter[str], int]:
    """How many archived files each key id is needed for, and how many lie in the clear that by the contracts should not."""
    contents, wanted = archive.contents(), _wanted(archive, tables, sources)
    return Counter(held for _, held in contents if held), sum(held is None and s in wanted for s, held in contents)


def _wanted(
    archive: Archive, tables: Mapping[str, Table], sources: Mapping[tuple[str, str], SourceContract]
) -> set[str]:
    """SHA-256 of what was delivered, by any receipt, as an extract that is to be encrypted."""
    kinds: dict[tuple[str, str], bool] = {}
    found = set()
    for path in (archive.root / "receipts").glob("*/*.json"):
        try:
            one = receipts.read(path)
        except (OSError, ValueError):
            continue
        kind = (one.system, one.table)
        if kind not in kinds:
            kinds[kind] = one.table in tables and encrypts(one.system, tables[one.table], sources)
        if kinds[kind]:
            found.add(one.sha256)
    return found
