"""One extract received: what is declared about a file, and what it is, is checked before its bytes are archived.

Used by `qala deliver` and by the inbox, so that both refuse the same things in the same words. Does not belong here: whether a delivery
holds what it declares (delivery_gate/declaration_checks.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.archive.archive import Archive
from connectors.archive.bundle import BundleError, bundle
from connectors.mapping.classification import carries_personal
from connectors.mapping.contract_checks import STANDARD
from connectors.mapping.source_contract import SourceContract, standard
from connectors.readers.headers import HEADER, StructureError
from connectors.readers.look import look
from kpi_definitions.nearest import meant, no_file
from warehouse.home.keys import Key, MissingKeyError, needed
from warehouse.home.scratch import scratch
from warehouse.loading.deliveries import Receipt
from warehouse.periods import FIRST_YEAR, LAST_YEAR, parse_period
from warehouse.tables.contracts import Table
from warehouse.tables.settlements import UnknownPlaceError, scope_of, territory

TABLES = "see docs/reference/data-dictionary.md"
_LONGEST = 60  # letters of what is declared, in a message


class DeliveryError(ValueError):
    """What was declared cannot be right; nothing was taken in. The message says what would be."""


@dataclass(frozen=True)
class DeclaredDelivery:
    """What a person or a manifest says about a file."""

    file: Path
    table: str
    scope: str
    period: str
    system: str = STANDARD
    rows: int | None = None
    sha256: str | None = None
    pulled: dict[str, Any] | None = None  # where it was fetched, if nobody brought it


def deliver(
    archive: Archive,
    declared: DeclaredDelivery,
    tables: Mapping[str, Table],
    sources: Mapping[tuple[str, str], SourceContract],
    warn: Callable[[str], None] = lambda _: None,
) -> Receipt:
    """Check what is declared and the file, archive the bytes, write the receipt. Raises DeliveryError; then nothing was taken in.

    `warn` is told what the run will refuse it for, where that is known already.
    """
    check_declaration(declared, tables, sources)
    if doubt := check_file(archive, declared, tables, sources):
        warn(doubt)
    try:
        key = archive_key(archive, declared, tables, sources)
    except MissingKeyError as error:
        raise DeliveryError(f"{error}; nothing was taken in") from None
    return archive.receive(
        declared.file,
        table=declared.table,
        system=declared.system,
        scope=territory(declared.scope),
        period=parse_period(declared.period).id,
        declared_rows=declared.rows,
        key=key,
        pulled=declared.pulled,
    )


def together(files: Sequence[Path], folder: Path) -> Path:
    """The files of one delivery, in the order in which they are read: the only one, or a bundle of them in `folder`. Raises DeliveryError."""
    for file in files:
        _refuse_no_file(file)
    if len(files) == 1:
        return files[0]
    if len({file.resolve() for file in files}) < len(files):
        raise DeliveryError("one file is named twice: its records would be there twice; name each once")
    try:
        return bundle([(f.name, f) for f in files], folder / f"{files[0].stem} {len(files)} files.zip", {})
    except BundleError as error:
        raise DeliveryError(str(error)) from None


def check_file(
    archive: Archive,
    declared: DeclaredDelivery,
    tables: Mapping[str, Table],
    sources: Mapping[tuple[str, str], SourceContract],
) -> str:
    """Whether a file whose declaration is right can be read, as far as that shows in seconds. Raises DeliveryError.

    A header that is not the contract's is no reason to turn a file away: it is an extract, and a number that lacks it must be able to say so.
    The run refuses it, and until then the contract may be mended; what it will say is returned.
    """
    contract = sources.get((declared.system, declared.table)) or standard(tables[declared.table])
    with scratch(archive.home.scratch) as place:
        try:
            look(declared.file, contract, declared.file.name, place)
        except StructureError as error:
            if error.message["code"] != HEADER:
                raise DeliveryError(f"{error}; nothing was taken in") from error
            return str(error)
    return ""


def encrypts(system: str, table: Table, sources: Mapping[tuple[str, str], SourceContract]) -> bool:
    """Whether extracts of a system for a table are kept encrypted: their contract says so, or they carry personal data."""
    contract = sources.get((system, table.name)) or standard(table)
    return contract.archive == "encrypted" or carries_personal(table, contract)


def archive_key(
    archive: Archive,
    declared: DeclaredDelivery,
    tables: Mapping[str, Table],
    sources: Mapping[tuple[str, str], SourceContract],
) -> Key | None:
    """The key that a file, already checked, is archived with, None if it is in the clear.

    Raises MissingKeyError if there must be one and is none, DeliveryError if the contract does not let such an extract in.
    """
    table, contract = tables[declared.table], sources.get((declared.system, declared.table))
    if not encrypts(declared.system, table, sources):
        return None
    if contract is not None and contract.archive == "refused":
        raise DeliveryError(
            f"{declared.file.name} is not taken in: by contract {contract.id} it carries personal data, and the contract says "
            "archive: refused. Deliver an extract without those columns by a contract that does not map them, or have the contract say encrypted"
        )
    return needed(
        archive.home, "archive", f"extracts of system {declared.system} for {declared.table} are archived encrypted"
    )


def check_declaration(
    declared: DeclaredDelivery, tables: Mapping[str, Table], sources: Mapping[tuple[str, str], SourceContract]
) -> None:
    """Whether what is declared can be right. Raises DeliveryError."""
    file, table, system = declared.file, declared.table, declared.system
    _refuse_no_file(file)
    if any("\ud800" <= letter <= "\udfff" for letter in file.name):
        raise DeliveryError(f"the name {file.name!r} holds bytes that are no letters; give the file another")
    if table not in tables:
        raise DeliveryError(f"there is no table {_quoted_short(table)}; {meant(table, tables, TABLES)}")
    if system != STANDARD and (system, table) not in sources:
        known = sorted(s for s, t in sources if t == table)
        raise DeliveryError(
            f"no contract of system {_quoted_short(system)} feeds {table}; known for it: {', '.join(known) or 'none'}. "
            "Put its contract into the home's contracts/ folder, or leave the system out if the file has the table's own column names"
        )
    contract = sources.get((system, table))
    if contract and contract.document and (undecided := contract.document.undecided()):
        raise DeliveryError(
            f"contract {contract.id} is a first version: {len(undecided)} TODO of it are not decided (qala check lists them); nothing is taken in by it"
        )
    if (code := declared_scope(declared.scope)) != declared.scope:
        raise DeliveryError(f"{_quoted_short(declared.scope)} is {code}: write the code")
    try:
        period = parse_period(declared.period)
    except ValueError as error:
        said = str(error) if len(declared.period) <= _LONGEST else f"{_quoted_short(declared.period)} is no period"
        raise DeliveryError(said) from error
    if period.start.year < FIRST_YEAR or period.end.year > LAST_YEAR:
        raise DeliveryError(f"period {declared.period} lies outside {FIRST_YEAR} to {LAST_YEAR}")
    check_sha256(file, declared.sha256)


def declared_scope(text: str) -> str:
    """What a delivery is declared for, by its code; `text`: the code or a name, in any language. Raises DeliveryError naming what may be meant."""
    try:
        return scope_of(text)
    except UnknownPlaceError as error:
        raise DeliveryError(str(error)) from None


def check_sha256(file: Path, sha256: str | None) -> None:
    """Whether a file is the one whose SHA-256 was declared, if one was. Raises DeliveryError."""
    if sha256 is None:
        return
    with file.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != sha256.lower():
        raise DeliveryError(
            f"{file.name} has SHA-256 {found}, its manifest says {sha256}: it was cut or changed on the way; send it again"
        )


def _refuse_no_file(file: Path) -> None:
    if file.is_dir():
        raise DeliveryError(
            f"{file} is a folder; name the files in it that are the extract: they are taken as one delivery"
        )
    if not file.is_file():
        raise DeliveryError(no_file(file))


def _quoted_short(text: str) -> str:
    return repr(text) if len(text) <= _LONGEST else f"{text[:_LONGEST]!r}…"
