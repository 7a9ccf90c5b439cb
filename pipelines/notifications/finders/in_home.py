"""What lies in a home and should not: drops that the inbox turned away, receipts that cannot be read, documents at fault, a disk that is nearly full."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from connectors.corrections import read_corrections
from connectors.mapping.read_contracts import SHIPPED, load_sources
from connectors.personal_data.safe_names import safe_name
from connectors.sources.connection_checks import connection_faults
from connectors.sources.connections import load_connections
from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.documents import DocumentError, Fault
from pipelines.notifications.finders.look import Look, signature
from pipelines.notifications.trouble import Found, Kind, Trouble, command, quoted
from warehouse.engines.settings import read_engine_file
from warehouse.messages.messages import and_more
from warehouse.tables.contracts import SHOWCASE, sound_tables

_REASONS = "REASON*.txt"
_LARGEST = 4096  # bytes of a reason
_ENOUGH = 1.5  # times the least room: a disk that fluctuates is told once


def turned_away(look: Look) -> Found:
    """Drops in inbox/refused/ and receipts in archive/receipts/damaged/, until they are taken away."""
    refused, damaged = look.home.inbox / "refused", look.home.archive / "receipts" / "damaged"
    try:
        drops = {f"drop/{path.name}": partial(_drop, path) for path in _entries(refused) if path.is_dir()}
        receipts = {f"receipt/{path.name}": partial(_receipt, look, path) for path in _entries(damaged)}
    except OSError:
        return None
    return drops | receipts


def documents(look: Look) -> Found:
    """Contracts, corrections, catalogues and settings of the home that are at fault: whatever reads them refuses to run."""
    home = look.home
    folders = (home.contracts, home.showcase, home.corrections, home.catalogues, home.sources)
    files = [path for folder in folders for path in folder.rglob("*.y*ml")]
    sign = signature([*files, home.engine_settings])
    if look.seen.get("documents") == sign:
        return None
    look.seen["documents"] = sign
    by_file: dict[str, list[Fault]] = {}
    for fault in sorted(set(_faults(look))):
        name = str(fault.path.relative_to(home.root)) if fault.path.is_relative_to(home.root) else fault.path.name
        by_file.setdefault(name, []).append(fault)
    return {f"document/{name}": partial(_document, look, name, faults) for name, faults in by_file.items()}


def disk(look: Look) -> Found:
    """Less room than the settings ask for."""
    try:
        free = shutil.disk_usage(look.home.root).free
    except OSError:
        return None
    least = int(look.settings.disk_free)
    if free >= least * _ENOUGH:
        return {}
    if free >= least:
        return None
    said = {"code": "notification.disk", "free": free >> 20, "least": least >> 20}
    trouble = Trouble(Kind.DISK, said, "", command(look.home, "backup FOLDER"), look.now.isoformat())
    return {"disk": lambda: trouble}


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []


def _drop(folder: Path) -> Trouble:
    note = min(folder.glob(_REASONS), default=None)
    reason = ""
    if note is not None:
        with note.open("rb") as handle:
            reason = handle.read(_LARGEST).decode("utf-8", "replace")
    for path in sorted(folder.iterdir(), key=lambda p: -len(p.name)):  # as Drop.told has them
        reason = reason.replace(path.name, safe_name(path.name))
    said = {"code": "notification.drop", "reason": quoted(reason)}
    do = f"less {note or folder}"
    return Trouble(Kind.DROP, said, f"inbox/refused/{folder.name}", do, _modified(folder))


def _receipt(look: Look, path: Path) -> Trouble:
    where = f"archive/receipts/damaged/{path.name}"
    return Trouble(Kind.DROP, {"code": "notification.receipt"}, where, command(look.home, "verify"), _modified(path))


def _document(look: Look, name: str, faults: Sequence[Fault]) -> Trouble:
    first = faults[0]
    said = quoted(f"{first.message}{f'; {first.remedy}' if first.remedy else ''}")
    message = {"code": "notification.document", "reason": and_more([said], len(faults) - 1, "; ")}
    where = f"{name}:{first.line}"
    return Trouble(Kind.DOCUMENT, message, where, command(look.home, "check"), look.now.isoformat())


def _modified(path: Path) -> str:
    return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).isoformat()


def _faults(look: Look) -> Iterator[Fault]:
    """What a run or a pull would refuse to go on with."""
    home = look.home
    tables, faults = sound_tables(SHOWCASE, home.showcase)
    yield from faults
    reading: tuple[Callable[[], object], ...] = (
        lambda: load_catalogues(home.catalogues),
        lambda: read_corrections(home.corrections, tables),
        lambda: read_engine_file(home),
    )
    for read in reading:
        try:
            read()
        except DocumentError as error:
            yield from error.faults
    connections, of_files = load_connections(home)
    yield from of_files
    try:
        contracts = load_sources(tables, [SHIPPED, home.contracts])
    except DocumentError as error:
        yield from error.faults
        return
    for one in connections.values():
        yield from connection_faults(one, tables, contracts)
