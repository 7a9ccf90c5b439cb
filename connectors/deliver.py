"""Taking an extract in: what is declared about a file is checked before its bytes are archived.

Used by `qala deliver` and by the inbox, so that both refuse the same things in the same words.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.archive import Archive, Receipt
from connectors.source_contract import STANDARD, SourceContract
from warehouse.contracts import Table
from warehouse.load import FIRST_YEAR, LAST_YEAR, settlements, territory
from warehouse.periods import parse_period

MANIFEST = ".manifest.json"
_KEYS = {"file", "table", "system", "settlement", "scope", "period", "sha256", "rows"}


class DeliveryError(ValueError):
    """What was declared cannot be right; nothing was taken in. The message says what would be."""


@dataclass(frozen=True)
class Declared:
    """What a person or a manifest says about a file."""

    file: Path
    table: str
    scope: str
    period: str
    system: str = STANDARD
    rows: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Drop:
    """What became of one manifest in the inbox."""

    manifest: Path
    receipts: tuple[Receipt, ...]
    error: str | None


def deliver(
    archive: Archive, declared: Declared, tables: Mapping[str, Table], sources: Mapping[tuple[str, str], SourceContract]
) -> Receipt:
    """Check what is declared, archive the bytes, write the receipt. Raises DeliveryError; then nothing was taken in."""
    check(declared, tables, sources)
    return archive.receive(
        declared.file,
        table=declared.table,
        system=declared.system,
        scope=territory(declared.scope),
        period=parse_period(declared.period).id,
        declared_rows=declared.rows,
    )


def check(declared: Declared, tables: Mapping[str, Table], sources: Mapping[tuple[str, str], SourceContract]) -> None:
    """Whether what is declared can be right. Raises DeliveryError."""
    file, table, system = declared.file, declared.table, declared.system
    if not file.is_file():
        raise DeliveryError(f"there is no file {file}")
    if table not in tables:
        near = difflib.get_close_matches(table, tables, 3) or sorted(tables)
        raise DeliveryError(f"there is no table {table!r}; did you mean {', '.join(near)}?")
    if system != STANDARD and (system, table) not in sources:
        known = sorted(s for s, t in sources if t == table)
        raise DeliveryError(
            f"no contract of system {system!r} feeds {table}; known for it: {', '.join(known) or 'none'}. Put its contract "
            "into the home's contracts/ folder, or leave the system out if the file has the table's own column names"
        )
    names = settlements()
    regions = {kato[:2] for kato in names}
    if declared.scope not in names and declared.scope not in regions and declared.scope != "KZ":
        near = [f"{kato} {name}" for kato, name in names.items() if kato.startswith(declared.scope[:3])][:5]
        raise DeliveryError(
            f"{declared.scope!r} is no settlement of item 7 (nine digits), region (two digits) or KZ"
            + (f"; did you mean {', '.join(near)}?" if near else "; see: qala settlements")
        )
    try:
        period = parse_period(declared.period)
    except ValueError as error:
        raise DeliveryError(str(error)) from error
    if period.start.year < FIRST_YEAR or period.end.year > LAST_YEAR:
        raise DeliveryError(f"period {declared.period} lies outside {FIRST_YEAR} to {LAST_YEAR}")
    if declared.sha256 is not None:
        with file.open("rb") as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
        if found != declared.sha256.lower():
            raise DeliveryError(
                f"{file.name} has SHA-256 {found}, its manifest says {declared.sha256}: it was cut or changed on the way; send it again"
            )


def collect(
    inbox: Path, archive: Archive, tables: Mapping[str, Table], sources: Mapping[tuple[str, str], SourceContract]
) -> list[Drop]:
    """Take in every complete drop of the inbox.

    A drop is a `NAME.manifest.json` (written last) beside its files: {"deliveries": [{"file": …, "table": …, "settlement": …,
    "period": …, "system"?, "sha256"?, "rows"?}]}. It is taken whole into `done/`, or goes whole into `refused/` with the reason.
    """
    drops = []
    for manifest in sorted(inbox.glob("*" + MANIFEST)):
        error, receipts, files = None, [], []
        try:
            declared = _read_manifest(manifest)
            files = [d.file for d in declared]
            trial = [d for d in declared if not d.file.is_file()]
            if trial:
                raise DeliveryError(
                    f"the manifest names {', '.join(d.file.name for d in trial)}, which is not in the inbox; put the manifest last"
                )
            for one in declared:  # all, before the first is taken in
                check(one, tables, sources)
            receipts = [deliver(archive, d, tables, sources) for d in declared]
        except DeliveryError as problem:
            error = f"{manifest.name}: {problem}"
        folder = (
            inbox
            / ("refused" if error else "done")
            / (receipts[0].receipt_id if receipts else hashlib.sha256(manifest.read_bytes()).hexdigest()[:12])
        )
        folder.mkdir(parents=True, exist_ok=True)
        for path in (*files, manifest):
            if path.is_file():
                path.replace(folder / path.name)
        if error:
            (folder / "REASON.txt").write_text(error + "\n", encoding="utf-8")
        drops.append(Drop(manifest, tuple(receipts), error))
    return drops


def _read_manifest(manifest: Path) -> list[Declared]:
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        entries: list[dict[str, Any]] = content["deliveries"]
    except (ValueError, KeyError, TypeError) as error:
        raise DeliveryError(
            f'not a manifest ({error!r}); write {{"deliveries": [{{"file": ..., "table": ..., "settlement": ..., "period": ...}}]}}'
        ) from error
    declared = []
    for number, entry in enumerate(entries, 1):
        missing = sorted({"file", "table", "period"} - set(entry)) + (
            [] if {"settlement", "scope"} & set(entry) else ["settlement"]
        )
        unknown = sorted(set(entry) - _KEYS)
        if missing or unknown:
            raise DeliveryError(
                f"delivery {number}: "
                + "; ".join(
                    filter(
                        None,
                        (
                            f"lacks {', '.join(missing)}" if missing else "",
                            f"has unknown {', '.join(unknown)} (known: {', '.join(sorted(_KEYS))})" if unknown else "",
                        ),
                    )
                )
            )
        name = str(entry["file"])
        if "/" in name or "\\" in name or name.startswith("."):
            raise DeliveryError(f"delivery {number}: file {name!r} must lie beside its manifest")
        declared.append(
            Declared(
                manifest.parent / name,
                entry["table"],
                str(entry.get("settlement", entry.get("scope"))),
                str(entry["period"]),
                entry.get("system", STANDARD),
                entry.get("rows"),
                entry.get("sha256"),
            )
        )
    return declared
